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
    "start",
    "torch-start",
    "memory",
    "pausing",
    "slow-reader",
    "sleeping",
    "resume",
    "auto",
    "rng",
)
