"""What a worker process does, however it was started: loads the pipeline, then serves."""

import os
import pickle
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from seqtools._core.chance.seeding import seed_randomly
from seqtools.engines import fault_injection
from seqtools.engines.dispatch.forwarded import failed_end_hook
from seqtools.engines.dispatch.forwarding import Forwarding, Handlers, ignore_default_handler
from seqtools.engines.dispatch.output_display import show
from seqtools.engines.dispatch.refusal import pickled_failed_start
from seqtools.engines.hooks import call_hook, call_start_hook
from seqtools.engines.process.exit_functions import forget_inherited, run_exit_functions
from seqtools.engines.process.output import OutputPipe, connect_stdout
from seqtools.engines.process.worker import exit_now, serve
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.flags import Flags
from seqtools.engines.wire.shipment import Pipeline
from seqtools.engines.wire.task_messages import TaskReader

Load = Callable[[int, Handlers], Pipeline]
"""Returns the pipeline in the worker of a number, after the start hook."""


def run_worker(  # noqa: PLR0913, PLR0917 -- what a worker needs
    number: int,
    tasks: TaskReader,
    results: int,
    load: Load,
    ending: Callable[[], object],
    memory: int | None = None,
) -> NoReturn:
    """Be a worker, and never return.

    Args:
        number: The number of the worker.
        tasks: Reads its tasks.
        results: The pipe of results.
        load: Loads the pipeline.
        ending: Called when the worker has been told to end, and is not in code of items any more.
        memory: A file for large values, if any.
    """
    try:
        forget_inherited()
        name = f"worker process {number} (pid {os.getpid()})"
        outlet = connect_stdout(results)
        outlet.name = name
        handlers = Handlers()
        Forwarding(outlet.target, handlers)
        ignore_default_handler()
        try:
            fault_injection.reach("worker-started")
            get, hints, by_value, end_hook, _ = load(number, handlers)
            fault_injection.reach("worker-loaded")
        except BaseException as error:  # noqa: BLE001 -- sent to the reader
            reason = pickled_failed_start(name, error)
            outlet.answer((0, 0, 0, result_messages.UNABLE, 0.0), reason)
            run_exit_functions()
            exit_now(1)
        seed_randomly()
        slots = None if memory is None else Arena.at(memory)
        serve(tasks, get, hints, by_value, outlet, slots, name)
        ending()
        if end_hook is not None:
            _tell(outlet, result_messages.IN_END_HOOK)
            _call_end_hook(end_hook, number, outlet)
        _tell(outlet, result_messages.IN_EXIT_FUNCTIONS)
        run_exit_functions()
        show()  # what workers of this worker have printed
        _tell(outlet, result_messages.ENDED)
        exit_now(0)
    except BrokenPipeError:  # nobody wants the results any more
        exit_now(0)
    except BaseException:  # noqa: BLE001 -- a worker must never continue as a template
        traceback.print_exc()
    finally:
        exit_now(1)


def _tell(outlet: OutputPipe, what: int) -> None:
    """Tell the consumer what begins, which may have ended."""
    with suppress(OSError):
        outlet.answer((what, 0, 0, result_messages.ENDING, 0.0))


def _call_end_hook(hook: Callable[..., object], number: int, outlet: OutputPipe) -> None:
    """Call the end hook; tell the consumer if it fails."""
    try:
        call_hook(hook, number)
    except BaseException as error:  # noqa: BLE001 -- told to the consumer
        try:
            outlet.note(pickle.dumps(failed_end_hook(outlet.name, error)))
        except OSError:  # the consumer has ended
            traceback.print_exception(error)


def with_hook(
    hook: Callable[..., object] | None, flags: Flags, load: Callable[[], Pipeline]
) -> Load:
    """Return a function that sets the flags, calls the start hook, if any, and then `load`."""

    def loaded(number: int, handlers: Handlers) -> Pipeline:
        flags.set()
        handlers.configured = flags.configured
        if hook is not None:
            call_start_hook(hook, number)
        handlers.hooked()
        fault_injection.reach("worker-hooked")
        with flags.kept():
            pipeline = load()
        flags.complete([*pipeline.own_categories])
        return pipeline

    return loaded
