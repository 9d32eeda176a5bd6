"""`make test` runs a part of the tests that differ in little; `make every` runs all.

- Of a test that is run with every way to start workers, it runs one. Such tests are a quarter of
  the time of all, and they fail together nearly always.
- Of a test that is marked `one_of(k)`, it runs one of `k` sets of parameters.

Which one is run depends on the name of the test alone, so that it stays the same, and all ways
occur in each file that has many tests. Whoever names tests (`-k`, `file::test`) gets all of them.
"""

import zlib
from collections.abc import Iterable

import pytest

METHODS = frozenset({"template", "process", "spawn", "fork"})
"""Names of ways to start workers, as they are in the ids of tests."""
HINTS = "+hints"
"""What follows such a name if a cache upstream is told what comes next."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = config.option.keyword or any("::" in argument for argument in config.args)
    if config.option.every or named:
        return
    left = thinned(sampled(items), items)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = [item for item in items if item in left]


def sampled(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return `items` without those that differ from one of them in the start method alone."""
    alike: dict[str, list[pytest.Item]] = {}
    left = set()
    for item in items:
        test, _, parameters = item.nodeid.partition("[")
        values = parameters.removesuffix("]").split("-")
        methods = [value for value in values if value.removesuffix(HINTS) in METHODS]
        if len(set(methods)) == 1:
            others = (
                HINTS * value.endswith(HINTS) if value in methods else value for value in values
            )
            alike.setdefault("-".join([test, *others]), []).append(item)
        else:
            left.add(item)
    for key, group in alike.items():
        left.add(group[zlib.crc32(key.encode()) % len(group)])
    return left


def thinned(left: set[pytest.Item], items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return those of `left` that are run, of the tests that are marked `one_of`."""
    marked: dict[str, list[pytest.Item]] = {}
    kept = set()
    for item in items:
        if item in left:
            if item.get_closest_marker("one_of") is None:
                kept.add(item)
            else:
                marked.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for key, group in marked.items():
        mark = group[0].get_closest_marker("one_of")
        step = mark.args[0] if mark is not None else 1
        kept.update(group[zlib.crc32(key.encode()) % min(step, len(group)) :: step])
    return kept
