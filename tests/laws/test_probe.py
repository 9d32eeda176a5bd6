"""The source that the laws are checked with does what it says."""

import pickle

import pytest

from seqtools import EvaluationError, batch, cycle, smap
from seqtools.testing import Probe
from seqtools.testing.subject import outcomes


def test_reads_are_recorded_in_order() -> None:
    probe = Probe("abcd")
    assert (probe[2], probe[-1], list(probe[1::-1])) == ("c", "d", ["b", "a"])
    assert probe.reads == [2, 3, 1, 0]
    probe.clear()
    assert list(batch(probe, 2)) == [["a", "b"], ["c", "d"]]
    assert probe.reads == [0, 1, 2, 3]


def test_looking_is_not_recorded() -> None:
    probe = Probe([3, 1, 2])
    assert (len(probe), bool(probe), probe.peek(), probe.peek(2)) == (3, True, [3, 1, 2], [3, 1])
    assert repr(probe) == "probe([3, 1, 2])"
    assert probe.reads == []


def test_without_end() -> None:
    probe = Probe(lambda i: i * i)
    assert (probe[10**9], list(probe[:3])) == (10**18, [0, 1, 4])
    probe[1] = "one"
    assert probe.peek(3) == [0, "one", 4]
    assert probe[1] == "one"
    assert probe.writes == [1]
    with pytest.raises(TypeError):
        len(probe)
    with pytest.raises(ValueError, match="needs a stop"):
        probe.peek()


def test_assigning_does_not_change_what_it_was_made_of() -> None:
    given = [1, 2]
    probe = Probe(given)
    cycle(probe)[3] = 9
    assert (probe.peek(), given, probe.writes, probe.reads) == ([1, 9], [1, 2], [1], [])


def test_errors() -> None:
    error = OSError("made to fail")
    probe = Probe([1, 2, 3], errors={1: error})
    for _ in range(2):
        with pytest.raises(EvaluationError) as caught:
            smap(abs, probe)[1]
        assert caught.value.__cause__ is error
        assert [(s.stage, s.index) for s in caught.value.path] == [("smap(abs)", 1), ("probe", 1)]
    probe.errors[0] = error
    with pytest.raises(EvaluationError):
        probe[0]
    probe[:2] = [7, 8]
    assert list(probe) == [7, 8, 3]
    assert probe.reads == [1, 1, 0, 0, 1, 2]


def test_forbidden() -> None:
    probe = Probe([1, 2, 3])
    with probe.forbid():
        view = smap(abs, probe)[1:]
        assert len(view) == 2
    assert view[0] == 2
    with pytest.raises(AssertionError, match=r"these items were: \[2\]"), probe.forbid():
        assert next(outcomes(view[1:], 1)).index == 0  # an error, swallowed here
    assert view[1] == 3
    with pytest.raises(ZeroDivisionError), probe.forbid():
        _ = 1 / 0
    assert view[0] == 2


def test_copies_have_a_record_of_their_own() -> None:
    probe = Probe([1, 2], errors={0: OSError("no")})
    probe[1] = 5
    assert probe[1] == 5
    copy = pickle.loads(pickle.dumps(probe))
    assert (copy.peek(), copy.reads, copy.writes) == ([1, 5], [], [])
    with pytest.raises(EvaluationError):
        copy[0]
    copy[1] = 6
    assert (probe.peek(), probe.reads) == ([1, 5], [1])
    endless = Probe(abs)
    endless[3] = 9
    assert pickle.loads(pickle.dumps(endless)).peek(5) == [0, 1, 2, 9, 4]
