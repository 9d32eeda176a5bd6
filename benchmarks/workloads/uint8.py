"""Batches of images as they are stored: 9.6 MB each, from two processes."""

from benchmarks import arrays, transport
from benchmarks.workload import Figure, Target, Workload

N = 4000

WORKLOAD = Workload(
    title="uint8 batches of 9.6 MB",
    text=(
        "Arrays of 64 × 224 × 224 × 3 bytes, which exist in two worker processes and are "
        "delivered in turn. The clock starts once everything runs. The limit is written by "
        'hand: two processes copy into memory that they share with the reader. "In place" '
        "means that each array is made of 64 images by `collate_arrays`, where it is delivered."
    ),
    figures=(Figure("bytes", "GB/s", higher=True, unit=1e9),),
    measure=lambda source: {"bytes": arrays.rate(source, "uint8", N) * arrays.SIZE},
    targets=(
        Target("processes", "≥ 10 × DataLoader", at_least=10, of="torch DataLoader"),
        Target(
            "processes",
            "≥ 2 × SeqTools 1.x with memory sized by hand",
            at_least=2,
            of="SeqTools 1.x, hand-sized shm_size",
        ),
    ),
)
transport.enter(WORKLOAD, "uint8", N)
