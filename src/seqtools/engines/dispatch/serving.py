"""Marks the threads of engines."""

import threading


class _Serving(threading.local):
    serves = False


serving = _Serving()
"""In a thread of an engine, `serves` is true. The garbage collector may run in such a thread and
close an engine there; then `close` must not wait for the engine, which may wait for this thread."""
