"""The sources and stages of pipelines, as source text, and how long they are."""

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.programs.values import MUTABLE, VALUES


class Part(NamedTuple):
    """A source, or a stage over `s`."""

    text: str
    """An expression, of the sequence `s` if it is a stage."""
    n: int
    """Number of its items."""
    tags: tuple[str, ...] = ()
    """What about it can depend on the engine: see `expected.py`."""
    before: str = ""
    """Stands at the top of the program."""


def source(rng: random.Random, n: int) -> Part:
    """Return a source of `n` items."""
    kind = rng.choice(MUTABLE)
    value = VALUES[kind]
    data = f"data = [{value} for i in range({n})]"
    choices = [
        *[Part(f"range({n})", n)] * 3,
        Part(f"seqtools.arange({n})", n),
        Part(f"np.arange({n})", n),
        Part(f"list(range({n}))", n),
        Part(f"Dataset({n})", n),
        Part(f"Rows({n})", n),
        Part(f"seqtools.uniter(Again({n}), size={n})", n),
        Part(f"np.arange({3 * n}).reshape({n}, 3)", n, ("persistent",)),
        Part(f"np.ones(({n}, 5000))", n, ("persistent",)),
        Part("data", n, ("persistent",), data),
        Part(f"assigned(list(range({n})))", n, ("persistent",)),
        Part("data", n, ("persistent", "same"), f"i = 1\nvalue = {value}\ndata = [value] * {n}"),
        Part(f"seqtools.repeat(value, {n})", n, ("persistent", "same"), f"i = 1\nvalue = {value}"),
        Part(f"'{'abcdefghij' * 9}'[:{n}]", n),
        Part(f"np.array([(k, k) for k in range({n})], 'i4,f8')", n, ("persistent",)),
    ]
    return rng.choice(choices)


def stage(rng: random.Random, n: int) -> Part:
    """Return a stage over a sequence of `n` items, which is at least 1."""
    return rng.choice(_STAGES)(rng, n)


def _gather(rng: random.Random, n: int) -> Part:
    indexes = [rng.randrange(-n, n) for _ in range(rng.randint(1, 12))]
    form = rng.choice(["{}", "np.array({})", "{}", "tuple({})"])
    text = f"seqtools.gather(s, {form.format(indexes)})"
    return Part(text, len(indexes), ("rereads",))


def _permuted(rng: random.Random, n: int) -> Part:
    return Part(f"seqtools.gather(s, {rng.sample(range(n), n)})", n)


def _slice(rng: random.Random, n: int) -> Part:
    a, b = rng.randint(0, n // 3), rng.randint(n - n // 3, n)
    key = rng.choice([slice(a, b), slice(a, None), slice(None, None, -1), slice(None, None, 2)])
    text = ":".join("" if part is None else str(part) for part in (key.start, key.stop, key.step))
    return Part(f"seqtools.concatenate([s])[{text}]", len(range(n)[key]))


def _cycle(rng: random.Random, n: int) -> Part:
    m = rng.randint(1, min(2 * n, 30))
    return Part(
        rng.choice([f"seqtools.cycle(s, {m})", f"seqtools.cycle(s)[:{m}]"]), m, ("rereads",)
    )


_ARRAYS = ", collate_fn=seqtools.collate_arrays"


def _batch(rng: random.Random, n: int) -> Part:
    k = rng.randint(1, 5)
    more = rng.choice(
        [
            "",
            "",
            ", drop_last=True",
            ", pad=-1",
            ", collate_fn=tuple",
            ", collate_fn=whole",
            _ARRAYS,
        ]
    )
    m = n // k if "drop" in more else -(-n // k)
    return Part(f"seqtools.batch(s, {k}{more})", m)


def _unbatch(rng: random.Random, n: int) -> Part:
    k = rng.randint(1, 4)
    return Part(
        f"seqtools.unbatch(seqtools.batch(s, {k}), {k}, {(n - 1) % k + 1})", n, ("rebatched",)
    )


def _case(rng: random.Random, n: int) -> Part:
    chosen = [rng.randrange(2) for _ in range(n)]
    rest = "seqtools.concatenate([s])[::-1]"
    text = rng.choice(
        [f"seqtools.case({chosen}, s, {rest})", f"seqtools.switch({chosen}, {rest}, s)"]
    )
    return Part(text, n, ("rereads",))


def _cache(rng: random.Random, n: int) -> Part:
    del rng
    return Part("seqtools.add_cache(s, 3)", n, ("cache",))


def _nested(rng: random.Random, n: int) -> Part:
    return Part(f"seqtools.prefetch(s, {rng.randint(1, 2)}, 'thread')", n, ("nested", "threads"))


def _plain(text: str, *tags: str, times: int = 1) -> Callable[[random.Random, int], Part]:
    return lambda _, n: Part(text, n * times, tags)


_STAGES: list[Callable[[random.Random, int], Part]] = [
    _gather,
    _permuted,
    _slice,
    _cycle,
    _batch,
    _batch,
    _unbatch,
    _case,
    _cache,
    _nested,
    _plain("seqtools.interleave(s, s)", "rereads", times=2),
    _plain("seqtools.concatenate([s, s])", "rereads", times=2),
    _plain("seqtools.collate([s, s])", "rereads"),
    _plain('seqtools.collate({"x": s, "y": range(len(s))})'),
    _plain("seqtools.smap(pair, s, seqtools.repeat('r'))"),
    _plain("seqtools.starmap(first, seqtools.collate([s, range(len(s))]))"),
    _plain("seqtools.instrument.debug(s, lambda i, x: None)"),
    _plain("seqtools.add_cache(s, cache={})", "cache"),
    _plain("seqtools.smap(whole, seqtools.split(s, [1]))", "parts"),
]
