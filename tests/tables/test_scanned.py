"""Stages with a table: when it is made, by whom, and who gets it."""

import copy
import io
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools.instrument import check
from seqtools.tables import scan
from seqtools.tables.scan import BLOCK
from seqtools.testing import Probe
from tests.engines.engines import OPTIONS
from tests.threads import LONG, together

MAIN = threading.main_thread()


class Counted:
    """A predicate that counts its calls in this process."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, x: int) -> bool:
        self.calls.append(x)
        return x % 3 == 0

    def __reduce__(self) -> Any:
        return Refusing, ()


class Refusing:
    """What workers receive in its place: they must not call it."""

    def __call__(self, x: int) -> bool:
        message = f"a worker called the predicate with {x}"
        raise AssertionError(message)


def negative(x: int) -> int:
    return -x


MAKE = {
    "sfilter": lambda p, **options: st.sfilter(abs, p, **options),
    "flatten": st.flatten,
}
"""The functions that scan, over their source."""

USES: dict[str, Any] = {
    "repr": repr,
    "html": st.LazySequence._repr_html_,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "batch": lambda f: repr(st.batch(f, 2)),
    "prefetch": lambda f: st.prefetch(st.smap(negative, f), 2).close(),
    "repr of a prefetch": lambda f: repr(st.prefetch(f, 2)),
    "graph": lambda f: st.instrument.graph(st.smap(negative, f)),
    "flatten": lambda f: st.flatten(f, table="never.npy"),
}
"""What is done with a stage and needs neither its length nor an item."""
USES |= {
    "windows": lambda f: repr(st.windows(f, 2)),
    "unbatch": lambda f: repr(st.unbatch(f, 2)),
    "gather": lambda f: repr(st.gather(f, [0])),
    "cache": lambda f: repr(st.add_cache(f)),
    "recover": lambda f: repr(st.recover(f, default=0)),
    "retry": lambda f: repr(st.retry(f, 2)),
    "pack": lambda f: repr(st.pack(f, 2)),
}

COUNTING: dict[str, Any] = {
    "slice": lambda f: f[:1],
    "mask": lambda f: f[[0]],
    "shuffle": lambda f: st.shuffle(f, 7, blocks=False),
    "split": lambda f: st.split(f, 2),
    "split_fractions": lambda f: st.split_fractions(f, (1.0,), 7),
    "shard": lambda f: st.shard(f, 0, 1),
    "compress": lambda f: st.compress(f, [True] * 3),
    "case": lambda f: st.case(f, [0] * 3),
    "without": lambda f: st.without(f, [0]),
    "substitute": lambda f: st.substitute(f, [0]),
    "cycle": st.cycle,
    "loader": st.loader,
    "concatenate": lambda f: st.concatenate([f, f]),
    "add": lambda f: f + range(2),
    "interleave": lambda f: st.interleave([f, f]),
    "collate": lambda f: st.collate([f]),
    "mix": lambda f: st.mix([f, f], [1, 1]),
    "switch": lambda f: st.switch(f, f, f),
    "smap of several": lambda f: st.smap(max, f, f),
}
"""Stages that need its length when they are built: the list in `docs/tables.md`."""


class TestLaziness:
    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("make", MAKE)
    def test_nothing_is_scanned_by(self, use: str, make: str) -> None:
        probe = Probe([[3], [1, 2]])
        USES[use](MAKE[make](probe))
        assert probe.reads == []

    @pytest.mark.parametrize("use", COUNTING)
    def test_stages_that_count_items_scan_once(self, use: str) -> None:
        probe = Probe([3, 1, 2])
        COUNTING[use](st.sfilter(abs, probe))
        assert probe.reads == [0, 1, 2]

    def test_the_length_is_shown_once_it_is_known(self) -> None:
        kept = st.sfilter(lambda x: x % 2, range(10))
        over = st.smap(negative, kept)
        assert "5 items" not in repr(over)
        assert len(kept) == 5
        assert repr(over).count("5 items") == 2

    def test_the_predicate_is_called_once_for_each_item(self) -> None:
        counted = Counted()
        kept = st.sfilter(counted, range(2 * BLOCK + 10))
        assert kept[1] == 3
        assert list(kept) == list(range(0, 2 * BLOCK + 10, 3))
        assert kept[[2, 0]][0] == 6
        assert counted.calls == list(range(2 * BLOCK + 10))

    def test_iterating_over_a_prefetch_upstream_scans_once(self) -> None:
        counted = Counted()
        with st.prefetch(range(10), 2) as ahead:
            kept = st.smap(negative, st.sfilter(counted, ahead))
            assert list(kept) == [0, -3, -6, -9]
            assert list(st.batch(kept, 2)) == [[0, -3], [-6, -9]]
        assert len(counted.calls) == 10


class TestScan:
    def test_several_threads_scan_once(self) -> None:
        begun, go_on = threading.Event(), threading.Event()
        calls = []

        def predicate(x: int) -> bool:
            calls.append(x)
            begun.set()
            assert go_on.wait(LONG)
            return x > 1

        kept = st.sfilter(predicate, range(4))

        def late() -> int:
            assert begun.wait(LONG)
            go_on.set()
            return len(kept)

        assert together(lambda: kept[0], lambda: kept[1], late) == [2, 3, 2]
        assert calls == [0, 1, 2, 3]

    @pytest.mark.parametrize("nworkers", [0, 2])
    def test_an_error_names_item_and_stage_and_the_next_try_goes_on(self, nworkers: int) -> None:
        bad = BLOCK + 7
        calls: list[int] = []
        fails = [True]

        def predicate(x: int) -> bool:
            calls.append(x)
            if x == bad and fails:
                message = "made to fail"
                raise KeyError(message)
            return x % 2 == 1

        kept = st.sfilter(predicate, range(3 * BLOCK), nworkers=nworkers)
        with pytest.raises(st.EvaluationError, match="item 4103 of sfilter") as caught:
            len(kept)
        assert isinstance(caught.value.__cause__, KeyError)
        (step,) = caught.value.path
        assert (step.stage, step.index, step.called_with) == ("sfilter(predicate)", bad, str(bad))
        assert step.file == __file__
        fails.clear()
        del calls[:]
        assert len(kept) == 3 * BLOCK // 2
        assert 0 not in calls

    def test_a_stage_upstream_that_fails_is_in_the_path(self) -> None:
        def fails(x: int) -> int:
            return 1 // x

        with pytest.raises(st.EvaluationError) as caught:
            st.sfilter(abs, st.smap(fails, [1, 0]))[0]
        assert [(s.stage, s.index) for s in caught.value.path] == [
            ("sfilter(abs)", 1), ("smap(fails)", 1),
        ]  # fmt: skip

    def test_what_the_predicate_returns_has_a_truth_value(self) -> None:
        with pytest.raises(st.EvaluationError, match="ambiguous") as caught:
            len(st.sfilter(lambda x: np.array([x, x]), [5]))
        assert caught.value.path[-1].called_with == "5"

    @pytest.mark.parametrize("progress", [True, False])
    def test_a_bar_shows_how_far_it_is(
        self, monkeypatch: pytest.MonkeyPatch, progress: bool
    ) -> None:
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(scan, "_DELAY", 0)
        assert len(st.sfilter(abs, range(BLOCK + 1), progress=progress)) == BLOCK
        assert ("scan of sfilter(abs)" in stream.getvalue()) == progress

    def test_passthrough_raises_the_original(self) -> None:
        before = st.seterr(evaluation="passthrough")
        try:
            with pytest.raises(ZeroDivisionError):
                len(st.sfilter(lambda x: 1 // x, [0]))
        finally:
            st.seterr(before)

    def test_an_interrupt_keeps_finished_blocks(self) -> None:
        calls: list[int] = []

        def predicate(x: int) -> bool:
            calls.append(x)
            if len(calls) == BLOCK + 5:
                raise KeyboardInterrupt
            return True

        kept = st.sfilter(predicate, range(2 * BLOCK))
        with pytest.raises(KeyboardInterrupt):
            len(kept)
        assert len(kept) == 2 * BLOCK
        assert calls.count(0) == 1
        assert calls.count(BLOCK) == 2


class TestWorkers:
    @pytest.mark.parametrize("way", [w for w in OPTIONS if w != "inline"])
    def test_they_get_the_table(self, way: str) -> None:
        counted = Counted()
        kept = st.sfilter(counted, range(1000))
        with st.prefetch(st.smap(negative, kept), **OPTIONS[way]) as p:
            assert list(p) == list(range(0, -1000, -3))
        assert counted.calls == list(range(1000))

    def test_also_where_the_length_does_not_need_it(self) -> None:
        counted = Counted()
        chosen = st.gather(st.sfilter(counted, range(100)), [3, 1])
        with st.prefetch(chosen, 1, "process") as p:
            assert list(p) == [9, 3]
        assert len(counted.calls) == 100

    def test_the_thread_of_the_reader_scans_where_an_interrupt_arrives(self) -> None:
        threads = set()

        def predicate(x: int) -> bool:
            threads.add(threading.current_thread())
            return x > 1

        with st.prefetch(st.gather(st.sfilter(predicate, range(5)), [1]), 1) as p:
            assert p[0] == 3
        assert threads == {MAIN}

    def test_a_worker_never_scans(self) -> None:
        kept = st.sfilter(Counted(), range(100))
        with (
            st.prefetch(st.smap(lambda i: kept[i], range(3)), 1, "process") as p,
            pytest.raises(st.EvaluationError, match="has no table in this worker") as caught,
        ):
            list(p)
        assert "by len()" in str(caught.value)

    def test_a_copy_elsewhere_scans(self) -> None:
        copied = pickle.loads(pickle.dumps(st.sfilter(abs, [0, 1])))
        assert list(copied) == [1]

    @pytest.mark.parametrize("make", MAKE)
    def test_a_copy_has_the_table_also_if_its_file_was_deleted(
        self, make: str, tmp_path: Path
    ) -> None:
        probe = Probe([[3], [1, 2]] if make == "flatten" else [3, 0, 1])
        kept = MAKE[make](probe, table=tmp_path / "t.npy")
        items = list(kept)
        (tmp_path / "t.npy").unlink()
        for copied in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
            assert copied._is_scanned()
            assert list(copied) == items
        with st.prefetch(kept, 1, "process") as p:
            assert list(p) == items

    def test_scanning_by_processes(self) -> None:
        here = []

        def predicate(x: int) -> bool:
            here.append(x)
            return x % 2 == 0

        kept = st.sfilter(predicate, range(2 * BLOCK), nworkers=2, method="process")
        assert len(kept) == BLOCK
        assert here == []


class TestRefresh:
    @pytest.mark.parametrize("over", [False, True])
    def test_drops_the_table(self, over: bool) -> None:
        source = [1, 2, 3, 4]
        with st.prefetch(source, 1) as inner:
            kept = st.sfilter(lambda x: x % 2 == 0, inner)
            last = st.prefetch(kept, 1) if over else kept
            assert list(last) == [2, 4]
            source[:] = [2, 4, 6, 7, 8]
            inner.refresh()
            assert list(last) == [2, 4, 6, 8]
            if isinstance(last, st.Prefetch):
                last.close()

    def test_of_a_prefetch_downstream_too(self) -> None:
        source = [1, 2]
        kept = st.sfilter(lambda x: x % 2 == 0, source)
        with st.prefetch(kept, 1) as p, st.prefetch(st.smap(negative, kept), 1, "process") as other:
            assert (list(p), list(other)) == ([2], [-2])
            other.close()
            source[:] = [4, 3]
            p.refresh()
            assert list(other) == [-4]  # the table that its workers need was dropped, too
            assert list(p) == [4]


class TestResume:
    def test_says_that_it_scans_again(self) -> None:
        kept = st.sfilter(lambda x: x % 2 == 0, range(BLOCK + 1))
        iterator = iter(kept)
        next(iterator)
        with pytest.warns(
            UserWarning, match=r"sfilter\(<lambda>\), made at .* by table="
        ) as caught:
            iter(kept).load_state_dict(iterator.state_dict())
        assert caught[0].filename == __file__

    def test_not_if_that_takes_no_time_or_the_table_is_kept(self, tmp_path: Path) -> None:
        for kept in (
            st.sfilter(abs, range(BLOCK)),
            st.sfilter(abs, range(BLOCK + 1), table=tmp_path / "t.npy"),
        ):
            iterator = iter(kept)
            next(iterator)
            iter(kept).load_state_dict(iterator.state_dict())

    def test_a_state_of_other_items_is_refused(self) -> None:
        first, second = (st.sfilter(lambda x, k=k: x % 2 == k, range(10)) for k in (0, 1))
        with pytest.raises(ValueError, match="differs first in sfilter"):
            iter(second).load_state_dict(iter(first).state_dict())


class TestCheck:
    @pytest.mark.parametrize("method", ["thread", "process"])
    def test_scans_nothing_and_tries_the_predicate(self, method: str) -> None:
        probe = Probe(range(1000))
        p = st.prefetch(st.sfilter(abs, probe), 1, method)
        found = check(p, items=3)
        assert not found
        assert len(set(probe.reads)) <= 3
        assert found.estimates[0].items == 3

    def test_finds_a_predicate_that_fails(self) -> None:
        def fails(x: int) -> bool:
            message = f"made to fail at {x}"
            raise KeyError(message)

        found = check(st.prefetch(st.sfilter(fails, range(1000)), 1, "process"))
        assert any("made to fail" in str(each) for each in found)

    def test_of_inner_sequences(self) -> None:
        probe = Probe([[], [1, 2], [3]] * 100)
        p = st.prefetch(st.flatten(probe), 1)
        assert not check(p)
        assert len(set(probe.reads)) < 10


class TestArguments:
    @pytest.mark.parametrize(
        ("more", "kind", "says"),
        [
            ({"table": 3}, TypeError, "table must be the path of a file, got 3"),
            ({"table": "x.txt"}, ValueError, "a .npy file"),
            ({"version": 1}, ValueError, "without table="),
            ({"table": "x.npy", "version": 1.5}, TypeError, "a string or an integer, got 1.5"),
            ({"progress": 1}, TypeError, "progress must be True or False, got 1"),
            ({"nworkers": "many"}, TypeError, "nworkers"),
            ({"nworkers": 2, "method": "fibre"}, ValueError, "method"),
        ],
    )
    @pytest.mark.parametrize("make", MAKE)
    def test_are_checked(self, make: str, more: Any, kind: Any, says: str) -> None:
        with pytest.raises(kind, match=says):
            MAKE[make]([[1]], **more)

    def test_the_source_has_a_length(self) -> None:
        with pytest.raises(TypeError, match="sequence must have a length"):
            st.sfilter(abs, st.cycle([1]))
        with pytest.raises(TypeError, match="sequence must have a length"):
            st.flatten(st.uniter(iter([[1]])))
        with pytest.raises(TypeError, match="predicate must be a function, got"):
            st.sfilter([1], abs)  # type: ignore[arg-type]


class TestSfilter:
    def test_states_the_blocks_of_its_source(self) -> None:
        class Blocked(list[int]):
            blocks = (2, 3, 1)

        kept = st.sfilter(lambda x: x % 2, Blocked(range(6)))
        assert kept.blocks.tolist() == [1, 1, 1]
        assert st.sfilter(abs, [1, 2]).blocks is None

    def test_shows_its_options(self) -> None:
        kept = st.sfilter(abs, [1], nworkers=2, progress=False)
        assert repr(kept).startswith("sfilter(abs, nworkers=2, progress=False) ")
