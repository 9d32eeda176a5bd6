"""A value as text in which every difference shows.

The text is the same in every process: it has no address, no order of a set, and no identity of
what cannot be changed. What can be changed has a number, which stands for it a second time.
"""

import array
import functools
import hashlib
import io
import math
import operator
import random
import re
import struct
import sys
import types
import typing
from collections import ChainMap, defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import IPv4Address
from itertools import count
from pathlib import PurePath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

import seqtools

longest = 300
"""Characters of a part that are shown; a hash stands for the rest. Arbitrary."""

UNSENDABLE = "(unsendable) "
"""How the text of an item begins in which there is something that cannot be pickled."""

_UNSENDABLE = (
    types.GeneratorType,
    types.CoroutineType,
    types.MappingProxyType,
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    io.TextIOWrapper,
    io.BufferedReader,
    re.Match,
    struct.Struct,
    type({}.keys()),
)
_LOCKS = {"lock", "RLock", "_local", "Condition", "Event", "ReferenceType", "ContextVar"}


def look(value: Any) -> str:
    """Return `value` as text."""
    seer = _Look()
    text = seer.at(value)
    return UNSENDABLE + text if seer.unsendable else text


def look_at_error(error: BaseException) -> str:
    """Return an error that a reader got, with its causes and the stages that it tells of."""
    seer = _Look()
    lines = [f"error {_name(type(error))}: {_short(_text(error))}"]
    if isinstance(error, seqtools.EvaluationError):
        lines += [f"at {step.stage}[{step.index}] line {step.line}" for step in error.path]
    lines += [f"cause {seer.error(cause)}" for cause in _causes(error)]
    if not isinstance(error, seqtools.EvaluationError):
        lines.append(seer.error(error))
    return (UNSENDABLE if seer.unsendable else "") + "; ".join(lines)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _text(error: BaseException) -> str:
    try:
        return re.sub(r"0x[0-9a-f]{6,}", "0x…", str(error))
    except Exception as reason:  # noqa: BLE001 -- a class of the program
        return f"<no text: {type(reason).__name__}>"


def _short(text: str) -> str:
    if len(text) <= longest:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{text[:80]}…{len(text)} characters, {digest}"


def _name(cls: type) -> str:
    inside = cls.__module__ == "builtins"
    return cls.__qualname__ if inside else f"{cls.__module__}.{cls.__qualname__}"


class _Look:
    """Looks at one item."""

    def __init__(self) -> None:
        self.unsendable = False
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # or the id of what is gone could be that of another

    def at(self, value: Any) -> str:
        cls = type(value)
        if cls in _PLAIN:
            return _short(_PLAIN[cls](value))
        for kind, tell in _UNCHANGEABLE:
            if isinstance(value, kind):
                return tell(self, value)
        if isinstance(value, _UNSENDABLE) or cls.__name__ in _LOCKS:
            self.unsendable = True
            return cls.__name__
        if id(value) in self._seen:
            return f"#{self._seen[id(value)]}"
        self._seen[id(value)] = number = len(self._seen)
        self._kept.append(value)
        return f"#{number}={_short(self._changeable(value))}"

    def error(self, error: BaseException) -> str:
        """Return an exception, except its traceback and what workers note in it."""
        state = {k: v for k, v in vars(error).items() if k != "__notes__"}
        notes = [n for n in getattr(error, "__notes__", ()) if not str(n).startswith("in ")]
        told = f"{_name(type(error))}: {_short(_text(error))} {self.at(error.args)}"
        told += f" {self.at(state)}" * bool(state) + f" noted {notes}" * bool(notes)
        slots = self._attributes(error, state=False)
        if isinstance(error, BaseExceptionGroup):
            told += f" of {[self.error(e) for e in error.exceptions]}"
        return told + slots

    def _enum(self, value: Enum) -> str:
        name = value._name_
        own = name is None or type(value).__members__.get(name) in {value, None}
        copy = "" if own else " (a copy)"
        return f"{_name(type(value))}.{name}{copy} {self.at(value._value_)}"

    def _whose(self, value: Any) -> str:
        """Return whether a function or class of a program is the one that the program has."""
        module = sys.modules.get(value.__module__)
        if "<" in value.__qualname__ or module is None:
            self.unsendable = True
            return " made in a function"
        try:
            own = operator.attrgetter(value.__qualname__)(module)
        except AttributeError:
            return " (unknown)"
        return "" if own is value else " (a copy)"

    def _class(self, value: type) -> str:
        return f"class {_name(value)}{self._whose(value)}"

    def _tuple(self, value: Any) -> str:
        told = f"({', '.join(map(self.at, value))})"
        if type(value) is tuple:
            return told
        return f"{_name(type(value))}{told}{self._attributes(value)}"

    def _function(self, value: Any) -> str:
        return f"function {value.__module__}.{value.__qualname__}{self._whose(value)}"

    def _changeable(self, value: Any) -> str:
        cls = type(value)
        for kind, tell in _CHANGEABLE:
            if isinstance(value, kind):
                told = tell(self, value)
                return told if cls is kind else f"{_name(cls)} {told}{self._attributes(value)}"
        return f"{_name(cls)}{self._attributes(value)}"

    def _attributes(self, value: Any, *, state: bool = True) -> str:
        names = [n for c in type(value).__mro__ for n in _slots_of(c)]
        found = {n: getattr(value, n, "(unset)") for n in names}
        if state:
            found |= getattr(value, "__dict__", {})
        return f" {{{', '.join(f'{n}: {self.at(v)}' for n, v in found.items())}}}" if found else ""

    def _list(self, value: Any) -> str:
        return f"[{', '.join(map(self.at, value))}]"

    def _dict(self, value: Any) -> str:
        return f"{{{', '.join(f'{self.at(k)}: {self.at(v)}' for k, v in value.items())}}}"

    def _set(self, value: Any) -> str:
        return f"{type(value).__name__}{{{', '.join(sorted(map(self.at, value)))}}}"

    def _array(self, value: Any) -> str:
        head = f"array {value.dtype.str if value.dtype.names is None else value.dtype.descr}"
        head += f" {value.shape}{'' if value.flags.writeable else ' read-only'}"
        if value.dtype.hasobject:
            return f"{head} {self._list(value.ravel().tolist())}"
        if value.dtype.names or (value.dtype.itemsize > 8 and value.dtype.kind in "fc"):
            return f"{head} {_short(repr(value.tolist()))}"  # there is noise between the numbers
        return f"{head} {_bytes(np.ascontiguousarray(value).tobytes(), value)}"

    def _masked(self, value: Any) -> str:
        mask = np.ma.getmaskarray(value)
        filled = np.where(mask, np.zeros((), value.dtype), value.data)
        return f"masked {self._array(filled)} {self._array(mask)} {value.fill_value!r}"

    def _view(self, value: Any) -> str:
        head = f"view {value.format} {value.shape}{' read-only' if value.readonly else ''}"
        return f"{head} {_bytes(value.tobytes())}"

    def _deque(self, value: Any) -> str:
        return f"deque {value.maxlen} {self._list(value)}"

    def _default(self, value: Any) -> str:
        return f"defaultdict {self.at(value.default_factory)} {self._dict(value)}"

    def _partial(self, value: Any) -> str:
        return f"partial {self.at(value.func)} {self.at(value.args)} {self.at(value.keywords)}"

    def _method(self, value: Any) -> str:
        return f"method {value.__name__} of {self.at(value.__self__)}"

    def _exception(self, value: Any) -> str:
        return f"exception {self.error(value)}"  # its causes are not sent: see docs/same-values.md

    def _iterator(self, value: Any) -> str:
        return f"{value!r}" if type(value) is count else f"{value.__reduce__()[1:]!r}"


