"""Who is given what, and who is to blame: without any process."""

from hypothesis import given
from hypothesis import strategies as st

from seqtools.engines.dealing import Block, Dealer, Hand


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
    assert dealer.died(b, began=True) == 12


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


EVENTS = ["add", "first", "cancel", "answer", "die", "refuse"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "first", "cancel", "answer", "die", "refuse"]),
            st.integers(0, 9),
        ),
        max_size=60,
    )
)
def test_every_index_is_answered_dropped_or_to_blame(  # noqa: C901, PLR0912 -- one for each event
    events: list[tuple[str, int]],
) -> None:
    dealer, hands = Dealer(), [Hand(), Hand(), Hand()]
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
