"""An index reaches functions as an `int`, in whatever type it was given."""

import numpy as np
import pytest

from seqtools import smap
from seqtools.instrument import debug


@pytest.mark.parametrize("key", [1, True, np.int8(1), np.uint64(1), np.array(1)], ids=repr)
def test_index(key: object) -> None:
    seen: list[object] = []
    assert debug("abc", lambda i, _: seen.append(i))[key] == "b"  # type: ignore[call-overload]
    assert seen == [1]
    assert type(seen[0]) is int


@pytest.mark.parametrize("key", [1.0, "1", None, (1,), np.float64(1), np.array([1]), [1]], ids=repr)
def test_no_index(key: object) -> None:
    with pytest.raises(TypeError, match="indices must be integers or slices, got "):
        smap(abs, [0, 1])[key]  # type: ignore[call-overload]
