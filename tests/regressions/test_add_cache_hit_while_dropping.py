"""An item of a cache may be read by one thread while another decides what to drop."""

from seqtools.combinators.cache import _Recent


class Reader(int):
    """A key that, compared with another, has the first item read: as another thread may do."""

    store: _Recent

    def __ne__(self, other: object) -> bool:
        self.store.get(0)
        return int(self) != other

    __hash__ = int.__hash__


def test_a_hit_while_another_thread_looks_for_what_to_drop() -> None:
    Reader.store = store = _Recent(3)
    for key in range(3):
        store.put(key, str(key))
    store.put(Reader(3), "3")
    kept = [key for key in range(4) if store.get(key) == str(key)]
    assert len(kept) == 3
    assert 3 in kept
