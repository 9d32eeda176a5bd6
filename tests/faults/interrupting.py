"""Ctrl-C wherever Python lets it in while a prefetch is read: nothing is lost, repeated or left.

    python -m tests.faults.interrupting [step] [scenario or engine ...]

Interrupts each scenario once for every `step`-th time that it passes a place of ours, with each
engine. With processes there are many, so there `step` is 7 times as long.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import seqtools
from tests import leaks
from tests.engines.engines import OPTIONS
from tests.faults.intruders import EVERYTHING, Intruder, everywhere, interrupt

N = 40
SOURCE = seqtools.smap(abs, range(N))

METHODS = ("thread", "process", "spawn", "fork")


class Reader:
    """Reads on whatever comes in between, and counts it.

    Args:
        intruder: What comes in between.
        *told: The exceptions that come of it.
        **options: Those of the prefetch.
    """

    def __init__(self, intruder: Intruder, *told: type[BaseException], **options: Any) -> None:
        self._intruder, self._options = intruder, options
        self._told = told or (KeyboardInterrupt,)
        self.caught: list[BaseException] = []

    def does(self, act: Callable[[], Any]) -> Any:
        """Return what `act` does when it comes to its end."""
        while True:
            try:
                with self._intruder:
                    return act()
            except self._told as error:
                self.caught.append(error)

    def reads(self, items: Iterator[Any]) -> list[Any]:
        """Return all that comes."""
        seen: list[Any] = []  # keeps what it got before it was interrupted
        self.does(lambda: seen.extend(items))
        return seen

    def tries(self, items: Iterator[Any]) -> list[Any]:
        """Return all that comes, with `None` for each item that failed."""
        seen: list[Any] = []

        def read() -> None:
            while True:
                try:
                    seen.extend(items)
                except seqtools.EvaluationError:
                    seen.append(None)
                else:
                    break

        self.does(read)
        return seen

    def made(self, source: Any = SOURCE, n: int = 2, **options: Any) -> seqtools.Prefetch[Any]:
        """Return a prefetch to be read."""
        chosen = {"nworkers": n, "max_cached": 24, **self._options, **options}
        return seqtools.prefetch(source, **chosen)


Scenario = Callable[[Reader], None]


def iteration(reader: Reader) -> None:
    """Read in order."""
    with reader.made() as p:
        assert reader.reads(reader.does(lambda: iter(p))) == list(range(N))


def gathering(reader: Reader) -> None:
    """Read in any order."""
    with reader.made(ordered=False) as p:
        assert sorted(reader.reads(reader.does(lambda: iter(p)))) == list(range(N))


def backwards(reader: Reader) -> None:
    """Read from the last item to the first."""
    with reader.made() as p:
        assert reader.reads(reader.does(lambda: reversed(p))) == list(range(N))[::-1]


def indices(reader: Reader) -> None:
    """Read by index."""
    with reader.made() as p:
        for i in (0, 1, 2, 3, 5, 7, 2, 3, 4, 30, 0):
            assert reader.does(lambda i=i: p[i]) == i


def several(reader: Reader) -> None:
    """Read by index and by two iterators in turn, with a new copy of the source in between."""
    with reader.made(max_cached=9) as p:
        first, second = iter(p), iter(p)
        for i in (0, 1, 2, 8, 30, 4, 5, 6, 4, 2, 3, 3, 20, 23, 26, 29):
            assert reader.does(lambda i=i: p[i]) == i
            if i == 8:
                assert reader.does(lambda: next(first)) == 0
                assert reader.does(lambda: next(second)) == 0
            if i == 20:
                reader.does(p.refresh)
        assert reader.reads(first) == list(range(1, N))
        assert reader.reads(second) == list(range(1, N))


def a_slice(reader: Reader) -> None:
    """Read a slice."""
    with reader.made() as p:
        assert reader.reads(iter(p[30:5:-3])) == list(range(30, 5, -3))


def batches(reader: Reader) -> None:
    """Read batches of what is read ahead."""
    with reader.made() as p:
        found = reader.reads(iter(seqtools.batch(p, 10)))
        assert found == [list(range(i, i + 10)) for i in range(0, N, 10)]


def prefetch_in_prefetch(reader: Reader) -> None:
    """Read ahead what is read ahead."""
    with reader.made(n=1) as p, reader.made(seqtools.smap(abs, p), n=1) as q:
        assert reader.reads(iter(q)) == list(range(N))


def closing(reader: Reader) -> None:
    """End the workers in between, in each way."""
    p = reader.made()
    items = iter(p)
    seen = [next(items) for _ in range(5)]
    reader.does(p.close)
    seen.append(next(items))
    reader.does(p.refresh)
    seen.append(next(items))
    reader.does(seqtools.close_all)
    assert [*seen, *items] == list(range(N))
    p.close()


def a_block(reader: Reader) -> None:
    """Make and end it in a block."""
    seen: list[Any] = []

    def read() -> None:
        with reader.made() as p:
            seen[:] = p[:3]

    reader.does(read)
    assert seen == [0, 1, 2]


def errors(reader: Reader) -> None:
    """Read items of which some fail."""
    with reader.made(seqtools.smap(_inverse, range(12))) as p:
        wanted = [None, 1, 1 / 2, 1 / 3]
        assert reader.tries(iter(p)) == wanted * 3


def _inverse(i: int) -> float:
    return 1 / (i % 4)


SCENARIOS: list[Scenario] = [
    iteration, gathering, backwards, indices, several, a_slice, batches, prefetch_in_prefetch,
    closing, a_block, errors,
]  # fmt: skip


def interrupted(scenario: Scenario, method: str, step: int) -> Iterator[str]:
    """Yield the place, for every `step`-th time that `scenario` passes one."""
    caught: list[int] = []

    def run(intruder: Intruder) -> None:
        reader = Reader(intruder, **OPTIONS[method])
        scenario(reader)
        # the errors go with the reader: their tracebacks keep alive what was interrupted
        caught.append(len(reader.caught))

    first = SCENARIOS.index(scenario)
    for intruder in everywhere(run, interrupt, first, step, EVERYTHING, each_time=True):
        if intruder.came:  # threads do not pass the same places each time
            assert caught[-1] == 1
            yield intruder.name


def main(step: int = 1, *only: str) -> None:
    """Interrupt all scenarios, or those whose names or engines are given."""
    for method in METHODS:
        for scenario in SCENARIOS:
            if only and not {method, scenario.__name__} & set(only):
                continue
            begin, before, came = time.perf_counter(), leaks.held(), 0
            try:
                for at in interrupted(scenario, method, step * (1 if method == "thread" else 7)):
                    came += 1
                    if left := leaks.leaked(before, leaks.GRACE):
                        raise AssertionError(f"{at}, left behind: {'; '.join(left)}")  # noqa: TRY301
            except BaseException as error:
                error.add_note(f"{method} {scenario.__name__} after {came} interrupts")
                raise
            took = time.perf_counter() - begin
            print(  # noqa: T201 -- a script
                f"{method:8} {scenario.__name__:21} {came:5} interrupts, {took:.0f} s", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1, *sys.argv[2:])
