"""What a worker process does, however it was started: loads the pipeline, then serves."""

import os
import traceback
from collections.abc import Callable
from typing import NoReturn

from seqtools._core.chance.seeding import seed_randomly
from seqtools.engines import fault_injection
from seqtools.engines.dispatch.refusal import pickled_reason
from seqtools.engines.process.output import connect_stdout
from seqtools.engines.process.worker import exit_now, serve
from seqtools.engines.start_hook import call_hook
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.shipment import Pipeline
from seqtools.engines.wire.task_messages import TaskReader

Load = Callable[[int], Pipeline]
"""Returns the pipeline in the worker of a number, after the start hook."""


def run_worker(
    number: int, tasks: TaskReader, results: int, load: Load, memory: int | None = None
) -> NoReturn:
    """Be a worker, and never return.

    Args:
        number: The number of the worker.
        tasks: Reads its tasks.
        results: The pipe of results.
        load: Loads the pipeline.
        memory: A file for large values, if any.
    """
    try:
        name = f"worker process {number} (pid {os.getpid()})"
        outlet = connect_stdout(results)
        try:
            fault_injection.reach("worker-started")
            get, hints, by_value = load(number)
            fault_injection.reach("worker-loaded")
        except BaseException as error:  # noqa: BLE001 -- sent to the reader
            reason = pickled_reason(f"start_hook or loading failed in {name}", error)
            outlet.answer((0, 0, 0, result_messages.UNABLE, 0.0), reason)
            exit_now(1)
        seed_randomly()
        slots = None if memory is None else Arena.at(memory)
        serve(tasks, get, hints, by_value, outlet, slots, name)
        exit_now(0)
    except BrokenPipeError:  # nobody wants the results any more
        exit_now(0)
    except BaseException:  # noqa: BLE001 -- a worker must never continue as a template
        traceback.print_exc()
    finally:
        exit_now(1)


def with_hook(hook: Callable[..., object] | None, load: Callable[[], Pipeline]) -> Load:
    """Return a function that calls the start hook, if any, and then `load`."""

    def loaded(number: int) -> Pipeline:
        if hook is not None:
            call_hook(hook, number)
        fault_injection.reach("worker-hooked")
        return load()

    return loaded
