"""Nothing may be collected while Python 3.11 lists the frames of all threads: it deadlocked."""

import gc
import sys
from typing import Any

import pytest

import seqtools


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="collects between steps of Python only")
@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_collected_meanwhile(monkeypatch: pytest.MonkeyPatch, enabled: bool) -> None:
    list_frames, collects = sys._current_frames, []

    def listed() -> Any:
        collects.append(gc.isenabled())
        return list_frames()

    iterator: Any = iter(seqtools.smap(abs, range(10)))
    next(iterator)
    monkeypatch.setattr(sys, "_current_frames", listed)
    try:
        if not enabled:
            gc.disable()
        iterator.state_dict()
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
    assert not any(collects)
