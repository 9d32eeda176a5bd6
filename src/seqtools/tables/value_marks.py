"""Marks of values: hexadecimal digits that change with all that a value is, and not with the run.

Equal values have equal marks, whether an object is in there once or several times. Objects count by
what pickle would write of them. What cannot be pickled, such as an open file, counts by its type.
"""

import copyreg
import marshal
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from seqtools._core.walk import is_stage
from seqtools.tables.names import module_name, name_of

PLAIN = frozenset({bool, int, float, str, bytes, type(None)})
"""Types of values that have no parts."""
_DEEPEST = 40
"""Most values in each other to look into. Arbitrary."""
_MOST = 20_000
"""Most values to look at one by one, which takes less than a second. Plain values in a list, or in
lists of it, are taken together and count as one."""
_RUN = 1 << 16
"""Items of a list that are taken together. Arbitrary."""
_LONGEST = 10_000_000
"""Most values in the lists in these. Arbitrary."""
_BYTES = 1 << 22
"""Arrays of more bytes are looked at in part. Arbitrary."""
_SAMPLES = 1 << 14
"""About how many items are looked at in a larger array. Arbitrary."""


def digest(*parts: object) -> str:
    """Return a hash of the `repr` of plain parts, as hexadecimal digits."""
    return digest_of(repr(parts).encode("utf-8", "backslashreplace"))


def digest_of(data: Any) -> str:
    """Return a hash of bytes, as hexadecimal digits."""
    from hashlib import blake2b

    return blake2b(data, digest_size=8).hexdigest()


def packed(values: Any) -> bytes | None:
    """Return plain values, in lists, tuples and dicts, as bytes, `None` if there are others."""
    return _packed(values, _LONGEST)[0]


def _packed(values: Any, most: int) -> tuple[bytes | None, int]:
    """Return the same, and how many values in inner lists were looked at, at most `most`."""
    inner: Sequence[Any] = [values]
    total = -len(values)
    for _ in range(_DEEPEST):  # a list may contain itself
        kinds = set(map(type, inner))
        if kinds <= PLAIN:
            # the second version of this form does not depend on which objects are the same
            return marshal.dumps(values, 2), total
        if not kinds <= PLAIN | {list, tuple, dict}:
            break
        nested = [each for each in inner if type(each) not in PLAIN]
        total += sum(map(len, nested))
        if total > most:
            break
        dicts = [each for each in nested if type(each) is dict]
        held = chain.from_iterable(map(dict.values, dicts))
        inner = list(chain(chain.from_iterable(nested), held))
    return None, min(total, most)


