"""Log records, warnings and failed items of workers, in the consumer.

A worker sends a function of this module with its arguments. A reader calls it, in order with the
output that the worker has printed.
"""

import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from seqtools._core.error_path import Step
from seqtools._core.errors import shortened, summary
from seqtools._core.failed_items import FailedItem
from seqtools.engines.dispatch.output_display import said
from seqtools.engines.wire import exceptions
from seqtools.engines.wire.exceptions import PickledException

_LONGEST_STORY = 10_000
"""Most characters of a traceback in a warning. Arbitrary."""

_registries: dict[str, dict[Any, Any]] = {}
"""What `warnings` needs to show a warning once, for modules that are not in this process."""


def take(body: Any, loads: Callable[[Any], Any]) -> None:
    """Have a reader do what a worker has sent, which `loads` unpickles."""
    try:
        act, *arguments = loads(body)
        if type(arguments[0]) in {SentWarning, SentFailure}:
            arguments[0] = arguments[0].loaded(loads)
    except Exception as error:  # noqa: BLE001 -- code of users may raise anything
        what = f"what a worker has logged cannot be loaded: {summary(error)}"
        act, arguments = issue_warning, [what, RuntimeWarning, __file__, 1, __name__]
    said.append(partial(act, *arguments))


def handle_record(fields: dict[str, Any], handled: bool) -> None:  # noqa: FBT001 -- it travels
    """Give a record of `logging` to the handlers of this process, as its levels and filters say.

    Args:
        fields: The attributes of the record.
        handled: Whether handlers of the worker have had it: then handlers here must have been set
            up, because the last resort of `logging` is for records that nothing else handles.
    """
    import logging

    logger = logging.getLogger(fields["name"])
    if logger.isEnabledFor(fields["levelno"]) and (logger.hasHandlers() or not handled):
        record = logging.makeLogRecord(fields)
        name = logging.getLevelName(record.levelno)
        if name != f"Level {record.levelno}":  # otherwise only the worker may have a name for it
            record.levelname = name
        logger.handle(record)


class SentFailure(NamedTuple):
    """A failed item on its way from a worker."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    error: list[PickledException]
    path: tuple[Step, ...]

    def loaded(self, loads: Callable[[Any], Any]) -> FailedItem:
        """Return the item, with its error."""
        return FailedItem(self.index, exceptions.loaded(self.error, loads), self.path)


class SentWarning(NamedTuple):
    """A warning on its way from a worker."""

    text: str
    """What is shown if the warning itself cannot be sent."""
    body: bytes | None
    """The pickled warning, `None` if it cannot be pickled."""

    def loaded(self, loads: Callable[[Any], Any]) -> Warning | str:
        """Return the warning, with its attributes, or else its text."""
        if self.body is not None:
            try:
                warning = loads(self.body)
                if issubclass(type(warning), Warning) and str(warning) == self.text:
                    return warning  # type: ignore[no-any-return] # as just seen
            except Exception:  # noqa: BLE001, S110 -- code of users may raise anything
                pass
        return self.text


def issue_warning(
    message: Warning | str, category: type[Warning], file: str, line: int, module: str | None
) -> None:
    """Issue a warning as if the line of a module had done that in this process.

    A text becomes a warning of the category, or else of the nearest one that is built in.

    Without a module, it is named after the file, as `warnings` does: `None` would mean that the
    interpreter ends, and the warning would be dropped.

    Raises:
        Warning: If the filters of this process say so.
    """
    name = module or file.removesuffix(".py") or "<unknown>"
    warning = _warning(message, category) if isinstance(message, str) else message
    warnings.warn_explicit(warning, category, file, line, name, _registry(name))


def _warning(text: str, category: type[Warning]) -> Warning:
    """Return a warning with this text, whatever arguments its class takes."""
    try:
        warning = category.__new__(category, text)
        warning.args = (text,)
        if str(warning) == text:
            return warning
    except Exception:  # noqa: BLE001, S110 -- code of users may raise anything
        pass
    known: type[Warning] = next(c for c in category.__mro__ if c.__module__ == "builtins")
    return known(text)


def _registry(module: str) -> dict[Any, Any]:
    """Return the warnings of a module that were shown."""
    found = sys.modules.get(module)
    if found is None:
        return _registries.setdefault(module, {})
    registry: dict[Any, Any] = vars(found).setdefault("__warningregistry__", {})
    return registry


def failed_end_hook(worker: str, error: BaseException) -> tuple[Any, ...]:
    """Return what `take` needs to issue a warning about an end hook that raised `error`."""
    try:
        story = shortened("".join(traceback.format_exception(error)), _LONGEST_STORY)
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        story = "(its traceback cannot be shown)"
    text = f"end_hook failed in {worker}: {summary(error)}\n{story}"
    frames = [*traceback.walk_tb(error.__traceback__)]
    frame, line = frames[-1] if frames else (sys._getframe(), 1)  # noqa: SLF001
    return issue_warning, text, RuntimeWarning, frame.f_code.co_filename, line, __name__


def tell_failed_end_hook(worker: str, error: BaseException) -> None:
    """Have a reader issue this warning."""
    act, *arguments = failed_end_hook(worker, error)
    said.append(partial(act, *arguments))
