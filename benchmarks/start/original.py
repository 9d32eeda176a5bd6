"""SeqTools 1.x, with processes; in an environment of its own."""

import seqtools


def double(x: int) -> int:
    return 2 * x


def main() -> None:
    total = 0
    batches = seqtools.batch(seqtools.smap(double, range(1000)), 10)
    for batch in seqtools.prefetch(batches, 2, "process"):
        if not total:
            print(sum(batch), flush=True)
        total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
