"""Sends log records, warnings and failed items of a worker to the consumer.

The methods of `logging` and `warnings` that would handle them here are replaced. A record waits for
no lock of a handler: a finalizer that logs, within a message that is being sent, must not wait for
a thread that waits for the pipe.
"""

import logging
import pickle
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Protocol

from seqtools._core import failed_items
from seqtools._core.display.short import short
from seqtools._core.failed_items import FailedItem
from seqtools.engines.dispatch.evaluator import Evaluator
from seqtools.engines.dispatch.forwarded import (
    SentFailure,
    SentWarning,
    handle_record,
    issue_warning,
)
from seqtools.engines.wire.exceptions import pickled
from seqtools.engines.wire.flags import Flags
from seqtools.engines.wire.log_levels import all_loggers
from seqtools.engines.wire.result_pickling import ResultDumper

_PLAIN = frozenset({str, int, float, bool, type(None)})
_ITEMS = Evaluator._fill.__code__  # noqa: SLF001 -- of this room; its frame knows the item


class Target(Protocol):
    """Takes what is sent to the consumer."""

    name: str
    """The name of the worker."""
    by_value: Sequence[Any]
    """The objects to which what is sent refers by number."""

    def note(self, body: bytes) -> None:
        """Send what `forwarded.take` takes."""


