"""The options `--method` and `--nworkers` of commands, which replace those of the pipeline."""

import argparse
from typing import Any

from seqtools._core.sequence import LazySequence
from seqtools.commands.finding import Refused
from seqtools.engines.methods import AUTO, METHODS


def add_workers(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add the options; `verb` is what the command does with the pipeline and workers."""
    parser.add_argument(
        "--method",
        choices=tuple(method.name for method in METHODS.values() if method.has_name),
        help=f"{verb} such workers, whatever the pipeline says",
    )
    parser.add_argument("--nworkers", metavar="N", type=_workers, help=f"{verb} so many, or `auto`")


def _workers(text: str) -> int | str:
    if text == AUTO:
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0 or more, or `auto`, got {text!r}")
    return int(text)


def with_workers(
    pipeline: LazySequence[Any], method: str | None, nworkers: int | str | None
) -> LazySequence[Any]:
    """Return the pipeline with workers of the given kind and number.

    Raises:
        Refused: If a prefetch cannot have such workers.
    """
    from seqtools.prefetching import prefetch
    from seqtools.prefetching.sequence import Prefetch

    if method is None and nworkers is None:
        return pipeline
    given: dict[str, Any] = {}
    source: Any = pipeline
    if isinstance(pipeline, Prefetch):
        source, options = pipeline._args()
        given = {
            name: value
            for name, value in options._asdict().items()
            if value != options._field_defaults.get(name)
        }
    if method is not None:
        given["method"] = method
    if nworkers is not None:
        given["nworkers"] = nworkers
    try:
        found = prefetch(source, **given)
    except (TypeError, ValueError, ModuleNotFoundError) as error:
        raise Refused(str(error)) from None
    found._origin = pipeline._origin  # no line of the user's makes it
    return found
