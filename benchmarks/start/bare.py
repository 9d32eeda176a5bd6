"""Nothing but Python: the same numbers, computed here."""


def double(x: int) -> int:
    return 2 * x


def main() -> None:
    total = 0
    for k in range(0, 1000, 10):
        batch = [double(x) for x in range(k, k + 10)]
        if not total:
            print(sum(batch), flush=True)
        total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
