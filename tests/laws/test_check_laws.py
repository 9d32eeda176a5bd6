"""No law holds by accident: for each there is a combinator that breaks it, and is found out."""

from typing import Any

import pytest

from seqtools import LazySequence, cycle, seterr
from seqtools._core.views import Slice
from seqtools.testing import Probe, check_laws
from seqtools.testing.laws import LAWS
from tests.laws import broken_algebra
from tests.laws.broken_reading import BROKEN, Computed, ForgetsWhereItWasMade, Same, WrongItem
from tests.laws.broken_relations import SaysTooMuch

assert broken_algebra  # adds its classes to BROKEN
ITEMS = (10, 11, 12, 13, 14)
OTHERS = (20, 21, 22, 23, 24)


def failure(build: Any, **arguments: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check_laws(build, lambda items: items, **arguments)
    return str(caught.value)


def test_what_keeps_the_laws_passes() -> None:
    check_laws(Same, list, sources=[ITEMS], assigned=[OTHERS])
    check_laws(Computed, list)


@pytest.mark.parametrize(("law", "build"), BROKEN, ids=lambda x: getattr(x, "__name__", None))
def test_broken(law: str, build: Any) -> None:
    said = failure(build, sources=[ITEMS], assigned=[OTHERS])
    assert said.startswith(f"law '{law}': ")


def test_every_law_is_broken_by_something() -> None:
    assert {law for law, _ in BROKEN} == {law.__name__.replace("_", " ") for law in LAWS}


@pytest.mark.parametrize(
    ("law", "build", "arguments"),
    [
        ("length", Same, {"length": "unknown"}),
        ("length", Same, {"length": "endless"}),
        ("length", cycle, {"length": "known"}),
        ("assignment", Same, {"assigned": None}),
        ("pickling", Same, {"picklable": False}),
        ("reads", SaysTooMuch, {"value_dependent": True}),
        ("slices", lambda p: _Short(p, 3), {}),
        ("pickling", lambda p: ForgetsWhereItWasMade(p), {}),  # noqa: PLW0108 -- made on this line
    ],
)
def test_wrong_statement(law: str, build: Any, arguments: dict[str, Any]) -> None:
    arguments = {"sources": [ITEMS], "assigned": [OTHERS], **arguments}
    assert failure(build, **arguments).startswith(f"law '{law}'")


class _Short(Same):
    """Has items behind a slice that has none: its slices are shorter than they say."""

    def __init__(self, sequence: Any, stop: int) -> None:
        super().__init__(sequence)
        self.stop = stop

    def _slice(self, key: slice) -> LazySequence[Any]:
        return Slice(self, self._places(key)[: self.stop])

    def _args(self) -> tuple[Any, ...]:
        return self.sequence, self.stop


def test_what_the_message_says() -> None:
    assert failure(WrongItem) == (
        "law 'iteration': the first iteration should be [10, 11, 12, 13, 14], "
        "got [10, 10, 11, 12, 13]"
    )


def test_an_error_in_the_sequence_names_the_law() -> None:
    def build(probe: Probe[int]) -> LazySequence[int]:
        raise ZeroDivisionError(probe)

    assert failure(build).startswith("law 'building': raised ZeroDivisionError(")


def test_the_setting_of_the_caller_does_not_matter() -> None:
    before = seterr("passthrough")
    try:
        check_laws(Computed, list)
        assert seterr() == "passthrough"
    finally:
        seterr(before)
