"""ProcessPoolExecutor.map."""

from concurrent.futures import ProcessPoolExecutor


def double(x: int) -> int:
    return 2 * x


def batch(k: int) -> list[int]:
    return [double(x) for x in range(10 * k, 10 * k + 10)]


def main() -> None:
    total = 0
    with ProcessPoolExecutor(2) as pool:
        for got in pool.map(batch, range(100)):
            if not total:
                print(sum(got), flush=True)
            total += sum(got)
    print(total)


if __name__ == "__main__":
    main()
