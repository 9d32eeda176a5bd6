"""A program from a seed."""

import random
from typing import Any

from tests.programs.effects import EFFECTS, ERRORS, NO_EXCEPTIONS
from tests.programs.program import AUTO, POOL, Engine, Function, Part, Program
from tests.programs.readers import READERS
from tests.programs.stages import source, stage
from tests.programs.values import MUTABLE, VALUES

MOST = 40
"""Items that a stage may have. Arbitrary: enough for a window to move."""

_WHOLE = ("all", "keep", "drop", "slowly")
"""Readers that do not care for the order."""

_SELDOM = 0.1
_SPAWNED = 0.25
"""Part of the programs that are run by `spawn` or in a pool, which takes longest, in place of a
template."""

_RARE = {"sets-contexts", "sets-modules", "unseeded", "state", "draws-own"}
"""Tags of effects of which little can be said, which are therefore seldom."""
_REFUSED = frozenset(list(VALUES)[list(VALUES).index("generator") :])


def generate(seed: int) -> Program:
    """Return the program of `seed`."""
    rng = random.Random(seed)
    n = rng.randint(4, 24)
    first = source(rng, n)
    stages: list[Part | Function] = []
    at = rng.randint(0, 2)
    functions = rng.choice([1, 1, 2, 2, 3])
    for k in range(rng.randint(functions, functions + 3)):
        if k >= at and functions:
            stages.append(_function(rng))
            functions -= 1
            continue
        part = stage(rng, n)
        if 0 < part.n <= MOST:
            stages.append(part)
            n = part.n
    stages += [_function(rng) for _ in range(functions)]
    names = list(READERS)
    reader = rng.choice(["all", "keep", "change and keep", *names, *names])
    options = _options(rng)
    # a reader stops at what is no exception, and what it has seen by then depends on the order
    stops = any(isinstance(s, Function) and s.error in NO_EXCEPTIONS for s in stages)
    if reader in _WHOLE and rng.random() < _SELDOM and not stops:
        options.append(("ordered", False))
    return Program(seed, first, tuple(stages), reader, tuple(options), rng.random() < 0.2)


def _function(rng: random.Random) -> Function:
    kinds = [k for k in VALUES if k not in _REFUSED or rng.random() < 0.03]
    chosen = rng.sample(kinds, rng.choice([1, 2, 4, 6, 8]))
    if rng.random() < 0.3:
        chosen = rng.sample(MUTABLE, rng.choice([1, 2]))
    effects = [rng.choice(list(EFFECTS)) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    common = [e for e in effects if not _RARE & set(EFFECTS[e].tags) or rng.random() < 0.3]
    error = rng.choice(list(ERRORS)) if rng.random() < 0.2 else None
    return Function(tuple(chosen), tuple(dict.fromkeys(common)), error)


def _options(rng: random.Random) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = []
    if rng.random() < 0.5:
        options.append(("max_cached", rng.choice([1, 2, 3, 7, 30])))
    if rng.random() < _SELDOM:
        options.append(("readahead", False))
    if rng.random() < _SELDOM:
        options.append(("max_bytes", 20_000))
    if rng.random() < _SELDOM:
        options.append(("timeout", 60))
    return options


def engines(program: Program) -> list[Engine]:
    """Return where to run a program, beside inline."""
    rng = random.Random(program.seed)
    started = Engine("template", rng.randint(1, 3))
    if rng.random() < _SPAWNED:
        started = Engine(rng.choice(["spawn", POOL]), rng.randint(1, 2))
    chosen = [Engine("thread", rng.randint(1, 3)), Engine("fork", rng.randint(1, 3)), started]
    if rng.random() < _SELDOM:
        chosen.append(Engine(AUTO, 0))
    return [e for e in chosen if e.name != "thread" or "seed" not in program.all_options()]
