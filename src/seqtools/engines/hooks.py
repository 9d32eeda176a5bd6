"""Calling the hooks of a user in a worker: the start hook and the end hook."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import inspect


def call_hook(hook: Callable[..., object], number: int | None) -> None:
    """Call `hook`, with the number of the worker if it has a required positional parameter.

    Args:
        hook: The start hook or the end hook.
        number: The number of the worker, `None` if it has none.
    """
    if number is not None and needs_number(hook):
        hook(number)
    else:
        hook()


class StartHookFailed(Exception):  # noqa: N818 -- a signal in a worker; never reaches the reader
    """The start hook raised the cause of this."""


def call_start_hook(hook: Callable[..., object], number: int | None) -> None:
    """Call the start hook, as `call_hook` does.

    Raises:
        StartHookFailed: If it raises anything, which is the cause.
    """
    try:
        call_hook(hook, number)
    except BaseException as error:
        raise StartHookFailed from error


def needs_number(hook: Callable[..., object]) -> bool:
    """Return whether `hook` has a required positional parameter.

    An optional parameter is not for the number: in `def setup(config="default.yaml")` it means
    something else.
    """
    parameters = required_parameters(hook)
    return any(parameter.kind != parameter.KEYWORD_ONLY for parameter in parameters)


def required_parameters(hook: Callable[..., object]) -> "list[inspect.Parameter]":
    """Return the parameters that a call of `hook` must give; none if they are not known."""
    import inspect

    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return []
    several = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [p for p in parameters if p.default is p.empty and p.kind not in several]


def runs_when_called(hook: Callable[..., object]) -> bool:
    """Return whether a call runs the body of `hook`, and not only makes a coroutine or generator.

    One that is made in the body, as by a lambda, is not seen.
    """
    import inspect

    later = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
    return not any(test(each) for test in later for each in (hook, type(hook).__call__))
