"""What errors of Ray mean for the items of a call."""

import re
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.cluster.transport import LostError

_NO_FAULT = ("node has died", "killed by `ray.kill`")
"""What Ray says if an actor has ended for a reason that is not in the actor."""


def after_death(error: Any) -> LostError | None:
    """Return what an error means for items if they may be evaluated again, otherwise `None`.

    An item may be to blame for a death only if nothing else can be the cause: not if the node has
    died, and not if memory was low, because Ray chooses whose worker it kills then.
    """
    from ray import exceptions

    text = str(error)
    if isinstance(error, exceptions.ObjectLostError):
        return LostError(_first_line(text), deaths=0)
    deaths, why = 0, _first_line(text)
    if isinstance(error, exceptions.ActorDiedError):
        if error.actor_init_failed or "runtime environment" in text:
            return None
        why = _died(text)
        deaths = 0 if error.preempted or any(part in text for part in _NO_FAULT) else 1
    elif isinstance(error, exceptions.ActorUnavailableError):
        why = "Ray cannot reach it any more"
    elif isinstance(error, exceptions.OutOfMemoryError):
        why = _out_of_memory(text)
    elif isinstance(error, exceptions.RayActorError | exceptions.WorkerCrashedError):
        deaths = 1
    elif not isinstance(error, exceptions.NodeDiedError):
        return None
    return LostError(why, deaths=deaths, place_ended=True)


def why_unusable(error: Any) -> str:
    """Return why nothing can be evaluated, given an error that is none of a single item."""
    from ray import exceptions

    text = str(error)
    if re.search(r"No module named '?seqtools", text):
        return (
            "the workers of Ray have no seqtools: install the one that this program has in their "
            "environment, or have Ray send it, by "
            "ray.init(runtime_env={'py_modules': [os.path.dirname(seqtools.__file__)]})"
        )
    if isinstance(error, exceptions.RuntimeEnvSetupError) or "runtime environment" in text:
        return f"Ray cannot set up runtime_env for workers: {_last_line(text)}"
    if isinstance(error, exceptions.ActorUnschedulableError):
        return f"Ray cannot place workers: {_last_line(text)}"
    if isinstance(error, exceptions.LocalRayletDiedError):
        return "Ray has ended on this machine: its raylet has died"
    if isinstance(error, exceptions.RayTaskError | exceptions.RayActorError):
        return f"Ray failed in a worker: {_last_line(text)}"
    return f"Ray failed: {summary(error)}"


def _died(text: str) -> str:
    """Return how an actor has died, of what Ray says at length."""
    pid, host = re.search(r"pid: (\d+)", text), re.search(r"\bip: (\S+)", text)
    where = f"process {pid[1]} on {host[1]}" if pid and host else "an actor of Ray"
    detail = re.search(r"Worker exit detail: (.*)", text)
    how = detail[1] if detail else _last_line(text)
    return f"{where}: {how.partition(' Some common causes')[0].rstrip('. ')}"


def _out_of_memory(text: str) -> str:
    used = re.search(r"Memory on the node .*?was (.*)", text)
    detail = f", {used[1].rstrip('. ')}" if used else ""
    return (
        f"Ray killed it because memory was low on its node{detail}: use fewer workers, or reserve "
        "memory for each, engine_options={'memory': …}"
    )


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "").rstrip(".")


def _last_line(text: str) -> str:
    return _first_line("\n".join(reversed(text.splitlines())))
