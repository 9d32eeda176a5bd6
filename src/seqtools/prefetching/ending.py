"""Engines that nobody needs any more: of a program that ends, or of a start that was given up."""

import weakref
from collections.abc import Callable

from seqtools.engines.base import Engine
from seqtools.engines.dispatch.output_display import show_last
from seqtools.prefetching.idle import watch

modules_exist = True
"""Whether the program has not ended: then modules may be gone, and their variables, also that of a
module that has imported this one, are `None`."""


class Start:
    """An engine that is being started, perhaps by a thread that was interrupted."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self.engine: Engine | None = None
        self.wanted = True

    def finish(self) -> None:
        """Start it, and close it if it is no longer wanted."""
        self.engine = engine = self._make()
        if not self.wanted:
            engine.close(wait=False)


class Ending:
    """Closes the engines of a prefetch that was garbage-collected, or at the end of the program.

    It refers neither to the prefetch nor strongly to an engine, so that an object that holds its
    own prefetch can be collected with the engine, which is then closed.
    """

    def __init__(self) -> None:
        self.over = False
        """Whether `end` was called."""
        self._engines: weakref.WeakSet[Engine] = weakref.WeakSet()

    def add(self, engine: Engine) -> None:
        """Add `engine` to those that `end` closes."""
        self._engines.add(engine)

    def renew(self) -> None:
        """Forget the engines of the parent of this process."""
        self._engines = weakref.WeakSet()

    def end(self) -> None:
        """Close all engines."""
        if not modules_exist:
            return
        self.over = True
        for engine in tuple(self._engines):
            engine.close(wait=False)
        show_last(wait=False)
        watch().look()
