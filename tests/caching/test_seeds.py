"""With a seed, what is drawn for an item that is kept belongs to that item, whoever asked first."""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, add_cache, smap, unbatch
from seqtools._core.chance import seeding

FILES, SAMPLES = 8, 4


def load(k: int) -> list[tuple[int, float]]:
    return [(k, random.random() + float(np.random.rand()))] * SAMPLES


def change(sample: Any) -> Any:
    return sample, random.random(), float(np.random.rand())


def samples(size: int = 2, files: Callable[[int], Any] = load) -> Any:
    """Return a new pipeline that changes samples of files, some of which are kept."""
    return smap(change, unbatch(add_cache(smap(files, range(FILES)), size), SAMPLES))


def read(source: Any, nworkers: int, **options: Any) -> list[Any]:
    with seqtools.prefetch(source, nworkers, "process", **{"seed": 5} | options) as p:
        return list(p)


def test_two_runs_are_the_same_for_any_number_of_workers() -> None:
    expected = list(seqtools.prefetch(samples(), 0, seed=5))
    assert len({draw for (_, draw), _, _ in expected}) == FILES
    assert len({draw for _, draw, _ in expected}) == FILES * SAMPLES
    for nworkers in (1, 1, 2, 3):
        assert read(samples(), nworkers) == expected
    assert read(samples(), 2, seed=6) != expected


@pytest.mark.parametrize("size", [0, 1, FILES])
def test_what_is_drawn_behind_a_cache_is_the_same_whether_it_had_the_item(size: int) -> None:
    expected = list(seqtools.prefetch(samples(), 0, seed=5))
    p = seqtools.prefetch(samples(size), 0, seed=5)
    backwards = [p[k] for k in reversed(range(len(p)))]
    assert backwards[::-1] == list(p) == expected


def test_workers_load_nothing_in_the_background_and_the_repr_says_so() -> None:
    def threads(_: int) -> list[list[str]]:
        return [[thread.name for thread in threading.enumerate()]] * SAMPLES

    source = samples(2, threads)
    assert {tuple(found) for (found, *_) in read(source, 1)} == {("MainThread",)}
    told = "loads nothing in the background, because of seed="
    assert "  loads nothing in the" in repr(seqtools.prefetch(source, 2, "process", seed=5))
    assert told in seqtools.prefetch(source, 2, "process", seed=5)._remark()
    assert told in seqtools.prefetch(source, "auto", seed=5)._remark()
    for p in (
        seqtools.prefetch(source, 2, "process"),
        seqtools.prefetch(source, 0, seed=5),
        seqtools.prefetch(source, 2, "process", seed=5, readahead=False),
        seqtools.prefetch(samples(1), 2, "process", seed=5),
    ):
        assert told not in p._remark()


def test_hints_do_not_pass_a_seeded_prefetch_without_workers() -> None:
    source = samples(FILES)
    threads = []

    def note(sample: Any) -> Any:
        threads.extend(t.name for t in threading.enumerate() if t.name == "seqtools-reader")
        return sample

    with seqtools.prefetch(smap(note, seqtools.prefetch(source, 0, seed=5)), 1) as p:
        assert list(p) == list(seqtools.prefetch(samples(), 0, seed=5))
    assert threads == []


# Without workers


def test_without_workers_the_generators_of_the_reader_are_as_before() -> None:
    p = seqtools.prefetch(samples(), 0, seed=5)
    random.seed(1)
    np.random.seed(1)
    expected = [(random.random(), np.random.randn()) for _ in range(4)]
    random.seed(1)
    np.random.seed(1)
    found = []
    for k in range(4):
        p[k]
        found.append((random.random(), np.random.randn()))
    assert found == expected


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_what_was_kept_before_without_a_seed_or_with_another_is_not_taken(
    start_method: str,
) -> None:
    expected = read(samples(), 1)
    source = samples(FILES)
    plain = list(source)
    assert list(seqtools.prefetch(source, 0, seed=6)) != expected
    p = seqtools.prefetch(source, 0, seed=5)
    assert list(p) == list(p) == expected
    assert read(source, 2, start_method=start_method) == expected
    assert [first for first, *_ in source] == [first for first, *_ in plain]  # these are kept


def test_assigning_an_item_drops_what_is_kept_of_it_with_a_seed() -> None:
    values = [1, 2, 3]
    cached = add_cache(values, 3)
    p = seqtools.prefetch(cached, 0, seed=5)
    assert list(p) == list(cached) == [1, 2, 3]
    cached[1] = 20
    assert list(p) == list(cached) == [1, 20, 3]


def test_a_mapping_of_the_users_is_used_with_and_without_a_seed() -> None:
    kept: dict[int, Any] = {1: "mine"}
    cached = add_cache(smap(lambda _: random.random(), range(3)), cache=kept)
    first = list(seqtools.prefetch(cached, 0, seed=5))
    assert first[1] == "mine"
    assert list(cached) == first == [kept[k] for k in range(3)]


# What goes wrong, and what is nested


def test_generators_are_put_back_after_an_error() -> None:
    def fail(k: int) -> None:
        random.random()
        raise ValueError(k)

    def look(k: int) -> tuple[float, float]:
        before = random.random()
        with pytest.raises(EvaluationError):
            broken[k]
        return before, random.random()

    broken = add_cache(smap(fail, range(3)))
    found = list(seqtools.prefetch(smap(look, range(3)), 0, seed=5))
    both = smap(lambda _: (random.random(), random.random()), range(3))
    assert found == list(seqtools.prefetch(both, 0, seed=5))
    assert seeding.token() is None


