"""Marks of functions: a number that changes with the code of a function, and with what it holds.

A mark covers the bytecode, the constants, the names, the default values and the closure of a
function, and the attributes of a callable object. Functions that it calls by name are not followed:
`version=` is for those. Bytecode differs between releases of Python, so marks do too.
"""

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

from seqtools._core.resume import plain
from seqtools._core.walk import is_stage, upstream

_DEEPEST = 8
"""Most functions in each other, such as in a closure, to look into. Arbitrary."""


def functions_of(sequence: Any, *more: Any) -> list[list[str]]:
    """Return name and mark of each function upstream, sources first, and of `more`.

    Of a source that is no stage, it is that of `__getitem__`.
    """
    return [[name_of(f), mark_of(f)] for f in (*_upstream(sequence), *more)]


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


def name_of(function: Any) -> str:
    """Return the qualified name of `function`, or of its class."""
    if isinstance(function, partial):
        return f"partial({name_of(function.func)})"
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{getattr(named, '__module__', None) or ''}.{named.__qualname__}".lstrip(".")


def mark_of(function: Any) -> str:
    """Return the mark of `function` as hexadecimal digits."""
    from hashlib import blake2b

    return blake2b(repr(_Reader().parts(function)).encode(), digest_size=8).hexdigest()


class _Reader:
    """Reads values, each object once, into a form whose `repr` is the same in each run."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def parts(self, value: Any, depth: int = _DEEPEST) -> Any:  # noqa: PLR0911 -- one for each kind
        """Return what is known of `value`."""
        if not depth:
            return "…"
        if isinstance(value, CodeType):
            constants = [self.parts(each, depth - 1) for each in value.co_consts]
            return value.co_code.hex(), constants, value.co_names, value.co_varnames
        if isinstance(value, frozenset | set):  # whose order differs in each run
            return "set", sorted(repr(self.parts(each, depth - 1)) for each in value)
        if isinstance(value, list | tuple):
            return [len(value), *[self.parts(each, depth - 1) for each in value]]
        if isinstance(value, type) or type(value).__module__ == "builtins":
            held = self._of_function(value)
            if held is None:
                return name_of(value) if callable(value) else plain(value)
        else:
            held = self._of_object(value)
        if id(value) in self._seen:
            return "again"
        self._seen.add(id(value))
        return [name_of(value), *[self.parts(each, depth - 1) for each in held]]

    def _of_function(self, value: Any) -> list[Any] | None:
        """Return what a function has of its own, `None` if it is none of Python."""
        if isinstance(value, MethodType):
            return [value.__func__, value.__self__]
        if not isinstance(value, FunctionType):
            return None
        cells = []
        for cell in value.__closure__ or ():
            try:
                cells.append(cell.cell_contents)
            except ValueError:  # it is empty
                cells.append("empty")
        named = list((value.__kwdefaults__ or {}).items())
        return [value.__code__, value.__defaults__, named, cells]

    def _of_object(self, value: Any) -> list[Any]:
        """Return what an object has: the code of a call, and its attributes."""
        if isinstance(value, partial):
            return [value.func, value.args, list(value.keywords.items())]
        call = getattr(type(value), "__call__", None)  # noqa: B004 -- the function of the class
        kept = getattr(value, "__dict__", None)
        if not isinstance(kept, dict) or is_stage(value):
            kept = {}
        return [
            call if isinstance(call, FunctionType) else "",
            list(kept.items()) or [plain(value)],
        ]
