"""A program made smaller, as long as it differs in the same way."""

import time
from collections.abc import Iterator
from dataclasses import replace

from tests.programs.program import Engine, Function, Part, Program
from tests.programs.running import Runner, differences

Stages = tuple[Part | Function, ...]

_MOST = 80
"""Programs that are tried. Arbitrary."""


def minimise(
    runner: Runner, program: Program, engine: Engine, told: str, seconds: float = 120.0
) -> tuple[Program, Engine, str]:
    """Return the smallest program found that differs as `program` does, where, and how."""
    until = time.monotonic() + seconds
    best = (program, engine, told)
    tried, again = 0, True
    while again:
        again = False
        for smaller, place in [*_smaller(best[0], best[1])]:
            if tried >= _MOST or time.monotonic() > until:
                return best
            tried += 1
            found = differences(runner, smaller, place)
            if found and kind(found) == kind(told):
                best = (smaller, place, found)
                again = True
                break
    return best


def kind(told: str) -> str:
    """Return what sort of difference it is, whatever the values."""
    words = told.split(maxsplit=2)[:2]
    return f"{words[0]} {'error' in told}" if words[0] == "item" else " ".join(words)


def _smaller(program: Program, engine: Engine) -> Iterator[tuple[Program, Engine]]:
    """Yield programs with something left out, those first that leave out most."""
    for stages in _fewer(program.stages):
        yield replace(program, stages=stages), engine
    for reader in ("all", "keep", "change"):
        if program.reader == reader:
            break
        yield replace(program, reader=reader), engine
    if program.options:
        yield replace(program, options=()), engine
    for n in (2, 4, 8, program.source.n):
        part = Part(f"range({n})", n)
        if n < program.source.n or "range" not in program.source.text:
            yield replace(program, source=part), engine
    if program.module:
        yield replace(program, module=False), engine
    if engine.nworkers > 1:
        yield program, replace(engine, nworkers=1)


def _fewer(stages: Stages) -> Iterator[Stages]:
    """Yield parts of `stages`, and stages that do less."""
    if len(stages) > 2:
        half = len(stages) // 2
        yield stages[half:]
        yield stages[:half]
    for k in range(len(stages)):
        yield stages[:k] + stages[k + 1 :]
    for k, stage in enumerate(stages):
        if isinstance(stage, Function):
            for function in _simpler(stage):
                yield (*stages[:k], function, *stages[k + 1 :])


def _simpler(function: Function) -> Iterator[Function]:
    if function.error:
        yield replace(function, error=None)
    for effect in function.effects:
        yield replace(function, effects=tuple(e for e in function.effects if e != effect))
    if function.kinds != ("int",):
        yield replace(function, kinds=("int",))
    if len(function.kinds) > 1:
        half = len(function.kinds) // 2
        yield replace(function, kinds=function.kinds[:half])
        yield replace(function, kinds=function.kinds[half:])
