"""Calling the hooks of a user in a worker: the start hook and the end hook."""

from collections.abc import Callable


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
    import inspect

    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return any(p.kind in kinds and p.default is p.empty for p in parameters)
