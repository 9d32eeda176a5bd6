"""torchdata.nodes, with processes."""

from torchdata.nodes import IterableWrapper, Loader, ParallelMapper


def double(x: int) -> int:
    return 2 * x


def batch(k: int) -> list[int]:
    return [double(x) for x in range(10 * k, 10 * k + 10)]


def main() -> None:
    total = 0
    node = ParallelMapper(IterableWrapper(range(100)), batch, num_workers=2, method="process")
    for got in Loader(node):
        if not total:
            print(sum(got), flush=True)
        total += sum(got)
    print(total)


if __name__ == "__main__":
    main()
