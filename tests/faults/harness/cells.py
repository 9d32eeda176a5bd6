"""What is tried: which faults, in which engine, over which items."""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from tests.faults.harness.payloads import PAYLOADS

START = ("worker-started", "worker-hooked", "worker-loaded")
SLOTS = ("slot-taken", "slot-half")
ITEM = ("item-begun", "item-done")
SEND = ("pickled", *SLOTS, "sending", "header-sent", "half-sent", "sent")
WORK = ("idle", "task-read", *ITEM, *SEND)
LOADED = ("template-started", "template-loaded")
ASKED = ("template-asked", "template-forked")
AT_ITEM = (*ITEM, "pickled", "slot-half")
"""Points at which a worker has certainly begun what it is charged with.

Not what comes behind the head of a message: that a worker is ready is said by a head alone."""

KILLS = ("SIGKILL", "segfault", "exit")
MORE_KILLS = ("SIGABRT", "SIGTERM")
TIMEOUT = 1.0
"""Seconds that an item may take where workers are stopped."""

ENGINES: dict[str, dict[str, Any]] = {
    "template": {},
    "spawn": {"start_method": "spawn"},
    "fork": {"start_method": "fork"},
    "template-unordered": {"ordered": False},
    "fork-unordered": {"start_method": "fork", "ordered": False},
    "template-1": {"nworkers": 1},
    "template-4": {"nworkers": 4},
    "fork-4": {"start_method": "fork", "nworkers": 4},
    "template-timeout": {"timeout": TIMEOUT},
    "spawn-timeout": {"start_method": "spawn", "timeout": TIMEOUT},
    "fork-timeout": {"start_method": "fork", "timeout": TIMEOUT},
}
"""What to give `prefetch` for each."""


