"""What Arrow and safetensors read from mapped files is mapped by workers, and not copied."""

from pathlib import Path

import numpy as np
import pytest

import seqtools

ROWS = 200_000


def test_a_table_of_arrow(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: see `make interop`")
    path = str(tmp_path / "table.arrow")
    made = arrow.table({"number": np.arange(ROWS), "name": [f"row {k}" for k in range(ROWS)]})
    with arrow.OSFile(path, "wb") as file, arrow.ipc.new_file(file, made.schema) as writer:
        writer.write_table(made)
    table = arrow.ipc.open_file(arrow.memory_map(path)).read_all()

    def row(k: int) -> tuple[int, str, bool, int]:
        there = path in Path("/proc/self/maps").read_text(encoding="utf-8")
        number, name = (table[key][k].as_py() for key in ("number", "name"))
        return number, name, there, arrow.total_allocated_bytes()

    with seqtools.prefetch(seqtools.smap(row, range(3)), 2, "process") as ready:
        for k, (number, name, there, allocated) in enumerate(ready):
            assert (number, name, there) == (k, f"row {k}", True)
            assert allocated < 100_000

    with seqtools.prefetch(seqtools.smap(table.slice, [0, 5]), 2, "process") as ready:
        assert ready[1].equals(table.slice(5))


def test_tensors_of_safetensors(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: see `make interop`")
    safetensors = pytest.importorskip(
        "safetensors.torch", reason="safetensors is not installed: see `make interop`"
    )
    path = str(tmp_path / "model.safetensors")
    safetensors.save_file({"a": torch.arange(ROWS), "b": torch.ones(300, 300)}, path)
    state = safetensors.load_file(path)

    def read(k: int) -> tuple[int, float, bool]:
        there = path in Path("/proc/self/maps").read_text(encoding="utf-8")
        return int(state["a"][k]), float(state["b"][k, k]), there

    with seqtools.prefetch(seqtools.smap(read, range(3)), 2, "process") as ready:
        assert list(ready) == [(k, 1.0, True) for k in range(3)]
