"""Messages about an iterable that is read as a sequence."""

from seqtools._core.errors import StreamError


def advice(again: int, given: int, back: int) -> str:
    """Return a warning: `again` items were evaluated again to return `given`.

    The last request was `back` items behind the iterator.
    """
    return (
        f"evaluated {again:,} items again to return {given:,}, because its iterator had passed "
        f"these: read items in order, or give uniter() a cache_size of {back:,} or more, an "
        "n_parallel as large as the number of positions that are read side by side, or "
        "list(iterable)"
    )


def gone(i: int, cache_size: int, failure: tuple[int, BaseException | None] | None) -> StreamError:
    """Return the error of item `i`, which an iterator has passed and cannot return again.

    `failure` is the item at which the iterator has failed, and its error; no error means that the
    iterator belongs to the parent process.
    """
    if failure is None:
        message = (
            f"the iterator is past item {i} and cannot start again: give uniter() a "
            f"larger cache_size than {cache_size}, or an iterable that is not an iterator"
        )
        return StreamError(message)
    k, error = failure
    if error is None:
        message = (
            "an iterator cannot be read in a forked process, because it may share a file with "
            "its parent process: give uniter() an iterable that is not an iterator"
        )
        return StreamError(message)
    failed = StreamError(f"the iterator failed at item {k} and cannot start again")
    failed.__cause__ = error
    return failed
