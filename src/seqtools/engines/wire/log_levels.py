"""Levels of loggers, also of those that do not exist yet.

A logger that is made too early is not of the class that a start hook chooses by
`logging.setLoggerClass`. So a level waits for its logger, which user code makes, unless there is
already a logger below it, which inherits the level.
"""

import logging
from typing import Any

_waiting: dict[str, int] = {}
"""Levels of loggers that do not exist yet."""


def levels() -> dict[str, int]:
    """Return the levels of loggers that have one, and of the root, whose default is not 0."""
    made = {each.name: each.level for each in all_loggers() if each.level}
    return {**_waiting, **made, logging.root.name: logging.root.level}


def set_level(name: str, level: int) -> None:
    """Set the level of a logger, now or as soon as there is one of this name."""
    manager: Any = logging.root.manager
    if name == logging.root.name or name in manager.loggerDict:
        logging.getLogger(name).setLevel(level)
        return
    _waiting[name] = level
    if not isinstance(manager.getLogger, _Getter):
        manager.getLogger = _Getter(manager.getLogger)


def level_of(name: str) -> int:
    """Return the level of a logger, or the level that it will have."""
    if name == logging.root.name:
        return logging.root.level
    found = logging.root.manager.loggerDict.get(name)
    waiting = _waiting.get(name, logging.NOTSET)
    return found.level if isinstance(found, logging.Logger) else waiting


def all_loggers() -> list[logging.Logger]:
    """Return the loggers of this process that are found by their names."""
    known = [*logging.root.manager.loggerDict.values()]
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]


class _Getter:
    """Returns loggers, with their levels and with those above them, from which they inherit."""

    def __init__(self, get: Any) -> None:
        self._get = get

    def __call__(self, name: str) -> logging.Logger:
        if _waiting and isinstance(name, str):
            parts = name.split(".")
            # so that nobody gets one without its level
            with getattr(logging, "_lock"):  # noqa: B009 -- as in `exit_functions`
                for n in range(1, len(parts) + 1):
                    each = ".".join(parts[:n])
                    if each in _waiting:
                        self._get(each).setLevel(_waiting.pop(each))
        return self._get(name)  # type: ignore[no-any-return] # as `logging` does
