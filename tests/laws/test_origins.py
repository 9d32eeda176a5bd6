"""`origins` and `uses`: which items of the sources an item is made from, and the inverse."""

import operator
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, origins, uses
from seqtools._core.walk import is_stage, upstream
from seqtools.extend import as_array, getter, size_of
from seqtools.testing import Probe
from seqtools.testing.subject import SHOWN, Subject, normal
from tests.laws.registry import ROWS, VALUE_DEPENDENT, Row

FILES = [f"img_{k:04}.jpg" for k in range(50)]


def subject(row: Row) -> Subject:
    dependent = row.name in VALUE_DEPENDENT
    return Subject(
        row.build, row.expected, row.sources, row.assigned, row.length, dependent, row.picklable
    )


def made_from(sequence: Any, i: int, probes: list[Probe[Any]], *, certain: bool) -> list[set[int]]:
    """Return for each of `probes` the indices that `origins` names."""
    found = [o for o in origins(sequence, i) if o.certain or not certain]
    return [
        {o.index for o in found if o.source is probe and o.index is not None} for probe in probes
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_origins_are_what_is_read(row: Row) -> None:
    given = subject(row)
    for i in range(len(given.items)):
        sequence, probes = given.make()
        certain = made_from(sequence, i, probes, certain=True)
        possible = made_from(sequence, i, probes, certain=False)
        any_of = [o.source for o in origins(sequence, i) if o.index is None]
        assert [probe.reads for probe in probes] == [[] for _ in probes]
        item = sequence[i]
        for probe, sure in zip(probes, certain, strict=True):
            assert sure <= set(probe.reads)
        normal(item)  # reads the items of a view too
        for probe, sure, maybe in zip(probes, certain, possible, strict=True):
            read = set(probe.reads)
            assert read <= maybe or any(probe is source for source in any_of)
            if not given.value_dependent and not any_of:
                assert maybe == read
                assert is_stage(item) or sure == read


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_uses_are_the_inverse_of_reads(row: Row) -> None:
    given = subject(row)
    sequence, probes = given.make()
    n = len(given.items)
    reads = [stated(sequence, i, probes) for i in range(n)]
    for k, probe in enumerate(probes):
        if not any(stage is probe for stage in upstream(sequence)):
            continue
        for j in range(SHOWN if size_of(probe) is None else len(probe)):
            wanted = [i for i in range(n) if j in reads[i][k]]
            stop = None if given.length == "known" else n
            assert uses(sequence, probe, j, stop).tolist() == wanted
            assert uses(sequence, probe, j, n // 2).tolist() == [i for i in wanted if i < n // 2]
    assert [probe.reads for probe in probes] == [[] for _ in probes]


def stated(sequence: Any, i: int, probes: list[Probe[Any]]) -> list[set[int]]:
    """Return for each of `probes` what item `i` reads, by what the stages state one by one.

    Of an item that is a view, all that can be read are stated.
    """
    found: list[set[int]] = [set() for _ in probes]
    left = [(sequence, i)]
    while left:
        stage, at = left.pop()
        for k, probe in enumerate(probes):
            if stage is probe:
                found[k].add(at)
        if is_stage(stage):
            here = range(at, at + 1)
            reads = stage._reads(here) or [pair[:2] for pair in stage._made_from(here)]
            for source, js in reads:
                left += [(source, int(j)) for j in js]
    return found


def over_views() -> dict[str, tuple[LazySequence[Any], Probe[Any]]]:
    """Return sequences that read from parts of a probe, of which they do not need all items."""
    stages: dict[str, Callable[[Any], LazySequence[Any]]] = {
        "flatten": seqtools.flatten,
        "flatten of a shuffle": lambda parts: seqtools.flatten(seqtools.shuffle(parts, 1), [4] * 3),
        "flatten of a cache": lambda parts: seqtools.flatten(seqtools.add_cache(parts)),
        "unbatch": lambda parts: seqtools.unbatch(parts, 4),
        "unbatch of chosen ones": lambda parts: seqtools.unbatch(parts[[2, 0]], 4),
        "first items": lambda parts: seqtools.smap(operator.itemgetter(0), parts),
        "sums": lambda parts: seqtools.batch(seqtools.smap(sum, parts), 2),
        "nothing of them": lambda parts: seqtools.smap(len, seqtools.retry(parts, 2)),
    }
    probes = {name: Probe([*range(12)]) for name in stages}
    return {
        name: (make(seqtools.split(seqtools.smap(abs, probes[name]), parts=3)), probes[name])
        for name, make in stages.items()
    }


@pytest.mark.parametrize("name", over_views())
def test_items_of_views_are_listed_but_not_certain(name: str) -> None:
    sequence, probe = over_views()[name]
    for i in range(len(sequence)):
        found = [o for o in origins(sequence, i) if o.source is probe]
        del probe.reads[:]
        normal(sequence[i])
        read = set(probe.reads)
        assert {o.index for o in found if o.certain} <= read <= {o.index for o in found}
        for j in {o.index for o in found}:
            assert i in uses(sequence, probe, j).tolist()
        for j in {*range(12)} - {o.index for o in found}:
            assert i not in uses(sequence, probe, j).tolist()


def many() -> dict[str, Any]:
    """Return sequences of which the inverse is computed for many items."""
    # the values say of which source an item is, and its index there
    n, more = seqtools.arange(20_000), seqtools.arange(100_000, 100_300)
    probe = Probe(lambda i: 200_000 + i)
    blocks = [70] * 100 + [1300] * 10
    return {
        "a network": seqtools.shuffle(n, 3),
        "a part of a network": seqtools.shuffle(n, 3, epochs=3, multiple_of=7_000),
        "a table": seqtools.shuffle(more, "x", epochs=70, multiple_of=32),
        "blocks": seqtools.shuffle(n, 3, epochs=2, multiple_of=512, blocks=blocks, open_blocks=9),
        "endless epochs": seqtools.shuffle(more, 1, epochs=None)[1::2][:9_000],
        "ranks": seqtools.shard(seqtools.shuffle(n, 3), 1, 7, uneven="pad"),
        "other ranks": seqtools.shard(n, 5, 7, uneven="drop"),
        "a mix": seqtools.mix([n, more], [5, 1], stop="all"),
        "steps of a mix": seqtools.mix([n, more], [(0, [1, 0]), (40, [9, 1]), (900, [1, 1])]),
        "an endless mix": seqtools.mix([seqtools.cycle(more), probe], [2, 1])[:3_000],
        "a cycle": seqtools.cycle(more, 1_000),
        "windows": seqtools.windows(more, 7, 3),
        "wide steps": seqtools.windows(more, 3, 7),
        "a slice backwards": n[19_000:3:-9],
        "a mask": n[np.arange(20_000) % 7 == 3],
        "places": n[np.arange(20_000) ** 2 % 1_000],
        "interleaved": seqtools.interleave(more, n[:500]),
        "interleaved with endless ones": seqtools.interleave(probe, n[:90], more, probe, n[:70]),
        "endlessly interleaved": seqtools.interleave(probe, seqtools.cycle(more))[5:3_000:2],
        "wide windows of many": seqtools.windows(seqtools.smap(int, n[:3_000]), 70),
        "windows of windows": seqtools.windows(seqtools.windows(more[:60], 7, 2), 4, 3),
        "one twice": seqtools.concatenate(more, n[:90], more[::-1]),
        "batches of batches": seqtools.batch(seqtools.batch(seqtools.shuffle(more, 1), 7), 3),
    }


@pytest.mark.parametrize("name", many())
def test_the_inverse_of_many(name: str) -> None:
    sequence = many()[name]
    wanted: dict[int, list[int]] = {}
    for i, item in enumerate(sequence):
        for value in {*flat(item)}:
            wanted.setdefault(value, []).append(i)
    for source in (each for each in upstream(sequence) if not each._sources()):
        first = source[0]
        for j in [0, 1, 2, 37, 38, 299, *range(40, 300, 29)]:
            assert uses(sequence, source, j).tolist() == wanted.get(first + j, [])


def flat(item: Any) -> list[int]:
    if not hasattr(item, "__len__"):
        return [item]
    return [value for part in item for value in flat(part)]


@dataclass
class Labelled:
    label: int
    file: str


class Numbered(NamedTuple):
    label: int
    file: str


class Odd(str):
    """A text whose methods fail."""

    __slots__ = ()

    def __str__(self) -> str:
        raise AssertionError


class OddList(list[Any]):
    """A list whose methods fail."""

    def __iter__(self) -> Any:
        raise AssertionError


class OddPath:
    """A path whose method fails."""

    def __fspath__(self) -> str:
        raise AssertionError


class TestOrigins:
    def test_names_are_texts_and_paths(self, tmp_path: Any) -> None:
        paths = [tmp_path / "a.png", tmp_path / "b.png"]
        for source in (paths, tuple(paths), np.array(paths), np.array([str(p) for p in paths])):
            (origin,) = origins(seqtools.smap(str, source), -1)
            assert origin == (source, 1, str(paths[1]), True) if source is paths else True
            assert (origin.index, origin.name) == (1, str(paths[1]))

    @pytest.mark.parametrize(
        "record",
        [
            ("b.png", "cat"),
            [7, Path("b.png")],
            {"label": 3, "file": "b.png"},
            Numbered(3, "b.png"),
            Labelled(3, "b.png"),
            ("", None, "b.png"),
        ],
    )
    def test_a_record_is_named_by_the_first_text_in_it(self, record: Any) -> None:
        source = [("a.png", 1), record]
        p = seqtools.batch(seqtools.smap(id, source), 2)
        assert [(o.index, o.name) for o in origins(p, 0)] == [(0, "a.png"), (1, "b.png")]

    def test_no_method_of_an_item_is_called_for_its_name(self) -> None:
        source = [Odd("a.png"), (1, Odd("b.png")), OddList(["c.png"])]
        names = [origins(seqtools.smap(id, source), i)[0].name for i in range(3)]
        assert names == ["a.png", "b.png", "c.png"]
        assert {type(name) for name in names} == {str}
        assert origins(seqtools.smap(id, [OddPath()]), 0)[0].name == ""

    def test_other_items_have_none(self) -> None:
        for source in ([1, 2], range(2), np.arange(2), {0: "a", 1: "b"}.values()):
            if hasattr(source, "__getitem__"):
                assert origins(seqtools.smap(str, source), 1)[0].name == ""

    def test_each_is_there_once(self) -> None:
        data = [1, 2, 3]
        p = seqtools.smap(max, data, seqtools.smap(abs, data))
        for _ in range(60):  # so many paths that nobody could follow each
            p = seqtools.smap(max, p, p)
        assert [(o.source is data, o.index) for o in origins(p, 2)] == [(True, 2)]

    def test_in_the_order_of_reading(self) -> None:
        p = seqtools.batch(FILES[:10][::-1], 3)
        assert [o.index for o in origins(p, 1)] == [3, 4, 5]
        q = seqtools.collate([seqtools.gather(FILES, [7, 2]), [1, 2]])
        assert [o.index for o in origins(seqtools.batch(q, 2), 0)] == [7, 2, 0, 1]

    def test_what_values_decide_is_not_certain(self) -> None:
        a, b, which = ["a", "b"], ["c", "d"], [0, 1]
        found = origins(seqtools.case(which, a, b), 1)
        assert [(o.name, o.index, o.certain) for o in found] == [
            ("", 1, True),
            ("b", 1, False),
            ("d", 1, False),
        ]
        lazy = seqtools.smap(int, ["1", "0"])
        (one, other) = sorted(origins(seqtools.gather(a, lazy), 0), key=lambda o: o.certain)
        assert (one.source is a, one.index, one.certain) == (True, None, False)
        assert (other.index, other.name, other.certain) == (0, "1", True)

    def test_of_all_stages_that_pass_items_on(self) -> None:
        p: Any = seqtools.add_cache(seqtools.smap(str.upper, FILES))
        p = seqtools.instrument.progress(p, disable=True)
        p = seqtools.prefetch(seqtools.instrument.debug(p, print), nworkers=1)
        assert [o.name for o in origins(seqtools.batch(p, 2), 3)] == FILES[6:8]
        assert uses(p, FILES, 6).tolist() == [6]

    def test_an_iterable_is_a_source(self) -> None:
        names = {"a": 1, "b": 2}
        p = seqtools.smap(str.upper, seqtools.uniter(names))
        ((source, index, _, certain),) = origins(p, 1)
        assert source is names
        assert (index, certain) == (1, True)
        assert uses(p, names, 1).tolist() == [1]

    def test_nothing_is_called(self) -> None:
        def never(_: Any) -> Any:
            raise AssertionError

        probe = Probe(FILES)
        p = seqtools.batch(seqtools.smap(never, probe), 4, collate_fn=never)
        with probe.forbid():
            assert [o.index for o in origins(p, -1)] == [48, 49]
            assert uses(p, probe, 49).tolist() == [12]

    def test_indices_as_in_square_brackets(self) -> None:
        p = seqtools.smap(str.upper, FILES)
        assert origins(p, -1)[0].index == 49
        for i in (50, -51):
            with pytest.raises(IndexError, match=f"index {i} is out of range for smap.upper. of"):
                origins(p, i)
        with pytest.raises(TypeError, match="indices must be integers"):
            origins(p, "a")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"origins\(\) needs a lazy sequence, got list"):
            origins(FILES, 1)  # type: ignore[arg-type]

    def test_a_repr_is_one_line(self) -> None:
        found = repr(origins(seqtools.gather(FILES, seqtools.smap(len, ["a"])), 0))
        assert found == "[<perhaps any item of a list>, <item 0 of a list 'a'>]"

    def test_too_many(self) -> None:
        p = seqtools.batch(seqtools.arange(1 << 30), 1 << 29)
        with pytest.raises(ValueError, match="made of more than 4,194,304 items"):
            origins(p, 0)


class TestUses:
    def test_of_an_endless_run(self) -> None:
        run = seqtools.batch(seqtools.shuffle(FILES, 7, epochs=None), 10)
        with pytest.raises(ValueError, match=r"batch has no length, so uses\(\) needs .* stop="):
            uses(run, FILES, 3)
        found = uses(run, FILES, 3, stop=20)
        assert len(found) == 4
        for step in range(20):
            assert ("img_0003.jpg" in run[step]) == (step in found)

    def test_of_a_stage_upstream(self) -> None:
        images = seqtools.smap(str.upper, FILES)
        run = seqtools.batch(images[::-1], 10)
        assert uses(run, images, 0).tolist() == [4]
        assert uses(run, run, -1).tolist() == [4]

    def test_of_something_else(self) -> None:
        run = seqtools.batch(FILES, 10)
        with pytest.raises(ValueError, match=r"batch does not read from this source, got \["):
            uses(run, list(FILES), 3)
        with pytest.raises(IndexError, match="an index of a source of 50 items, got 50"):
            uses(run, FILES, 50)
        advice = r"j must be an integer, got 'a': give .*, such as source.index\('a'\)"
        with pytest.raises(TypeError, match=advice):
            uses(run, FILES, "a")  # type: ignore[arg-type]

    def test_more_indices_than_an_array_can_have(self) -> None:
        n = seqtools.arange(9_000_000)
        wide = seqtools.windows(n, 1_000, 2_000)  # 4.5 million indices of items in all
        assert uses(seqtools.batch(wide, 3), n, 8_000_999).tolist() == [1333]
        endless = seqtools.windows(seqtools.cycle(n), 1 << 12, 1 << 13)
        assert uses(endless, n, 1 << 13, stop=3_000).tolist() == [1, 2_198]
        with pytest.raises(ValueError, match="or of a stage before it, is made of more than 4,19"):
            uses(seqtools.windows(seqtools.cycle(n), 1 << 23, 1 << 24), n, 1, stop=2)

    def test_a_stage_of_the_users_is_searched(self) -> None:
        assert uses(Squares(FILES), FILES, 16).tolist() == [4]
        assert uses(seqtools.batch(Squares(FILES), 2), FILES, 36).tolist() == [3]
        assert uses(Squares(FILES), FILES, 17).tolist() == []


class Squares(LazySequence[Any]):
    """Items 0, 1, 4, 9 and so on."""

    def __init__(self, sequence: Any) -> None:
        self._sequence, self._read = sequence, getter(sequence)

    def _size(self) -> int:
        return int((len(self._sequence) - 1) ** 0.5) + 1

    def _get(self, i: int) -> Any:
        return self._read(i * i)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Any) -> Any:
        return [(self._sequence, as_array(indices) ** 2)]


@dataclass
class Image:
    kind: ClassVar[str] = "image"
    mode: InitVar[str] = "RGB"
    file: str = ""


class NoPath:
    def __fspath__(self) -> str:
        raise OSError


def test_only_fields_of_a_record_are_names() -> None:
    records = [Image(file="a.png"), Image(file="b.png"), {"a": NoPath(), "b": "c.png"}]
    p = seqtools.smap(id, records)
    assert [origins(p, i)[0].name for i in range(3)] == ["a.png", "b.png", "c.png"]


def test_an_index_that_no_sequence_has() -> None:
    endless = seqtools.smap(abs, seqtools.uniter(iter(range(9))))
    (source,) = {id(o.source): o.source for o in origins(endless, 1)}.values()
    assert uses(endless, source, 10**23, 4).tolist() == []
