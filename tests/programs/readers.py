"""How the items of a pipeline are read: functions of a prefetch `p` and of who sees (`see`)."""

from textwrap import dedent, indent
from typing import NamedTuple


class Reader(NamedTuple):
    """Source text of its body, and what about it can depend on the engine."""

    text: str
    tags: str = "rereads partial"

    @property
    def body(self) -> str:
        return indent(dedent(self.text).strip("\n"), "    ")


READERS: dict[str, Reader] = {
    "all": Reader(
        """
        for x in see.each(p):
            pass
        """,
        "",
    ),
    "keep": Reader(
        """
        kept = [x for x in see.each(p)]
        see.again(kept)
        """,
        "keeps",
    ),
    "change": Reader(
        """
        for x in see.each(p):
            spoil(x)
        """,
        "spoils",
    ),
    "change and keep": Reader(
        """
        kept = []
        for x in see.each(p):
            spoil(x)
            kept.append(x)
        see.again(kept)
        """,
        "spoils keeps",
    ),
    "change some and keep": Reader(
        """
        kept = []
        for x in see.each(p):
            if len(see.entries) % 2:
                spoil(x)
            kept.append(x)
        see.again(kept)
        """,
        "spoils keeps",
    ),
    "drop": Reader(
        """
        for x in see.each(p):
            del x
            gc.collect(0)
        """,
        "",
    ),
    "slowly": Reader(
        """
        for x in see.each(p):
            time.sleep(0.002)
        """,
        "",
    ),
    "close and look": Reader(
        """
        kept = [x for x in see.each(p)]
        p.close()
        see.again(kept)
        """,
        "keeps",
    ),
    "by index": Reader(
        """
        for i in range(len(p)):
            see.at(p, i)
        """,
    ),
    "any order": Reader(
        """
        for i in range(0, 3 * len(p), 2):
            see.at(p, (i * 7) % len(p))
        """,
    ),
    "from the end": Reader(
        """
        for i in range(len(p)):
            see.at(p, -1 - i)
        """,
    ),
    "reversed": Reader(
        """
        for x in see.each(reversed(p)):
            pass
        """,
        "rereads",
    ),
    "slices": Reader(
        """
        for x in see.each(p[1::2]):
            pass
        for x in see.each(p[:-2]):
            pass
        for x in see.each(p[::-1][:3]):
            pass
        """,
    ),
    "twice": Reader(
        """
        for _ in range(2):
            for x in see.each(p):
                pass
        """,
    ),
    "two at once": Reader(
        """
        a, b = iter(p), iter(p[::-1])
        for _ in range(len(p)):
            see.next(a)
            see.next(b)
        """,
    ),
    "two at once, change": Reader(
        """
        a, b = iter(p), iter(p)
        for _ in range(len(p)):
            spoil(see.next(a))
            see.next(b)
        """,
        "rereads partial spoils overlaps",
    ),
    "stop and go on": Reader(
        """
        items = iter(p)
        for _ in range(len(p) // 2):
            see.next(items)
        for x in see.each(p):
            pass
        for x in see.each(items):
            pass
        """,
    ),
    "stop early": Reader(
        """
        items = iter(p)
        for _ in range(3):
            see.next(items)
        del items
        """,
    ),
    "refresh": Reader(
        """
        items = iter(p)
        for _ in range(3):
            see.next(items)
        p.refresh()
        for x in see.each(items):
            pass
        """,
    ),
    "close and go on": Reader(
        """
        items = iter(p)
        for _ in range(3):
            see.next(items)
        p.close()
        for x in see.each(items):
            pass
        """,
    ),
    "over a stage": Reader(
        """
        for x in see.each(seqtools.batch(p, 3)):
            pass
        """,
        "composes",
    ),
    "over stages": Reader(
        """
        for x in see.each(seqtools.gather(seqtools.smap(pair, p, range(len(p))), range(len(p)))):
            pass
        """,
    ),
    "over a cache": Reader(
        """
        kept = seqtools.add_cache(p, 2)
        for i in range(len(p)):
            see.at(kept, i)
            see.at(kept, i)
        """,
        "rereads partial keeps",
    ),
    "change by index": Reader(
        """
        for i in (0, 1, 0, 2, 1):
            if i < len(p):
                spoil(see.at(p, i))
        """,
        "spoils rereads partial",
    ),
    "in two threads": Reader(
        """
        def part(key):
            return [see.quietly(p, i) for i in range(len(p))[key]]
        with ThreadPoolExecutor(2) as pool:
            for told in pool.map(part, [slice(0, None, 2), slice(1, None, 2)]):
                see.tell(told)
        """,
    ),
    "with an error between": Reader(
        """
        items = iter(p)
        see.next(items)
        see.at(p, len(p))
        for x in see.each(items):
            pass
        """,
    ),
    "errors as they are": Reader(
        """
        before = seqtools.seterr("passthrough")
        try:
            for x in see.each(p):
                pass
        finally:
            seqtools.seterr(before)
        """,
        "",
    ),
    "len and in": Reader(
        """
        see.tell([str(len(p)), str(bool(p))])
        for x in see.each(p):
            pass
        """,
        "",
    ),
}
"""All readers, by their names."""
