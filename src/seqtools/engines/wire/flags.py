"""Flags of `logging` and `warnings` that workers get from the consumer.

They decide whether an item makes a log record, or fails because of a warning. So workers have the
levels and filters that the consumer has when they start.
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

from seqtools.engines.wire import log_levels

Filter: TypeAlias = tuple[Any, ...]
"""An entry of `warnings.filters`; its third field is the category."""


class Flags(NamedTuple):
    """The flags. They are sent before the start hook, so they contain no class to be imported."""

    disabled: int
    """The argument of `logging.disable`."""
    raising: bool
    """`logging.raiseExceptions`: whether an error in a handler is printed."""
    loggers: dict[str, log_levels.State]
    """Levels of loggers, and which are disabled; those that are as new ones are left out."""
    configured: frozenset[str]
    """Names of loggers that have handlers."""
    filters: list[Filter]
    """Those of `warnings`. A category that is not built in is a module and a name, or a number in
    the list of `own_categories`."""

    @classmethod
    def now(cls) -> "Flags":
        """Return the flags of this process."""
        own = own_categories()
        return cls(
            logging.root.manager.disable,
            logging.raiseExceptions,
            log_levels.states(),
            frozenset(each.name for each in log_levels.all_loggers() if each.handlers),
            [(*each[:2], _sent(each[2], own), *each[3:]) for each in _filters()],
        )

    def set(self) -> None:
        """Set the flags of this process, except filters for classes that are not imported."""
        logging.disable(self.disabled)
        logging.raiseExceptions = self.raising
        for name, state in self.loggers.items():
            log_levels.set_state(name, state)
        _install([each for each in map(_found, self.filters) if each is not None])

    def is_enabled(self, name: str, level: int) -> bool:
        """Return whether logger `name` makes records of `level` in the consumer."""
        new = log_levels.State(logging.NOTSET)
        if self.loggers.get(name, new).disabled:
            return False
        while not self.loggers.get(name, new).level and name not in {"", "root"}:
            name = name.rpartition(".")[0]
        return self.disabled < level >= self.loggers.get(name or "root", new).level

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Return a context for imports: the loggers stay as they were before."""
        before = {name: log_levels.state_of(name) for name in self.loggers}
        yield
        for name, state in before.items():
            log_levels.set_state(name, state)

    def complete(self, own: list[type[Warning]]) -> None:
        """Add the filters for classes that were imported since, each where it belongs.

        Args:
            own: The `own_categories` of the consumer.
        """
        filters, after = [*warnings.filters], len(warnings.filters)
        for each in reversed(self.filters):
            found = _found(each, own)
            if found is None:
                continue
            if found in filters:
                after = filters.index(found)
            else:
                filters.insert(after, found)
        _install(filters)


def own_categories() -> list[type[Warning]]:
    """Return the classes in filters that workers cannot import, such as those of a script."""
    categories = dict.fromkeys(each[2] for each in _filters())
    return [each for each in categories if not _is_importable(each)]


def _is_importable(category: type[Warning]) -> bool:
    found: Any = sys.modules.get(category.__module__)
    for name in category.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is category and category.__module__ != "__main__"


def _filters() -> list[Filter]:
    # Python 3.14 may have some for each context
    return [*getattr(warnings, "_get_filters", lambda: warnings.filters)()]


def _sent(category: type[Warning], own: list[type[Warning]]) -> Any:
    if category.__module__ == "builtins":
        return category
    return own.index(category) if category in own else (category.__module__, category.__qualname__)


def _found(sent: Filter, own: list[type[Warning]] | None = None) -> Filter | None:
    """Return a filter with its class, `None` if that is not there."""
    category = sent[2]
    if isinstance(category, int):
        category = None if own is None else own[category]
    elif isinstance(category, tuple):
        module, names = category
        category = sys.modules.get(module)
        for name in names.split("."):
            category = getattr(category, name, None)
    return (*sent[:2], category, *sent[3:]) if isinstance(category, type) else None


def _install(filters: list[Filter]) -> None:
    warnings.resetwarnings()  # what modules have noted as shown is not valid any more
    warnings.filters.extend(filters)  # type: ignore[attr-defined]
