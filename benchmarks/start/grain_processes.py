"""Grain, with processes."""

import grain


def double(x: int) -> int:
    return 2 * x


def main() -> None:
    total = 0
    dataset = grain.MapDataset.range(1000).map(double).batch(10, batch_fn=list)
    workers = grain.MultiprocessingOptions(num_workers=2)
    for batch in dataset.to_iter_dataset().mp_prefetch(workers):
        if not total:
            print(sum(batch), flush=True)
        total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
