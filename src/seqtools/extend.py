"""What people use who write combinators or engines of their own.

`docs/extending.md` shows the first, `docs/engines.md` the second.
`seqtools.testing` checks both.
"""

from seqtools._core.error_path import Step
from seqtools._core.errors import EndOfSequence, Failure
from seqtools._core.fusing import APPLIED, UNPACKED, Link
from seqtools._core.indices import Indices, as_array, as_list
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import assign, getter, read_many, size_of
from seqtools._core.store import Store
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage
from seqtools.engines.base import END, Deliver, Engine, GroupOf, Job, Part
from seqtools.engines.base import here as worker

__all__ = [
    "APPLIED",
    "END",
    "UNPACKED",
    "Deliver",
    "EndOfSequence",
    "Engine",
    "Failure",
    "GroupOf",
    "Indices",
    "Job",
    "LazySequence",
    "Link",
    "Part",
    "Rearrangement",
    "Step",
    "Store",
    "Traits",
    "as_array",
    "as_list",
    "assign",
    "getter",
    "is_stage",
    "read_many",
    "size_of",
    "worker",
]
