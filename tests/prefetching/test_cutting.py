"""How long runs are, and where they end."""

from seqtools.prefetching.cutting import Cutter


def cutter(seconds: float, *, grain: float = 1.0) -> Cutter:
    """Return one that knows how long items take."""
    made = Cutter()
    made.grain = grain
    for _ in range(20):
        made.timed(seconds, 1000)
    return made


def test_a_single_slow_item_does_not_decide() -> None:
    cutting = cutter(1e-3)
    assert cutting.length(1000) == 1000
    cutting.timed(100.0, 1)
    assert cutting.length(1000) > 100


def test_no_run_takes_longer_than_a_grain() -> None:
    cutting = cutter(1e-3)
    for _ in range(20):
        cutting.timed(0.1, 1)
    assert cutting.length(1000) == 10
    assert cutting.length(1000, doublings=5) == 10


def test_runs_become_longer_by_what_arrived_together() -> None:
    cutting = Cutter()
    cutting.grain = 1.0
    lengths = [cutting.length(1000)]
    while lengths[-1] < 1000:
        cutting.timed(1e-4, lengths[-1])
        lengths.append(cutting.length(1000))
    assert lengths == [*(2**k for k in range(10)), 1000]


def test_a_pipeline_without_groups_is_asked_once() -> None:
    cutting, asked = cutter(1e-3), []

    def no_groups(i: int) -> tuple[None, range]:
        asked.append(i)
        return None, range(0)

    for i in range(5):
        cutting.use(no_groups)
        assert cutting.cut(range(i, 100)) == (range(i, 100), None)
    assert asked == [0]


def test_groups_that_are_smaller_than_runs_are_seldom_looked_for() -> None:
    cutting, asked = cutter(1e-3), []

    def pairs(i: int) -> tuple[int, range]:
        asked.append(i)
        return i // 2, range(i, i + 2)

    cutting.use(pairs)
    assert {len(cutting.cut(range(i, i + 100))[0]) for i in range(0, 1000, 100)} == {100}
    assert asked == [0]


def test_groups_are_not_looked_for_where_hardly_any_item_shares_one() -> None:
    cutting, asked = Cutter(), []

    def alone(i: int) -> tuple[int, range]:
        asked.append(i)
        return i, range(i, i + 1)

    cutting.use(alone)
    for i in range(1000):
        assert len(cutting.cut([i])[0]) == 1
    assert len(asked) < 100
