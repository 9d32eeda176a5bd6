"""The promises of every engine: see `seqtools.engines.base`."""

import threading
from collections.abc import Callable
from typing import Any

from seqtools._core.errors import Failure, WorkerStartError, seterr
from seqtools.engines.base import END, Job
from seqtools.testing import evaluating
from seqtools.testing.evaluating import Unloadable
from seqtools.testing.holding import held, left
from seqtools.testing.subject import equal
from seqtools.testing.trial import Maker, Trial

Promise = Callable[[Maker], None]


def failure(what: str, outcome: Any, kind: type[BaseException]) -> BaseException:
    """Return the error of an outcome, which must be of this `kind`."""
    if not isinstance(outcome, Failure) or not isinstance(outcome.error, kind):
        error = getattr(outcome, "error", outcome)
        message = f"{what} should fail with {kind.__name__}, got {error!r}"
        raise AssertionError(message)  # noqa: TRY004 -- a promise that is not kept
    return outcome.error


def every_item_is_delivered(maker: Maker) -> None:
    """Jobs may be ranges or lists of all lengths, and be submitted again."""
    with maker.trial(evaluating.square) as trial:
        for _ in range(2):
            indices = [range(300), [1000, 5000, 2000], range(40, 20, -3), [7], [7]]
            jobs = trial.submit(*indices, *[[i] for i in range(50)])
            for job in jobs:
                wanted = [i * i for i in job.indices]
                equal(f"the items of {job.indices}", trial.collect(job), wanted)


def work_goes_on_without_looks(maker: Maker) -> None:
    """Even large items are delivered without a call of `look`."""
    with maker.trial(evaluating.large) as trial:
        (job,) = trial.submit(range(20))
        found = [item[:1] for item in trial.collect(job, looking=False)]
        equal("the items", found, [bytes([i]) for i in range(20)])


def no_item_is_evaluated_twice(maker: Maker) -> None:
    """However often a reader calls `look`."""
    gate = maker.gate()
    with maker.trial(gate.passage.arrive, 3) as trial:
        trial.collect(*trial.submit(range(60), [100, 102, 101], *[[i] for i in range(200, 220)]))
        wanted = [*range(60), 100, 101, 102, *range(200, 220)]
        equal("what was evaluated", sorted(gate.look()), wanted)


def failed_items_are_separate_parts(maker: Maker) -> None:
    """All other items of their job are values."""
    with maker.trial(evaluating.odd_fails) as trial:
        found = trial.collect(*trial.submit(range(40)))
        equal("the values", found[::2], list(range(0, 40, 2)))
        for i, outcome in zip(range(1, 40, 2), found[1::2], strict=True):
            error = failure(f"item {i}", outcome, KeyError)
            equal(f"the arguments of the error of item {i}", error.args, (i,))


def errors_have_their_path(maker: Maker) -> None:
    """A `Failure` names the stages of the pipeline, as `Failure.caught` finds them."""
    with maker.trial(evaluating.fails_in_a_stage) as trial:
        value, outcome = trial.collect(*trial.submit([2, 3]))
        equal("item 2", value, 2)
        failure("item 3", outcome, KeyError)
        end = [(step.stage, step.index) for step in outcome.path[-1:]]
        equal("the end of the path of the error of item 3", end, [("smap(odd_fails)", 3)])


def workers_report_errors_as_the_reader(maker: Maker) -> None:
    """The mode of `seterr` where a job is submitted holds where it is evaluated."""
    before = seterr("passthrough")
    try:
        with maker.trial(evaluating.mode) as trial:
            found = trial.collect(*trial.submit(range(5)))
            equal("seterr() in a worker", found, ["passthrough"] * 5)
    finally:
        seterr(before)


def no_exception_ends_a_worker(maker: Maker) -> None:
    """Not even those that end programs, threads or generators, or are no `Exception`."""
    with maker.trial(evaluating.exits, 1) as trial:
        found = trial.collect(*trial.submit(range(10)))
        for i, kind in enumerate(evaluating.EXITS):
            failure(f"item {i}", found[i], kind)
        n = len(evaluating.EXITS)
        equal("the other items", found[n:], list(range(n, 10)))


def the_end_is_delivered(maker: Maker) -> None:
    """Each index after the end is `END`, and items before it are delivered."""
    with maker.trial(evaluating.ten) as trial:
        found = trial.collect(*trial.submit(range(5, 15)))
        equal("the items", found, [*range(5, 10), *[END] * 5])


def cancelled_items_are_not_begun(maker: Maker) -> None:
    """A worker receives only a few items in advance."""
    gate = maker.gate()
    with maker.trial(gate.passage.wait, 1) as trial:
        (first,) = trial.submit([0])
        trial.until("an item should be begun", lambda: bool(gate.look()))
        jobs = trial.submit(*[range(i, i + 10) for i in range(10, 1010, 10)])
        trial.engine.cancel([job.id for job in jobs])
        trial.engine.cancel([job.id for job in jobs])  # twice is allowed
        trial.engine.cancel([10**9])  # so is an unknown job
        gate.open()
        trial.collect(first)
        trial.collect(*trial.submit([2000]))
        trial.until("no worker should be busy at last", lambda: not trial.engine.busy())
        trial.receive()
        begun = len(trial.outcomes) - 2
        if begun > 500:  # noqa: PLR2004
            raise AssertionError(f"of 1000 that were cancelled, {begun} were evaluated")


