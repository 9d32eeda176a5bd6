"""Marks of values: hexadecimal digits that change with all that a value is, and not with the run.

Equal values have equal marks, whether an object is in there once or several times. Objects count by
what pickle would write of them. What cannot be pickled, such as an open file, counts by its type.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import chain
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

from seqtools._core.walk import is_stage
from seqtools.tables.digests import (
    DEEPEST,
    LONGEST,
    PLAIN,
    by_key,
    digest,
    digest_of,
    digest_of_plain,
    packed_up_to,
)
from seqtools.tables.names import name_of
from seqtools.tables.object_parts import (
    Cached,
    array_parts,
    held_by,
    is_constant_of_class,
    made_of,
    reduced_of,
)

_MOST = 20_000
"""Most values to look at one by one, which takes less than a second. Plain values in a list, or in
lists of it, are taken together and count as one. Functions and classes are counted apart."""
_MORE = 1_000
"""Values to look at in something else that is used, if there were too many before. Arbitrary."""
_RUN = 1 << 16
"""Items of a list that are taken together. Arbitrary."""
_VIEWS = {type({}.keys()), type({}.values()), type({}.items())}


class Reader:
    """Reads values, and notes the functions that it meets.

    Args:
        module: The name of the module whose classes count with their code; others count by name.
        with_arrays: Whether arrays count by their bytes, not only by their type and shape.
    """

    def __init__(self, module: str, *, with_arrays: bool = True) -> None:
        self.functions: list[FunctionType] = []
        """Those that were met, of Python."""
        self._module, self._with_arrays = module, with_arrays
        self._known: dict[int, tuple[str, Any]] = {}  # with the object, so that no other has its id
        self._path: dict[int, int] = {}
        self._unpicklable: set[str] = set()
        self._left, self._code_left, self._inner_left = _MOST, _MOST, LONGEST

    def mark(self, value: Any) -> str:
        """Return the mark of `value`."""
        if type(value) in PLAIN:
            self._left -= 1
            return digest_of_plain(value) if self._left >= 0 else "…"
        key, depth = id(value), len(self._path)
        if key in self._path:  # it contains itself
            return f"cycle {depth - self._path[key]}"
        if key in self._known:
            return self._known[key][0]
        if depth >= DEEPEST or not self._is_looked_at(value):
            return "…"
        self._path[key] = depth
        try:
            found = digest(*self._parts(value))
        finally:
            del self._path[key]
        self._known[key] = found, value
        return found

    def mark_more(self, value: Any) -> str:
        """Return the mark of something else, also if there were too many values before."""
        self._left = max(self._left, _MORE)
        return self.mark(value)

    def _is_looked_at(self, value: Any) -> bool:
        if isinstance(value, CodeType | FunctionType | MethodType | type):
            self._code_left -= 1
            return self._code_left >= 0
        self._left -= 1
        return self._left >= 0

    def _marks(self, values: Iterable[Any]) -> list[str]:
        return [self.mark(each) for each in values]

    def _parts(self, value: Any) -> Sequence[Any]:  # noqa: PLR0911 -- one for each kind
        if isinstance(value, CodeType):
            return _of_code(value)
        if isinstance(value, FunctionType):
            return self._of_function(value)
        if isinstance(value, MethodType):
            return "method", self.mark(value.__func__), self.mark(value.__self__)
        if isinstance(value, partial):
            keywords = sorted(value.keywords.items())
            return "partial", *self._marks([value.func, value.args, keywords])
        if isinstance(value, type):
            return self._of_class(value)
        if isinstance(value, ModuleType) or is_stage(value):
            return type(value).__name__, getattr(value, "__name__", "")
        if type(value) in {list, tuple, dict, set, frozenset}:
            return self._of_container(value)
        array = array_parts(value, with_bytes=self._with_arrays)
        if array is None:
            return self._of_object(value)
        is_own = not type(value).__module__.startswith(("numpy", "torch"))
        return *array, self._attributes(held_by(value) if is_own else {})

    def _of_function(self, function: FunctionType) -> Sequence[Any]:
        name = name_of(function)
        if name.startswith("seqtools."):  # those of another version do the same
            return "function", name
        self.functions.append(function)
        named = sorted((function.__kwdefaults__ or {}).items())
        # before what it holds, which may be too much
        held = self._marks([function.__code__, function.__defaults__, named])
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(self.mark(cell.cell_contents))
            except ValueError:  # it is empty
                cells.append("empty")
        return "function", name, held, cells, self._attributes(vars(function))

    def _of_class(self, cls: type[Any]) -> Sequence[Any]:
        """Return the name, and the functions and constants of a class of the module."""
        held: list[Any] = []
        for base in cls.__mro__:
            if base.__module__ != self._module:
                continue
            held.append(name_of(base))
            for name, each in sorted(vars(base).items()):
                value = made_of(each)
                is_constant = is_constant_of_class(value) and not name.startswith("__")
                if is_constant or isinstance(value, FunctionType) or value is not each:
                    held.append((name, self.mark(value)))
            if issubclass(base, Enum):
                held.append(self.mark([(k, v._value_) for k, v in base.__members__.items()]))
        return "class", name_of(cls), held

    def _of_container(self, value: Any) -> Sequence[Any]:
        kind = type(value).__name__
        if isinstance(value, set | frozenset):
            return "set", len(value), self._of_set(value)
        items = value
        if isinstance(value, dict):
            if (items := by_key(value)) is None:
                return kind, len(value), self._of_set(value.items())
            items = list(chain.from_iterable(items))
        runs = [items[start : start + _RUN] for start in range(0, len(items), _RUN)]
        return kind, len(value), [self._of_run(run) for run in runs]

    def _of_run(self, items: Any) -> Any:
        data, inner = packed_up_to(items, self._inner_left)
        self._inner_left -= inner
        return self._marks(items) if data is None else digest_of(data)

    def _of_set(self, items: Any) -> Any:
        """Return the same for any order, which differs in each run."""
        kinds = set(map(type, items))
        if len(kinds) == 1 and kinds <= {int, str, bytes}:
            return self._of_run(sorted(items))
        marks = sorted(self._marks(items)) if len(items) <= self._left else []
        return marks if self._left > 0 else []

    def _of_object(self, value: Any) -> Sequence[Any]:  # noqa: PLR0911 -- one for each kind  # noqa: PLR0911 -- one for each kind
        """Return the class and what pickle would write."""
        cls = type(value)
        if isinstance(value, Cached):
            return "wrapped", name_of(cls), self.mark(value.__wrapped__)
        if isinstance(value, MappingProxyType):
            return "view", name_of(cls), self.mark(dict(value))
        if cls in _VIEWS:
            return "view", name_of(cls), self.mark(dict(value.mapping))
        if isinstance(value, memoryview):
            return "view", value.format, value.shape, digest_of(value.tobytes())
        reduced = reduced_of(value)
        if reduced is None:
            parts = self.mark(cls), self._attributes(held_by(value))
            self._unpicklable.add(digest(*parts))
            return parts
        if isinstance(reduced, str):  # a name
            return "object", name_of(cls), reduced
        if isinstance(value, set | frozenset):
            held = self._of_state(reduced[2])
            return "object", self.mark(cls), self.mark(frozenset(value)), held
        make, args, state, items, pairs = reduced
        by_name = isinstance(make, FunctionType | type) and "<" not in name_of(make)
        made = name_of(make) if by_name else self.mark(make), self._marks(args)
        return "object", self.mark(cls), made, self._of_state(state), self._marks([items, pairs])

    def _of_state(self, state: Any) -> Any:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)  # noqa: PLR2004 -- with slots
        if all(part is None or isinstance(part, dict) for part in parts):
            return self._attributes({k: v for part in parts for k, v in (part or {}).items()})
        return self.mark(state)

    def _attributes(self, held: Mapping[Any, Any]) -> list[tuple[str, str]]:
        """Return the marks of attributes that are set.

        An open file counts as `None`, which it may have been in another run before the first item.
        """
        marks = [
            (str(name), self.mark(each))
            for name, each in list(held.items())
            if each is not None and name != "__module__"  # which is another one in a script
        ]
        return sorted(each for each in marks if each[1] not in self._unpicklable)


def module_of(value: Any) -> str:
    """Return the name of the module of a function or an object, as it is in there."""
    while isinstance(value, partial | MethodType):
        value = value.func if isinstance(value, partial) else value.__func__
    named = value if isinstance(value, FunctionType | type) else type(value)
    return str(named.__module__)


def _of_code(code: CodeType) -> Sequence[Any]:
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    table = code.co_exceptiontable.hex()
    return code.co_code.hex(), table, names, arguments, _of_constant(code.co_consts)


def _of_constant(value: Any) -> Any:
    """Return what a constant in the code of a function counts by."""
    if isinstance(value, CodeType):
        return _of_code(value)
    if isinstance(value, tuple | frozenset):
        marks = [digest(_of_constant(each)) for each in value]
        return type(value).__name__, marks if isinstance(value, tuple) else sorted(marks)
    if type(value) in PLAIN:
        return digest_of_plain(value)
    return type(value).__name__, repr(value)  # a complex number, a slice, an ellipsis
