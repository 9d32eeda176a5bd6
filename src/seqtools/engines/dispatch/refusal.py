"""The message that no worker can work, which is sent in place of items."""

import pickle
import traceback

from seqtools._core.errors import summary


def pickled_reason(what: str, error: BaseException) -> bytes:
    """Return the message that no worker can work, for `result_messages.refusal`."""
    story = "".join(traceback.format_exception(error))[-30_000:]
    # not longer than a socket accepts
    return pickle.dumps((f"{what}: {summary(error)}"[:10_000], story))
