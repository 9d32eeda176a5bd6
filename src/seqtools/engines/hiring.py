"""Which crew evaluates items: that of the start method, as far as this system has it."""

import os
from typing import Any

from seqtools.engines.crews import Crew
from seqtools.engines.forking import Forking
from seqtools.engines.launch import Child, Launcher, launch
from seqtools.engines.leases import Budget
from seqtools.engines.nesting import below
from seqtools.engines.shipping import Pipeline
from seqtools.engines.spawning import Spawning
from seqtools.engines.template import LOAD_EACH, fork_template
from seqtools.engines.threads import Known
from seqtools.errors import WorkerStartError


def made_crew(  # noqa: PLR0913, PLR0917 -- what a crew needs
    start_method: str,
    pipeline: Pipeline,
    hook: Any,
    payload: int | None,
    nworkers: int,
    budget: Budget,
    known: Known,
) -> Crew:
    """Return a crew without workers yet.

    Args:
        start_method: One of those of `prefetch`.
        pipeline: What to evaluate, for a template that is forked from this process.
        hook: What it calls in each worker.
        payload: A file with all of that, for those that are not; `None` if there is none.
        nworkers: How many workers there are at most.
        budget: Of what may be kept of their memory.
        known: Why workers load the pipeline for themselves, if that is known.

    Raises:
        WorkerStartError: If this system lacks what it takes, or there would be no end of workers.
    """
    nesting = below()
    if payload is None:
        if not hasattr(os, "fork"):
            message = "start_method='fork' needs fork(), which this system lacks"
            raise WorkerStartError(message)
        return Forking(
            lambda control, ours: Child(fork_template(control, pipeline, hook, ours, nesting)),
            nworkers,
            budget,
        )
    if start_method == "spawn" or not Forking.possible():
        return Spawning(payload, nesting)
    return Forking(
        lambda control, _: launch(control, payload, nesting, *([LOAD_EACH] if known else [])),
        nworkers,
        budget,
        Launcher(),
    )
