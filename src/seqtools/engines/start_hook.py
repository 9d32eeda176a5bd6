"""Calling the start hook of a user in a worker."""

from collections.abc import Callable


def call_hook(hook: Callable[..., object], number: int) -> None:
    """Call `hook` with the number of the worker, or without it if it takes no argument."""
    # not within `except`, or a hook that fails would seem to fail because of its signature
    if _takes_number(hook):
        hook(number)
    else:
        hook()


def _takes_number(hook: Callable[..., object]) -> bool:
    import inspect

    try:
        inspect.signature(hook).bind(0)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def needs_number(hook: Callable[..., object]) -> bool:
    """Return whether `hook` cannot be called without an argument."""
    import inspect

    try:
        inspect.signature(hook).bind()
    except TypeError:
        return True
    except ValueError:  # a builtin without a signature
        return False
    return False
