"""Who is given what, and who is to blame: without any process."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from seqtools.engines.dealing import Block, Dealer, Hand
from seqtools.engines.grouping import GroupOf


def dealt(dealer: Dealer, *hands: Hand) -> list[list[int]]:
    return [list(block.indices) for _, block in dealer.deal(hands)]


def answer(dealer: Dealer, hand: Hand, seconds: float = 0.0) -> list[int]:
    return list(dealer.answered(hand, len(hand.blocks[0].left()), seconds))


def test_at_first_items_are_dealt_one_by_one() -> None:
    dealer, a, b = Dealer(), Hand(), Hand()
    dealer.add(range(100))
    assert dealt(dealer, a, b)[:4] == [[0], [1], [2], [3]]
    assert dealer.full


def test_blocks_of_cheap_items_double_until_they_take_two_milliseconds() -> None:
    dealer, hand = Dealer(), Hand()
    dealer.add(range(10**6))
    longest = []
    for _ in range(200):
        list(dealer.deal([hand]))
        longest.append(len(hand.blocks[0].indices))
        answer(dealer, hand, 1e-5 * longest[-1])
    assert max(longest) == longest[-1]
    assert 150 < longest[-1] <= 200


def test_expensive_items_are_dealt_two_to_a_worker() -> None:
    dealer, hand = Dealer(), Hand()
    dealer.add(range(100))
    for _ in range(20):
        list(dealer.deal([hand]))
        answer(dealer, hand, 0.5)
    list(dealer.deal([hand]))
    assert [len(block.indices) for block in hand.blocks] == [1, 1]


def test_the_last_items_are_shared_out() -> None:
    dealer, a, b = Dealer(), Hand(), Hand()
    dealer._longest = 1000
    dealer._seconds = 1e-7
    dealer.add(range(8))
    assert [len(block) for block in dealt(dealer, a, b)] == [2, 2, 1, 1]
    answer(dealer, a, 1e-7)  # what is left was kept back until somebody needs it
    answer(dealer, b, 1e-7)
    assert [i for block in dealt(dealer, a, b) for i in block] == [6, 7]


def test_cheap_items_are_not_shared_out_one_by_one() -> None:
    dealer, a, b = Dealer(), Hand(), Hand()
    dealer.add(range(3000))
    while not dealer._longest > 1000:
        assert dealt(dealer, a)
        answer(dealer, a, 1e-6 * len(a.blocks[0].left()))
        dealer.add(range(3000))
    dealer.clear()
    a.blocks.clear()
    dealer.add(range(1000))
    lengths = [len(block) for block in dealt(dealer, a, b)]
    assert sum(lengths) == 1000
    assert min(lengths[:-1]) >= 100


def test_what_is_needed_first_is_dealt_first() -> None:
    dealer, hand = Dealer(), Hand()
    dealer.add(range(5))
    dealer.add([8, 9], first=True)
    assert [i for block in dealt(dealer, hand) for i in block][:3] == [8, 9, 0]


def test_a_death_over_several_items_has_them_evaluated_alone() -> None:
    dealer, a, b = Dealer(), Hand(), Hand()
    a.blocks += [Block(1, range(10, 13), alone=False), Block(2, range(20, 22), alone=False)]
    assert list(dealer.answered(a, 1, 0.0)) == [10]
    assert dealer.died(a, began=True) is None
    assert dealt(dealer, a, b) == [[11], [12]]
    assert a.blocks[0].alone
    assert b.blocks[0].alone
    assert dealt(dealer, a, b) == []  # nothing is dealt behind one that may do harm
    assert answer(dealer, a) == [11]
    assert dealt(dealer, a, b) == [[20], [21]]
    assert dealer.died(b, began=True) is None  # the first death may have been over 11
    b = Hand()
    dealer.add([30])
    while [12] not in (given := dealt(dealer, a, b)):
        assert given
        assert answer(dealer, a)
    assert dealer.died(b if b.blocks else a, began=True) == 12


def test_who_was_not_begun_at_a_first_death_is_not_to_blame_for_a_second() -> None:
    dealer, a = Dealer(), Hand()
    a.blocks.append(Block(1, range(10, 12), alone=False))
    assert dealer.died(a, began=True) is None
    for i in (10, 11):
        a = Hand()
        assert dealt(dealer, a) == [[i]]
        assert dealer.died(a, began=True) is None


def test_a_death_before_the_pipeline_was_loaded_is_nobodys() -> None:
    dealer, a = Dealer(), Hand()
    dealer.add([1, 2])
    for _ in range(3):
        assert dealt(dealer, a) == [[1], [2]]
        assert dealer.died(a, began=False) is None


def test_who_survived_is_not_to_blame_later() -> None:
    dealer, a = Dealer(), Hand()
    dealer.add([1])
    for _ in range(3):
        assert dealt(dealer, a) == [[1]]
        assert dealer.died(a, began=True) is None
        assert dealt(dealer, a) == [[1]]
        assert answer(dealer, a) == [1]
        dealer.add([1])


def tens(i: int) -> tuple[int, range]:
    """Ten indices share something."""
    return i // 10, range(i - i % 10, i - i % 10 + 10)


def work(dealer: Dealer, *hands: Hand) -> list[list[int]]:
    """Return what each worker was given, where all take the same time for an item."""
    given: list[list[int]] = [[] for _ in hands]
    while dealer or any(hand.blocks for hand in hands):
        list(dealer.deal(hands))
        for k, hand in enumerate(hands):
            if hand.blocks:
                given[k] += answer(dealer, hand, 0.01)
    return given


def slow_items(group_of: GroupOf | None = tens, *, hinted: bool = False) -> Dealer:
    dealer = Dealer(group_of, hinted=hinted)
    dealer._seconds = 0.01
    return dealer


def groups_of(indices: list[int]) -> list[int]:
    return [i // 10 for i in indices]


def test_items_that_share_something_are_dealt_to_the_same_worker() -> None:
    dealer, a, b = slow_items(), Hand(), Hand()
    dealer.add(range(80))
    given = work(dealer, a, b)
    assert sorted(given[0] + given[1]) == list(range(80))
    both = set(groups_of(given[0])) & set(groups_of(given[1]))
    assert len(both) <= 2  # those at the end
    assert abs(len(given[0]) - len(given[1])) <= 2


def test_a_permutation_is_dealt_group_by_group() -> None:
    dealer, a = slow_items(), Hand()
    dealer.add([37 * k % 100 for k in range(100)])
    (given,) = work(dealer, a)
    runs = [group for group, _ in groupby(groups_of(given))]
    assert sorted(runs) == list(range(10))


def test_the_last_group_is_shared_out() -> None:
    dealer, a, b = slow_items(), Hand(), Hand()
    dealer.add(range(10))
    assert [len(indices) for indices in work(dealer, a, b)] == [5, 5]


def test_what_is_needed_first_does_not_wait_for_a_group() -> None:
    dealer, a = slow_items(), Hand()
    dealer.add(range(30))
    list(dealer.deal([a]))
    dealer.add([25], first=True)
    answer(dealer, a, 0.01)
    assert dealt(dealer, a) == [[25]]


def test_workers_are_told_of_groups_of_their_own() -> None:
    dealer, a, b = slow_items(), Hand(), Hand()
    dealer.add(range(100))
    told: dict[int, set[int]] = {id(a): set(), id(b): set()}
    for _ in range(15):
        for hand, block in dealer.deal([a, b]):
            told[id(hand)].update(groups_of(list(dealer.ahead(hand, block, 16))))
        for hand in (a, b):
            answer(dealer, hand, 0.01)
    assert not told[id(a)] & told[id(b)]
    assert len(told[id(a)]) > 2


def test_what_workers_read_ahead_is_set_aside_for_them() -> None:
    dealer, a, b = slow_items(None, hinted=True), Hand(), Hand()
    dealer.add(range(100))
    told: dict[int, set[int]] = {id(a): set(), id(b): set()}
    given: dict[int, list[int]] = {id(a): [], id(b): []}
    for _ in range(15):
        for hand, block in dealer.deal([a, b]):
            told[id(hand)].update(dealer.ahead(hand, block, 16))
        for hand in (a, b):
            given[id(hand)] += answer(dealer, hand, 0.01)
    assert not told[id(a)] & told[id(b)]
    assert [len(each) for each in told.values()] == [24, 24]  # 15, another queued, and 8 ahead
    assert given[id(a)] == list(range(0, 30, 2))  # by turns, so that none comes late
    assert given[id(b)] == list(range(1, 30, 2))


def test_what_is_set_aside_for_a_busy_worker_is_taken_by_others() -> None:
    dealer, a, b = slow_items(None, hinted=True), Hand(), Hand()
    dealer.add(range(10))
    list(dealer.deal([a, b]))
    given = []
    while b.blocks:
        given += answer(dealer, b, 0.01)
        list(dealer.deal([a, b]))
    assert given == [1, 3, 5, 7, 9, 8, 6]  # first its own, then from the end
    assert [list(block.indices) for block in a.blocks] == [[0], [2], [4]]


def test_what_was_set_aside_for_who_is_gone_is_dealt_first() -> None:
    dealer, a, b = slow_items(None, hinted=True), Hand(), Hand()
    dealer.add(range(30))
    list(dealer.deal([a, b]))
    for hand in (a, b):
        assert dealer.died(hand, began=False) is None
    dealer.cancel(range(6))  # what these were given
    given = work(dealer, Hand(), Hand())
    assert given == [list(range(6, 30, 2)), list(range(7, 30, 2))]


def test_an_item_that_shares_with_two_groups_ends_all_groups() -> None:
    def group_of(i: int) -> tuple[int | None, range]:
        return (None, range(i, i + 1)) if i == 30 else tens(i)

    dealer, a, b = slow_items(group_of), Hand(), Hand()
    dealer.add(range(31))
    dealer.add(range(90, 31, -10))
    assert dealt(dealer, a) == [[i] for i in range(len(a.blocks))]
    dealer.cancel(range(31))
    for _ in range(len(a.blocks)):
        answer(dealer, a, 0.01)
    dealer.add(range(91, 100))
    assert dealt(dealer, b)[:2] == [[90], [80]]


def test_groups_smaller_than_a_block_are_none() -> None:
    dealer, a, b = Dealer(tens), Hand(), Hand()
    dealer._longest, dealer._seconds = 20, 0.0001
    mixed = [37 * k % 1000 for k in range(1000)]
    dealer.add(mixed)
    assert dealt(dealer, a, b)[:2] == [mixed[:20], mixed[20:40]]


def test_after_items_that_share_nothing_others_are_not_looked_at() -> None:
    asked: list[int] = []

    def group_of(i: int) -> tuple[int, range]:
        asked.append(i)
        return i, range(i, i + 1)

    dealer, a, b = slow_items(group_of), Hand(), Hand()
    for i in range(1000):
        dealer.add([i])
    assert len(asked) < 100
    assert dealt(dealer, a, b)[:4] == [[0], [1], [2], [3]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "first", "cancel", "answer", "die", "refuse"]),
            st.integers(0, 9),
        ),
        max_size=60,
    ),
    st.sampled_from([None, tens, lambda i: (i % 3, range(i, i + 1))]),
    st.booleans(),
)
def test_every_index_is_answered_dropped_or_to_blame(  # noqa: C901, PLR0912 -- one for each event
    events: list[tuple[str, int]], group_of: GroupOf | None, hinted: bool
) -> None:
    dealer, hands = Dealer(group_of, hinted=hinted), [Hand(), Hand(), Hand()]
    due: list[int] = []
    following = 0
    for event, n in events:
        hand = hands[n % 3]
        if event in ("add", "first"):
            indices = range(following, following + n)
            following += n
            due += indices
            dealer.add(indices, first=event == "first")
        elif event == "cancel":
            for i in dealer.cancel(due[:n]):
                due.remove(i)
        elif event == "answer" and hand.blocks:
            for i in answer(dealer, hand, n / 1000):
                due.remove(i)
        elif event == "die":
            culprit = dealer.died(hand, began=n > 2)
            hands[n % 3] = Hand()
            if culprit is not None:
                due.remove(culprit)
        deal = dealer.deal(hands)
        for taker, _ in deal:
            if event == "refuse":
                dealer.refused(taker)
                break
    for _ in range(10 * len(due) + 10):
        list(dealer.deal(hands))
        for hand in hands:
            if hand.blocks:
                for i in answer(dealer, hand):
                    due.remove(i)
    assert due == []
