"""joblib, with processes."""

from joblib import Parallel, delayed


def double(x: int) -> int:
    return 2 * x


def batch(k: int) -> list[int]:
    return [double(x) for x in range(10 * k, 10 * k + 10)]


def main() -> None:
    total = 0
    parallel = Parallel(n_jobs=2, return_as="generator")
    for got in parallel(delayed(batch)(k) for k in range(100)):
        if not total:
            print(sum(got), flush=True)
        total += sum(got)
    print(total)


if __name__ == "__main__":
    main()
