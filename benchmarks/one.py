"""One contestant, once: `python -m benchmarks.one WORKLOAD CONTESTANT` prints its figures.

Where figures are measured separately, the name of one of them is the third argument.

The process is fresh, so no contestant leaves threads, caches or a started interpreter of
its library to another, and it runs in the environment that the contestant needs.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from typing import Any

from benchmarks.workload import Workload


def load(name: str) -> Workload:
    """Return a workload by its name, such as `trivial-items`."""
    module = importlib.import_module(f"benchmarks.workloads.{name.replace('-', '_')}")
    workload: Workload = module.WORKLOAD
    return workload


def measure(workload: Workload, name: str, figure: str | None = None) -> dict[str, Any]:
    """Return the figures of a contestant and the version of its package, or the error.

    Args:
        workload: The workload.
        name: The contestant.
        figure: The only figure to measure.
    """
    contestant = workload.contestants[name]
    try:
        result = contestant.run()
        if figure is not None:
            figures = {figure: result(figure)}
        else:
            figures = result if isinstance(result, dict) else workload.measure(result)
    except Exception as error:  # noqa: BLE001 -- a contestant may fail in any way
        traceback.print_exc()
        last = str(error).strip().splitlines() or [""]
        return {"error": f"{type(error).__name__}: {last[-1]}"[:300]}
    package = contestant.package
    version = importlib.metadata.version(package) if package else None
    return {"figures": figures, "version": version}


def main() -> None:
    """Print one line of JSON to what was standard output; what libraries print is diverted."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    workload, contestant, *figure = sys.argv[1:]
    print(json.dumps(measure(load(workload), contestant, *figure)), file=out, flush=True)
    out.close()


if __name__ == "__main__":
    main()
