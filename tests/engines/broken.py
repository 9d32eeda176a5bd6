"""A small engine that keeps all promises, and many that break one each."""

import pickle
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from seqtools._core.errors import EndOfSequence, Failure, ItemTimeout, WorkerStartError
from seqtools.engines.base import END, Deliver, Job, Part
from seqtools.engines.hooks import call_hook
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.thread.engine import ThreadEngine


class Small:
    """Threads that take whole jobs from one queue."""

    grain = 0.001
    group_of: Any = None
    news = False

    def __init__(
        self,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Any = None,
        end_hook: Any = None,
        *,
        deliver: Deliver,
    ) -> None:
        self.get, self.nworkers, self.hook, self.deliver = get, nworkers, start_hook, deliver
        self.end_hook = end_hook
        self.waiting: deque[Job] = deque()
        self.condition = threading.Condition()
        self.working, self.closed = 0, False
        self.contexts: dict[int, Context] = {}
        self.threads = [
            threading.Thread(target=self.work, args=(number,)) for number in range(nworkers)
        ]
        for thread in self.threads:
            thread.start()

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        with self.condition:
            self.contexts |= {job.id: copy_context() for job in (*ahead, *urgent)}
            self.waiting.extendleft(reversed(urgent))
            self.waiting.extend(ahead)
            self.condition.notify_all()

    def cancel(self, ids: Collection[int]) -> None:
        with self.condition:
            self.waiting = deque(job for job in self.waiting if job.id not in ids)

    def look(self) -> float:
        return 0.05

    def waited(self, seconds: float) -> None: ...

    def tell(self) -> None: ...

    def busy(self) -> int:
        return self.working

    def close(self, *, wait: bool = True) -> None:
        with self.condition:
            self.closed = True
            self.condition.notify_all()
        for thread in self.threads if wait else ():
            thread.join()

    def work(self, number: int) -> None:
        try:
            if self.hook is not None:
                self.greet(number)
        except BaseException as error:  # noqa: BLE001 -- told
            self.refuse(error)
            return
        while (job := self.take()) is not None:
            for k, i in enumerate(job.indices):
                if not self.closed:
                    self.answer(job, k, *self.contexts[job.id].run(self.outcome, i))
            with self.condition:
                self.working -= 1
        if self.end_hook is not None:
            self.take_leave(number)

    def greet(self, number: int) -> None:
        call_hook(self.hook, number)

    def take_leave(self, number: int) -> None:
        call_hook(self.end_hook, number)

    def refuse(self, error: BaseException) -> None:
        self.deliver(WorkerStartError(f"the hook failed: {error}"))

    def take(self) -> Job | None:
        with self.condition:
            self.condition.wait_for(lambda: self.waiting or self.closed)
            if self.closed:
                return None
            self.working += 1
            return self.waiting.popleft()

    def outcome(self, i: int) -> tuple[Any, bool]:
        try:
            return self.get(i), False
        except EndOfSequence:
            return END, True
        except BaseException as error:  # noqa: BLE001 -- told
            return Failure.caught(error), True

    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        if not self.closed:
            self.deliver(Part(job.id, k, [outcome], failed=failed))


class Curt(Small):
    def take_leave(self, number: int) -> None:
        if number:
            super().take_leave(number)


