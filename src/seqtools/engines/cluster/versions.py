"""What is said of workers that have other versions than this process."""

from collections.abc import Sequence

from seqtools.engines.cluster.messages import SPEAKS


def other_version(speaks: Sequence[int], title: str) -> str:
    """Return what to do about workers of a cluster that speak so; see `remote.SPEAKS`."""
    ours, python, theirs = SPEAKS[0], SPEAKS[1:], tuple(speaks[1:3])
    if theirs != python:
        versions = ".".join(map(str, theirs)), ".".join(map(str, python))
        return (
            f"the workers of {title} have Python {versions[0]}, this process has {versions[1]}: "
            "functions can be sent only between equal versions"
        )
    return (
        f"the workers of {title} have another version of seqtools (messages {speaks[0]}, here "
        f"{ours}): install the same one"
    )
