"""Who is asked for the rank of this process, and what it must not do."""

import os
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from seqtools._core import ranks

KNOWN = re.compile("RANK|WORLD|SLURM|PMI|JAX")
MODULES = (
    "torch.distributed", "jax", "jax._src.distributed", "jax._src.xla_bridge", "mpi4py.MPI",
)  # fmt: skip


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by itself, whatever started the tests."""
    for name in filter(KNOWN.search, list(os.environ)):
        monkeypatch.delenv(name)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Any:
    def assign(**variables: Any) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return assign


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> Any:
    def assign(name: str, **functions: Any) -> None:
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**functions))  # type: ignore[arg-type]

    return assign


def returns(value: Any) -> Any:
    return lambda: value


def never() -> Any:
    raise AssertionError("this initializes something")


def torch(imported: Any, rank: int, world: int, *, available: bool, initialized: bool) -> None:
    imported(
        "torch.distributed",
        is_available=returns(available),
        is_initialized=returns(initialized) if available else never,
        get_rank=returns(rank) if initialized else never,
        get_world_size=returns(world) if initialized else never,
    )


def test_a_program_by_itself() -> None:
    before = set(sys.modules)
    assert ranks.current() == (0, 1)
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("rank", "world"),
    [
        ("RANK", "WORLD_SIZE"),
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
        ("PMI_RANK", "PMI_SIZE"),
    ],
)
def test_variables_of_launchers(environment: Any, rank: str, world: str) -> None:
    environment(**{rank: 3, world: 8})
    assert ranks.current() == (3, 8)
    environment(**{rank: "first"})
    with pytest.raises(ValueError, match=f"{rank} must be an integer of at least 0, got 'first'"):
        ranks.current()
    environment(**{rank: -1})
    with pytest.raises(ValueError, match=f"{rank} must be an integer of at least 0, got '-1'"):
        ranks.current()
    environment(**{rank: 8})
    with pytest.raises(ValueError, match=f"{rank} must be below {world}, which is 8, got 8"):
        ranks.current()
    environment(**{world: ""})
    with pytest.raises(ValueError, match=f"{world} must be an integer of at least 1, got ''"):
        ranks.current()
    del os.environ[world]
    with pytest.raises(ValueError, match=f"{rank} is set to '8', but {world} is not set: set both"):
        ranks.current()


def test_a_world_without_a_rank(environment: Any) -> None:
    environment(WORLD_SIZE=4)
    with pytest.raises(ValueError, match="WORLD_SIZE is set to '4', but RANK is not set"):
        ranks.current()


def test_torch_knows_better_than_the_environment(environment: Any, imported: Any) -> None:
    environment(RANK=0, WORLD_SIZE=1)
    torch(imported, 5, 6, available=True, initialized=True)
    assert ranks.current() == (5, 6)


@pytest.mark.parametrize("available", [True, False])
def test_torch_that_knows_nothing_is_passed_over(
    environment: Any, imported: Any, *, available: bool
) -> None:
    environment(RANK=1, WORLD_SIZE=2)
    torch(imported, 0, 1, available=available, initialized=False)
    assert ranks.current() == (1, 2)


def test_torch_with_one_rank_has_the_answer(environment: Any, imported: Any) -> None:
    environment(SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=2)
    torch(imported, 0, 1, available=True, initialized=True)
    assert ranks.current() == (0, 1)


def test_jax_that_is_distributed_is_not_made_to_look_for_devices(imported: Any) -> None:
    imported("jax", process_index=never, process_count=never)
    imported("jax._src.xla_bridge", backends_are_initialized=returns(value=False))
    assert ranks.current() == (0, 1)
    state = SimpleNamespace(client=None, process_id=0, num_processes=1)
    imported("jax._src.distributed", global_state=state)
    assert ranks.current() == (0, 1)
    state.client, state.process_id, state.num_processes = object(), 2, 4
    assert ranks.current() == (2, 4)


def test_jax_that_has_its_devices_is_asked(imported: Any, environment: Any) -> None:
    imported("jax", process_index=returns(1), process_count=returns(3))
    imported("jax._src.xla_bridge", backends_are_initialized=returns(value=True))
    assert ranks.current() == (1, 3)
    # by itself, it says nothing about a run that it takes no part in
    imported("jax", process_index=returns(0), process_count=returns(1))
    environment(RANK=1, WORLD_SIZE=2)
    assert ranks.current() == (1, 2)


def test_jax_of_another_version_is_passed_over(imported: Any) -> None:
    imported("jax")
    imported("jax._src.distributed")
    imported("jax._src.xla_bridge")
    assert ranks.current() == (0, 1)


@pytest.mark.parametrize(
    ("initialized", "finalized", "expected"),
    [(True, False, (2, 5)), (False, False, (0, 1)), (True, True, (0, 1))],
)
def test_mpi4py(
    imported: Any, expected: tuple[int, int], *, initialized: bool, finalized: bool
) -> None:
    imported(
        "mpi4py.MPI",
        Is_initialized=returns(initialized),
        Is_finalized=returns(finalized),
        COMM_WORLD=SimpleNamespace(Get_rank=returns(2), Get_size=returns(5)),
    )
    assert ranks.current() == expected


def test_a_step_of_slurm(environment: Any) -> None:
    environment(SLURM_PROCID=3, SLURM_STEP_NUM_TASKS=4, SLURM_NTASKS=16)
    assert ranks.current() == (3, 4)
    environment(SLURM_PROCID="x")
    with pytest.raises(ValueError, match="SLURM_PROCID must be an integer of at least 0, got 'x'"):
        ranks.current()


def test_a_batch_script_or_shell_of_slurm_is_one_process(environment: Any) -> None:
    environment(SLURM_NTASKS=4)
    assert ranks.current() == (0, 1)  # salloc
    environment(SLURM_PROCID=0)
    assert ranks.current() == (0, 1)  # sbatch


def test_a_launcher_that_slurm_has_started_numbers_its_own(environment: Any) -> None:
    environment(SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=2, RANK=11, WORLD_SIZE=16)
    assert ranks.current() == (11, 16)
    del os.environ["RANK"], os.environ["WORLD_SIZE"]
    environment(OMPI_COMM_WORLD_RANK=6, OMPI_COMM_WORLD_SIZE=8)
    assert ranks.current() == (6, 8)
