"""What to do about a module that workers do not have."""

import importlib.util
import os
import sys
import sysconfig

from seqtools.engines.cluster.transport import Transport


def missing_module(name: str, transport: Transport) -> str:
    """Return that workers have no module of this `name`, and how they get it."""
    package = name.partition(".")[0]
    path = _path(package)
    if path is None or _is_installed(path):
        what = "install what contains it in their environment, as in this one"
    else:
        what = transport.ship(path)
    return f"the workers of {transport.title} have no module {name!r}: {what}"


def _path(package: str) -> str | None:
    """Return the file of a module, or the folder of a package; `None` if it is not known here."""
    module = sys.modules.get(package)
    try:
        spec = getattr(module, "__spec__", None) or importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    places = [*(getattr(spec, "submodule_search_locations", None) or ())]
    found = (
        places[0] if places else getattr(module, "__file__", None) or getattr(spec, "origin", None)
    )
    return found if found is not None and os.path.exists(found) else None


def _is_installed(path: str) -> bool:
    """Return whether a file was installed with Python or by a package manager."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return any(folder and path.startswith(folder + os.sep) for folder in folders)
