"""Chooses the pool of workers for a start method and this system."""

import os
import socket
import weakref

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import fork_server
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.direct_fork import ForkArguments, fork_template
from seqtools.engines.process.launcher import Child, launch
from seqtools.engines.process.nesting import below
from seqtools.engines.process.pool import WorkerPool
from seqtools.engines.process.spawn import SpawnPool
from seqtools.engines.process.template import Launch, TemplatePool
from seqtools.engines.wire.arena_reader import LeasedBytes


def make_pool(  # noqa: PLR0913, PLR0917 -- what a pool needs
    start_method: str,
    pipeline: ForkArguments | None,
    payload: int | None,
    nworkers: int,
    budget: LeasedBytes,
    known: KnownReasons,
    *,
    hooked: bool = False,
) -> WorkerPool:
    """Return a pool without workers.

    Args:
        start_method: A start method of `prefetch`.
        pipeline: The pipeline, for `fork`. The pool has only a weak reference to it.
        payload: A file with the pipeline, for the other start methods.
        nworkers: The largest number of workers.
        budget: Limits how much memory of workers may be kept.
        known: Why each worker loads the pipeline itself, if that is known.
        hooked: Whether there is a start hook, which has to precede all imports.

    Raises:
        WorkerStartError: If this system lacks something, or workers would start workers forever.
    """
    nesting = below()
    if payload is None:
        if not hasattr(os, "fork"):
            message = "start_method='fork' needs fork(), which this system lacks"
            raise WorkerStartError(message)
        assert pipeline is not None  # noqa: S101 -- for mypy
        reference = weakref.ref(pipeline)

        def forked(control: socket.socket, ours: list[int]) -> Child:
            arguments = reference()
            if arguments is None:
                raise WorkerStartError("worker processes cannot start: the prefetch is gone")
            return Child(fork_template(control, arguments, ours, nesting))

        return TemplatePool([forked], nworkers, budget)
    if start_method == "spawn" or not TemplatePool.possible():
        return SpawnPool(payload, nesting)

    def from_server(control: socket.socket, _: list[int]) -> Child | None:
        return fork_server.launch(control, payload, nesting, load_each=bool(known))

    def fresh(control: socket.socket, _: list[int]) -> Child:
        return launch(control, payload, nesting, load_each=bool(known))

    launches: list[Launch] = [fresh] if hooked else [from_server, fresh]
    return TemplatePool(launches, nworkers, budget)