def urgent_jobs_come_before_waiting_jobs(maker: Maker) -> None:
    """Except for a few that workers have received already."""
    gate = maker.gate()
    with maker.trial(gate.passage.wait, 1) as trial:
        first = trial.submit([0])
        trial.until("an item should be begun", lambda: bool(gate.look()))
        ahead = trial.submit(*[[i] for i in range(1, 101)])
        urgent = trial.submit([1000], [1001], urgent=True)
        gate.open()
        trial.collect(*first, *ahead, *urgent)
        for i in (1000, 1001):
            place = len(set(trial.order[: trial.order.index(i)]) & set(range(1, 101)))
            if place > 50:  # noqa: PLR2004
                message = f"item {i} is urgent, but {place} of 100 waiting items came before it"
                raise AssertionError(message)


def workers_can_be_counted(maker: Maker) -> None:
    """`busy` counts those that evaluate something, `nworkers` all."""
    gate = maker.gate()
    with maker.trial(gate.passage.wait, 2) as trial:
        engine = trial.engine
        equal("busy() before anything was submitted", engine.busy(), 0)
        if not maker.resizes:
            equal("nworkers", engine.nworkers, 2)
        n = engine.nworkers
        jobs = trial.submit(*[[i] for i in range(20)])
        gate.wait(n, trial.look)
        trial.until(f"{n} workers should be busy", lambda: engine.busy() >= n)
        gate.open()
        trial.collect(*jobs)
        trial.until("no worker should be busy at last", lambda: engine.busy() == 0)


def its_properties_are_valid(maker: Maker) -> None:
    """The grain is in seconds, the group of an index contains it, and `tell` can be called."""
    with maker.trial(evaluating.square) as trial:
        engine = trial.engine
        trial.look()  # although nothing was submitted
        if not 0 < engine.grain < float("inf"):
            raise AssertionError(f"grain should be seconds, got {engine.grain!r}")
        if engine.group_of is not None:
            key, group = engine.group_of(3)
            hash(key)
            if 3 not in group:  # noqa: PLR2004
                raise AssertionError(f"the group of 3 should have it, got {group!r}")
        trial.collect(*trial.submit([3]))
        trial.look()


def it_can_be_used_by_several_threads(maker: Maker) -> None:
    """Several threads submit and cancel at the same time."""
    jobs: list[list[Job]] = [[] for _ in range(4)]
    raised: list[BaseException] = []
    with maker.trial(evaluating.square, 3) as trial:

        def use(own: list[Job], first: int) -> None:
            try:
                for k in range(25):
                    own += trial.submit(
                        range(first + 10 * k, first + 10 * k + 10), urgent=k % 5 == 0
                    )
                    (unwanted,) = trial.submit([first + 9000])
                    trial.engine.cancel([unwanted.id])
                    trial.engine.busy()
            except BaseException as error:  # noqa: BLE001 -- raised in the other thread
                raised.append(error)

        threads = [
            threading.Thread(target=use, args=(own, 10_000 * k)) for k, own in enumerate(jobs)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in raised:
            raise error
        for own in jobs:
            wanted = [i * i for job in own for i in job.indices]
            equal("the items of a thread", trial.collect(*own), wanted)


def closing_leaves_nothing(maker: Maker) -> None:
    """Nothing is left, whether it worked or not, and nothing is delivered after `close`."""
    _work_and_close(maker)  # so that resources shared by all engines exist
    before = held()
    with maker.trial(evaluating.square):
        pass
    _work_and_close(maker)
    if more := left(before):
        raise AssertionError(f"after close nothing should be left, there is {', '.join(more)}")


def _work_and_close(maker: Maker) -> None:
    gate = maker.gate()
    with maker.trial(gate.passage.wait) as trial:
        trial.submit(*[[i] for i in range(200)])
        trial.until("an item should be begun", lambda: bool(gate.look()))
        gate.open()  # because a thread that evaluates cannot be stopped
        trial.engine.close()
        trial.receive()
        arrived = trial.parts
        trial.engine.close()
        trial.engine.close(wait=False)
        trial.engine.cancel([1])
        equal("busy() after close", trial.engine.busy(), 0)
        trial.receive(timeout=0.05)
        equal("parts delivered after close", trial.parts - arrived, 0)


def a_failed_start_is_delivered(maker: Maker) -> None:
    """A function that cannot be unpickled is evaluated in this process, or refused."""
    try:
        with maker.trial(Unloadable()) as trial:
            (job,) = trial.submit(range(3))
            wait_for_items_or_refusal(trial, job)
    except WorkerStartError:
        pass


def wait_for_items_or_refusal(trial: Trial, job: Job) -> None:
    """Wait until all items of `job` are delivered, or a `WorkerStartError` is."""

    def over() -> bool:
        return trial.refused is not None or len(trial.outcomes) == len(job.indices)

    trial.until("items should be delivered, or a WorkerStartError", over)


ALWAYS: tuple[Promise, ...] = (
    every_item_is_delivered,
    work_goes_on_without_looks,
    no_item_is_evaluated_twice,
    failed_items_are_separate_parts,
    errors_have_their_path,
    workers_report_errors_as_the_reader,
    no_exception_ends_a_worker,
    the_end_is_delivered,
    cancelled_items_are_not_begun,
    urgent_jobs_come_before_waiting_jobs,
    workers_can_be_counted,
    its_properties_are_valid,
    it_can_be_used_by_several_threads,
    closing_leaves_nothing,
    a_failed_start_is_delivered,
)
