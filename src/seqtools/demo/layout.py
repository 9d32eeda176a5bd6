"""How the demo lays out its lines."""

_TITLE = 13
"""Columns of the titles at the left, two of them empty."""


def row(title: str, text: str) -> None:
    """Print `text` beside its title."""
    print(f"{title:<{_TITLE}}{text}", flush=True)


def below(title: str, text: str) -> None:
    """Print the lines of `text` below their title."""
    print(title, *(f"  {line}" for line in text.splitlines()), sep="\n", flush=True)


def counted(count: int, one: str, more: str = "") -> str:
    """Return a number of things in words; `more` of them are called `one` and an s."""
    return f"{count} {one if count == 1 else more or one + 's'}"


def volume(size: float) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"  # noqa: PLR2004 -- 0.1 MB
