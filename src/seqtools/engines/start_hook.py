"""Calling the start hook of a user in a worker."""

from collections.abc import Callable


def call_hook(hook: Callable[..., object], number: int) -> None:
    """Call `hook` with the number of the worker, or without it if it takes no argument."""
    import inspect

    try:
        inspect.signature(hook).bind(number)
    except TypeError:
        hook()
    except ValueError:  # a builtin without a signature
        hook(number)
    else:
        hook(number)
