"""The keeper: a thread that goes on with the work of an engine while nobody receives."""

import threading
from collections.abc import Callable

from seqtools.engines.shortage import start_thread
from seqtools.engines.showing import MOST, said
from seqtools.errors import WorkerStartError

_KEEPER_SECONDS = 0.01
"""How long the receiver must be away for the keeper to take over."""


class Keeper:
    """See the module.

    Args:
        go_on: Waits for a moment for something to happen, and sees to it. It calls `rest` if
            there is nothing to wait for.
        give_up: Is given what went wrong if that fails, and the thread ends.
    """

    def __init__(
        self, go_on: Callable[[], None], give_up: Callable[[WorkerStartError], None]
    ) -> None:
        self.receiving = False
        """Whether somebody receives now."""
        self.received = 0
        """How often somebody has."""
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._busy = threading.Event()
        # They are arguments, of which a thread that has ended lets go: there is no cycle that
        # would keep the memory of workers until the garbage collector comes.
        self.thread = threading.Thread(
            target=self._run, args=(go_on, give_up), name="seqtools-keeper", daemon=True
        )

    def start(self) -> None:
        """Start the thread.

        Raises:
            WorkerStartError: If there can be no other.
        """
        start_thread(self.thread)

    def wake(self) -> None:
        """Note that there is something to wait for."""
        if not self._busy.is_set():
            self._busy.set()

    def rest(self) -> None:
        """Have nothing done until `wake` is called; under the lock by which work is given out."""
        self._busy.clear()

    def end(self) -> None:
        """Have the thread end, and wait for that unless it is this one."""
        self.stopping.set()
        self._busy.set()
        if self.thread.is_alive() and threading.get_ident() != self.thread.ident:
            # not join(): called by the end of a thread, it would make a dummy of that one
            self.ended.wait()

    def _run(self, go_on: Callable[[], None], give_up: Callable[[WorkerStartError], None]) -> None:
        try:
            self._keep(go_on)
        except BaseException as error:  # noqa: BLE001 -- told to who receives next
            failed = WorkerStartError(f"reading results while nobody waits failed: {error!r}")
            failed.__cause__ = error
            give_up(failed)
        finally:
            self.ended.set()

    def _keep(self, go_on: Callable[[], None]) -> None:
        seen = -1
        while not self.stopping.is_set():
            self._busy.wait()
            if self.stopping.wait(_KEEPER_SECONDS):
                return
            if self.receiving or self.received != seen or len(said) > MOST:
                seen = self.received
                continue
            go_on()
