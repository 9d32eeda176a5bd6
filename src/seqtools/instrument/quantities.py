"""Quantities as text."""


def duration(seconds: float) -> str:
    """Return a time as text.

    Example:
        >>> duration(0.0123), duration(75), duration(2.5e-06)
        ('12.3 ms', '75 s', '2.5 µs')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= 0.9995 * size:
            return f"{_three(seconds / size)} {unit}"
    return f"{_three(seconds * 1e6)} µs"


def volume(size: float) -> str:
    """Return a number of bytes as text.

    Example:
        >>> volume(2_500_000), volume(12)
        ('2.5 MB', '12 bytes')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= 0.9995 * factor:
            return f"{_three(size / factor)} {unit}"
    return f"{size:.0f} bytes"


def share(part: float) -> str:
    """Return a share as text.

    Example:
        >>> share(0.256)
        '26 %'
    """
    return f"{100 * part:.0f} %"


def counted_as(count: int, one: str, more: str = "") -> str:
    """Return a count with the singular `one`, or the plural `more`, by default `one` with an s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _three(number: float) -> str:
    """Return a number with three significant digits."""
    return f"{number:.0f}" if number >= 99.95 else f"{number:.3g}"  # noqa: PLR2004
