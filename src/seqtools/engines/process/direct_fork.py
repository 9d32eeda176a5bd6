"""Templates that are forked from the consumer itself, for `start_method="fork"`."""

import gc
import os
import signal
import socket
import traceback
import warnings
from contextlib import suppress
from typing import Any, NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.process.nesting import Nesting, begin
from seqtools.engines.process.output import flush
from seqtools.engines.process.reaper import guarded
from seqtools.engines.process.standard_streams import connect_to_nothing
from seqtools.engines.process.template_process import Template
from seqtools.engines.process.worker import exit_now, ignore_sigint
from seqtools.engines.process.worker_main import Load, with_hook
from seqtools.engines.wire.flags import Flags, own_categories
from seqtools.engines.wire.log_levels import all_loggers
from seqtools.engines.wire.shipment import Pipeline


class ForkArguments:
    """The objects that a forked template gets, because nothing is sent to it.

    Args:
        pipeline: What its workers evaluate.
        hook: The start hook, if any.
    """

    def __init__(self, pipeline: Pipeline, hook: Any) -> None:
        self.pipeline, self.hook = pipeline, hook


def fork_template(
    control: socket.socket, arguments: ForkArguments, ours: list[int], nesting: Nesting
) -> int:
    """Return the process id of a guard, with a template below it, forked from this process.

    Args:
        control: The socket that the template serves.
        arguments: What its workers need.
        ours: Descriptors to close in the template.
        nesting: Its place among consumers and workers.
    """
    parent = os.getpid()
    flags, categories = Flags.now(), own_categories()  # before they are changed for the fork
    flush()
    with warnings.catch_warnings():
        # Python 3.12 warns about threads, which is why users have to request this method
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        begin(nesting)
        pipeline = arguments.pipeline._replace(own_categories=categories)
        load = with_hook(arguments.hook, flags, lambda: pipeline)
        _become_template(control, load, ours, parent)
    return pid


def _become_template(control: socket.socket, load: Load, ours: list[int], parent: int) -> NoReturn:
    try:
        ignore_sigint()
        for signum in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        for fd in ours:
            with suppress(OSError):
                os.close(fd)
        gc.freeze()
        fault_injection.arm()
        with suppress(OSError):
            if os.isatty(0):  # the system stops a process that reads it in the background
                connect_to_nothing(0)
        for logger in all_loggers():
            logger.filters.clear()  # the consumer has them too, and gets all records
        guarded(parent)
        Template(control).run(load)
    except BaseException:  # noqa: BLE001 -- nothing may continue as the consumer
        traceback.print_exc()
    exit_now(1)
