"""Functions that are sent by value share in a worker what they share here.

cloudpickle has functions share a dictionary of globals, but writes the values of the consumer into
it for each function that is loaded. It also gives each function variables of its own, where
functions share those of the function around them. So what a start hook sets would be
overwritten by loading the pipeline, or not be seen by it.
"""

import types
from collections.abc import Callable
from typing import Any

State = tuple[dict[str, Any], dict[str, Any]]
"""What cloudpickle pickles of a function: its attributes, and all else by name."""


class Functions:
    """What the functions have in common that one pickler pickles."""

    def __init__(self) -> None:
        self._cells: dict[int, tuple[types.CellType, types.CellType]] = {}
        self._given: dict[int, set[str]] = {}
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
        # is empty here, and filled where it is loaded
        given = self._given.setdefault(id(function.__globals__), set())
        arguments, state = (code, names, *rest, cells), (set_state, state, given)
        if self._waiting is None:
            return make, arguments, state, None, None, _fill
        self._waiting.append(Call(lambda: (_fill, (function, state))))
        return make, arguments

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
    names = function.__globals__
    slots["__globals__"], shared = {}, slots["__globals__"]
    for name in shared.keys() - given:
        names.setdefault(name, shared[name])
    given.update(shared)
    if slots["__closure__"] is not None:
        cells = zip(function.__closure__ or (), slots["__closure__"], strict=True)
        slots["__closure__"] = tuple(types.CellType() if _full(a) else b for a, b in cells)
    set_state(function, (attributes, slots))


def _full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 -- raises if there is nothing
    except ValueError:
        return False
    return True
