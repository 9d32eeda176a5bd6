"""The conformance suite: a small engine keeps all promises, and each can be seen to be broken."""

import pytest

from seqtools.testing import check_engine, gate, holding, trial
from seqtools.testing.engines import promised
from tests.engines.broken import BROKEN, Broken, Leaving, Small


def test_a_small_engine_keeps_all_promises() -> None:
    check_engine(Small, hooks=True, end_hooks=True)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: getattr(broken.make, "__name__", ""))
def test_a_broken_promise_is_told(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((gate, "LIMIT"), (trial, "LIMIT"), (holding, "GRACE")):
        monkeypatch.setattr(module, name, 1.5)
    try:
        with pytest.raises(AssertionError, match=broken.told) as caught:
            check_engine(broken.make, only=[broken.promise], **broken.flags)
    finally:
        for event in Leaving.left:
            event.set()
    assert str(caught.value).startswith(f"promise '{broken.promise}': ")


def test_each_promise_is_broken_by_some_engine() -> None:
    every = promised(hooks=True, end_hooks=True, timeouts=True, deaths=True)
    assert every.keys() == {b.promise for b in BROKEN}


def test_promises_are_chosen_by_names_that_exist() -> None:
    with pytest.raises(ValueError, match="'all is well'"):
        check_engine(Small, only=["all is well"])
