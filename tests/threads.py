"""Threads for tests: they end, or the test says that they did not."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LONG = 10.0
"""Seconds after which something that must happen did not; no test that passes waits for it."""


def together(*functions: Callable[[], T]) -> list[T | BaseException]:
    """Return what each of `functions` returns or raises when all run at the same time."""
    outcomes: list[Any] = [None] * len(functions)
    ready = threading.Barrier(len(functions))

    def run(k: int) -> None:
        ready.wait(LONG)
        try:
            outcomes[k] = functions[k]()
        except BaseException as error:  # noqa: BLE001 -- for whoever called
            outcomes[k] = error

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "a thread does not end"
    return outcomes


def elsewhere(function: Callable[[], T]) -> T:
    """Return what `function` returns in another thread."""
    (outcome,) = together(function)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def come(arrived: threading.Semaphore, count: int) -> None:
    """Wait until `count` threads have arrived."""
    for _ in range(count):
        assert arrived.acquire(timeout=LONG)
