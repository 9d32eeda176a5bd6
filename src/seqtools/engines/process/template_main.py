"""The main function of a template: the process that workers are forked from.

It is a fresh interpreter, or a fork of the fork server: it has none of the locks, threads and
handles of the consumer, and does not import its `__main__`. It loads the pipeline once, and forks
as many workers as the consumer requests, each in a few milliseconds. It is their parent, so it
knows at once when and how a worker ended. It ends all of them when its socket closes or the
consumer dies.

If loading the pipeline starts threads, which workers would lack, the template tells why, and ends.
The consumer then starts a template that loads nothing, so each worker loads the pipeline itself.
"""

import gc
import mmap
import os
import socket
import sys
from typing import NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.dispatch.forwarding import Handlers
from seqtools.engines.process.background_threads import ThreadWatch, forkable
from seqtools.engines.process.nesting import begin
from seqtools.engines.process.output import replace_stdout
from seqtools.engines.process.reaper import guarded
from seqtools.engines.process.template_process import Template
from seqtools.engines.process.worker import ignore_sigint
from seqtools.engines.process.worker_main import Load, with_hook
from seqtools.engines.wire.shipment import Pipeline, ReceivedPipeline


def main(control: int, payload: int, parent: int, *, load_each: bool) -> NoReturn:
    """Run a template in a fresh interpreter, and never return."""
    begin()
    ignore_sigint()
    for fd in (control, payload):
        os.set_inheritable(fd, False)
    guarded(parent)
    replace_stdout()
    serve(control, payload, load_each=load_each)


def serve(control: int, payload: int, *, load_each: bool) -> NoReturn:
    """Load the pipeline, and serve the consumer until it ends.

    Args:
        control: The socket of the consumer.
        payload: The file with the pipeline.
        load_each: Whether workers load the pipeline, and not this process.
    """
    template = Template(socket.socket(fileno=control))
    try:
        fault_injection.reach("template-started")
        delivery = ReceivedPipeline(mmap.mmap(payload, 0, access=mmap.ACCESS_COPY))
        os.close(payload)
        if load_each:
            load = _each_loads(delivery)
        else:
            with ThreadWatch() as watch:
                load = _loaded(delivery)
            if not forkable():
                fault_injection.reach("template-again")
                template.have_each_load(watch.reason())
        gc.freeze()  # objects that are never collected are not written to, and stay shared
        fault_injection.reach("template-loaded")
    except BaseException as error:  # noqa: BLE001 -- sent to the reader
        template.fail("the pipeline could not be loaded in a worker process", error)
    template.run(load)


def _loaded(delivery: ReceivedPipeline) -> Load:
    """Load the pipeline, unless there is a start hook, which has to precede that."""
    sys.argv[:], flags, hook = delivery.prelude()
    if hook is not None:
        return with_hook(hook, flags, delivery.pipeline)
    flags.set()  # modules may warn when they are imported
    pipeline = delivery.pipeline()
    # what each worker is going to import: with 64 of them, 0.2 s until all are there
    import ctypes  # noqa: F401
    import random  # noqa: F401

    if "numpy" in sys.modules:
        import numpy.random  # noqa: F401

    gc.collect()  # also unused objects that have threads
    return with_hook(None, flags, lambda: pipeline)


def _each_loads(delivery: ReceivedPipeline) -> Load:
    def loaded(number: int, handlers: Handlers) -> Pipeline:
        sys.argv[:], flags, hook = delivery.prelude()
        return with_hook(hook, flags, delivery.pipeline)(number, handlers)

    return loaded
