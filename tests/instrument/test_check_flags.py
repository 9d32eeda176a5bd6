"""A check names flags of other modules that workers do not have."""

import decimal
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.instrument import check


@pytest.fixture
def flags() -> Iterator[None]:
    """Set flags of modules, as a program does."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 4321)
    try:
        with np.errstate(over="raise"), decimal.localcontext() as context:
            context.prec = 50
            context.traps[decimal.Inexact] = True
            yield
    finally:
        sys.setrecursionlimit(limit)


def checked(method: str = "process", start_method: str = "template", **options: Any) -> Any:
    source = seqtools.smap(lambda x: (np.float32(x), decimal.Decimal(x)), range(4))
    options["start_method"] = start_method
    return check(seqtools.prefetch(source, 1, method, **options), timeout=60)


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_flags_that_workers_do_not_have(start_method: str) -> None:
    limit = sys.getrecursionlimit()
    found = {
        each.what.partition(" is set")[0]: each.what for each in checked("process", start_method)
    }
    assert found.keys() == {
        f"sys.setrecursionlimit({limit})",
        "decimal.getcontext().prec = 50; decimal.getcontext().traps[decimal.Inexact] = True",
        "np.seterr(over='raise')",
    }
    assert found["np.seterr(over='raise')"].endswith("which have np.seterr(over='warn')")


@pytest.mark.usefixtures("flags")
def test_flags_that_workers_have() -> None:
    assert checked(start_method="fork") == []
    assert checked("thread", start_method="fork") == []
    limit = sys.getrecursionlimit()

    def hook() -> None:
        np.seterr(over="raise")
        sys.setrecursionlimit(limit)
        decimal.getcontext().prec = 50
        decimal.getcontext().traps[decimal.Inexact] = True

    assert checked(start_hook=hook) == []


def test_flags_of_modules_that_items_do_not_use() -> None:
    with decimal.localcontext() as context:
        context.prec = 50
        source = seqtools.smap(abs, range(4))
        assert check(seqtools.prefetch(source, 1, "process", start_method="spawn")) == []


def test_warnings_that_are_errors() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=RuntimeWarning)
        assert checked() == []  # they are sent
        with ProcessPoolExecutor(1) as executor:
            found = check(seqtools.prefetch(seqtools.smap(abs, range(4)), 1, executor))
    what = "warnings are errors in this process, and not in a cluster: RuntimeWarning"
    assert what in [each.what for each in found]
