"""torch DataLoader."""

from torch.utils.data import DataLoader, Dataset


def double(x: int) -> int:
    return 2 * x


class Doubled(Dataset):  # type: ignore[misc,type-arg,unused-ignore]
    def __len__(self) -> int:
        return 1000

    def __getitem__(self, i: int) -> int:
        return double(i)


def main() -> None:
    total = 0
    for batch in DataLoader(Doubled(), batch_size=10, num_workers=2, collate_fn=list):
        if not total:
            print(sum(batch), flush=True)
        total += sum(batch)
    print(total)


if __name__ == "__main__":
    main()
