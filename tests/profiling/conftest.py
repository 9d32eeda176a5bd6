"""What every test of profiles checks: that a profile leaves no files."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtools._core import recording


@pytest.fixture(autouse=True)
def folders(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Have profiles write into a folder that must be empty in the end."""
    place = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert not os.listdir(place)
    assert recording.active == ()
