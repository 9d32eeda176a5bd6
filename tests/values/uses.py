"""What a program can do with a value: each by worker processes, compared with the value itself."""

import enum
import functools
import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import seqtools

Make = Callable[[], Any]
_THEMSELVES = (type, types.FunctionType, types.ModuleType, typing.TypeVar)
_SINGLE = {"Single", "ReducedSettings", "Missing", "Interned"}
"""Classes of which there is one instance, or one for each value."""
_BY_REPR = {"typing", "decimal", "fractions", "uuid", "datetime", "types", "array", "builtins"}


class Carrier(Exception):  # noqa: N818 -- it is no error
    """An exception that has a value."""


def seen(obj: Any, outer: tuple[int, ...] = ()) -> Any:  # noqa: PLR0911 -- one for each kind
    """Return what there is to be seen of a value, such that it can be compared."""
    cls = type(obj)
    if id(obj) in outer:
        return "cycle", outer.index(id(obj))
    see = functools.partial(seen, outer=(*outer, id(obj)))
    if isinstance(obj, (*_THEMSELVES, functools._lru_cache_wrapper)) or cls.__name__ in _SINGLE:
        return "is", id(obj)
    if isinstance(obj, enum.Enum):
        return ("is", id(obj)) if obj.name in cls.__members__ else (cls, obj.value)
    if isinstance(obj, types.MethodType):
        return obj.__func__, see(obj.__self__)
    if isinstance(obj, types.BuiltinFunctionType):
        return obj.__name__, see(obj.__self__)
    if isinstance(obj, functools.partial):
        return see(obj.func), see(obj.args), see(obj.keywords)
    if isinstance(obj, np.ndarray):
        return (
            cls,
            obj.dtype,
            obj.shape,
            see(obj.ravel().tolist()),
            see(getattr(obj, "__dict__", 0)),
        )
    if isinstance(obj, np.generic | re.Pattern | types.GeneratorType | range | slice):
        return cls, repr(obj)
    return cls, list(_parts(obj, see)), list(_attributes(obj, see))


def _parts(obj: Any, see: Callable[[Any], Any]) -> Iterator[Any]:
    if isinstance(obj, BaseException):
        yield from (see(obj.args), str(obj), see(getattr(obj, "exceptions", ())))
    elif isinstance(obj, dict):
        yield from ((see(key), see(value)) for key, value in obj.items())
    elif isinstance(obj, set | frozenset):
        yield from sorted((see(each) for each in obj), key=repr)
    elif isinstance(obj, tuple | list):
        yield from map(see, obj)
    elif isinstance(obj, int | float | complex | str | bytes):
        yield next(base for base in (int, float, complex, str, bytes) if isinstance(obj, base))
        yield hash(obj)
    elif type(obj).__module__ in _BY_REPR:
        yield repr(obj)


def _attributes(obj: Any, see: Callable[[Any], Any]) -> Iterator[Any]:
    if type(obj).__module__ in _BY_REPR:
        return
    state = object.__getstate__(obj)  # type: ignore[attr-defined, unused-ignore]
    for attributes in state if isinstance(state, tuple) else (state,):
        for name, value in sorted((attributes or {}).items()):
            if name not in {"__notes__", "handle", "__orig_class__"}:
                yield name, see(value)


def fail(make: Make) -> Any:
    """Raise what is made, or with what is made."""
    made = make()
    raise made if isinstance(made, BaseException) else Carrier(made)


def _keyed(value: Any, make: Make) -> Any:
    return {value: 1, "made": {make(): 2}}


def use(how: str, make: Make, value: Any) -> Callable[[], Any]:
    """Return a function for a worker that returns or raises `value` or what equals it."""
    return {
        "item": make,
        "captured": lambda: [value],
        "raised": lambda: fail(make),
        "key": lambda: _keyed(value, make),
    }[how]


def came(how: str, value: Any, outcome: Any) -> Any:
    """Return the value that came by an outcome."""
    if how == "raised":
        error = outcome.__cause__
        return error if isinstance(value, BaseException) else error.args[0]
    if isinstance(outcome, seqtools.EvaluationError):
        return outcome
    if how == "key":
        assert outcome[value] == 1
        ((key, two),) = outcome["made"].items()
        assert outcome["made"][value] == two
        return key
    return outcome[0] if how == "captured" else outcome


def usable(how: str, make: Make, value: Any) -> bool:
    """Return whether a value can be used so."""
    if how != "key":
        return True
    try:
        return {value: 1}.get(make()) == 1
    except TypeError:
        return False


def outcomes(source: Any, start_method: str) -> Iterator[Any]:
    """Yield the items of a source as they come from a process, or their errors."""
    with seqtools.prefetch(source, nworkers=1, method="process", start_method=start_method) as p:
        items = iter(p)
        for _ in range(len(p)):
            try:
                yield next(items)
            except seqtools.EvaluationError as error:
                yield error


def differences(rows: dict[str, Make], start_method: str) -> Iterator[str]:
    """Yield what does not come back as it is."""
    values = {name: make() for name, make in rows.items()}
    uses = [
        (name, how)
        for how in ("item", "captured", "raised", "key")
        for name in rows
        if usable(how, rows[name], values[name])
    ]
    functions = [use(how, rows[name], values[name]) for name, how in uses]
    # a worker each: one for all uses, because starting one takes longer than all that it does
    sources = {
        tuple((name, "source") for name in rows): [*values.values()],
        tuple(uses): seqtools.smap(lambda function: function(), functions),
    }
    for keys, source in sources.items():
        for (name, how), outcome in zip(keys, outcomes(source, start_method), strict=True):
            got, expected = seen(came(how, values[name], outcome)), seen(values[name])
            if got != expected:
                yield f"{name}, {how}: {outcome!r:.300}\n    {got}\n    {expected}"


def check(rows: dict[str, Make], start_method: str) -> None:
    """Print the differences, or that there are none."""
    print("\n".join(differences(rows, start_method)) or f"{len(rows)} are well")  # noqa: T201 -- a program
