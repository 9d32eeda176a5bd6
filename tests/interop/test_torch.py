"""Tensors of torch: in batches, on their way back, and in the pipeline."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import collate_arrays
from seqtools._core import allocator
from seqtools.engines.wire.result_pickling import ResultDumper, ResultLoader

torch = pytest.importorskip("torch", reason="torch is not installed: see `make interop`")

DTYPES = [
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e5m2"),
]


def grid(dtype: str = "float32", shape: tuple[int, ...] = (2, 3, 40, 50)) -> Any:
    count = int(np.prod(shape))
    return torch.arange(count).remainder(100).to(getattr(torch, dtype)).reshape(shape)


def sent(value: Any, *, aside: bool) -> tuple[Any, list[Any]]:
    """Return `value` as it arrives, and the buffers that went beside the pickle."""
    kept: list[pickle.PickleBuffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if aside:
            kept.append(buffer)
        return not aside

    body = ResultDumper(()).dumps(value, keep)
    copies = [memoryview(bytearray(buffer.raw())) for buffer in kept]
    return ResultLoader(()).loads(bytes(body), copies), copies


def same(given: Any, value: Any) -> None:
    assert type(given) is type(value)
    assert given.dtype == value.dtype
    assert given.requires_grad == value.requires_grad
    assert given.detach().resolve_conj().tolist() == value.detach().resolve_conj().tolist()


with torch.inference_mode():
    INFERRED = grid()

DENSE: dict[str, Callable[[], Any]] = {
    **{dtype: lambda dtype=dtype: grid(dtype) for dtype in DTYPES},
    "channels last": lambda: grid().to(memory_format=torch.channels_last),
    "permuted": lambda: grid().permute(3, 1, 0, 2),
    "a row": lambda: grid()[1],
    "no dimensions": lambda: torch.tensor(3.5),
    "empty": lambda: torch.zeros(0, 3),
    "empty, permuted": lambda: torch.zeros(4, 0, 3).permute(2, 0, 1),
    "of an array": lambda: torch.from_numpy(np.arange(10.0)),
    "one channel, channels last": lambda: grid(shape=(2, 1, 4, 5)).to(
        memory_format=torch.channels_last
    ),
    "made in inference mode": lambda: INFERRED,
}

STRIDED: dict[str, Callable[[], Any]] = {
    "a crop": lambda: grid()[..., 5:20, 5:20],
    "every other": lambda: grid("bfloat16")[:, :, ::2],
    "a column": lambda: grid()[0, 0, :, 3],
}

OTHERS: dict[str, Callable[[], Any]] = {
    "requires a gradient": lambda: torch.ones(3, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(grid()),
    "conjugate": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "negative": lambda: (torch.ones(3, dtype=torch.complex64) * 1j).conj().imag,
    "expanded": lambda: torch.arange(3.0).expand(1000, 3),
}


@pytest.mark.parametrize("aside", [False, True], ids=["in the pickle", "beside it"])
@pytest.mark.parametrize("name", DENSE)
def test_dense_tensors(name: str, aside: bool) -> None:
    value = DENSE[name]()
    given, memory = sent([value, value], aside=aside)
    assert given[0] is given[1]
    same(given[0], value)
    assert given[0].stride() == value.stride()
    assert [buffer.nbytes for buffer in memory] == ([value.nbytes] if aside else [])
    if memory and value.numel():
        given[0].zero_()
        assert not any(memory[0].tobytes())  # it is the memory of the tensor


@pytest.mark.parametrize("name", STRIDED)
def test_strided_tensors_are_sent_without_what_lies_between(name: str) -> None:
    value = STRIDED[name]()
    given, memory = sent(value, aside=True)
    same(given, value)
    assert given.is_contiguous()
    assert [buffer.nbytes for buffer in memory] == [value.nbytes]


@pytest.mark.parametrize("name", OTHERS)
def test_other_tensors_are_sent_as_torch_does(name: str) -> None:
    value = OTHERS[name]()
    given, _ = sent(value, aside=True)
    same(given, value)
    assert given.stride() == value.stride()
    assert given.is_conj() == value.is_conj()


def test_attributes_and_sparse_tensors_arrive() -> None:
    value = torch.ones(2)
    value.note = "a note"
    assert sent(value, aside=True)[0].note == "a note"
    sparse = torch.eye(3).to_sparse()
    assert sent(sparse, aside=True)[0].to_dense().tolist() == torch.eye(3).tolist()


def test_tensors_from_workers() -> None:
    makers = [*DENSE.values(), *STRIDED.values(), *OTHERS.values()]
    source = seqtools.smap(lambda k: makers[k](), range(len(makers)))
    with seqtools.prefetch(source, 2, "process") as ready:
        for make, given in zip(makers, ready, strict=True):
            same(given, make())


# Batches


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    taken: list[Any] = []

    def allocate(nbytes: int) -> Any:
        taken.append(np.zeros(nbytes + 64, np.uint8))
        return taken[-1]

    monkeypatch.setattr(allocator, "allocate", allocate)
    return taken


@pytest.mark.parametrize(
    ("items", "taken"),
    [
        ([grid(), grid()], 1),
        ([grid("bfloat16"), grid("bfloat16") + 1], 1),
        ([grid().to(memory_format=torch.channels_last) for _ in range(2)], 1),
        ([grid()[..., ::2] for _ in range(2)], 1),
        ([grid("bool", (300, 100))] * 2, 1),
        ([torch.tensor(1), torch.tensor(2)], 0),
        ([torch.ones(2), torch.ones(2)], 0),
        ([torch.ones(0), torch.ones(0)], 0),
        ([grid("float32"), grid("float64")], 0),
        ([torch.ones(2, requires_grad=True), torch.ones(2)], 0),
        ([torch.nn.Parameter(grid()), grid()], 0),
    ],
)
def test_tensors_are_stacked(items: list[Any], taken: int, slots: list[Any]) -> None:
    result = collate_arrays([{"x": item} for item in items])["x"]
    same(result, torch.stack(items))
    assert len(slots) == taken
    for slot in slots:
        slot[:] = 0
        assert not result.view(torch.uint8).any()


def test_a_tensor_stands_for_its_rows_and_is_copied() -> None:
    for value in (grid(), torch.ones(2, requires_grad=True)):
        result = collate_arrays(value)
        same(result, value)
        assert result.data_ptr() != value.data_ptr()


def test_tensors_of_numbers_that_torch_would_change_are_refused() -> None:
    message = r"item 1 \['x'\] has dtype torch.int64, and item 0 \['x'\] has dtype torch.float32"
    with pytest.raises(ValueError, match=message):
        collate_arrays([{"x": grid("float32")}, {"x": grid("int64")}])


def test_tensors_that_differ_are_named() -> None:
    message = r"item 1 \['x'\] has shape \(3,\), and item 0 \['x'\] has shape \(2,\)"
    with pytest.raises(ValueError, match=message):
        collate_arrays([{"x": torch.ones(2)}, {"x": torch.ones(3)}])
    with pytest.raises(TypeError, match="item 1 is of type ndarray, and item 0 is of type Tensor"):
        collate_arrays([torch.ones(2), np.ones(2)])


def test_tensors_are_padded() -> None:
    items = [{"x": torch.arange(n, dtype=torch.int32)} for n in (1, 3)]
    result = collate_arrays(items, pad={"x": -1}, multiple_of=4, mask=True)
    assert result["x"].dtype == torch.int32
    assert result["x"].tolist() == [[0, -1, -1, -1], [0, 1, 2, -1]]
    assert result["x_mask"].dtype == torch.bool
    assert result["x_mask"].sum(dim=1).tolist() == [1, 3]
    learned = [torch.ones(n, requires_grad=True) for n in (1, 2)]
    collate_arrays(learned, pad=0).sum().backward()
    assert learned[1].grad.tolist() == [1, 1]
    for pad in (0.5, 2**40, "a"):
        with pytest.raises(ValueError, match="pad must be a value that the dtype can hold"):
            collate_arrays(items, pad=pad)
    assert seqtools.collate_packed([torch.arange(2), [5]])["tokens"].tolist() == [0, 1, 5]


def test_batches_from_workers() -> None:
    images = seqtools.smap(lambda k: {"image": torch.full((30, 40), k), "label": k}, range(10))
    batches = seqtools.batch(images, 4, collate_fn=collate_arrays)
    with seqtools.prefetch(batches, 2, "process") as ready:
        found = list(ready)
    assert [tuple(batch["image"].shape) for batch in found] == [(4, 30, 40)] * 2 + [(2, 30, 40)]
    for batch in found:
        assert (batch["image"] == torch.from_numpy(batch["label"])[:, None, None]).all()
        batch["image"].zero_()


# In the pipeline


def mapped(path: Path) -> Callable[[], bool]:
    """Return a function that tells whether the file at `path` is mapped where it is called."""
    name = str(path)
    return lambda: name in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_tensors_in_the_pipeline_are_shared_and_may_be_written_to() -> None:
    value = torch.zeros(200_000)

    def count(_: int) -> tuple[float, str]:
        value[0] += 1
        address = value.data_ptr()
        for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
            start, stop = (int(part, 16) for part in line.split()[0].split("-"))
            if start <= address < stop:
                return float(value[0]), line
        return 0.0, "nowhere"

    with seqtools.prefetch(seqtools.smap(count, range(20)), 2, "process") as ready:
        found = list(ready)
    assert max(number for number, _ in found) <= 20
    assert all("memfd:seqtools" in line for _, line in found)
    assert value[0] == 0


def test_a_model_in_the_pipeline() -> None:
    model = torch.nn.Linear(300, 300).eval()
    images = torch.ones(10, 300)

    @torch.inference_mode()
    def infer(k: int) -> Any:
        return model(images[k])

    with seqtools.prefetch(seqtools.smap(infer, range(10)), 2, "process") as ready:
        for k, given in enumerate(ready):
            torch.testing.assert_close(given, infer(k))


@pytest.mark.parametrize("shared", [False, True])
def test_tensors_of_a_file(tmp_path: Path, shared: bool) -> None:
    path = tmp_path / "data"
    np.arange(200_000.0).tofile(path)
    value = torch.from_file(str(path), shared=shared, size=200_000, dtype=torch.float64)
    there = mapped(path)

    def read(k: int) -> tuple[float, bool]:
        return float(value[k]), there()

    with seqtools.prefetch(seqtools.smap(read, range(4)), 2, "process") as ready:
        assert list(ready) == [(float(k), True) for k in range(4)]
    value[2] = 7
    with seqtools.prefetch(seqtools.smap(read, range(4)), 2, "process") as ready:
        assert [x for x, _ in ready] == [0, 1, 7, 3]
        assert [by_reference for _, by_reference in ready] == [shared] * 4


def test_tensors_of_a_file_that_torch_has_saved(tmp_path: Path) -> None:
    path = tmp_path / "data.pt"
    torch.save({"a": torch.zeros(100_000), "b": torch.arange(100_000)}, path)
    state = torch.load(path, mmap=True)
    there = mapped(path)

    def read(k: int) -> tuple[int, bool]:
        return int(state["b"][k]), there()

    with seqtools.prefetch(seqtools.smap(read, range(4)), 2, "process") as ready:
        assert list(ready) == [(k, True) for k in range(4)]


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_workers_after_the_threads_of_torch_were_used(start_method: str) -> None:
    def product(k: int) -> Any:
        return torch.full((500, 500), float(k)) @ torch.ones(500, 500)

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert float(product(1)[3, 4]) == 500  # by OpenMP, whose threads a fork has not
        options = {"method": "process", "start_method": start_method}
        with seqtools.prefetch(seqtools.smap(product, range(6)), 2, **options) as ready:
            assert [float(value[0, 0]) for value in ready] == [500.0 * k for k in range(6)]
    finally:
        torch.set_num_threads(threads)


# Lazy sequences as datasets, and tensors as keys


def test_a_data_loader_reads_batches_in_bulk() -> None:
    calls: list[list[int]] = []

    class Rows:
        def __len__(self) -> int:
            return 10

        def __getitem__(self, i: int) -> int:
            return i

        def __getitems__(self, indices: list[int]) -> list[int]:
            calls.append(indices)
            return indices

    doubles = seqtools.smap(lambda x: 2 * x, Rows())
    batches = torch.utils.data.DataLoader(doubles, batch_size=4, shuffle=False)
    assert [batch.tolist() for batch in batches] == [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]
    assert calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    part = torch.utils.data.Subset(doubles, [7, 1])
    assert next(iter(torch.utils.data.DataLoader(part, batch_size=2))).tolist() == [14, 2]


def test_tensors_as_keys() -> None:
    p = seqtools.arange(3)
    assert p[torch.tensor(2)] == 2
    assert list(p[torch.tensor([2, -3])]) == [2, 0]
    assert list(p[torch.tensor([2])]) == [2]
    assert list(p[torch.tensor([True, False, True])]) == [0, 2]
    assert list(seqtools.arange(1)[torch.tensor([False])]) == []
    with pytest.raises(TypeError, match="must be integers, got an array of float32"):
        p[torch.tensor([1.0])]


def test_an_iterable_dataset_is_pointed_to_uniter() -> None:
    class Lines(torch.utils.data.IterableDataset[int]):
        def __iter__(self) -> Any:
            return iter([1, 2, 3])

    with pytest.raises(TypeError, match=r"got Lines: .* wrap it in seqtools.uniter\(sequence\)"):
        seqtools.smap(str, Lines())
    assert list(seqtools.smap(str, seqtools.uniter(Lines()))) == ["1", "2", "3"]
