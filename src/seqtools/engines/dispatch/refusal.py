"""The message that no worker can work, which is sent in place of items."""

import pickle
import traceback

from seqtools._core.errors import summary


def pickled_reason(what: str, error: BaseException) -> bytes:
    """Return the message that no worker can work, for `result_messages.refusal`."""
    story = "".join(traceback.format_exception(error))[-30_000:]
    # not longer than a socket accepts
    return pickle.dumps((f"{what}: {summary(error)}"[:10_000], story, _missing(error)))


def _missing(error: BaseException | None) -> str:
    """Return the name of the module that is missing, empty if that is not the reason."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name[:1000]
        error = error.__cause__ or error.__context__
    return ""
