"""Laws of choosing items by lists and masks, of reading many at once, and of `+`."""

from operator import add, getitem, setitem
from typing import Any

from seqtools.testing.subject import Subject, equal, lazy, normal, refused, untouched


def choosing(subject: Subject) -> None:
    """A list or an array of integers, or a mask, chooses items; creating the view reads nothing."""
    import numpy as np

    n = len(subject.items)
    for places in _choices(subject):
        keys: list[Any] = [places, np.array(places, np.int64)]
        mask = np.isin(np.arange(n), places)
        if subject.length == "known" and places == np.flatnonzero(mask).tolist():
            keys.append(mask)
        wanted = [subject.items[i] for i in places]
        for key in keys:
            sequence, probes = subject.make()
            what = f"sequence[{key!r}]"
            chosen = sequence[key]
            lazy(what, chosen)
            equal(f"len({what})", len(chosen), len(wanted))
            untouched(what, probes)
            equal(what, [normal(item) for item in chosen], wanted)
    sequence, _ = subject.make()
    outside = {"known": [n, -n - 1], "unknown": [-1], "endless": [-1]}
    for i in outside[subject.length]:
        for key in ([i], np.array([i])):
            refused(f"sequence[{key!r}]", IndexError, getitem, sequence, key)
    for key in ([True], [0.5], ["0"], np.array([0.5]), np.zeros((1, 1), int)):
        refused(f"sequence[{key!r}]", TypeError, getitem, sequence, key)


def many_at_once(subject: Subject) -> None:
    """`__getitems__` returns a list of the items at some indices."""
    for places in _choices(subject):
        sequence, _ = subject.make()
        items = sequence.__getitems__(places)
        equal("type of what __getitems__ returns", type(items), list)
        wanted = [subject.items[i] for i in places]
        equal(f"__getitems__({places})", [normal(item) for item in items], wanted)


def adding(subject: Subject) -> None:
    """`+` puts another sequence after this one, and reads nothing."""
    sequence, probes = subject.make()
    for other in (1, None):
        refused(f"sequence + {other}", TypeError, add, sequence, other)
    refused("[None] + sequence", TypeError, add, [None], sequence)
    if subject.length != "known":
        refused("sequence + [None]", ValueError, add, sequence, [None])
        return
    joined = sequence + [None]  # noqa: RUF005 -- a sequence is no list
    lazy("sequence + [None]", joined)
    untouched("sequence + [None]", probes)
    equal("sequence + [None]", subject.read(joined[:-1]), subject.items)
    equal("the last item of sequence + [None]", joined[-1], None)
    twice, _ = subject.make()
    equal("sequence + sequence", [normal(item) for item in twice + twice], subject.items * 2)


def assigning_to_chosen(subject: Subject) -> None:
    """Values that are assigned to a list of indices are those of the items there."""
    if subject.assigned is None or not subject.items:
        return
    fresh = subject.oracle(subject.probes(subject.assigned))
    places = list(range(0, len(subject.items), 2))
    sequence, probes = subject.make()
    wrong = [None] * (len(places) + 1)
    refused("sequence[list] = too many values", ValueError, setitem, sequence, places, wrong)
    equal("what that assigned", [probe.writes for probe in probes], [[] for _ in probes])
    twin, others = subject.make()
    sequence[places] = [fresh[i] for i in places]
    for i in places:
        twin[i] = fresh[i]
    equal(f"items after sequence[{places}] = …", subject.read(sequence), subject.read(twin))
    equal(
        f"sources after sequence[{places}] = …",
        [probe.writes for probe in probes],
        [other.writes for other in others],
    )


def _choices(subject: Subject) -> list[list[int]]:
    """Return lists of indices: in no order, repeated, ascending, none, and from the end."""
    n = len(subject.items)
    if not n:
        return [[]]
    choices = [[], [(5 * i + 3) % n for i in range(n)], [0, n - 1, n - 1], list(range(0, n, 2))]
    return [*choices, [-1, 0, -n]] if subject.length == "known" else choices