def _bytes(data: bytes, value: Any = None) -> str:
    digest = hashlib.blake2b(data, digest_size=6).hexdigest()
    return f"{value.tolist()!r} {digest}" if value is not None and value.size <= 8 else digest


def _slots_of(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    names = [slots] if isinstance(slots, str) else list(slots)
    return [n for n in names if n not in {"__dict__", "__weakref__"}]


def _float(value: float) -> str:
    return f"{value!r} {struct.pack('>d', value).hex()}" if math.isnan(value) else repr(value)


def _scalar(value: Any) -> str:
    noisy = isinstance(value, np.longdouble | np.clongdouble | np.void)
    told = repr(value.tolist()) if isinstance(value, np.void) else repr(value)
    return f"{_name(type(value))} {told}{'' if noisy else ' ' + value.tobytes().hex()[:40]}"


def _as_base(look: _Look, value: Any) -> str:
    base = next(b for b in (int, float, str, bytes, complex) if isinstance(value, b))
    return f"{_name(type(value))} {base.__repr__(value)}{look._attributes(value)}"


def _as_repr(_: Any, value: Any) -> str:
    return f"{_name(type(value))} {value!r}"


_Kinds = list[tuple[Any, Callable[[_Look, Any], str]]]

_PLAIN: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys([bool, str, bytes, type(None), type(...), type(NotImplemented)], repr),
    int: lambda value: hex(value) if abs(value) >> 200 else repr(value),  # repr has a limit
    float: _float,
    complex: lambda value: f"complex {_float(value.real)} {_float(value.imag)}",
    range: repr,
    slice: repr,
}
_UNCHANGEABLE: _Kinds = [
    (Enum, _Look._enum),
    (type, _Look._class),
    (tuple, _Look._tuple),
    (types.FunctionType, _Look._function),
    (types.BuiltinFunctionType, lambda _, value: f"builtin {value.__qualname__}"),
    (np.ufunc, lambda _, value: f"ufunc {value.__name__}"),
    (np.generic, lambda _, value: _scalar(value)),
    (frozenset, _Look._set),
    (date | datetime | time | timedelta | timezone | ZoneInfo | Decimal | Fraction, _as_repr),
    (UUID | PurePath | re.Pattern | IPv4Address | np.dtype | types.GenericAlias, _as_repr),
    (types.UnionType | typing.TypeVar | typing._GenericAlias, _as_repr),  # type: ignore[attr-defined]
    (int | float | str | bytes | complex, _as_base),
]
_CHANGEABLE: _Kinds = [
    (np.ma.MaskedArray, _Look._masked),
    (np.ndarray, _Look._array),
    (np.random.Generator, lambda _, value: f"{_short(repr(value.bit_generator.state))}"),
    (memoryview, _Look._view),
    (BaseException, _Look._exception),
    (deque, _Look._deque),
    (defaultdict, _Look._default),
    (ChainMap, lambda look, value: f"chain {look._list(value.maps)}"),
    (dict, _Look._dict),
    (list, _Look._list),
    (set, _Look._set),
    (bytearray, lambda _, value: f"bytearray {_bytes(bytes(value))} {bytes(value[:20])!r}"),
    (array.array, lambda _, value: f"array.array {value.typecode} {value.tolist()!r}"),
    (functools.partial, _Look._partial),
    (types.MethodType, _Look._method),
    (types.SimpleNamespace, lambda *_: "namespace"),
    (random.Random, lambda _, value: f"random {_short(repr(value.getstate()))}"),
    (io.BytesIO | io.StringIO, lambda _, value: f"{value.getvalue()!r} at {value.tell()}"),
    (Iterator, _Look._iterator),
]
