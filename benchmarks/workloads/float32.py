"""Batches of images as they are trained on: 38.5 MB each, from two processes."""

from benchmarks import arrays, transport
from benchmarks.workload import Figure, Target, Workload

N = 1000

WORKLOAD = Workload(
    title="float32 batches of 38 MB",
    text=(
        "Arrays of 64 × 224 × 224 × 3 floats of 4 bytes, which exist in two worker processes "
        "and are delivered in turn, otherwise as `uint8`."
    ),
    figures=(Figure("bytes", "GB/s", higher=True, unit=1e9),),
    measure=lambda source: {"bytes": arrays.rate(source, "float32", N) * 4 * arrays.SIZE},
    targets=(
        Target("processes", "≥ 5 × DataLoader", at_least=5, of="torch DataLoader"),
        Target("processes, in place", "≥ 10 × DataLoader", at_least=10, of="torch DataLoader"),
    ),
)
transport.enter(WORKLOAD, "float32", N)
