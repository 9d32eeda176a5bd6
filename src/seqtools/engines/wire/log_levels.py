"""Levels and classes of loggers, and which are disabled, also of those that do not exist yet.

A logger that is made too early is not of the class that a start hook chooses by
`logging.setLoggerClass`. So a level waits for its logger, which user code makes, unless there is
already a logger below it, which inherits the level.
"""

import logging
from typing import Any, NamedTuple


class State(NamedTuple):
    """What decides whether a logger makes a record."""

    level: int
    """Its level, 0 if it inherits that of the logger above it."""
    disabled: bool = False
    """Whether it makes none, as `logging.config` sets it by default for loggers that it finds."""


_waiting: dict[str, State] = {}
"""States of loggers that do not exist yet."""


def states() -> dict[str, State]:
    """Return the states of loggers that have another than a new one, and of the root."""
    found = {each.name: _state(each) for each in all_loggers()}
    made = {name: state for name, state in found.items() if any(state)}
    return {**_waiting, **made, logging.root.name: _state(logging.root)}


def set_state(name: str, state: State) -> None:
    """Set the state of a logger, now or as soon as there is one of this name."""
    manager: Any = logging.root.manager
    if name == logging.root.name or name in manager.loggerDict:
        _give(logging.getLogger(name), state)
        return
    _waiting[name] = state
    if not isinstance(manager.getLogger, _Getter):
        manager.getLogger = _Getter(manager.getLogger)


def state_of(name: str) -> State:
    """Return the state of a logger, or the state that it will have."""
    if name == logging.root.name:
        return _state(logging.root)
    found = logging.root.manager.loggerDict.get(name)
    waiting = _waiting.get(name, State(logging.NOTSET))
    return _state(found) if isinstance(found, logging.Logger) else waiting


def all_loggers() -> list[logging.Logger]:
    """Return the loggers of this process that are found by their names."""
    known = [*logging.root.manager.loggerDict.values()]
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]


def _state(logger: logging.Logger) -> State:
    return State(logger.level, bool(logger.disabled))


def _give(logger: logging.Logger, state: State) -> None:
    if logger.level != state.level:
        logger.setLevel(state.level)
    logger.disabled = state.disabled


def made_logger(cls: type[logging.Logger], name: str) -> logging.Logger:
    """Return the logger of this name, which is of class `cls` if there was none yet."""
    manager: Any = logging.root.manager
    with getattr(logging, "_lock"):  # noqa: B009 -- as in `exit_functions`
        if not isinstance(manager.loggerDict.get(name), logging.Logger):
            if isinstance(manager.getLogger, _Getter):
                manager.getLogger.make_those_above(name)  # which are of another class
            before, manager.loggerClass = manager.loggerClass, cls
            try:
                return logging.getLogger(name)
            finally:
                manager.loggerClass = before
        return logging.getLogger(name)


class _Getter:
    """Returns loggers, with their states and with those above them, from which they inherit."""

    def __init__(self, get: Any) -> None:
        self._get = get

    def __call__(self, name: str) -> logging.Logger:
        if _waiting and isinstance(name, str):
            # so that nobody gets one without its level
            with getattr(logging, "_lock"):  # noqa: B009 -- as in `exit_functions`
                self.make_those_above(name)
                self._make(name)
        return self._get(name)  # type: ignore[no-any-return] # as `logging` does

    def make_those_above(self, name: str) -> None:
        """Make the loggers from which one of this name inherits, if they have a state."""
        parts = name.split(".")
        for n in range(1, len(parts)):
            self._make(".".join(parts[:n]))

    def _make(self, name: str) -> None:
        if name in _waiting:
            _give(self._get(name), _waiting.pop(name))
