"""Chooses the modules that a fork server imports, early or when a pipeline needs them.

It imports only installed packages, which are below a folder `site-packages` or `dist-packages`.
Modules of users may be scripts, may change, or may do something when they are imported. Packages
with compiled modules, such as numpy, torch, pandas and PIL, take long, so they are imported early.
Others are imported when a pipeline refers to them.
"""

import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import FunctionType, ModuleType
from typing import Any

_FOLDERS = frozenset({"site-packages", "dist-packages"})
_LOADERS = (SourceFileLoader, SourcelessFileLoader, ExtensionFileLoader)
_COMPILED = tuple(EXTENSION_SUFFIXES)
_WORD = re.compile(rb"[A-Za-z_][\w.]*")

Packages = dict[str, list[str]]
"""Names of modules in the order of their import, by package."""


class Installed:
    """The modules of installed packages that this process has imported."""

    def __init__(self) -> None:
        self.packages: Packages = {}
        self._compiled: set[str] = set()
        folders = tuple(
            os.path.join(entry, "")
            for entry in sys.path
            if os.path.basename(os.path.normpath(entry)) in _FOLDERS
        )
        for name, origin in _imported():
            if origin.startswith(folders):
                package = name.partition(".")[0]
                self.packages.setdefault(package, []).append(name)
                if origin.endswith(_COMPILED):
                    self._compiled.add(package)

    def compiled(self) -> Packages:
        """Return those of packages with compiled modules."""
        return {
            package: modules
            for package, modules in self.packages.items()
            # not if the package itself was imported in a special way, such as by a test tool
            if package in self._compiled and package in modules
        }

    def needed(self, pickled: bytes) -> list[str]:
        """Return the packages that a pipeline refers to, directly or by modules of the user.

        They are guessed from the words in it. A wrong guess only makes the start slower.
        """
        found = set()
        for word in {word.decode() for word in _WORD.findall(pickled)}:
            module = sys.modules.get(word)
            if module is not None and word != "__main__":
                package = word.partition(".")[0]
                found.add(package)
                if package not in self.packages and package not in sys.stdlib_module_names:
                    found.update(_used_by(module))
        return [package for package in self.packages if package in found]


def _imported() -> Iterator[tuple[str, str]]:
    """Yield name and file of the modules that were imported from files in the usual way."""
    for name, module in [*sys.modules.items()]:
        spec = vars(module).get("__spec__") if isinstance(module, ModuleType) else None
        if not isinstance(spec, ModuleSpec) or not isinstance(spec.loader, _LOADERS):
            continue
        complete = spec.name == name and not getattr(spec, "_initializing", False)
        if complete and spec.origin is not None:
            yield name, spec.origin


def _used_by(module: Any) -> Iterator[str]:
    """Yield the packages of modules, functions and classes among the globals of a module."""
    for value in [*vars(module).values()] if isinstance(module, ModuleType) else ():
        if type(value) is ModuleType:
            yield value.__name__.partition(".")[0]
        elif type(value) is FunctionType or type(value) is type:
            yield str(value.__module__).partition(".")[0]
