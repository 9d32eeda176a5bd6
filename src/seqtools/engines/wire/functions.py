"""Functions that are sent by value share in a worker what they share here.

cloudpickle has functions share a dictionary of globals, but writes the values of the consumer into
it for each function that is loaded. It also gives each function variables of its own, where
functions share those of the function around them. So what a start hook sets would be
overwritten by loading the pipeline, or not be seen by it.
"""

import builtins
import sys
import types
from collections.abc import Callable
from typing import Any

from cloudpickle.cloudpickle import _should_pickle_by_reference

State = tuple[dict[str, Any], dict[str, Any]]
"""What cloudpickle pickles of a function: its attributes, and all else by name."""

_OWN = ("__name__", "__package__", "__path__", "__file__")
"""Globals that every function needs, for what it imports."""


class Functions:
    """What the functions have in common that one pickler pickles."""

    def __init__(self) -> None:
        self._cells: dict[int, tuple[types.CellType, types.CellType]] = {}
        self._given: dict[int, set[str]] = {}
        self._spaces: dict[int, tuple[Call, Call]] = {}
        self._waiting: list[Call] | None = None

    def without_variables(self) -> "Call":
        """Return what pickles as nothing; functions that follow have no variables."""
        return Call(self._wait)

    def variables(self) -> "Call":
        """Return what pickles as nothing, and gives these functions their variables."""
        return Call(self._waited_for)

    def _wait(self) -> Any:
        self._waiting = []
        return tuple, ()

    def _waited_for(self) -> Any:
        waiting, self._waiting = self._waiting, None
        return tuple, (waiting,)

    def shared(self, function: types.FunctionType, reduced: Any) -> Any:
        """Return what cloudpickle makes of `function`, such that it shares its variables."""
        make, (code, names, *rest), state, _, _, set_state = reduced
        *rest, cells = rest
        if cells is not None:
            cells = tuple(map(self._stand_in, function.__closure__ or ()))
        if _made_by_hand(function.__globals__):
            names = self._space(function.__globals__)[1]
        given = self._given_to(function.__globals__)
        arguments, state = (code, names, *rest, cells), (set_state, state, given)
        if self._waiting is None:
            return make, arguments, state, None, None, _fill
        self._waiting.append(Call(lambda: (_fill, (function, state))))
        return make, arguments

    def module(self, module: types.ModuleType) -> Any:
        """Return how to make a module that cannot be imported; its functions have its globals."""
        names = {name: value for name, value in vars(module).items() if name != "__builtins__"}
        state = names, self._given_to(vars(module))
        return _same, (self._space(vars(module))[0],), state, None, None, _fill_module

    def _given_to(self, names: dict[str, Any]) -> set[str]:
        # is empty here, and filled where it is loaded
        return self._given.setdefault(id(names), set())

    def _space(self, names: dict[str, Any]) -> tuple["Call", "Call"]:
        """Return what is loaded as an empty module, and as its globals."""
        if id(names) not in self._spaces:
            own = {name: names[name] for name in _OWN if name in names}
            module = Call(lambda: (_empty_module, (own,)))
            self._spaces[id(names)] = module, Call(lambda: (vars, (module,)))
        return self._spaces[id(names)]

    def _stand_in(self, cell: types.CellType) -> types.CellType:
        # keeping the cell keeps its id
        return self._cells.setdefault(id(cell), (cell, types.CellType()))[1]


class Call:
    """Pickles as what a function returns when its time has come."""

    def __init__(self, reduce: Callable[[], Any]) -> None:
        self._reduce = reduce

    def __reduce__(self) -> Any:
        return self._reduce()


def _fill(
    function: types.FunctionType, state: tuple[Callable[..., object], State, set[str]]
) -> None:
    """Give a function that was loaded its variables; those that it shares only once.

    Since then, they may have been set or deleted.
    """
    set_state, (attributes, slots), given = state
    slots["__globals__"], new = {}, slots["__globals__"]
    _add(function.__globals__, new, given)
    if slots["__closure__"] is not None:
        cells = zip(function.__closure__ or (), slots["__closure__"], strict=True)
        slots["__closure__"] = tuple(types.CellType() if _full(a) else b for a, b in cells)
    set_state(function, (attributes, slots))


def _made_by_hand(names: dict[str, Any]) -> bool:
    """Return whether these are the globals of a module that is sent by value."""
    name = names.get("__name__")
    if not isinstance(name, str):
        return False
    module = sys.modules.get(name)
    if module is None:
        return True
    return vars(module) is names and not _should_pickle_by_reference(module)


def _empty_module(own: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType(own["__name__"])
    vars(module).clear()
    vars(module).update(own)
    return module


def _same(obj: Any) -> Any:
    return obj


def _fill_module(module: Any, state: tuple[dict[str, Any], set[str]]) -> None:
    names, given = state
    _add(vars(module), names, given)
    vars(module)["__builtins__"] = builtins.__dict__


def _add(names: dict[str, Any], new: dict[str, Any], given: set[str]) -> None:
    for name in new.keys() - given:
        names.setdefault(name, new[name])
    given.update(new)


def _full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 -- raises if there is nothing
    except ValueError:
        return False
    return True