class Handlers:
    """The handlers of `logging` that are called in this process too.

    Those are the handlers that the start hook has added. Others are called unless the consumer has
    handlers for the same logger: a module adds the same ones there.
    """

    def __init__(self) -> None:
        self.configured: Collection[str] = ()
        """Names of loggers that have handlers in the consumer."""
        self._before = _all_handlers()
        self._after: dict[int, logging.Handler] | None = None

    def hooked(self) -> None:
        """Note that the start hook has returned: handlers that are added later are not its."""
        self._after = _all_handlers()

    def call(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Call the handlers for `record`, and return whether there was one."""
        found = False
        current: logging.Logger | None = logger
        while current is not None:
            for handler in current.handlers:
                if current.name not in self.configured or self._is_of_hook(handler):
                    found = True
                    if record.levelno >= handler.level:
                        handler.handle(record)
            current = current.parent if current.propagate else None
        return found

    def _is_of_hook(self, handler: logging.Handler) -> bool:
        new = self._after is None or id(handler) in self._after
        return new and id(handler) not in self._before


def _all_handlers() -> dict[int, logging.Handler]:
    """Return the handlers of all loggers, by their ids."""
    return {id(handler): handler for logger in all_loggers() for handler in logger.handlers}


def ignore_default_handler() -> None:
    """Have `logging.info` add no handler to a root logger without one, for good."""
    configure = logging.basicConfig

    def basic_config(**options: Any) -> None:
        if options:
            configure(**options)

    logging.basicConfig = basic_config


class Forwarding:
    """Replaces what handles log records and warnings, and is told of failed items, until `end`.

    Args:
        target: Returns where those of the calling thread go; `None` for the usual way.
        handlers: The handlers that are called too, if any.
        flags: Returns the flags that say what is logged, if that is not as usual.
    """

    def __init__(
        self,
        target: Callable[[], Target | None],
        handlers: Handlers | None = None,
        flags: Callable[[], Flags | None] | None = None,
    ) -> None:
        self._target, self._handlers, self._flags = target, handlers, flags
        self._is_enabled = logging.Logger.isEnabledFor
        self._call_handlers = logging.Logger.callHandlers
        self._show_warning = warnings.showwarning
        # functions, so that they are methods of loggers
        self._ours: Any = lambda logger, record: self._log(logger, record)  # noqa: PLW0108
        self._our_levels: Any = lambda logger, level: self._logs(logger, level)  # noqa: PLW0108
        logging.Logger.callHandlers = self._ours  # type: ignore[method-assign]
        if flags is not None:
            logging.Logger.isEnabledFor = self._our_levels  # type: ignore[method-assign]
        warnings.showwarning = self._warn
        self._send: Any = self._send_failed  # one object, so that it can be removed
        failed_items.senders.append(self._send)

    def end(self) -> None:
        """Undo it, unless user code has replaced the same meanwhile."""
        if logging.Logger.callHandlers is self._ours:
            logging.Logger.callHandlers = self._call_handlers  # type: ignore[method-assign]
        if logging.Logger.isEnabledFor is self._our_levels:
            logging.Logger.isEnabledFor = self._is_enabled  # type: ignore[method-assign]
        if warnings.showwarning == self._warn:
            warnings.showwarning = self._show_warning
        failed_items.senders.remove(self._send)

    def _send_failed(self, mark: bytes, failed: FailedItem) -> None:
        target = self._target()
        if target is None:
            return
        dumper = ResultDumper(target.by_value)
        sent = SentFailure(failed.index, pickled(failed.error, dumper.dumps), failed.path)
        with suppress(OSError):  # the consumer has ended
            target.note(dumper.dumps((failed_items.arrived, sent, mark)))

    def _logs(self, logger: logging.Logger, level: int) -> bool:
        flags = None if self._flags is None else self._flags()
        if flags is None:
            return self._is_enabled(logger, level)
        return flags.is_enabled(logger.name, level)

    def _log(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        target = self._target()
        known = logging.root.manager.loggerDict.get(logger.name)
        if target is None or (known is not logger and logger is not logging.root):
            self._call_handlers(logger, record)  # a logger that only its module knows
            return
        handled = self._handlers is not None and self._handlers.call(logger, record)
        try:
            fields = _fields(record)
            fields["seqtools_worker"], fields["seqtools_item"] = target.name, _item()
            target.note(_pickled_record(fields, target.by_value, handled=handled))
        except OSError:  # the consumer has ended
            pass
        except Exception:  # noqa: BLE001 -- arguments of a user may raise anything
            logging.NullHandler().handleError(record)

    def _warn(  # noqa: PLR0913, PLR0917 -- the signature of `warnings.showwarning`
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        target = self._target()
        if target is None or file is not None:
            self._show_warning(message, category, filename, lineno, file, line)
            return
        place = filename, lineno, _module(filename, lineno)
        warning = SentWarning(str(message), _pickled_warning(message, target.by_value))
        for base in category.__mro__:  # the class may be known to this process only
            with suppress(Exception):
                sent = issue_warning, warning, base, *place
                body = ResultDumper(target.by_value).dumps(sent)
                break
        with suppress(OSError):  # the consumer has ended
            target.note(body)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the attributes of a record without what cannot be sent: as `QueueHandler` does.

    Arguments that are numbers and texts are sent as they are, because filters may look at them.
    """
    fields = dict(vars(record))
    if not _is_sent_as_it_is(record):
        fields["msg"], fields["args"] = record.getMessage(), None
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    fields["exc_info"] = None
    return fields


def _is_sent_as_it_is(record: logging.LogRecord) -> bool:
    args = record.args
    return type(record.msg) is str and type(args) is tuple and all(map(_is_plain, args))


def _is_plain(value: object) -> bool:
    return type(value) in _PLAIN


def _pickled_record(fields: dict[str, Any], by_value: Sequence[Any], *, handled: bool) -> bytes:
    others = (value for name, value in fields.items() if name != "args")  # which are plain, or None
    if all(map(_is_plain, others)):  # as usual, in a tenth of the time
        return pickle.dumps((handle_record, fields, handled), 5)
    dumper = ResultDumper(by_value)
    try:
        return dumper.dumps((handle_record, fields, handled))
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        for name, value in fields.items():
            try:
                dumper.dumps(value)
            except Exception:  # noqa: BLE001 -- as above
                fields[name] = short(value)
        return dumper.dumps((handle_record, fields, handled))


def _pickled_warning(message: Warning | str, by_value: Sequence[Any]) -> bytes | None:
    if isinstance(message, str):
        return None
    try:
        return ResultDumper(by_value).dumps(message)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return None


def _item() -> int | None:
    """Return the index of the item that this thread evaluates."""
    frames = (frame for frame in _frames() if frame.f_code is _ITEMS)
    frame = next(frames, None)
    return None if frame is None else frame.f_locals.get("i")


def _module(filename: str, lineno: int) -> str | None:
    """Return the name of the module that warns, by which filters may choose."""
    for frame in _frames():
        if frame.f_lineno == lineno and frame.f_code.co_filename == filename:
            name = frame.f_globals.get("__name__")
            return name if isinstance(name, str) else None
    return None


def _frames() -> Iterator[FrameType]:
    """Yield the frames of this thread, which costs nothing before something is logged."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 -- as `logging` does
    while frame is not None:
        yield frame
        frame = frame.f_back
