"""Arguments that must be one of several strings."""

from collections.abc import Iterable

from seqtools._core.display.short import short


def check_choice(value: object, name: str, choices: Iterable[str]) -> None:
    """Raise `ValueError` if `value` is none of `choices`, and name a similar one."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return
    message = f"{name} must be {one_of(choices)}, got {short(value)}"
    if isinstance(value, str):
        import difflib

        near = difflib.get_close_matches(value.lower(), choices, n=1)
        message += f": did you mean {near[0]!r}?" if near else ""
    raise ValueError(message)


def one_of(names: Iterable[str]) -> str:
    """Return the names in quotes, as in `'a', 'b' or 'c'`."""
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last
