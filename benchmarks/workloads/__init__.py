"""A module for each workload, with the workload as its `WORKLOAD`."""

NAMES = (
    "seed",
    "trivial-batches",
    "trivial-items",
    "by-index",
    "small-items",
    "uint8",
    "float32",
    "stack",
    "jpeg",
    "memmap",
    "shuffle",
    "pack",
    "tables",
    "start",
    "torch-start",
    "memory",
    "pausing",
    "slow-reader",
    "sleeping",
    "mix",
    "resume",
    "auto",
    "rng",
    "cluster-start",
    "cluster-costs",
    "cluster-sleeping",
    "cluster-arrays",
    "cluster-seed",
)
GROUPS = {"cluster": tuple(name for name in NAMES if name.startswith("cluster-"))}
"""Names for several workloads at once."""
