"""How the items of a pipeline are read: functions of a prefetch `p` and of who sees (`see`)."""

from typing import NamedTuple


class Reader(NamedTuple):
    """Source text of its body, and what about it can depend on the engine."""

    body: str
    tags: tuple[str, ...] = ("rereads", "partial")


ALL = "for x in see.each(p):\n    pass"

READERS: dict[str, Reader] = {
    "all": Reader(ALL, ()),
    "keep": Reader("kept = [x for x in see.each(p)]\nsee.again(kept)", ("keeps",)),
    "change": Reader("for x in see.each(p):\n    spoil(x)", ("spoils",)),
    "change and keep": Reader(
        "kept = []\nfor x in see.each(p):\n    spoil(x)\n    kept.append(x)\nsee.again(kept)",
        ("spoils", "keeps"),
    ),
    "change some and keep": Reader(
        "kept = []\nfor x in see.each(p):\n    if len(kept) % 2:\n        spoil(x)\n    kept.append(x)\n"
        "see.again(kept)",
        ("spoils", "keeps"),
    ),
    "drop": Reader("for x in see.each(p):\n    del x\n    gc.collect(0)", ()),
    "slowly": Reader("for x in see.each(p):\n    time.sleep(0.002)", ()),
    "close and look": Reader("kept = [x for x in see.each(p)]\np.close()\nsee.again(kept)", ("keeps",)),
    "by index": Reader("for i in range(len(p)):\n    see.at(p, i)"),
    "any order": Reader("for i in range(0, 3 * len(p), 2):\n    see.at(p, (i * 7) % len(p))"),
    "from the end": Reader("for i in range(len(p)):\n    see.at(p, -1 - i)"),
    "reversed": Reader("for x in see.each(reversed(p)):\n    pass", ("rereads",)),
    "slices": Reader(
        "for x in see.each(p[1::2]):\n    pass\nfor x in see.each(p[:-2]):\n    pass\n"
        "for x in see.each(p[::-1][:3]):\n    pass"
    ),
    "twice": Reader("for _ in range(2):\n    for x in see.each(p):\n        pass"),
    "two at once": Reader(
        "a, b = iter(p), iter(p[::-1])\nfor _ in range(len(p)):\n    see.next(a)\n    see.next(b)"
    ),
    "two at once, change": Reader(
        "a, b = iter(p), iter(p)\nfor _ in range(len(p)):\n    spoil(see.next(a))\n    see.next(b)",
        ("rereads", "partial", "spoils", "overlaps"),
    ),
    "stop and go on": Reader(
        "items = iter(p)\nfor _ in range(len(p) // 2):\n    see.next(items)\nfor x in see.each(p):\n    pass\n"
        "for x in see.each(items):\n    pass"
    ),
    "stop early": Reader("items = iter(p)\nfor _ in range(3):\n    see.next(items)\ndel items"),
    "refresh": Reader(
        "items = iter(p)\nfor _ in range(3):\n    see.next(items)\np.refresh()\nfor x in see.each(items):\n    pass"
    ),
    "close and go on": Reader(
        "items = iter(p)\nfor _ in range(3):\n    see.next(items)\np.close()\nfor x in see.each(items):\n    pass"
    ),
    "over a stage": Reader("for x in see.each(seqtools.batch(p, 3)):\n    pass", ()),
    "over stages": Reader(
        "for x in see.each(seqtools.gather(seqtools.smap(pair, p, range(len(p))), range(len(p)))):\n    pass"
    ),
    "over a cache": Reader(
        "kept = seqtools.add_cache(p, 2)\nfor i in range(len(p)):\n    see.at(kept, i)\n    see.at(kept, i)",
        ("rereads", "partial", "keeps"),
    ),
    "change by index": Reader(
        "for i in (0, 1, 0, 2, 1):\n    if i < len(p):\n        spoil(see.at(p, i))", ("spoils", "rereads", "partial")
    ),
    "in two threads": Reader(
        "def part(key):\n    return [see.quietly(p, i) for i in range(len(p))[key]]\n"
        "with ThreadPoolExecutor(2) as pool:\n    for told in pool.map(part, [slice(0, None, 2), slice(1, None, 2)]):\n"
        "        see.tell(told)"
    ),
    "with an error between": Reader(
        "items = iter(p)\nsee.next(items)\nsee.at(p, len(p))\nfor x in see.each(items):\n    pass"
    ),
    "errors as they are": Reader(
        'before = seqtools.seterr("passthrough")\ntry:\n    for x in see.each(p):\n        pass\n'
        "finally:\n    seqtools.seterr(before)",
        (),
    ),
    "len and in": Reader("see.tell([str(len(p)), str(bool(p))])\nfor x in see.each(p):\n    pass", ()),
}
"""All readers, by their names."""
