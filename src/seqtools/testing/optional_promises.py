"""The promises of engines with hooks, with timeouts, or with workers that may die."""

import os
from functools import partial

from seqtools._core.errors import ItemTimeout, WorkerDied, WorkerStartError
from seqtools.testing import evaluating
from seqtools.testing.evaluating import dies_at, waits_at
from seqtools.testing.promises import Promise, failure, wait_for_items_or_refusal
from seqtools.testing.subject import equal
from seqtools.testing.trial import Maker


def the_hook_is_called_in_workers(maker: Maker) -> None:
    """A hook gets the number of its worker, unless it has no required parameter."""
    gate = maker.gate()
    with maker.trial(evaluating.square, 3, start_hook=gate.passage.arrive) as trial:
        trial.collect(*trial.submit(*[[i] for i in range(100)]))
        numbers = gate.look()
        if not numbers or not set(numbers) <= {0, 1, 2}:
            message = f"the hook should be called with 0, 1 or 2, got {numbers}"
            raise AssertionError(message)
    gate = maker.gate()
    with maker.trial(
        evaluating.square, 1, start_hook=partial(gate.passage.arrive, "started")
    ) as trial:
        trial.collect(*trial.submit([1]))
        equal("calls of the hook", gate.look(), ["started"])


def a_failed_hook_is_delivered(maker: Maker) -> None:
    """The engine delivers a `WorkerStartError` with the reason."""
    try:
        with maker.trial(evaluating.square, 1, start_hook=evaluating.refuse) as trial:
            (job,) = trial.submit([1])
            wait_for_items_or_refusal(trial, job)
            error = trial.refused
    except WorkerStartError as raised:
        error = raised
    if error is None or "no licence" not in str(error):
        message = f"a hook that fails should be a WorkerStartError that says why, got {error!r}"
        raise AssertionError(message)


def the_end_hook_is_called_in_workers(maker: Maker) -> None:
    """Each worker that has called the start hook calls the other once, at the latest by `close`."""
    gate = maker.gate()
    hooks = {
        "start_hook": partial(evaluating.begins, gate.passage),
        "end_hook": partial(evaluating.ends, gate.passage),
    }
    with maker.trial(evaluating.square, 3, **hooks) as trial:
        trial.collect(*trial.submit(*[[i] for i in range(100)]))
        trial.engine.close()
        numbers = {
            kind: sorted(number for what, number in gate.look() if what == kind)
            for kind in ("begin", "end")
        }
        equal("the workers that call the end hook", numbers["end"], numbers["begin"])


def an_item_that_takes_too_long_fails_alone(maker: Maker) -> None:
    """All others are delivered, before and after, and it is not evaluated again."""
    gate = maker.gate()
    with maker.trial(partial(waits_at, gate.passage, frozenset({3, 4})), 2, timeout=0.3) as trial:
        found = trial.collect(*trial.submit(range(20)))
        for i in (3, 4):
            error = failure(f"item {i}", found[i], ItemTimeout)
            if f"item {i} " not in str(error):
                raise AssertionError(f"the error of item {i} should name it, got {error!r}")
        others = [i for i in range(20) if i not in {3, 4}]
        equal("the other items", [found[i] for i in others], others)
        equal("what took too long", sorted(gate.look()), [3, 4])
        gate.open()
        equal("an item after that", trial.collect(*trial.submit([30])), [30])


def the_timeout_is_for_each_item(maker: Maker) -> None:
    """A timeout is for one item, and not for all together."""
    with maker.trial(evaluating.square, 2, timeout=20.0) as trial:
        found = trial.collect(*trial.submit(range(2000)))
        equal("the items", found, [i * i for i in range(2000)])


def an_item_that_ends_its_worker_fails_alone(maker: Maker) -> None:
    """All others are delivered."""
    with maker.trial(partial(dies_at, frozenset({7, 30}), os.getpid())) as trial:
        found = trial.collect(*trial.submit(range(40)))
        for i in (7, 30):
            failure(f"item {i}", found[i], WorkerDied)
        others = [i for i in range(40) if i not in {7, 30}]
        equal("the other items", [found[i] for i in others], others)


WITH_HOOKS: tuple[Promise, ...] = (the_hook_is_called_in_workers, a_failed_hook_is_delivered)
WITH_END_HOOKS: tuple[Promise, ...] = (the_end_hook_is_called_in_workers,)
WITH_TIMEOUTS: tuple[Promise, ...] = (
    an_item_that_takes_too_long_fails_alone,
    the_timeout_is_for_each_item,
)
WITH_DEATHS: tuple[Promise, ...] = (an_item_that_ends_its_worker_fails_alone,)
