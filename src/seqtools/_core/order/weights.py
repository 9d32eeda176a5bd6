"""The weights of a mix: numbers for each sequence, which may change in steps."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seqtools._core.checks import as_index, is_bool
from seqtools._core.display.short import short
from seqtools._core.order.proportions import LONGEST, counts_of, exactly

if TYPE_CHECKING:
    from fractions import Fraction


def _is_steps(weights: Any) -> bool:
    return (
        isinstance(weights, list | tuple) and bool(weights) and isinstance(weights[0], tuple | list)
    )


def copied(weights: Any) -> Any:
    """Return `weights` such that later changes of the lists of the user have no effect."""
    if isinstance(weights, Mapping):
        return dict(weights)
    if _is_steps(weights):
        return [tuple(map(copied, step)) if _is_listed(step) else step for step in weights]
    return list(weights) if _is_listed(weights) else weights


def _is_listed(weights: Any) -> bool:
    return isinstance(weights, Iterable) and not isinstance(weights, str | bytes)


def steps_of(
    weights: Any, keys: tuple[Any, ...] | None, size: int
) -> list[tuple[int, tuple[int, ...]]]:
    """Return the position of each step, and the counts of its period; check `weights`."""
    if not _is_steps(weights):
        return [(0, _counts(weights, keys, size, "weights", all_names=True))]
    steps: list[tuple[int, tuple[int, ...]]] = []
    for number, step in enumerate(weights):
        name = f"weights[{number}]"
        if not isinstance(step, list | tuple) or len(step) != 2 or not _is_listed(step[1]):  # noqa: PLR2004 -- a pair
            message = f"{name} must be a pair of a position and weights, got {short(step)}"
            raise ValueError(message)
        start = as_index(step[0], f"{name}[0]")
        if start <= steps[-1][0] if steps else start != 0:
            rule = f"be above {steps[-1][0]}" if steps else "be 0, where the first step begins"
            message = f"{name}[0] must {rule}, got {start}"
            raise ValueError(message)
        steps.append((start, _counts(step[1], keys, size, f"{name}[1]", all_names=False)))
    if keys is not None:
        never = [key for key in keys if not any(key in each for _, each in weights)]
        if never:
            message = f"weights have no {never[0]!r}, which is a sequence: give it weight 0"
            raise ValueError(message)
    return steps


def _counts(
    weights: Any, keys: tuple[Any, ...] | None, size: int, name: str, *, all_names: bool
) -> tuple[int, ...]:
    """Return the counts of a period with these weights."""
    if keys is not None:
        if not isinstance(weights, Mapping):
            message = f"{name} must be a dict, as sequences is one, got {short(weights)}"
            raise TypeError(message)
        odd = [key for key in weights if key not in keys]
        odd += [key for key in keys if all_names and key not in weights]
        if odd:
            message = (
                f"{name} must have the names {list(keys)}, got {list(weights)}: a weight of 0 "
                "leaves a sequence out"
            )
            raise ValueError(message)
        given = [(f"{name}[{key!r}]", weights.get(key, 0)) for key in keys]
    else:
        if isinstance(weights, Mapping):
            message = f"{name} must be a list, as sequences has no names, got {short(weights)}"
            raise TypeError(message)
        if not _is_listed(weights):
            message = f"{name} must be a list of numbers, got {short(weights)}"
            raise TypeError(message)
        given = [(f"{name}[{k}]", weight) for k, weight in enumerate(weights)]
        if len(given) != size:
            message = f"{name} must be one for each of {size} sequences, got {len(given)}"
            raise ValueError(message)
    exact = [_fraction(weight, each) for each, weight in given]
    if not any(exact):
        message = f"{name} must not all be 0, got {short(weights)}"
        raise ValueError(message)
    counts = counts_of(exact)
    for (each, weight), share, count in zip(given, exact, counts, strict=True):
        if share and not count:
            message = (
                f"{each} must be 0 or at least 1/{LONGEST} of all, got {weight!r}, which would "
                "never be read"
            )
            raise ValueError(message)
    return counts


def _fraction(weight: Any, name: str) -> "Fraction":
    try:
        if is_bool(weight):
            raise TypeError  # noqa: TRY301 -- one message for all
        exact = exactly(weight)
    except (TypeError, ValueError, OverflowError):
        message = f"{name} must be a number from 0, got {short(weight)}"
        raise TypeError(message) from None
    if exact < 0:
        message = f"{name} must be at least 0, got {weight!r}"
        raise ValueError(message)
    return exact
