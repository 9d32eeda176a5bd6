"""Arrays of several shapes filled up to one shape."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from seqtools._core.display.short import short

Shape = tuple[int, ...]


class Padding(NamedTuple):
    """How values at one place of several items are filled up to one shape."""

    value: Any
    """What fills them up; or a mapping, which has that of each place inside of this one."""
    multiple_of: int
    mask: bool
    """Whether a mask says what is no padding."""
    named: bool
    """Whether the user has named this place, where the value must then fit in any case."""

    def inside(self, key: Any) -> "Padding | None":
        """Return that of the place `key` inside of this one, `None` if it has none."""
        if not isinstance(self.value, Mapping):
            return self._replace(named=False)
        return self._replace(value=self.value[key]) if key in self.value else None

    def check_places(self, keys: Iterable[Any], place: str) -> None:
        """Raise `ValueError` if the mapping names a place that is not in `keys`."""
        keys = list(keys)
        unknown = (
            [k for k in self.value if k not in keys] if isinstance(self.value, Mapping) else ()
        )
        if unknown:
            where = place and f" {place}"
            message = f"pad has the key {unknown[0]!r}, but items{where} have {short(keys)}"
            raise ValueError(message)

    def shape(self, shapes: Sequence[Shape]) -> Shape | None:
        """Return the shape that items of `shapes` get, `None` if they are not padded.

        The first axis is padded in all batches, so that it does not depend on the items of a batch
        whether there is a mask, or whether a length is rounded up.
        """
        if not shapes[0] or len(set(map(len, shapes))) > 1:
            return None
        m = self.multiple_of
        if len(set(shapes)) == 1 and m == 1 and not self.mask and not self.named:
            return None
        ragged = [len(set(sizes)) > 1 for sizes in zip(*shapes, strict=True)]
        ragged[0] = True
        largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
        return tuple(
            -(-n // m) * m if differs else n for n, differs in zip(largest, ragged, strict=True)
        )

    def fills(self, shapes: Iterable[Shape], shape: Shape) -> bool:
        """Return whether the value is needed, and so must fit, for items that get `shape`."""
        return self.named or any(own != shape for own in shapes)

    def filling(self, dtype: Any, place: str) -> Any:
        """Return the value as an array of `dtype`; raise `ValueError` if it does not hold it."""
        import numpy as np

        self._check_value(dtype, place)
        if dtype.hasobject:
            return self.value
        given = np.asarray(self.value)
        kinds = given.dtype.kind + dtype.kind
        numbers = set(kinds) <= set("biufc") and not (kinds[0] == "c" != kinds[1])
        if given.shape or not (numbers or kinds[0] == kinds[1]):
            self._refuse(dtype, place)
        with np.errstate(all="ignore"):  # what changes is found by the comparison
            filling = given.astype(dtype)
        if not _same(given.item(), filling.item(), dtype.kind in "fc"):
            self._refuse(dtype, place)
        return filling

    def filling_of_tensor(self, dtype: Any, place: str) -> Any:
        """Return the value as a number; raise `ValueError` if a `dtype` of torch cannot hold it."""
        import torch

        self._check_value(dtype, place)
        try:
            filling = torch.full((), self.value, dtype=dtype).item()
        except (RuntimeError, TypeError):  # too large for it, or no number
            self._refuse(dtype, place)
        if not _same(self.value, filling, dtype.is_floating_point or dtype.is_complex):
            self._refuse(dtype, place)
        return filling

    def _check_value(self, dtype: Any, place: str) -> None:
        if isinstance(self.value, Mapping):
            where = place and f" for {place}"
            message = (
                f"pad{where} must be one value for an array of {dtype}, got {short(self.value)}"
            )
            raise TypeError(message)

    def _refuse(self, dtype: Any, place: str) -> NoReturn:
        where = place and f" {place}"
        message = (
            f"pad must be a value that the dtype can hold, but items{where} have {dtype}, "
            f"got {short(self.value)}: use another value, or pad={{key: value}} for each key"
        )
        raise ValueError(message)


def corner(shape: Shape) -> tuple[slice, ...]:
    """Return the index of the part of a larger array that an array of `shape` fills."""
    return tuple(map(slice, shape))


def mask_of(shapes: Sequence[Shape], shape: Shape) -> Any:
    """Return the array that is true where items of `shapes` have values in `shape`."""
    import numpy as np

    mask = np.zeros((len(shapes), *shape), bool)
    for k, own in enumerate(shapes):
        mask[k][corner(own)] = True
    return mask


def _same(given: Any, filling: Any, rounds: bool) -> bool:  # noqa: FBT001 -- of this library
    """Return whether `filling` stands for `given`; a float may be rounded, if it stays finite."""
    if given == filling or (given != given and filling != filling):  # noqa: PLR0124 -- NaN
        return True
    return rounds and isinstance(given, float) and math.isfinite(abs(filling))
