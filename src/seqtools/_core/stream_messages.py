"""What the user is told of an iterable that is read as a sequence."""


def advice(again: int, given: int, back: int) -> str:
    """Return what to do where items are made again and again.

    Args:
        again: How many items were made again.
        given: How many were given.
        back: How far back the furthest of them was.
    """
    return (
        f"made {again:,} items again to give {given:,}, because these were asked "
        "for when its iterator had passed them: read them in order, or give uniter() a "
        f"cache_size of up to {back:,}, an n_parallel of as many places as are read "
        "side by side, or list(iterable)"
    )


def gone(i: int, cache_size: int, failure: tuple[int, BaseException | None] | None) -> Exception:
    """Return the error of item `i` that an iterator has passed, and that cannot be made again.

    Args:
        i: The item.
        cache_size: How many items are kept.
        failure: Where an iterator has failed, if one has, and with which error; with none, it is
            that of the parent of this process.
    """
    if failure is None:
        message = (
            f"the iterator is past item {i} and cannot be started anew: give uniter() a "
            f"larger cache_size than {cache_size}, or an iterable that is not an iterator"
        )
        return RuntimeError(message)
    k, error = failure
    if error is None:
        message = (
            "an iterator cannot be read in a forked process, because it may share a file with "
            "the process that it comes from: give uniter() an iterable that is not an iterator"
        )
        return RuntimeError(message)
    failed = RuntimeError(f"the iterator failed at item {k} and cannot be started anew")
    failed.__cause__ = error
    return failed
