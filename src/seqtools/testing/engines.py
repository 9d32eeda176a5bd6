"""The check of an engine."""

from collections.abc import Callable, Collection

from seqtools._core.display.short import short
from seqtools.engines.base import Engine
from seqtools.testing.optional_promises import (
    WITH_DEATHS,
    WITH_END_HOOKS,
    WITH_HOOKS,
    WITH_TIMEOUTS,
)
from seqtools.testing.promises import ALWAYS, Promise
from seqtools.testing.subject import checked
from seqtools.testing.trial import Maker


def check_engine(  # noqa: PLR0913 -- what there is to know of an engine, all by name
    make: Callable[..., Engine],
    *,
    hooks: bool = False,
    end_hooks: bool = False,
    timeouts: bool = False,
    deaths: bool = False,
    resizes: bool = False,
    host: str = "127.0.0.1",
    only: Collection[str] = (),
) -> None:
    """Check that an engine keeps all promises of `seqtools.engines.base`.

    `make(get, nworkers, deliver=deliver)` is called for each promise and returns a new engine.
    Every `get` is picklable and defined in `seqtools.testing`. Workers may be threads,
    processes, or other machines that have seqtools. They connect to this process by TCP, to wait
    for each other.

    Args:
        make: Returns an engine that evaluates `get(i)` in `nworkers` workers, and calls `deliver`
            with the results.
        hooks: Whether `make` takes a `start_hook`, which each worker calls.
        end_hooks: Whether `make` takes an `end_hook` too, which each worker calls at its end.
        timeouts: Whether `make` takes a `timeout` in seconds.
        deaths: Whether workers are separate processes, which items may kill.
        resizes: Whether the engine chooses its number of workers, or always has the same number.
        host: The address of this machine for workers.
        only: Names of the promises to check, such as `["the end is delivered"]`; empty for all.

    Raises:
        AssertionError: If a promise is not kept; the message names the promise, and what was
            expected and observed.
        TypeError: If `make` cannot be called.
        ValueError: If a name in `only` is not that of a promise; the message lists all names.

    Example:
        >>> from seqtools.engines.thread.engine import ThreadEngine
        >>> class Deaf(ThreadEngine):
        ...     def cancel(self, ids):
        ...         pass
        >>> try:
        ...     check_engine(Deaf, hooks=True, timeouts=True)
        ... except AssertionError as error:
        ...     print(error)
        promise 'cancelled items are not begun': of 1000 that were cancelled, 1000 were evaluated
    """
    if not callable(make):
        raise TypeError(f"make must be a function that returns an engine, got {short(make)}")
    maker = Maker(make, host, resizes=resizes)
    promises = promised(hooks=hooks, end_hooks=end_hooks, timeouts=timeouts, deaths=deaths)
    if unknown := set(only) - promises.keys():
        message = (
            f"only must have names of promises, got {sorted(unknown)}: use some of "
            f"{sorted(promises)}"
        )
        raise ValueError(message)
    for name in only or promises:
        checked("promise", promises[name], maker)


def promised(
    *, hooks: bool = False, end_hooks: bool = False, timeouts: bool = False, deaths: bool = False
) -> dict[str, Promise]:
    """Return the promises of an engine by their names."""
    chosen = [
        *ALWAYS,
        *(WITH_HOOKS if hooks else ()),
        *(WITH_END_HOOKS if end_hooks else ()),
        *(WITH_TIMEOUTS if timeouts else ()),
        *(WITH_DEATHS if deaths else ()),
    ]
    return {promise.__name__.replace("_", " "): promise for promise in chosen}
