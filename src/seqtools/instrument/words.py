"""Quantities in words."""


def duration(seconds: float) -> str:
    """Return a time in words."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= 0.9995 * size:
            return f"{_three(seconds / size)} {unit}"
    return f"{_three(seconds * 1e6)} µs"


def volume(size: float) -> str:
    """Return a number of bytes in words."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.9995 * factor:
            return f"{_three(size / factor)} {unit}"
    return f"{size:.0f} bytes"


def counted_as(count: int, one: str, more: str = "") -> str:
    """Return a number of things; several are called `more`, or `one` and an s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _three(number: float) -> str:
    """Return a number with three digits."""
    return f"{number:.0f}" if number >= 99.95 else f"{number:.3g}"  # noqa: PLR2004
