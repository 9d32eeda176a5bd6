"""Functions that are sent by value share in a worker what they share here.

cloudpickle lets functions share a dictionary of globals, but each function that is loaded writes
the values of the consumer into it. It also gives each function its own closure variables, even if
functions share them here. Then a variable that a start hook sets would be overwritten when the
pipeline is loaded, or the pipeline would not see it.
"""

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any

State = tuple[dict[str, Any], dict[str, Any]]
"""What cloudpickle pickles of a function: its attributes, and everything else by name."""

_MODULE_NAMES = ("__name__", "__package__", "__path__", "__file__")
"""Globals that every function needs, for its imports."""


def global_names(code: types.CodeType) -> Iterator[str]:
    """Yield the global variables that `code` and the functions defined in it use, some repeatedly.

    `co_names` has the names of attributes and methods too, which may be those of other globals.
    """
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from global_names(constant)


class Functions:
    """What the functions have in common that one pickler pickles."""

    def __init__(self) -> None:
        self._cells: dict[int, tuple[types.CellType, types.CellType]] = {}
        self._set_names: dict[int, set[str]] = {}
        self._modules: dict[int, Call] = {}
        self._globals: dict[int, Call] = {}
        self._postponed: list[Call] | None = None

    def without_variables(self) -> "Call":
        """Return what pickles as nothing; functions pickled after it have no variables yet."""
        return Call(self._postpone)

    def variables(self) -> "Call":
        """Return what pickles as nothing, and gives these functions their variables."""
        return Call(self._end_postponing)

    def _postpone(self) -> Any:
        self._postponed = []
        return tuple, ()

    def _end_postponing(self) -> Any:
        postponed, self._postponed = self._postponed, None
        return tuple, (postponed,)

    def shared(self, function: types.FunctionType, reduced: Any) -> Any:
        """Return what cloudpickle makes of `function`, changed so that variables are shared."""
        make, (code, _, *rest), state, _, _, set_state = reduced
        *rest, cells = rest
        if cells is not None:
            cells = tuple(map(self._empty_cell, function.__closure__ or ()))
        names = function.__globals__
        self._module(names)
        arguments = (code, self._globals[id(names)], *rest, cells)
        state = set_state, state, self._names_set(names)
        if self._postponed is None:
            return make, arguments, state, None, None, _fill
        self._postponed.append(Call(lambda: (_fill, (function, state))))
        return make, arguments

    def module(self, module: types.ModuleType) -> Any:
        """Return how to make a module that cannot be imported; its functions have its globals."""
        names = {name: value for name, value in vars(module).items() if name != "__builtins__"}
        state = names, self._names_set(vars(module))
        return _same, (self._module(vars(module)),), state, None, None, _fill_module

    def _names_set(self, names: dict[str, Any]) -> set[str]:
        """Return the names that were set in a worker: none are yet."""
        return self._set_names.setdefault(id(names), set())

    def _module(self, names: dict[str, Any]) -> "Call":
        """Return what is loaded as an empty module, with which functions share their globals."""
        if id(names) not in self._modules:
            own = {name: names[name] for name in _MODULE_NAMES if name in names}
            module = self._modules[id(names)] = Call(lambda: (_empty_module, (own,)))
            self._globals[id(names)] = Call(lambda: (vars, (module,)))
        return self._modules[id(names)]

    def _empty_cell(self, cell: types.CellType) -> types.CellType:
        # The dictionary keeps the cell, so that no other one gets its id.
        return self._cells.setdefault(id(cell), (cell, types.CellType()))[1]


class Call:
    """Is pickled as the result of a function that is called at that moment."""

    def __init__(self, reduce: Callable[[], Any]) -> None:
        self._reduce = reduce

    def __reduce__(self) -> Any:
        return self._reduce()


def _fill(
    function: types.FunctionType, state: tuple[Callable[..., object], State, set[str]]
) -> None:
    """Give a loaded function its variables, except shared ones that were set before.

    Code of the user may have changed or deleted those since then.
    """
    set_state, (attributes, slots), names_set = state
    slots["__globals__"], new = {}, slots["__globals__"]
    _add(function.__globals__, new, names_set)
    if slots["__closure__"] is not None:
        cells = zip(function.__closure__ or (), slots["__closure__"], strict=True)
        slots["__closure__"] = tuple(types.CellType() if _is_full(a) else b for a, b in cells)
    set_state(function, (attributes, slots))


def _empty_module(own: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType("")
    vars(module).clear()
    vars(module).update(own)
    return module


def _same(obj: Any) -> Any:
    return obj


def _fill_module(module: Any, state: tuple[dict[str, Any], set[str]]) -> None:
    _add(vars(module), *state)


def _add(names: dict[str, Any], new: dict[str, Any], names_set: set[str]) -> None:
    for name in new.keys() - names_set:
        names.setdefault(name, new[name])
    names_set.update(new)


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 -- raises if there is nothing
    except ValueError:
        return False
    return True
