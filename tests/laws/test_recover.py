"""Items that are read again, or replaced by a value, if they fail."""

import signal
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, batch, prefetch, recover, retry, smap
from seqtools._core.errors import EndOfSequence, TooManyBadItems, WorkerStartError
from seqtools._core.traits import Traits
from seqtools.combinators.recover import Recover
from seqtools.testing import Probe, check_laws


def odd_fails(x: int) -> int:
    if x % 2:
        message = f"{x} is odd"
        raise ValueError(message)
    return x


class Flaky:
    """Fails as often as `failures` says before it returns its argument."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.left, self.calls = failures, 0
        self.error = error or OSError("try again")

    def __call__(self, x: int) -> int:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return x


class TestRetry:
    @pytest.mark.parametrize("failures", [0, 1, 2])
    def test_item_after_failures(self, failures: int) -> None:
        load = Flaky(failures)
        assert retry(smap(load, [7]), 3)[0] == 7
        assert load.calls == failures + 1

    def test_last_error_names_item_stage_and_attempts(self) -> None:
        load = Flaky(100)
        items = retry(smap(load, range(10)), 3)
        for _ in range(2):
            with pytest.raises(EvaluationError) as caught:
                items[4]
            steps = [(step.stage, step.index) for step in caught.value.path]
            assert steps == [("retry", 4), ("smap(Flaky)", 4)]
            assert caught.value.__cause__ is load.error
            assert load.error.__notes__ == ["all 3 attempts of retry() failed"]
        assert load.calls == 6

    def test_one_attempt(self) -> None:
        load = Flaky(1)
        with pytest.raises(EvaluationError):
            retry(smap(load, [7]), 1)[0]
        assert load.calls == 1

    def test_other_errors_are_not_caught(self) -> None:
        load = Flaky(1, KeyError("missing"))
        with pytest.raises(EvaluationError):
            retry(smap(load, [7]), 3, on=(OSError, ValueError))[0]
        assert load.calls == 1

    def test_wait_is_doubled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []
        monkeypatch.setattr("seqtools.combinators.recover.time.sleep", waited.append)
        assert retry(smap(Flaky(3), [7]), 4, wait=0.5)[0] == 7
        assert waited == [0.5, 1.0, 2.0]

    def test_wait_is_a_function_of_the_failed_attempts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[float] = []
        monkeypatch.setattr("seqtools.combinators.recover.time.sleep", waited.append)
        assert retry(smap(Flaky(2), [7]), 3, wait=lambda failed: 10 * failed)[0] == 7
        assert waited == [10, 20]

    def test_what_wait_returns_is_checked(self) -> None:
        with pytest.raises(EvaluationError, match="what wait returns for 1 must be a finite num"):
            retry(smap(Flaky(1), [7]), 2, wait=lambda _: -1.0)[0]

    def test_wait_may_be_a_number_of_numpy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []
        monkeypatch.setattr("seqtools.combinators.recover.time.sleep", waited.append)
        assert retry(smap(Flaky(1), [7]), 2, wait=np.int64(1))[0] == 7  # type: ignore[arg-type]
        assert retry(smap(Flaky(1), [7]), 2, wait=lambda _: np.float32(2))[0] == 7  # type: ignore[arg-type, return-value]
        assert waited == [1.0, 2.0]

    def test_wait_can_be_interrupted(self) -> None:
        def load(_: int) -> int:
            signal.raise_signal(signal.SIGALRM) if armed else None
            raise OSError

        def interrupt(*_: object) -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            signal.signal(signal.SIGALRM, signal.default_int_handler)

        armed = True
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                retry(smap(load, [7]), 2, wait=10_000)[0]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_batch(self) -> None:
        load = Flaky(2)  # the bulk read, and the first attempt
        assert list(batch(retry(smap(load, range(4)), 2), 4)) == [[0, 1, 2, 3]]

    def test_bulk_read_is_one_call(self) -> None:
        class Rows:
            calls = 0

            def __len__(self) -> int:
                return 4

            def __getitem__(self, i: int) -> int:
                return i

            def __getitems__(self, indices: list[int]) -> list[int]:
                self.calls += 1
                return list(indices)

        rows = Rows()
        assert retry(rows, 2)._get_many(range(4)) == [0, 1, 2, 3]
        assert rows.calls == 1

    @pytest.mark.parametrize(
        ("make", "error", "match"),
        [
            (lambda: retry([1], 0), ValueError, "attempts must be at least 1, got 0"),
            (lambda: retry([1], 2, wait=-1), ValueError, "wait must be a finite number"),
            (lambda: retry([1], 2, wait="1"), TypeError, "wait must be a number of seconds"),
            (lambda: retry([1], 2, on=3), TypeError, "on must be a class of exceptions"),
            (lambda: retry([1], 2, on=()), TypeError, "on must be a class of exceptions"),
            (lambda: retry([1], 2, on=int), TypeError, "on must be a class of exceptions"),
            (lambda: retry(3, 2), TypeError, "sequence must be"),
            (lambda: recover([1]), TypeError, "default= or handler=, got neither"),
            (
                lambda: recover([1], default=1, handler=print),
                TypeError,
                "default= or handler=, got both",
            ),
            (lambda: recover([1], handler=3), TypeError, "handler must be a function"),
        ],
        ids=map(str, range(10)),
    )
    def test_arguments(self, make: Callable[[], Any], error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            make()

    def test_repr(self) -> None:
        assert repr(retry([1], 3)).startswith("retry(3) ")
        shown = repr(retry([1], 3, wait=0.5, on=OSError))
        assert shown.startswith("retry(3, wait=0.5, on=OSError) ")
        shown = repr(recover([1], default=None, on=(OSError, KeyError)))
        assert shown.startswith("recover(default=None, on=(OSError, KeyError)) ")


class TestRecover:
    def test_default(self) -> None:
        items = recover(smap(odd_fails, range(5)), default=-1)
        assert list(items) == [0, -1, 2, -1, 4]
        assert list(batch(items, 5)) == [[0, -1, 2, -1, 4]]

    def test_default_none(self) -> None:
        assert list(recover(smap(odd_fails, range(3)), default=None)) == [0, None, 2]

    def test_handler_gets_the_original_error(self) -> None:
        error = ValueError("made to fail")
        source = Probe([1, 2], errors={1: error})
        assert recover(source, handler=lambda *given: given)[1] == (error, 1)

    def test_error_of_the_handler(self) -> None:
        items = recover(smap(odd_fails, range(3)), handler=lambda _, i: 1 / (i - i))
        with pytest.raises(EvaluationError) as caught:
            items[1]
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert caught.value.path[0].stage == "recover(<lambda>)"

    @pytest.mark.parametrize(
        "error",
        [
            KeyboardInterrupt(),
            SystemExit(1),
            GeneratorExit(),
            BaseExceptionGroup("several", [KeyboardInterrupt()]),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_exits_are_never_caught(self, error: BaseException) -> None:
        items = recover(Probe([1], errors={0: error}), default=0, on=BaseException)
        with pytest.raises(type(error)):
            items[0]

    @pytest.mark.parametrize(
        "error", [EndOfSequence(), WorkerStartError("none"), TooManyBadItems("11 of 12")]
    )
    def test_errors_of_no_item_are_never_caught(self, error: Exception) -> None:
        items = recover(Probe([1], errors={0: error}), default=0)
        with pytest.raises(type(error)):
            items._get(0)

    def test_end_of_an_iterable(self) -> None:
        items = recover(seqtools.uniter(iter("abc")), default=0)
        assert list(items) == ["a", "b", "c"]

    def test_state_goes_on_after_it_was_added(self) -> None:
        source = smap(odd_fails, range(5))
        iterator = iter(source)
        assert next(iterator) == 0
        state = iterator.state_dict()
        repaired = iter(recover(retry(source, 2), default=-1))
        repaired.load_state_dict(state)
        assert list(repaired) == [-1, 2, -1, 4]

    def test_random_numbers_are_those_without_it(self) -> None:
        def draw(x: int, rng: Any) -> float:
            return x + float(rng.random())

        source = list(range(6))
        plain = smap(draw, source[2:], rng=7)
        assert list(smap(draw, recover(retry(source[2:], 2), default=0), rng=7)) == list(plain)


METHODS = [("thread", 2), ("process", 2), ("thread", 0)]


@pytest.mark.parametrize(("method", "nworkers"), METHODS)
def test_in_workers(method: str, nworkers: int) -> None:
    items = recover(retry(smap(odd_fails, range(20)), 2), default=None)
    expected = [None if x % 2 else x for x in range(20)]
    with prefetch(items, nworkers, method) as ready:
        assert list(ready) == expected
    with prefetch(batch(items, 5), nworkers, method) as ready:
        assert [*chain.from_iterable(ready)] == expected


@pytest.mark.parametrize(("method", "nworkers"), METHODS)
def test_after_a_prefetch(method: str, nworkers: int) -> None:
    with prefetch(smap(odd_fails, range(20)), nworkers, method) as ready:
        items = recover(ready, handler=lambda error, i: (type(error), i), on=ValueError)
        expected = [(ValueError, x) if x % 2 else x for x in range(20)]
        assert list(items) == expected
        assert [items[i] for i in range(20)] == expected


def test_failures_do_not_change_what_other_items_draw_from_a_seed() -> None:
    """A bulk read that fails would have drawn random numbers."""

    def draw(x: int) -> float:
        import random

        return x + random.random()

    drawn = smap(draw, range(8))
    some = recover(smap(lambda x: x if int(x) % 4 != 2 else odd_fails(1), drawn), default=None)
    with prefetch(batch(drawn, 4), 2, "process", seed=3) as ready:
        expected = [None if int(x) % 4 == 2 else x for x in [*chain.from_iterable(ready)]]
    with prefetch(batch(some, 4), 2, "process", seed=3) as ready:
        assert [*chain.from_iterable(ready)] == expected


class Silent(Recover[Any]):
    """Catches errors, and does not say so."""

    _traits = Traits(elementwise=True)

    def _rebuild(self, *sources: Any) -> "Silent":
        return Silent(sources[0], self._default, self._handler, self._on)


@pytest.mark.parametrize("kind", [Silent, Recover])
def test_the_laws_let_errors_be_caught_only_by_a_stage_that_says_so(kind: type[Any]) -> None:
    def check() -> None:
        check_laws(
            lambda source: kind(source, None, None, (Exception,)), list, assigned=[(5, 6, 7, 8, 9)]
        )

    if kind is Recover:
        check()
        return
    with pytest.raises(AssertionError, match="law 'errors'"):
        check()