def test_a_cached_item_that_needs_itself() -> None:
    cached: Any = add_cache(smap(lambda k: cached[k], range(2)))
    with pytest.raises(EvaluationError, match="item 1 is needed to make item 1"):
        seqtools.prefetch(cached, 0, seed=5)[1]
    assert seeding.token() is None


def test_two_caches_draw_different_numbers() -> None:
    def draw(_: int) -> float:
        return random.random()

    one, two = (add_cache(smap(draw, range(9)), 2) for _ in range(2))
    a, b = add_cache(smap(draw, range(9))), [add_cache(smap(draw, range(9)))]
    source = smap(lambda k, x, y: (x, y, a[k], b[0][k], random.random()), range(9), one, two)
    found = read(source, 2)
    assert len({draw for draws in found for draw in draws}) == 5 * 9 - 9  # of one line
    assert found == list(seqtools.prefetch(source, 0, seed=5))


@pytest.mark.parametrize("options", [{}, {"method": "process"}, {"method": "process", "seed": 2}])
def test_a_prefetch_within_is_evaluated_where_it_is_read(options: dict[str, Any]) -> None:
    def where(_: int) -> tuple[int, int, float]:
        return os.getpid(), threading.get_ident(), random.random()

    def both(item: Any) -> Any:
        pid, thread, drawn = item
        here = (pid, thread) == (os.getpid(), threading.get_ident())
        return here, drawn, random.random()

    source = smap(both, seqtools.prefetch(smap(where, range(9)), 2, **options))
    found = read(source, 2)
    assert all(here for here, *_ in found)
    assert found == read(source, 1) == list(seqtools.prefetch(source, 0, seed=5))


class Drawing:
    """What draws while it is iterated, and can be iterated again."""

    def __iter__(self) -> Iterator[float]:
        scale = random.random()
        for _ in range(len(self)):
            yield scale * random.random()

    def __len__(self) -> int:
        return 20


def test_what_an_iterable_draws_belongs_to_the_item() -> None:
    source = smap(change, seqtools.uniter(Drawing()))
    expected = list(seqtools.prefetch(source, 0, seed=5))
    assert read(source, 2) == read(source, 3) == expected
    assert len({sample for sample, *_ in expected}) == 20


# When an item is evaluated again


def test_a_batch_that_is_read_again_one_by_one() -> None:
    def unlucky(k: int) -> float:
        drawn = random.random()
        if drawn < 0.3:
            raise ValueError(k)
        return drawn

    def outcomes(p: Any) -> list[Any]:
        found = []
        for k in range(len(p)):
            try:
                found.append(p[k])
            except EvaluationError as error:
                found.append(str(error.__cause__))
        return found

    source = seqtools.batch(smap(change, smap(unlucky, range(40))), 4)
    expected = outcomes(seqtools.prefetch(source, 0, seed=5))
    assert {type(outcome) for outcome in expected} == {list, str}
    for nworkers in (1, 2):
        with seqtools.prefetch(source, nworkers, "process", seed=5) as p:
            assert outcomes(p) == expected


def test_an_item_over_which_a_worker_died_is_the_same_when_it_is_made_again(
    tmp_path: Path,
) -> None:
    died = tmp_path / "died"

    def draw(k: int) -> float:
        if k == 9 and died.parent.exists() and not died.exists() and os.getpid() != here:
            died.touch()
            os._exit(3)
        return random.random()

    here = os.getpid()
    source = seqtools.batch(smap(change, smap(draw, range(16))), 4)
    expected = list(seqtools.prefetch(source, 0, seed=5))
    assert read(source, 2) == expected
    assert died.exists()


# Libraries that are imported later

TORCH = """
import random
class Generator(random.Random):
    manual_seed = random.Random.seed
source = default_generator = Generator()
manual_seed = source.seed
get_rng_state, set_rng_state = source.getstate, source.setstate
rand = source.random
"""


@pytest.fixture
def torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of that name, so that it takes no time to import."""
    (tmp_path / "torch.py").write_text(TORCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(seeding, "_torch_seeders", [])
    before = list(sys.meta_path)
    yield
    sys.modules.pop("torch", None)
    sys.meta_path[:] = before


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_torch_that_is_imported_by_an_item(start_method: str) -> None:
    def rand(k: int) -> tuple[Any, ...]:
        import torch  # type: ignore[import-not-found, unused-ignore]

        return k, torch.rand(), torch.rand()

    def around(item: Any) -> Any:
        import torch

        return item, torch.rand()

    source = smap(around, add_cache(smap(rand, range(6)), 2))
    found = read(source, 2, start_method=start_method)
    assert "torch" not in sys.modules
    assert found == list(seqtools.prefetch(source, 0, seed=5))
    assert "torch" in sys.modules
    assert found == list(seqtools.prefetch(source, 0, seed=5))
    assert len({drawn for (_, *of_cache), last in found for drawn in (*of_cache, last)}) == 18


def test_numpy_that_is_imported_by_an_item() -> None:
    from tests.scripts import SOURCE, run

    code = f"""\
import sys
sys.path.insert(0, {SOURCE!r})
import seqtools
assert "numpy" not in sys.modules

def draw(k):
    import numpy as np
    return np.random.rand()

for n in (1, 2, 0):
    with seqtools.prefetch(seqtools.smap(draw, range(4)), n, "process", seed=5) as p:
        print(list(p))
"""
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(set(done.stdout.splitlines())) == 1
