"""Flags of modules that are set in this process and not in worker processes.

A worker of the check says what it has, after its start hook and after the items. So there is no
finding about a flag that the start hook sets, nor about a module that the items do not use.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from seqtools.instrument.checking.findings import Findings

Values: TypeAlias = dict[str, Any]
"""The values of flags, by the statement that sets each, with `{!r}` for the value."""

_PANDAS = ("mode.copy_on_write", "mode.string_storage", "future.infer_string")


def _of_sys(module: Any) -> Values:
    return {
        "sys.setrecursionlimit({!r})": module.getrecursionlimit(),
        "sys.set_int_max_str_digits({!r})": module.get_int_max_str_digits(),
    }


def _of_decimal(module: Any) -> Values:
    context = module.getcontext()
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    found = {f"decimal.getcontext().{name} = {{!r}}": getattr(context, name) for name in names}
    traps = {f"decimal.{each.__name__}": on for each, on in context.traps.items()}
    return found | {f"decimal.getcontext().traps[{each}] = {{!r}}": traps[each] for each in traps}


def _of_torch(module: Any) -> Values:
    return {
        "torch.set_default_dtype({})": str(module.get_default_dtype()),
        "torch.set_grad_enabled({!r})": module.is_grad_enabled(),
    }


_READ: Mapping[str, Callable[[Any], Values]] = {
    "sys": _of_sys,
    "decimal": _of_decimal,
    "locale": lambda m: {
        f"locale.setlocale(locale.{name}, {{!r}})": m.setlocale(getattr(m, name))
        for name in ("LC_COLLATE", "LC_CTYPE", "LC_NUMERIC", "LC_TIME")
    },
    "csv": lambda m: {"csv.field_size_limit({!r})": m.field_size_limit()},
    "socket": lambda m: {"socket.setdefaulttimeout({!r})": m.getdefaulttimeout()},
    "numpy": lambda m: {f"np.seterr({name}={{!r}})": how for name, how in m.geterr().items()},
    "PIL.Image": lambda m: {"PIL.Image.MAX_IMAGE_PIXELS = {!r}": m.MAX_IMAGE_PIXELS},
    "PIL.ImageFile": lambda m: {
        "PIL.ImageFile.LOAD_TRUNCATED_IMAGES = {!r}": m.LOAD_TRUNCATED_IMAGES
    },
    "cv2": lambda m: {"cv2.setNumThreads({!r})": m.getNumThreads()},
    "torch": _of_torch,
    "jax": lambda m: {"jax.config.update('jax_enable_x64', {!r})": m.config.jax_enable_x64},
    "pandas": lambda m: {
        f"pd.set_option({name!r}, {{!r}})": m.get_option(name) for name in _PANDAS
    },
}
"""How to read the flags of each module."""


def values() -> dict[str, Values]:
    """Return the flags of the modules that this process has imported, by module."""
    found: dict[str, Values] = {}
    for name, read in _READ.items():
        module = sys.modules.get(name)
        if module is not None:
            try:
                found[name] = read(module)
            except Exception:  # noqa: BLE001, S112 -- another version of it has no such flag
                continue
    return found


def check_flags(there: Mapping[str, Values], where: str, found: Findings) -> None:
    """Report the flags of this process that a worker with the values `there` does not have."""
    for name, here in values().items():
        others = there.get(name, here)
        differ = [each for each in here if others.get(each, here[each]) != here[each]]
        if name == "cv2":  # workers have one thread on purpose, if it reads the environment
            differ = [each for each in differ if others[each] > here[each]]
        if differ:
            ours = "; ".join(each.format(here[each]) for each in differ)
            theirs = "; ".join(each.format(others[each]) for each in differ)
            what = f"{ours} is set in this process, and not in workers, which have {theirs}"
            found.add(what, where, f"start_hook= with a function that does {ours}")


def check_filters(where: str, found: Findings) -> None:
    """Report filters of `warnings` that workers of a cluster do not have."""
    names: dict[str, None] = {}
    filters: list[tuple[Any, ...]] = [*warnings.filters]
    for action, message, category, module, line in filters:
        if action == "error":
            names[category.__name__] = None
        if category is Warning and not (message or module or line):
            break  # no later filter matters
    if names:
        what = f"warnings are errors in this process, and not in a cluster: {', '.join(names)}"
        found.add(
            what, where, "start_hook= with a function that does warnings.filterwarnings('error', …)"
        )