class Lossy(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        if k != 1:
            super().answer(job, k, outcome, failed)


class Wrong(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        return (0, False) if i == 1 else super().outcome(i)


class Misnumbered(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        super().answer(Job(-job.id, job.indices), k, outcome, failed)


class Misplaced(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        super().answer(job, k + 1, outcome, failed)


class Empty(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        self.deliver(Part(job.id, k, []))
        super().answer(job, k, outcome, failed)


class Raw(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        del failed
        self.deliver((job.id, k, outcome))  # type: ignore[arg-type]


class Fast(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        self.deliver(Part(job.id, k, [outcome], -1.0, failed=failed))


class Sleepy(Small):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.looked = threading.Event()
        super().__init__(*args, **kwargs)

    def outcome(self, i: int) -> tuple[Any, bool]:
        self.looked.wait()
        return super().outcome(i)

    def look(self) -> float:
        self.looked.set()
        return super().look()

    def close(self, *, wait: bool = True) -> None:
        self.looked.set()
        super().close(wait=wait)


class Zealous(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        super().outcome(i)
        return super().outcome(i)


class Unmarked(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        del failed
        super().answer(job, k, outcome, failed=False)


class Together(Small):
    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        if failed:
            self.deliver(Part(job.id, k - 1, [0, outcome], failed=True))
        else:
            super().answer(job, k, outcome, failed)


class Vague(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        outcome, failed = super().outcome(i)
        return (Failure(KeyError()), True) if failed and outcome is not END else (outcome, failed)


class Pathless(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        outcome, failed = super().outcome(i)
        return (Failure(outcome.error) if isinstance(outcome, Failure) else outcome), failed


class Modeless(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        return Context().run(super().outcome, i)


class Frail(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        outcome, failed = super().outcome(i)
        if failed and isinstance(outcome.error, SystemExit):
            raise SystemExit
        return outcome, failed

    def work(self, number: int) -> None:
        try:
            super().work(number)
        except SystemExit:
            return


class Endless(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        outcome, failed = super().outcome(i)
        return (Failure(EndOfSequence()), True) if outcome is END else (outcome, failed)


class Deaf(Small):
    def cancel(self, ids: Collection[int]) -> None: ...


class Particular(Small):
    def cancel(self, ids: Collection[int]) -> None:
        if not {job.id for job in self.waiting}.issuperset(ids):
            raise KeyError(ids)
        super().cancel(ids)


class Patient(Small):
    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        super().submit([*ahead, *urgent])


class Idle(Small):
    def busy(self) -> int:
        return 0


class Restless(Small):
    def busy(self) -> int:
        return 1


class Miscounted(Small):
    def __init__(self, get: Any, nworkers: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(get, nworkers, *args, **kwargs)
        self.nworkers += 1


class Alone(Small):
    lock = threading.Lock()

    def outcome(self, i: int) -> tuple[Any, bool]:
        with self.lock:
            return super().outcome(i)


class Grainless(Small):
    grain = 0.0


class Nowhere(Small):
    group_of = staticmethod(lambda i: (i, range(i)))


class Blind(Small):
    def look(self) -> float:
        return None  # type: ignore[return-value]


class Owned(Small):
    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("this belongs to another thread")
        super().submit(ahead, urgent)


class Leaving(Small):
    left: list[threading.Event] = []  # noqa: RUF012 -- ended by the test

    def close(self, *, wait: bool = True) -> None:
        if not self.closed:
            self.left.append(threading.Event())
            threading.Thread(target=self.left[-1].wait).start()
        super().close(wait=wait)


class Late(Small):
    def close(self, *, wait: bool = True) -> None:
        again = self.closed
        super().close(wait=wait)
        if again:
            self.deliver(self.last)

    def answer(self, job: Job, k: int, outcome: Any, failed: bool) -> None:
        self.last = Part(job.id, k, [outcome], failed=failed)
        super().answer(job, k, outcome, failed)


class Fussy(Small):
    def close(self, *, wait: bool = True) -> None:
        if self.closed:
            raise ValueError("it is closed")
        super().close(wait=wait)


class Busy(Small):
    def busy(self) -> int:
        return 2 if self.closed else super().busy()


class Mute(Small):
    def outcome(self, i: int) -> tuple[Any, bool]:
        pickle.loads(pickle.dumps(self.get))
        return super().outcome(i)

    def work(self, number: int) -> None:
        try:
            super().work(number)
        except ValueError:
            return


class Hasty(Small):
    def __init__(self, get: Any, nworkers: int, timeout: float, *, deliver: Deliver) -> None:
        del timeout
        super().__init__(get, nworkers, deliver=deliver)

    def outcome(self, i: int) -> tuple[Any, bool]:
        if i > 500:  # for all of a job
            return Failure(ItemTimeout(f"item {i} took too long")), True
        return super().outcome(i)


class Rude(Small):
    def greet(self, number: int) -> None: ...


class Overcounting(Small):
    def greet(self, number: int) -> None:
        super().greet(number + 10)


class Insistent(Small):
    def greet(self, number: int) -> None:
        self.hook(number)


class Secretive(Small):
    def refuse(self, error: BaseException) -> None: ...


class Terse(Small):
    def refuse(self, error: BaseException) -> None:
        del error
        self.deliver(WorkerStartError("something failed"))


def forked(get: Any, nworkers: int, *, deliver: Deliver, **options: Any) -> ProcessEngine:
    return ProcessEngine(None, get, nworkers, start_method="fork", deliver=deliver, **options)


def changed(make: Callable[..., Any], change: Callable[[Part], Part | None]) -> Any:
    """Return how to make an engine whose parts are changed, or lost."""

    def made(get: Any, nworkers: int, *, deliver: Deliver, **options: Any) -> Any:
        def other(part: Any) -> None:
            new = change(part) if isinstance(part, Part) else part
            if new is not None:
                deliver(new)

        return make(get, nworkers, deliver=other, **options)

    made.__name__ = change.__name__
    return made


def timeless(get: Any, nworkers: int, timeout: float | None = None, **options: Any) -> Any:
    """Return an engine that has no timeout."""
    del timeout
    return ThreadEngine(get, nworkers, **options)


def unnamed(part: Part) -> Part:
    """Return a part that does not tell which item took too long."""
    if part.failed and isinstance(part.outcomes[0].error, ItemTimeout):
        part.outcomes = [Failure(ItemTimeout("too slow"))]
    return part


def survived(part: Part) -> Part | None:
    """Return a part if nobody died of it."""
    return None if part.failed else part


def contagious(part: Part) -> Part:
    """Return a part that failed, if another one might have."""
    if part.offset == 0:
        return Part(part.job, 0, [Failure(ValueError("who died?"))], failed=True)
    return part


class Broken(NamedTuple):
    """An engine, the promise that it does not keep, and what is said about it."""

    make: Any
    promise: str
    told: str
    flags: dict[str, bool] = {}  # noqa: RUF012 -- never changed


END_HOOKS = {"end_hooks": True}
HOOKS, TIMEOUTS, DEATHS = {"hooks": True}, {"timeouts": True}, {"deaths": True}
BROKEN = [
    Broken(Lossy, "every item is delivered", "should be delivered, they never were"),
    Broken(Wrong, "every item is delivered", r"range\(0, 300\) should be"),
    Broken(Misnumbered, "every item is delivered", "of a job that was submitted"),
    Broken(Misplaced, "every item is delivered", "places in a job of 300 items"),
    Broken(Empty, "every item is delivered", "a part should have items"),
    Broken(Raw, "every item is delivered", "should be a Part"),
    Broken(Fast, "every item is delivered", "seconds should be 0 or more, got -1"),
    Broken(Sleepy, "work goes on without looks", "they never were"),
    Broken(Zealous, "no item is evaluated twice", "what was evaluated should be"),
    Broken(Unmarked, "failed items are separate parts", "should be marked"),
    Broken(Together, "failed items are separate parts", "a part of its own, got"),
    Broken(Vague, "failed items are separate parts", r"should be \(1,\), got \(\)"),
    Broken(Pathless, "errors have their path", r"should be .*smap\(odd_fails\).* got \[\]"),
    Broken(Modeless, "workers report errors as the reader", "seterr.* in a worker should be"),
    Broken(Frail, "no exception ends a worker", "they never were"),
    Broken(Endless, "the end is delivered", "END"),
    Broken(Deaf, "cancelled items are not begun", "of 1000 that were cancelled, 1000"),
    Broken(Particular, "cancelled items are not begun", "KeyError"),
    Broken(Patient, "urgent jobs come before waiting jobs", "item 1000 is urgent, but 100 of 100"),
    Broken(Idle, "workers can be counted", "2 workers should be busy"),
    Broken(Restless, "workers can be counted", "busy.* should be 0, got 1"),
    Broken(Miscounted, "workers can be counted", "nworkers should be 2, got 3"),
    Broken(Alone, "workers can be counted", "2 calls should be evaluated at the same time"),
    Broken(Grainless, "its properties are valid", "grain should be seconds, got 0.0"),
    Broken(Nowhere, "its properties are valid", "the group of 3 should have it"),
    Broken(Blind, "its properties are valid", "should return seconds, got None"),
    Broken(Owned, "it can be used by several threads", "belongs to another thread"),
    Broken(Leaving, "closing leaves nothing", "after close nothing should be left"),
    Broken(Late, "closing leaves nothing", "parts delivered after close should be 0, got"),
    Broken(Fussy, "closing leaves nothing", "it is closed"),
    Broken(Busy, "closing leaves nothing", "after close should be 0, got 2"),
    Broken(Mute, "a failed start is delivered", "should be delivered, or a WorkerStartError"),
    Broken(Rude, "the hook is called in workers", "the hook should be called", HOOKS),
    Broken(Overcounting, "the hook is called in workers", "should be called with 0, 1 or", HOOKS),
    Broken(Insistent, "the hook is called in workers", "instead of items", HOOKS),
    Broken(Curt, "the end hook is called in workers", "workers that call the end hook", END_HOOKS),
    Broken(Secretive, "a failed hook is delivered", "or a WorkerStartError", HOOKS),
    Broken(Terse, "a failed hook is delivered", "says why", HOOKS),
    Broken(timeless, "an item that takes too long fails alone", r"items \[3, 4\]", TIMEOUTS),
    Broken(
        changed(ThreadEngine, unnamed),
        "an item that takes too long fails alone",
        "should name it",
        TIMEOUTS,
    ),
    Broken(Hasty, "the timeout is for each item", "items", TIMEOUTS),
    Broken(changed(forked, survived), "an item that ends its worker fails alone", "7, 30", DEATHS),
    Broken(
        changed(forked, contagious), "an item that ends its worker fails alone", "items", DEATHS
    ),
]
