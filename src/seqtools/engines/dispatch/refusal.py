"""The message that no worker can work, which is sent in place of items."""

import pickle
import traceback
from collections.abc import Sequence

from seqtools._core.errors import summary
from seqtools.engines.hooks import StartHookFailed
from seqtools.engines.wire.exceptions import PickledException, pickled

_LARGEST = 30_000
"""Most bytes of an exception that is sent with its message. Arbitrary."""


def pickled_failed_start(worker: str, error: BaseException) -> bytes:
    """Return the message that `worker` could not start, because of `error`."""
    cause = error.__cause__
    if isinstance(error, StartHookFailed) and cause is not None:
        return pickled_reason(f"start_hook failed in {worker}", cause)
    return pickled_reason(f"loading failed in {worker}", error)


def pickled_reason(what: str, error: BaseException) -> bytes:
    """Return the message that no worker can work, for `result_messages.refusal`."""
    story = "".join(traceback.format_exception(error))[-30_000:]
    # not longer than a socket accepts
    message = f"{what}: {summary(error)}"[:10_000]
    return pickle.dumps((message, story, _missing(error), _sent(error)))


def _sent(error: BaseException) -> Sequence[PickledException]:
    """Return `error` as it is sent, nothing if it cannot be sent or is too long."""
    sent = pickled(error, pickle.dumps)
    size = sum(len(each.body or b"") + 4 * len(each.text) for each in sent)
    return sent if sent[0].body is not None and size <= _LARGEST else ()


def _missing(error: BaseException | None) -> str:
    """Return the name of the module that is missing, empty if that is not the reason."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name[:1000]
        error = error.__cause__ or error.__context__
    return ""
