"""Objects that have a value of their own for each thread or context.

Their identity is what counts: the code that sets a value and the code that reads it must have the
same object. So those of an imported module are found there by their name, which a copy would not
be.
"""

import contextvars
import gc
import sys
import threading
import types
from typing import Any

from cloudpickle.cloudpickle import _should_pickle_by_reference

from seqtools.engines.wire.instances import builtin_base


def _in_its_module(obj: Any) -> Any:
    """Return how to find an object that is a variable of a module that workers import."""
    for name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType) or name in {"__main__", "__mp_main__"}:
            continue
        found = next((key for key, value in list(vars(module).items()) if value is obj), None)
        if found is not None and _should_pickle_by_reference(module):
            return getattr, (module, found)
    return None


def reduce_local(local: Any) -> Any:
    """Return how to make a `threading.local` in which no thread has a value yet."""
    cls = type(local)
    arguments = ((), {}) if cls.__init__ is object.__init__ else _arguments(local)
    return _in_its_module(local) or (_empty_local, (cls, *arguments))


def _arguments(local: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what `__init__` is called with in each thread, which only the collector tells.

    No attribute of `local` is read here, because that would call `__init__` in this thread.
    """
    referents = gc.get_referents(local)
    while type(local) in referents:  # those of a class of Python, such as slots, come first
        del referents[: referents.index(type(local)) + 1]
    args, *others = referents
    return args, next((d for d in others if type(d) is dict and set(map(type, d)) == {str}), {})


def _empty_local(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made: list[Any] = []

    def make() -> None:
        made.append(builtin_base(cls).__new__(cls, *args, **kwargs))

    if cls.__init__ is object.__init__:
        make()
    else:
        # The thread that makes the object is the one in which `__init__` is not called later. It
        # cannot be called now, because what it needs may not be loaded yet, and because what it
        # opens would be shared by all workers that are forked from here.
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
    return made[0]


def reduce_variable(variable: contextvars.ContextVar[Any]) -> Any:
    """Return how to make a context variable with the value that it has here, if any."""
    try:
        values = [variable.get()]
    except LookupError:
        values = []
    is_set = variable in contextvars.copy_context()
    return _in_its_module(variable) or (_variable, (variable.name, values, is_set))


def _variable(name: str, values: list[Any], is_set: bool) -> contextvars.ContextVar[Any]:  # noqa: FBT001 -- called by pickle
    if not values:
        return contextvars.ContextVar(name)
    # Workers may have other threads, in whose contexts only the default is seen.
    variable = contextvars.ContextVar(name, default=values[0])
    if is_set:
        variable.set(values[0])
    return variable
