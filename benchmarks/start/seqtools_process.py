"""Ours, with method="process"."""

import seqtools


def double(x: int) -> int:
    return 2 * x


def main() -> None:
    total = 0
    batches = seqtools.batch(seqtools.smap(double, range(1000)), 10)
    with seqtools.prefetch(batches, 2, "process") as ready:
        for batch in ready:
            if not total:
                print(sum(batch), flush=True)
            total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
