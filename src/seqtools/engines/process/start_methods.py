"""Which pool evaluates items: that of the start method, as far as this system has it."""

import os
import socket
import weakref
from functools import partial
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import fork_server
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.launcher import Child, Launcher, launch
from seqtools.engines.process.nesting import Nesting, below
from seqtools.engines.process.pool import WorkerPool
from seqtools.engines.process.spawn import SpawnPool
from seqtools.engines.process.template import TemplatePool
from seqtools.engines.process.template_main import LOAD_EACH, fork_template
from seqtools.engines.wire.arena_reader import LeasedBytes
from seqtools.engines.wire.shipment import Pipeline


class _Launch:
    """Starts templates: forked from the fork server, or else by a fresh interpreter.

    Args:
        payload: A file with the pipeline.
        nesting: Where they are.
        known: Why workers load the pipeline for themselves, if that is known.
        hooked: Whether a start hook is called in them, which has to precede all imports.
    """

    def __init__(
        self, payload: int, nesting: Nesting, known: KnownReasons, *, hooked: bool
    ) -> None:
        self._payload, self._nesting, self._known, self._hooked = payload, nesting, known, hooked
        self._fresh = hooked
        self._patient = True  # who starts it again may have to close it at any time

    def __call__(self, control: socket.socket, _: list[int]) -> Child | None:
        payload, nesting = self._payload, self._nesting
        more = [LOAD_EACH] if self._known else []
        child: Child | None
        if self._fresh:
            child = launch(control, payload, nesting, *more)
        else:
            patient = self._patient
            child = fork_server.launch(control, payload, nesting, *more, patient=patient)
        self._patient = False
        self._fresh = self._hooked or child is None
        return child


class TemplateArguments:
    """What a template that is forked from this process needs each time that one is started.

    Args:
        pipeline: What to evaluate.
        hook: What it calls in each worker.
    """

    def __init__(self, pipeline: Pipeline, hook: Any) -> None:
        self.pipeline, self.hook = pipeline, hook


def make_pool(  # noqa: PLR0913, PLR0917 -- what a pool needs
    start_method: str,
    pipeline: TemplateArguments | None,
    payload: int | None,
    nworkers: int,
    budget: LeasedBytes,
    known: KnownReasons,
    *,
    hooked: bool = False,
) -> WorkerPool:
    """Return a pool without workers yet.

    Args:
        start_method: One of those of `prefetch`.
        pipeline: For a template that is forked from this process, `None` for others. The caller
            has to keep it for as long as there is the pool, which does not.
        payload: A file with the pipeline, for those that are not; `None` if there is none.
        nworkers: How many workers there are at most.
        budget: Of what may be kept of their memory.
        known: Why workers load the pipeline for themselves, if that is known.
        hooked: Whether there is a start hook.

    Raises:
        WorkerStartError: If this system lacks what it takes, or there would be no end of workers.
    """
    nesting = below()
    if payload is None:
        if not hasattr(os, "fork"):
            message = "start_method='fork' needs fork(), which this system lacks"
            raise WorkerStartError(message)
        assert pipeline is not None  # noqa: S101 -- for mypy
        return TemplatePool(partial(_forked, weakref.ref(pipeline), nesting), nworkers, budget)
    if start_method == "spawn" or not TemplatePool.possible():
        return SpawnPool(payload, nesting)
    return TemplatePool(
        _Launch(payload, nesting, known, hooked=hooked),
        nworkers,
        budget,
        Launcher(),
    )


def _forked(
    pipelines: weakref.ref[TemplateArguments],
    nesting: Nesting,
    control: socket.socket,
    ours: list[int],
) -> Child:
    """Return a template forked from this process."""
    kept = pipelines()
    if kept is None:
        raise WorkerStartError("worker processes cannot start, because the prefetch is gone")
    return Child(fork_template(control, kept.pipeline, kept.hook, ours, nesting))
