"""Of a test that is run with every way to start workers, `make test` runs one.

Such tests are a quarter of the time of all, and they fail together nearly always. Which one is run
depends on the name of the test alone, so that it stays the same, and all ways occur in each file
that has many tests. `make every` runs all, and so does whoever names tests (`-k`, `file::test`).
A test that needs all of them is marked `every_method`.
"""

import zlib
from collections.abc import Iterable

import pytest

METHODS = frozenset(
    name + more for name in ("template", "process", "spawn", "fork") for more in ("", "+hints")
)
"""Names of ways to start workers, as they are in the ids of tests."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = config.option.keyword or any("::" in argument for argument in config.args)
    if config.option.every or named:
        return
    left = sampled(items)
    config.hook.pytest_deselected(items=[item for item in items if item not in left])
    items[:] = [item for item in items if item in left]


def sampled(items: Iterable[pytest.Item]) -> set[pytest.Item]:
    """Return `items` without those that differ from one of them in the start method alone."""
    alike: dict[str, list[pytest.Item]] = {}
    left = set()
    for item in items:
        test, _, parameters = item.nodeid.partition("[")
        values = parameters.removesuffix("]").split("-")
        methods = METHODS.intersection(values)
        if len(methods) == 1 and item.get_closest_marker("every_method") is None:
            others = (value for value in values if value not in methods)
            alike.setdefault("-".join([test, *others]), []).append(item)
        else:
            left.add(item)
    for key, group in alike.items():
        left.add(group[zlib.crc32(key.encode()) % len(group)])
    return left
