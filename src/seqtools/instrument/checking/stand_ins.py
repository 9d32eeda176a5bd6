"""Pipelines to try: stages that scan, and whose tables are not known, are replaced."""

from typing import Any

from seqtools._core.sequence import LazySequence
from seqtools._core.walk import traits_upstream, upstream


def without_scans(pipeline: LazySequence[Any]) -> LazySequence[Any]:
    """Return `pipeline`, rebuilt over stand-ins of the stages that would scan.

    It is `pipeline` itself if none would.
    """
    if not traits_upstream(pipeline).scans:
        return pipeline
    made: dict[int, Any] = {}
    for stage in upstream(pipeline):
        given = stage._sources()
        sources = [made.get(id(source), source) for source in given]
        changed = any(new is not old for new, old in zip(sources, given, strict=True))
        would_scan = stage._traits.scans and not stage._is_scanned()
        if not changed and not would_scan:
            continue
        copy = stage._over(*sources) if changed else stage
        if would_scan:
            copy = copy._stand_in()
        copy._origin = stage._origin
        made[id(stage)] = copy
    return made.get(id(pipeline), pipeline)  # type: ignore[no-any-return]
