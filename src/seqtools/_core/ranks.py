"""The rank of this process in a distributed run, and the number of ranks.

`shard` and `shuffle` ask once, in the process that makes the pipeline, and keep the numbers.
Workers never ask: they have the environment of their parent, and a pipeline that arrives there has
the numbers already.
"""

import os
import sys
from typing import Any

_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun, accelerate, and most others
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # mpirun of Open MPI
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),  # of MVAPICH
    ("PMI_RANK", "PMI_SIZE"),  # of MPICH and Intel MPI
)
"""Variables with the rank and with the number of ranks. The launchers that start the program itself
come before Slurm, because Slurm may have started the launcher and numbered it."""


def current() -> tuple[int, int]:
    """Return the rank of this process and the number of ranks, `(0, 1)` if it runs by itself.

    The first of these that knows of a distributed run has the answer: `torch.distributed`, JAX and
    mpi4py, if they are imported and initialized; the environment variables of launchers, which are
    `RANK` and `WORLD_SIZE`, and those of MPI; and those of a Slurm step. Nothing is imported or
    initialized.

    Raises:
        ValueError: If a variable is no such number, or its other half is missing.
    """
    for known in (_torch, _jax, _mpi4py, _environment, _slurm):
        found = known()
        if found is not None:
            return found
    return 0, 1


def _torch() -> tuple[int, int] | None:
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return int(distributed.get_rank()), int(distributed.get_world_size())


def _jax() -> tuple[int, int] | None:
    """Return what JAX knows. Its public functions would initialize devices, so it is looked up."""
    distributed: Any = sys.modules.get("jax._src.distributed")
    state: Any = getattr(distributed, "global_state", None)
    if getattr(state, "client", None) is not None:
        return _if_several(state.process_id, state.num_processes)
    bridge: Any = sys.modules.get("jax._src.xla_bridge")
    initialized = getattr(bridge, "backends_are_initialized", None)
    if initialized is None or not initialized():
        return None
    jax = sys.modules["jax"]
    return _if_several(jax.process_index(), jax.process_count())


def _mpi4py() -> tuple[int, int] | None:
    mpi: Any = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        return None
    return _if_several(mpi.COMM_WORLD.Get_rank(), mpi.COMM_WORLD.Get_size())


def _if_several(rank: Any, world: Any) -> tuple[int, int] | None:
    """Return both, `None` for one rank: these libraries say that of every program by itself."""
    return (int(rank), int(world)) if world > 1 else None


def _environment() -> tuple[int, int] | None:
    for rank, world in _LAUNCHERS:
        given = [name for name in (rank, world) if name in os.environ]
        if len(given) == 1:
            missing = world if given == [rank] else rank
            message = (
                f"the environment variable {given[0]} is set to {os.environ[given[0]]!r}, but "
                f"{missing} is not set: set both, or unset both for a program that runs by itself"
            )
            raise ValueError(message)
        if given:
            return _pair(rank, world)
    return None


def _slurm() -> tuple[int, int] | None:
    """Return the place in a step, which is what srun starts.

    A batch script, or a shell of salloc, is one process however many tasks its job has. It has
    SLURM_NTASKS, a batch script also SLURM_PROCID; only a step has SLURM_STEP_NUM_TASKS.
    """
    rank, world = "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"
    return _pair(rank, world) if rank in os.environ and world in os.environ else None


def _pair(rank_name: str, world_name: str) -> tuple[int, int]:
    world = _number(world_name, 1)
    rank = _number(rank_name, 0)
    if rank >= world:
        message = (
            f"the environment variable {rank_name} must be below {world_name}, which is {world}, "
            f"got {rank}"
        )
        raise ValueError(message)
    return rank, world


def _number(name: str, least: int) -> int:
    given = os.environ[name]
    try:
        number = int(given)
    except ValueError:
        number = least - 1
    if number < least:
        message = (
            f"the environment variable {name} must be an integer of at least {least}, got {given!r}"
        )
        raise ValueError(message)
    return number
