"""Figures in words."""


def lasting(seconds: float) -> str:
    """Return a duration in words.

    Example:
        >>> lasting(0.0123), lasting(75), lasting(2.5e-06)
        ('12.3 ms', '75 s', '2.5 µs')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{_short(seconds / scale)} {unit}"
    return f"{_short(seconds / 1e-6)} µs"


def volume(count: float) -> str:
    """Return a number of bytes in words.

    Example:
        >>> volume(2_500_000), volume(12)
        ('2.5 MB', '12 bytes')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{_short(count / scale)} {unit}"
    return f"{count:.0f} bytes"


def share(part: float) -> str:
    """Return a share in words.

    Example:
        >>> share(0.256)
        '26 %'
    """
    return f"{part:.0%}".replace("%", " %")


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 -- three digits