class Reader:
    """Reads values, and notes the functions that it meets.

    Args:
        module: The name of the module whose classes count with their code; others count by name.
    """

    def __init__(self, module: str) -> None:
        self.functions: list[FunctionType] = []
        """Those that were met, of Python."""
        self._module = module
        self._known: dict[int, tuple[str, Any]] = {}  # with the object, so that no other has its id
        self._path: dict[int, int] = {}
        self._unpicklable: set[str] = set()
        self._left, self._inner_left = _MOST, _LONGEST

    def mark(self, value: Any) -> str:
        """Return the mark of `value`."""
        if type(value) in PLAIN:
            self._left -= 1
            return _of_plain(value) if self._left >= 0 else "…"
        key, depth = id(value), len(self._path)
        if key in self._path:  # it contains itself
            return f"cycle {depth - self._path[key]}"
        if key in self._known:
            return self._known[key][0]
        if self._left <= 0 or depth >= _DEEPEST:
            return "…"
        self._left -= 1
        self._path[key] = depth
        try:
            found = digest(*self._parts(value))
        finally:
            del self._path[key]
        self._known[key] = found, value
        return found

    def _marks(self, values: Iterable[Any]) -> list[str]:
        return [self.mark(each) for each in values]

    def _parts(self, value: Any) -> Sequence[Any]:  # noqa: PLR0911 -- one for each kind
        if isinstance(value, CodeType):
            return self._of_code(value)
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
        return _of_array(value) or self._of_object(value)

    def _of_code(self, code: CodeType) -> Sequence[Any]:
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
        table = code.co_exceptiontable.hex()
        return code.co_code.hex(), table, names, arguments, self._marks(code.co_consts)

    def _of_function(self, function: FunctionType) -> Sequence[Any]:
        name = name_of(function)
        if name.startswith("seqtools."):  # those of another version do the same
            return "function", name
        self.functions.append(function)
        cells = []
        for cell in function.__closure__ or ():
            try:
                cells.append(self.mark(cell.cell_contents))
            except ValueError:  # it is empty
                cells.append("empty")
        named = sorted((function.__kwdefaults__ or {}).items())
        held = self._marks([function.__code__, function.__defaults__, named])
        return "function", name, held, cells, self._attributes(vars(function))

    def _of_class(self, cls: type[Any]) -> Sequence[Any]:
        """Return the name, and the functions and plain attributes of a class of the module."""
        held: list[Any] = []
        for base in cls.__mro__:
            if base.__module__ != self._module:
                continue
            held.append(name_of(base))
            for name, each in sorted(vars(base).items()):
                if isinstance(each, property):
                    each = [each.fget, each.fset]  # noqa: PLW2901 -- what it is made of
                elif isinstance(each, staticmethod | classmethod):
                    each = each.__func__  # noqa: PLW2901
                is_value = type(each) in PLAIN and not name.startswith("__")
                if is_value or isinstance(each, FunctionType | list):
                    held.append((name, self.mark(each)))
        return "class", name_of(cls), held

    def _of_container(self, value: Any) -> Sequence[Any]:
        kind = type(value).__name__
        if isinstance(value, set | frozenset):
            return "set", len(value), self._of_set(value)
        items = value
        if isinstance(value, dict):
            items = list(chain.from_iterable(value.items()))
        runs = [items[start : start + _RUN] for start in range(0, len(items), _RUN)]
        return kind, len(value), [self._of_run(run) for run in runs]

    def _of_run(self, items: Any) -> Any:
        data, inner = _packed(items, self._inner_left)
        self._inner_left -= inner
        return self._marks(items) if data is None else digest_of(data)

    def _of_set(self, items: Any) -> Any:
        """Return the same for any order, which differs in each run."""
        kinds = set(map(type, items))
        if len(kinds) == 1 and kinds <= {int, str, bytes}:
            return self._of_run(sorted(items))
        marks = sorted(self._marks(items)) if len(items) <= self._left else []
        return marks if self._left > 0 else []

    def _of_object(self, value: Any) -> Sequence[Any]:
        """Return the class and what pickle would write."""
        cls = type(value)
        wrapped = _attribute(value, "__wrapped__")
        if callable(wrapped):  # as of functools.lru_cache
            return "wrapped", name_of(cls), self.mark(wrapped)
        reduced = _reduced(value)
        if reduced is None:
            held = _attribute(value, "__dict__")
            parts = self.mark(cls), self._attributes(held if isinstance(held, dict) else {})
            self._unpicklable.add(digest(*parts))
            return parts
        if isinstance(reduced, str):  # a name
            return "object", name_of(cls), reduced
        if isinstance(value, set | frozenset):
            return "object", self.mark(cls), self.mark(frozenset(value))
        make, args, state, items, pairs = reduced
        made = name_of(make), self._marks(args)
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
            (str(name), self.mark(each)) for name, each in list(held.items()) if each is not None
        ]
        return sorted(each for each in marks if each[1] not in self._unpicklable)


def module_of(value: Any) -> str:
    """Return the name of the module of a function or an object, as it is in there."""
    while isinstance(value, partial | MethodType):
        value = value.func if isinstance(value, partial) else value.__func__
    named = value if isinstance(value, FunctionType | type) else type(value)
    return str(named.__module__)


def is_of_numpy(value: Any) -> bool:
    """Return whether `value` is a scalar or an array of numpy."""
    return any(module_name(base.__module__) == "numpy" for base in type(value).__mro__) and hasattr(
        value, "tobytes"
    )


def _of_plain(value: Any) -> str:
    if isinstance(value, bytes):
        return "bytes" + digest_of(value)
    return digest(value)


def _attribute(value: Any, name: str) -> Any:
    """Return an attribute of an object, `None` if there is none, or its code fails."""
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 -- code of any class
        return None


def _reduced(value: Any) -> Any:
    """Return what pickle would write of an object, `None` if it cannot.

    It is a name, or a function and its arguments, the state, and the items of a list and of a dict.
    """
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        reduced: Any = reduce(value) if reduce else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            return reduced
        make, args, state, items, pairs = (*reduced, None, None, None)[:5]
        return make, list(args), state, list(items or ()), list(pairs or ())
    except Exception:  # noqa: BLE001 -- code of any class
        return None


def _of_array(value: Any) -> Sequence[Any] | None:
    """Return type, shape and bytes of an array or a scalar of numpy or torch, `None` of others."""
    is_tensor = type(value).__module__.startswith("torch") and hasattr(value, "detach")
    if not is_tensor and not is_of_numpy(value):
        return None
    about = name_of(type(value)), str(value.dtype), tuple(value.shape)
    if is_tensor:
        try:
            value = value.detach().numpy()
        except (TypeError, RuntimeError):  # it is on another device, or of a type of its own
            return about
    if value.dtype.hasobject or value.dtype.kind == "T":
        listed = value.tolist()
        data = packed(listed)
        return (*about, digest_of(data)) if data is not None else None
    if value.nbytes > _BYTES:
        value = value.flat[:: max(1, value.size // _SAMPLES)]
    return *about, digest_of(value.tobytes())
