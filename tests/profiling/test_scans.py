"""Profiles of pipelines that scan."""

from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools.testing import Probe


@pytest.mark.parametrize("nworkers", [0, 2])
def test_a_scan_is_told_and_its_table_is_kept(nworkers: int) -> None:
    source: Any = Probe(range(30))
    odd = seqtools.sfilter(lambda x: x % 2, source)
    pipeline: Any = seqtools.batch(odd, 4)
    if nworkers:
        pipeline = seqtools.prefetch(pipeline, nworkers, "thread")
    with instrument.profile(pipeline) as measured:
        assert [x for items in pipeline for x in items] == list(range(1, 30, 2))
    report = measured.report()
    assert "scan: sfilter(<lambda>) read all items of its source in " in report
    assert "table= keeps what it found" in report
    source.reads.clear()
    assert len(pipeline) == 4  # by the table of the profile
    assert source.reads == []
    with instrument.profile(pipeline) as again:
        assert len(list(pipeline)) == 4
    assert "scan: " not in again.report()