class Cell(NamedTuple):
    """A run of a pipeline with faults of one sort."""

    name: str
    engine: str
    payload: str
    plan: str
    """As in `SEQTOOLS_FAULTS`."""
    n: int
    """Items to read."""
    act: str = ""
    """What is done from outside, every `every` items, or what the items do."""
    every: int = 0
    reader: str = ""
    """`slow` for one who is often away."""

    @property
    def options(self) -> dict[str, Any]:
        """What to give `prefetch`."""
        cached = PAYLOADS[self.payload].cached
        if self.engine.endswith("unordered"):
            # blocks of one item: others go on while what was lost waits to be tried again
            cached = 4
        return {"nworkers": 2, "max_cached": cached, "method": "process"} | ENGINES[self.engine]

    @property
    def struck(self) -> Sequence[int]:
        """The items that kill the worker that evaluates them."""
        own = self.act.startswith(("deadly", "orphan"))
        return range(self.every // 2, self.n, self.every) if own else ()

    @property
    def hopeless(self) -> bool:
        """Whether no worker can start."""
        return self.act in {"hook:raises", "hook:exits", "hook:dies"}


def sort_of(point: str, kind: str) -> str:
    """Return what a fault does: to a process, to an item, or to the start of workers."""
    if kind in {"SIGSTOP", "hang"}:
        return "stop"
    if kind == "EAGAIN" or (kind == "raise" and point in {*START, *LOADED}):
        return "unable"
    if kind == "raise" and point in ITEM:
        return "raised"
    if kind == "raise" and point in {"pickled", *SLOTS}:
        return "not sent"
    return "death"


def cell(name: str, seed: int, most: int = 9) -> Cell:
    """Return the cell of this name.

    Args:
        name: Engine, payload, point and kind of the fault, parted by slashes.
        seed: Varies when the faults are.
        most: Faults in a run, at most.

    Raises:
        ValueError: If it is not the name of a cell.
    """
    engine, payload, point, kind = (*name.split("/"), "", "", "")[:4]
    if engine not in ENGINES or payload not in PAYLOADS or not kind:
        message = f"a cell is engine/payload/point/kind, got {name!r}"
        raise ValueError(message)
    make = _at_start if point in (*START, *LOADED, *ASKED) else _at_work if point in WORK else _act
    rng = random.Random(f"{seed} {name}")
    return make(Cell(name, engine, payload, "", 0), point, kind, rng, most)


def _times(first: int, gaps: Sequence[int]) -> list[int]:
    times = [first]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


def _entry(point: str, kind: str, times: Sequence[int]) -> str:
    return f"{point}:{kind}:{','.join(map(str, times))}"


def _faults(blank: Cell, most: int, *, costly: bool = False) -> int:
    """Return how many faults to have in a run: an interpreter takes 0.2 s to start."""
    engine, most = blank.engine, min(most, PAYLOADS[blank.payload].faults)
    if engine.startswith("spawn"):
        return min(most, 2 if costly else 3)
    if engine.endswith("-timeout"):
        return min(most, 2)
    return min(most, 4) if costly and not engine.startswith("fork") else most


def _at_work(blank: Cell, point: str, kind: str, rng: Any, most: int) -> Cell:
    kinds = PAYLOADS[blank.payload]
    faults = _faults(blank, most)
    gap = kinds.gap
    if point not in ITEM:  # counted once for a message, or for a few
        gap = 2 * kinds.message + 16
    times = _times(rng.randint(1, 4), [gap + rng.randrange(4) for _ in range(faults - 1)])
    plan = [_entry(point, kind, times)]
    if point != "item-begun":
        plan.append("item-begun:nothing")
    # after a fault, as many messages as there were items in one; the others hold more
    lone = 0 if point in ITEM else kinds.message
    per = 1 if point in ITEM else kinds.message
    n = sum(max(0, b - a - lone) * per + lone for a, b in pairwise([0, *times]))
    return blank._replace(plan=" ".join(plan), n=n + 3 * kinds.cached)


def _at_start(blank: Cell, point: str, kind: str, rng: Any, most: int) -> Cell:
    """Have workers or templates die, so that others are started, some of which die at once."""
    kinds = PAYLOADS[blank.payload]
    workers = blank.options["nworkers"]
    anew = sort_of(point, kind) == "unable"  # the reader is told, and all workers are started anew
    faults = _faults(blank, most, costly=anew or point not in START)
    gap = kinds.gap
    if point not in START and not anew:
        # The reader starts anew, and no death does: what a worker held that has died would be
        # held again by one that ends with the template, and be blamed.
        times = [1 + k * (2 if point in LOADED else workers + 1) for k in range(faults)]
        plan = f"{_entry(point, kind, times)} item-begun:nothing"
        return blank._replace(plan=plan, n=gap * (faults + 1), act="renewed:", every=gap)
    drivers = _times(rng.randint(3, 9), [gap + rng.randrange(4) for _ in range(faults - 1)])
    if point in LOADED:
        times = list(range(1, faults + 1))
    elif anew:
        times = [(workers + 1) * (k + 1) for k in range(faults)]
    else:
        times = _times(1, [workers + 1, *[2] * (faults - 1)])
    plan = f"{_entry('item-begun', 'SIGKILL', drivers)} {_entry(point, kind, times)}"
    return blank._replace(plan=plan, n=drivers[-1] + gap + 2 * kinds.cached)


def _act(blank: Cell, point: str, kind: str, rng: Any, most: int) -> Cell:
    kinds = PAYLOADS[blank.payload]
    every = kinds.gap + rng.randrange(5)
    n = every * (_faults(blank, most, costly=point in {"template", "both"}) + 1)
    act = f"{point}:{kind}"
    reader = "slow" if point == "away" else ""
    plan = "item-begun:nothing"
    return blank._replace(plan=plan, n=n, act=act, every=every, reader=reader)


def names() -> list[str]:
    """Return the names of all cells, those that take long first."""
    found = dict.fromkeys(_names())
    return sorted((name for name in found if _makes_sense(*name.split("/"))), key=_quickness)


def _quickness(name: str) -> tuple[bool, ...]:
    engine = name.split("/", maxsplit=1)[0]
    slow = (engine.endswith("timeout"), engine == "spawn", engine.startswith("template"))
    return tuple(not each for each in slow)


def _makes_sense(engine: str, payload: str, point: str, kind: str) -> bool:
    del kind
    spawned = engine.startswith("spawn")
    if engine.startswith("fork") and payload == "instances":
        return False  # what is sent by value has no number there
    if point in SLOTS:
        return PAYLOADS[payload].slots and not spawned
    if point in LOADED:
        return engine.startswith("template")
    return point not in (*ASKED, "template", "both") or not spawned


def _names() -> Iterator[str]:
    payloads = list(PAYLOADS)
    # each point with each payload, and each kind of death with some
    for engine, points in (
        ("template", (*LOADED, *ASKED, *START, *WORK)),
        ("fork", (*ASKED, *START, *WORK)),
        ("spawn", (*START, *WORK)),
    ):
        few = {"template": 3, "fork": 3, "spawn": 1}[engine]
        for p, point in enumerate(points):
            usable = [x for x in payloads if point not in SLOTS or PAYLOADS[x].slots]
            for k, kind in enumerate(KILLS):
                many = few if k == 0 else -(-few // 3)
                for turn in range(min(many, len(usable))):
                    yield f"{engine}/{usable[(p + k + turn) % len(usable)]}/{point}/{kind}"
            if engine != "spawn":
                kind = MORE_KILLS[p % 2]
                yield f"{engine}/{usable[p % len(usable)]}/{point}/{kind}"
    yield from _more_engines(payloads)
    yield from _not_deadly()
    yield from _outside(payloads)


def _more_engines(payloads: Sequence[str]) -> Iterator[str]:
    for p, point in enumerate(AT_ITEM):
        for k, engine in enumerate(("template-unordered", "fork-unordered")):
            for turn, payload in enumerate(("arrays", "large", "collated")):
                if point not in SLOTS or PAYLOADS[payload].slots:
                    yield f"{engine}/{payload}/{point}/{KILLS[(p + k + turn) % 3]}"
    for p, point in enumerate((*START, *WORK)):
        for k, engine in enumerate(("template-1", "template-4", "fork-4")):
            payload = "large" if point in SLOTS else payloads[(p + 2 * k) % 7]
            yield f"{engine}/{payload}/{point}/{KILLS[(p + k) % 3]}"


def _not_deadly() -> Iterator[str]:
    # stopped or hanging, with a timeout
    for engine in ("template-timeout", "fork-timeout", "spawn-timeout"):
        for point, kind in (
            ("task-read", "SIGSTOP"),
            ("item-begun", "SIGSTOP"),
            ("item-done", "hang"),
            ("pickled", "SIGSTOP"),
            ("half-sent", "SIGSTOP"),
            ("header-sent", "hang"),
        ):
            yield f"{engine}/numbers/{point}/{kind}"
    for payload in ("arrays", "collated", "cached", "blocks"):
        yield f"template-timeout/{payload}/half-sent/SIGSTOP"
        yield f"template-timeout/{payload}/item-begun/hang"
    # an error in place of a death: of user code, or of ours
    for engine in ("template", "fork", "spawn"):
        for point in (*ITEM, "pickled", "task-read", "sending", "half-sent", "worker-loaded"):
            yield f"{engine}/instances/{point}/raise"
        yield f"{engine}/cached/item-begun/raise"
        yield f"{engine}/numbers/worker-hooked/raise"
        yield f"{engine}/numbers/template-asked/EAGAIN"
    yield "template/arrays/slot-half/raise"
    yield "template/numbers/template-loaded/raise"


def _outside(payloads: Sequence[str]) -> Iterator[str]:
    """Yield what is done to workers from outside, and what items and start hooks do."""
    for k, engine in enumerate(("template", "fork", "spawn")):
        for turn, kind in enumerate(("SIGKILL", "SIGSEGV", "SIGTERM")):
            yield f"{engine}/{payloads[(k + 2 * turn) % 7]}/all/{kind}"
            yield f"{engine}/{payloads[(k + 2 * turn + 1) % 7]}/one/{kind}"
            yield f"{engine}/{payloads[(k + 2 * turn + 2) % 7]}/away/{kind}"
        for turn, kind in enumerate(("SIGKILL", "SIGABRT")):
            yield f"{engine}/{payloads[(k + 2 * turn) % 7]}/template/{kind}"
        yield f"{engine}/numbers/both/SIGKILL"
        yield f"{engine}/arrays/paused/SIGSTOP"
        for kind in ("SIGKILL", "SIGSEGV", "exit"):
            yield f"{engine}/{payloads[(k + len(kind)) % 7]}/deadly/{kind}"
        yield f"{engine}/numbers/orphan/fork"
        yield f"{engine}/arrays/orphan/Popen"
        for kind in ("raises", "exits", "dies", "exits-at-first"):
            yield f"{engine}/numbers/hook/{kind}"
    yield "template-4/arrays/all/SIGKILL"
    yield "fork-4/collated/all/SIGKILL"
