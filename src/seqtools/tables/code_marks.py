"""Marks of functions: digits that change with the code of a function, and with what it holds.

A mark covers the bytecode, the constants, the names, the default values and the closure of a
function, and the attributes of a callable object. Simple constants that it reads from its module
are noted by name, and the functions and classes of the same module that it uses by name have
marks beside it. Those of other modules are not followed: `version=` is for them. Bytecode differs
between releases of Python, so marks do too.
"""

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from seqtools._core.error_path import described
from seqtools._core.walk import is_stage, upstream
from seqtools.tables.digests import PLAIN
from seqtools.tables.names import module_name, name_of
from seqtools.tables.object_parts import attribute, is_of_numpy
from seqtools.tables.value_marks import Reader, module_of

_MOST = 500
"""Most functions to follow. Arbitrary."""
_LONGEST = 60
"""Most characters of a constant that is shown. Arbitrary."""
_LARGEST = 10**_LONGEST
HIDDEN = "…"
"""What a constant begins with that is not shown."""
_WRITES = {"STORE_GLOBAL", "DELETE_GLOBAL"}
_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_WRAPPERS = 8
"""Most decorators of a function to look through. Arbitrary."""


class Mark(NamedTuple):
    """What is known of a function; it is plain."""

    name: str
    mark: str
    """That of the function and of what it holds."""
    constants: dict[str, str]
    """Those that it reads from its module, as they are shown; texts as digits, not to give them
    away in a file."""
    uses: dict[str, str]
    """The marks of the functions and classes of its module that it uses."""


def functions_of(sequence: Any, *more: Any) -> tuple[Mark, ...]:
    """Return the mark of each function upstream, sources first, and of `more`.

    Of a source that is no stage, it is that of `__getitem__`.
    """
    return tuple([mark_of(function) for function in (*_upstream(sequence), *more)])


def with_constants_now(before: tuple[Mark, ...], sequence: Any, *more: Any) -> tuple[Mark, ...]:
    """Return marks of the same functions that were made before, with the constants as they are now.

    A constant may be set between making a stage and its scan, and the scan reads the new one. The
    other marks stay, because calls change what a function holds, such as a counter.
    """
    now = functions_of(sequence, *more)
    return tuple(
        [old._replace(constants=new.constants) for old, new in zip(before, now, strict=True)]
    )


def _upstream(sequence: Any) -> Iterator[Any]:
    for each in upstream(sequence, plain=True):
        if not is_stage(each):
            reads = getattr(type(each), "__getitem__", None)
            if isinstance(reads, FunctionType):
                yield reads
            continue
        for argument in each._args() or ():
            if callable(argument) and not is_stage(argument):
                yield argument


def repairs_of(sequence: Any) -> list[list[str]]:
    """Return name and mark of what stages upstream leave out, or put in place of failed items."""
    found = [(each, each._repairs()) for each in upstream(sequence)]
    return [
        [described(each), Reader("").mark(repairs)]
        for each, repairs in found
        if repairs is not None
    ]


def mark_of(function: Any) -> Mark:
    """Return what is known of `function`, or of another callable object."""
    reader = Reader(module_of(function))
    mark = reader.mark(function)
    space = _Space(reader)
    space.follow()
    return Mark(name_of(function), mark, space.constants(), space.uses(name_of(function)))


class _Space:
    """What functions use by name, each of its own module."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._constants: dict[tuple[str, str], Any] = {}  # by module and name
        self._written: set[tuple[str, str]] = set()
        self._uses: dict[str, str] = {}

    def follow(self) -> None:
        """Look at all functions that the reader has met, and at those that they use."""
        functions = self._reader.functions
        for each in functions:  # which grows
            self._look_at(each)
            if len(functions) > _MOST:
                break

    def _look_at(self, function: FunctionType) -> None:
        space = function.__globals__
        module = str(space.get("__name__"))
        for code in _codes(function.__code__):
            for name, is_read in _globals_of(code, space):
                value = space[name]
                if not is_read:
                    self._written.add((module, name))
                elif _is_simple(value):
                    self._constants[module, name] = value
                elif (used := _of_module(value, space)) is not None:
                    self._uses[f"{module_name(module)}.{name}"] = self._reader.mark_more(used)

    def constants(self) -> dict[str, str]:
        """Return the constants, except those that functions assign, such as counters."""
        first = self._reader.functions[:1]
        own = str(first[0].__globals__.get("__name__")) if first else ""
        return {
            name if module == own else f"{module_name(module)}.{name}": _shown(value)
            for (module, name), value in sorted(self._constants.items(), key=lambda kept: kept[0])
            if (module, name) not in self._written
        }

    def uses(self, name: str) -> dict[str, str]:
        """Return the marks of the functions that are used, except of the one with this name."""
        return {used: mark for used, mark in sorted(self._uses.items()) if used != name}


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _globals_of(code: CodeType, space: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the globals that code reads, with `True`, and that it assigns, with `False`."""
    if not any(name in space for name in code.co_names):
        return
    import dis

    for step in dis.get_instructions(code):
        name = step.argval
        if step.opname in _READS | _WRITES and name in space and not name.startswith("__"):
            yield name, step.opname in _READS


def _is_simple(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return type(value) in {tuple, frozenset} and all(_is_simple(each) for each in value)
    return type(value) in PLAIN or (is_of_numpy(value) and not hasattr(value, "__setitem__"))


def _of_module(value: Any, space: dict[str, Any]) -> Any:
    """Return a function or a class of the module with these globals, `None` if it is none."""
    for _ in range(_WRAPPERS):
        if isinstance(value, FunctionType) and value.__globals__ is space:
            return value
        if isinstance(value, type):
            return value if value.__module__ == space.get("__name__") else None
        if (value := attribute(value, "__wrapped__")) is None:
            return None
    return None


def _shown(value: Any) -> str:
    """Return a number as it is shown, and anything else as digits."""
    number = value.item() if is_of_numpy(value) else value
    numbers = number if isinstance(number, tuple) else (number,)
    if all(each is None or isinstance(each, bool | int | float) for each in numbers):
        is_short = all(not isinstance(each, int) or abs(each) < _LARGEST for each in numbers)
        if is_short and len(text := repr(number)) <= _LONGEST:
            return text
    return HIDDEN + Reader("").mark(value)
