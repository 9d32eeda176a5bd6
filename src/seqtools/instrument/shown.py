"""Text that a notebook shows as HTML."""

from collections.abc import Callable
from typing import Any


class Shown(str):
    """A text, the same as any other, which notebooks show as formatted HTML.

    The HTML is made when it is shown. A pickled copy is a plain `str`.
    """

    __slots__ = ("_html",)

    _html: Callable[[], str]

    @classmethod
    def of(cls, text: str, html: Callable[[], str]) -> "Shown":
        """Return `text` that is shown as what `html` returns."""
        shown = cls(text)
        shown._html = html
        return shown

    def _repr_html_(self) -> str:
        """Return the HTML that notebooks show."""
        return self._html()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text alone."""
        return str, (str(self),)
