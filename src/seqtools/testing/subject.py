"""The subject of the laws: a sequence, its sources, and the list that it must equal."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Literal, TypeAlias

from seqtools._core.errors import EvaluationError
from seqtools._core.sequence import LazySequence
from seqtools._core.stage import prepare
from seqtools._core.walk import is_stage, traits_upstream
from seqtools.testing.probe import Probe

Values: TypeAlias = Sequence[Any] | Callable[[int], Any]
"""The items of a source; for an endless source, a function of the index."""

Length: TypeAlias = Literal["known", "unknown", "endless"]

SHOWN = 12
"""Items of an endless sequence to check. Arbitrary."""

GIVEN = 64
"""Items of an endless source that the oracle receives, to make SHOWN items. Arbitrary."""


@dataclass(frozen=True)
class Subject:
    """How to create a sequence over new probes, and its properties: see `check_laws`."""

    build: Callable[..., LazySequence[Any]]
    expected: Callable[..., Iterable[Any]]
    sources: Sequence[Values]
    assigned: Sequence[Values] | None
    length: Length
    value_dependent: bool
    picklable: bool

    def probes(self, values: Sequence[Values] | None = None) -> list[Probe[Any]]:
        """Return a new source for each of `values`, by default those of the subject."""
        given = self.sources if values is None else values
        return [Probe(v if callable(v) else copy.deepcopy(v)) for v in given]

    def make(self) -> tuple[LazySequence[Any], list[Probe[Any]]]:
        """Return a new sequence, and the probes that it reads from; a scan is done."""
        probes = self.probes()
        return scanned(self.build(*probes), probes), probes

    def oracle(self, probes: list[Probe[Any]]) -> list[Any]:
        """Return the items that a sequence over `probes` must have now."""
        items = self.expected(*(copy.deepcopy(peeked(probe)) for probe in probes))
        return list(islice(items, SHOWN) if self.length == "endless" else items)

    @cached_property
    def items(self) -> list[Any]:
        """The items that the sequence must have; for an endless one, the first few."""
        return [normal(item) for item in self.oracle(self.probes())]

    @cached_property
    def touched(self) -> list[list[set[int]]]:
        """For each item and each source, the indices that are read for the item."""
        sets = []
        for i in range(len(self.items)):
            sequence, probes = self.make()
            normal(sequence[i])
            sets.append(reads_of(probes))
        return sets

    def read(self, sequence: LazySequence[Any]) -> list[Any]:
        """Return the items of `sequence` by iteration, up to one more than allowed."""
        return [normal(item) for item in islice(iter(sequence), self.reach)]

    @property
    def reach(self) -> int:
        """How many items to iterate over."""
        return len(self.items) + (self.length != "endless")


def peeked(probe: Probe[Any]) -> list[Any]:
    """Return the items of `probe`; for an endless one, as many as an oracle receives."""
    return probe.peek(GIVEN if probe._length() is None else None)


def scanned(sequence: LazySequence[Any], probes: Iterable[Probe[Any]]) -> LazySequence[Any]:
    """Return `sequence`, after the tables of its stages were made, without a record of that."""
    if is_stage(sequence) and traits_upstream(sequence).scans:
        prepare(sequence)
        for probe in probes:
            probe.clear()
    return sequence


def reads_of(probes: Iterable[Probe[Any]]) -> list[set[int]]:
    """Return the indices that were read from each of `probes`."""
    return [set(probe.reads) for probe in probes]


def normal(item: Any) -> Any:
    """Return `item` with lazy sequences and arrays as lists, so that `==` compares values."""
    if is_stage(item):
        return [normal(part) for part in item]
    if hasattr(item, "dtype") and hasattr(item, "tolist"):
        return item.tolist()
    if isinstance(item, list | tuple):
        return type(item)(normal(part) for part in item) if type(item) in {list, tuple} else item
    if isinstance(item, dict):
        return {key: normal(value) for key, value in item.items()}
    return item


def comparable(item: Any) -> bool:
    """Return whether `==` compares values of `item`, which it does not for views and arrays."""
    if isinstance(item, list | tuple):
        return all(comparable(part) for part in item)
    if isinstance(item, dict):
        return all(comparable(part) for part in item.values())
    return not is_stage(item) and getattr(item, "shape", ()) == ()


def mixed(now: Any, old: Any, new: Any) -> bool:
    """Return whether every part of `now` is as in `old` or as in `new`."""
    if now in (old, new):
        return True
    if not type(now) is type(old) is type(new) or len(now) != len(old):
        return False
    if isinstance(now, dict):
        return all(mixed(now[key], old[key], new[key]) for key in old)
    return isinstance(now, list | tuple) and all(map(mixed, now, old, new))


def outcomes(sequence: LazySequence[Any], most: int) -> Iterator[Any]:
    """Yield what each step of an iterator gives: an item or an error."""
    items = iter(sequence)
    for _ in range(most):
        try:
            yield normal(next(items))
        except StopIteration:
            return
        except EvaluationError as error:
            yield error


def equal(what: str, got: Any, wanted: Any) -> None:
    """Fail if `got` does not equal `wanted`."""
    if got != wanted:
        raise AssertionError(f"{what} should be {wanted!r}, got {got!r}")


def lazy(what: str, value: object) -> None:
    """Fail if `value` is not a lazy sequence."""
    if not isinstance(value, LazySequence):
        message = f"{what} should be a LazySequence, got {value!r}"
        raise AssertionError(message)  # noqa: TRY004 -- a law that does not hold


def untouched(what: str, probes: Iterable[Probe[Any]]) -> None:
    """Fail if anything was read from `probes`."""
    for s, probe in enumerate(probes):
        if probe.reads:
            raise AssertionError(f"{what} must read nothing, but read {probe.reads} of source {s}")


def refused(what: str, kind: type[Exception], action: Callable[..., Any], *arguments: Any) -> None:
    """Fail if `action` does not raise an error of `kind` when called with `arguments`."""
    try:
        got = action(*arguments)
    except kind:
        return
    except Exception as error:
        raise AssertionError(f"{what} should raise {kind.__name__}, raised {error!r}") from error
    raise AssertionError(f"{what} should raise {kind.__name__}, got {got!r}")


def checked(kind: str, check: Callable[[Any], None], about: Any) -> None:
    """Call `check(about)`; turn all errors into an `AssertionError` with its name."""
    name = f"{kind} '{check.__name__.replace('_', ' ')}'"
    try:
        check(about)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{name}: raised {error!r}") from error
