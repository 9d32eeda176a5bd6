"""What functions of users can be called with."""

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqtools._core.display.short import called

if TYPE_CHECKING:
    from inspect import Signature


def check_takes_rng(f: Callable[..., Any], count: int | None) -> None:
    """Raise `TypeError` if `f` takes no argument `rng` by name.

    Args:
        f: The function.
        count: The number of arguments that it is given by position; `None` if that is not known.
    """
    import inspect

    name = called(f)
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):  # of a function in C
        message = (
            f"with rng=, f must have a parameter rng, and those of {name} are not known: "
            f"{_wrapped(name, count)}"
        )
        raise TypeError(message) from None
    if not _takes_rng(signature, count):
        message = (
            f"with rng=, f must have a parameter rng, got {name}{signature}: "
            f"{_advice(f, name, signature, count)}, where rng is a numpy.random.Generator"
        )
        raise TypeError(message)


def check_needs_no_rng(f: Callable[..., Any], count: int | None) -> None:
    """Raise `TypeError` if `f` needs an argument `rng` which it would not get.

    Args:
        f: The function; only those of Python are looked at.
        count: As for `check_takes_rng`.
    """
    code = getattr(f, "__code__", None)
    if code is None or "rng" not in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return
    import inspect

    parameters = inspect.signature(f).parameters
    rng = parameters["rng"]
    by_position = rng.kind is rng.POSITIONAL_OR_KEYWORD
    if rng.default is not rng.empty or (
        by_position and (count is None or [*parameters].index("rng") < count)
    ):
        return
    message = f"{called(f)} needs an argument rng: give smap() or starmap() a seed, such as rng=7"
    raise TypeError(message)


def _takes_rng(signature: "Signature", count: int | None) -> bool:
    for k, each in enumerate(signature.parameters.values()):
        if each.kind is each.VAR_KEYWORD or (each.kind is each.KEYWORD_ONLY and each.name == "rng"):
            return True
        if each.kind is each.POSITIONAL_OR_KEYWORD and each.name == "rng":
            return count is None or k >= count  # or else an item is given for it
    return False


def _advice(f: object, name: str, signature: "Signature", count: int | None) -> str:
    """Return what to write."""
    from inspect import Parameter, Signature

    parameters = [each for each in signature.parameters.values() if each.name != "rng"]
    function = isinstance(f, types.FunctionType | types.MethodType)
    if not function or len(parameters) < (count or 0):
        return _wrapped(name, count)
    parameters.append(Parameter("rng", Parameter.KEYWORD_ONLY))
    listed = str(Signature(parameters))
    return f"write lambda {listed[1:-1]}: …" if name == "<lambda>" else f"write def {name}{listed}"


def _wrapped(name: str, count: int | None) -> str:
    """Return how to call a function that is not the user's, or takes something else."""
    items = (
        "*items"
        if count is None
        else ", ".join(["item", *map("item{}".format, range(2, count + 1))])
    )
    name = "f" if name == "<lambda>" else name
    return f"use lambda {items}, rng: {name}({items}, …)"
