"""An exception that counts as false is still the error that user code raised."""

from typing import NoReturn

import pytest

import seqtools


class Nothing(Exception):  # noqa: N818 -- what it is called does not matter
    def __bool__(self) -> bool:
        return False


def fail(i: int) -> NoReturn:
    raise Nothing(i)


@pytest.mark.parametrize("nworkers", [0, 1])
@pytest.mark.parametrize("cached", [False, True])
def test_it_is_the_cause(nworkers: int, cached: bool) -> None:
    source = seqtools.smap(fail, range(2))
    source = seqtools.add_cache(source) if cached else source
    with seqtools.prefetch(seqtools.gather(source, [1, 0]), nworkers) as p:
        for sequence in (p, seqtools.smap(abs, p)):
            with pytest.raises(seqtools.EvaluationError) as caught:
                sequence[0]
            assert type(caught.value.__cause__) is Nothing
            assert "EvaluationError" not in str(caught.value)


def test_it_is_raised_as_it_is() -> None:
    before = seqtools.seterr("passthrough")
    try:
        with pytest.raises(Nothing):
            seqtools.collate([seqtools.smap(fail, range(2))])[0]
        with (
            seqtools.prefetch(seqtools.smap(fail, range(2)), 1) as p,
            pytest.raises(Nothing),
        ):
            seqtools.smap(abs, p)[1]
    finally:
        seqtools.seterr(before)
