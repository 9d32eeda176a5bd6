"""Each library reading `f(0), f(1), …, f(n - 1)` in order with two worker processes.

They are used as their documentation says. Where it offers several ways, the one is taken that
gives each item its own error and goes on behind it: futures instead of `map`, whose iterator
is over after an error, and indices instead of iteration in SeqTools 1.x.
"""

import functools
import importlib
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks import peers

Function = Callable[[int], Any]
WORKERS = 2


class Value(NamedTuple):
    """An item."""

    value: Any


class Failure(NamedTuple):
    """What was raised instead; not the exception, whose traceback would keep things alive."""

    type: str
    text: str


class Reading(NamedTuple):
    """Items that are read."""

    results: Iterator[Value | Failure]
    close: Callable[[], object]
    """What the documentation says to do in the end."""


@dataclass(frozen=True)
class Library:
    """A contestant.

    Args:
        name: As it stands in the tables.
        package: The distribution whose version is recorded.
        start: Given a function, the number of items, and the seconds that an item may take, or
            `None`; returns a `Reading`.
        load: Imports the library.
        used_as: How it is called here.
        made_for: What it is for, and what it says of dead workers.
        has_timeout: Whether it has a limit on the time of an item.
    """

    name: str
    package: str | None
    start: Callable[[Function, int, float | None], Reading]
    load: Callable[[], object]
    used_as: str
    made_for: str
    has_timeout: bool = True

    @property
    def needs_original(self) -> bool:
        """Whether this runs in the environment that has SeqTools 1.x."""
        return self.package == "SeqTools"


def results(calls: Iterable[Callable[[], Any]]) -> Iterator[Value | Failure]:
    """Yield what calls return or raise, whatever that is.

    One that was interrupted is called again, once: its item was not read.
    """
    interrupted = False
    for call in calls:
        result = _attempt(call)
        yield result
        if isinstance(result, Failure) and result.type == "KeyboardInterrupt" and not interrupted:
            interrupted = True
            yield _attempt(call)


def _attempt(call: Callable[[], Any]) -> Value | Failure:
    try:
        return Value(call())
    except BaseException as error:  # noqa: BLE001 -- a case may raise anything
        return Failure(type(error).__name__, str(error))


def iterated(items: Iterable[Any]) -> Iterator[Value | Failure]:
    """Yield the items of an iterator, which is read on when it has raised something."""
    iterator = iter(items)
    yield from itertools.takewhile(_is_no_end, results(itertools.repeat(lambda: next(iterator))))


def _is_no_end(result: Value | Failure) -> bool:
    return not (isinstance(result, Failure) and result.type == "StopIteration")


def _ours(f: Function, n: int, timeout: float | None) -> Reading:
    import seqtools

    ready = seqtools.prefetch(seqtools.smap(f, range(n)), WORKERS, "process", timeout=timeout)
    return Reading(iterated(ready), ready.close)


def _original(f: Function, n: int, timeout: float | None) -> Reading:
    del timeout
    seqtools = peers.original()
    ready = seqtools.prefetch(seqtools.smap(f, range(n)), WORKERS, "process")
    calls = (functools.partial(operator.getitem, ready, i) for i in range(n))
    return Reading(results(calls), lambda: None)


def _dataloader(f: Function, n: int, timeout: float | None) -> Reading:
    items = iter(peers.dataloader(f, n, WORKERS, timeout=timeout or 0))
    return Reading(iterated(items), lambda: None)


def _grain(f: Function, n: int, timeout: float | None) -> Reading:
    del timeout
    items: Any = iter(peers.grain_processes(f, n, WORKERS))
    return Reading(iterated(items), items.close)


def _loky(f: Function, n: int, timeout: float | None) -> Reading:
    import loky

    executor = loky.get_reusable_executor(WORKERS)
    return Reading(_futures(executor, f, n, timeout), lambda: None)


def _executor(f: Function, n: int, timeout: float | None) -> Reading:
    from concurrent.futures import ProcessPoolExecutor

    executor = ProcessPoolExecutor(WORKERS)
    return Reading(
        _futures(executor, f, n, timeout), lambda: executor.shutdown(cancel_futures=True)
    )


def _futures(
    executor: Any, f: Function, n: int, timeout: float | None
) -> Iterator[Value | Failure]:
    futures = [executor.submit(f, i) for i in range(n)]
    return results(functools.partial(future.result, timeout) for future in futures)


def _pool(f: Function, n: int, timeout: float | None) -> Reading:
    import multiprocessing

    pool = multiprocessing.Pool(WORKERS)
    items = pool.imap(f, range(n))
    calls = itertools.repeat(lambda: items.next(timeout))
    return Reading(itertools.takewhile(_is_no_end, results(calls)), pool.terminate)


def _imports(*names: str) -> Callable[[], object]:
    return lambda: [importlib.import_module(name) for name in names]


LIBRARIES = {
    library.name: library
    for library in (
        Library(
            "seqtools",
            "seqtools",
            _ours,
            _imports("seqtools"),
            '`prefetch(…, 2, "process")`, iterated; `close()` in the end',
            "items of a pipeline ahead of who reads them; lost ones are evaluated again, an item "
            "that fails fails alone",
        ),
        Library(
            "SeqTools 1.x",
            "SeqTools",
            _original,
            peers.original,
            '`prefetch(…, 2, "process")`, read by index from 0 on, as its iterator is over after '
            "an error",
            "the same; an item that fails fails alone, of dead workers nothing is said",
            has_timeout=False,
        ),
        Library(
            "torch DataLoader",
            "torch",
            _dataloader,
            _imports("torch.utils.data"),
            "`DataLoader(…, batch_size=None, num_workers=2)`, iterated; `timeout=3` only in the "
            "case that is about it",
            "batches for training; a dead worker is an error, with which the training is expected "
            "to end",
        ),
        Library(
            "Grain",
            "grain",
            _grain,
            _imports("grain"),
            "`MapDataset.range(n).map(f).to_iter_dataset().mp_prefetch(…)` with two workers, "
            "iterated; `close()` in the end",
            "batches for training, of which the state can be saved; a training that has failed "
            "is started again from there",
            has_timeout=False,
        ),
        Library(
            "loky",
            "loky",
            _loky,
            _imports("loky"),
            "`get_reusable_executor(2)`, a future for each item",
            "calls of functions, without deadlocks: after the death of a worker all pending "
            "futures fail, and the next executor is a new one",
        ),
        Library(
            "ProcessPoolExecutor",
            None,
            _executor,
            _imports("concurrent.futures.process"),
            "a future for each item; `shutdown(cancel_futures=True)` in the end",
            "calls of functions; after the death of a worker all pending futures fail",
        ),
        Library(
            "Pool.imap",
            None,
            _pool,
            _imports("multiprocessing.pool"),
            "`multiprocessing.Pool(2).imap(…)`, iterated; `terminate()` in the end, as `with` does",
            "calls of functions; of dead workers nothing is said",
        ),
    )
}
"""By name, in the order of the tables."""
