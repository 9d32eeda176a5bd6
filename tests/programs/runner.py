"""`python -m tests.programs.runner FOLDER`: runs programs that it is told on standard input.

Each line is a job, and is answered with a line: what the reader saw, what was printed, and what
was left behind. A job that takes too long ends the process, with the stacks of all threads.
"""

import contextlib
import decimal
import faulthandler
import gc
import importlib
import io
import json
import multiprocessing
import os
import random
import sys
import types
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import forkserver
from typing import Any

import numpy as np

import seqtools
from seqtools.prefetching.server import close_server
from tests import leaks
from tests.programs import looking
from tests.programs.program import POOL
from tests.programs.seeing import Seeing


def main() -> None:
    """Answer until there is no job any more."""
    folder, answers = sys.argv[1], os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what programs write to descriptor 1 is no answer
    sys.path.insert(0, folder)
    leaks.watch_orphans()
    forkserver.ensure_running()  # it stays until this process ends
    leaks.foreign = ("sem.", "psm_")
    for line in sys.stdin:
        job = json.loads(line)
        faulthandler.dump_traceback_later(job["limit"], exit=True)
        looking.longest = job.get("longest", looking.longest)
        outcome = run(job, folder)
        close_server()  # a fork server is not left to whoever looks at what this process has
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(outcome) + "\n")
        answers.flush()


def run(job: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return what became of a program."""
    before = leaks.held()
    see, printed = Seeing(copies=job["copies"]), io.StringIO()
    environment = dict(os.environ)
    random.seed(1)
    np.random.seed(1)
    with warnings.catch_warnings(), np.errstate(), decimal.localcontext():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(printed):
            failed = _run(job, folder, see)
    os.environ.clear()
    os.environ.update(environment)
    gc.collect()
    left = leaks.leaked(before, job["grace"])
    lines = sorted(line for line in printed.getvalue().splitlines() if line)
    return {"entries": see.entries, "printed": lines, "left": left, "failed": failed}


def _run(job: dict[str, Any], folder: str, see: Seeing) -> str:
    """Run a program, and return the error that it ended with, if it did."""
    own = sys.modules["__main__"]
    name = job["module"] or "__main__"
    path = os.path.join(folder, f"{job['module'] or 'program'}.py")
    try:
        if job["module"]:
            with open(path, "w") as file:
                file.write(job["text"])
            importlib.invalidate_caches()
            program = importlib.import_module(name)
        else:
            program = types.ModuleType(name)
            if job["options"].get("method") != POOL:  # whose workers would run that file
                program.__file__ = path
            sys.modules[name] = program
            exec(compile(job["text"], path, "exec"), vars(program))  # noqa: S102 -- what it is for
        options = vars(program)["OPTIONS"] | job["options"]
        if options.get("method") == POOL:
            options["method"] = pool_of(options["nworkers"])
            options.pop("timeout", None)  # what a pool evaluates cannot be ended
        if not options["nworkers"] and "start_hook" in options:
            options.pop("start_hook")()
        with seqtools.prefetch(vars(program)["build"](), **options) as p:
            vars(program)["read"](p, see)
    except BaseException as error:  # noqa: BLE001 -- what a program raises
        return looking.look_at_error(error)
    else:
        return ""
    finally:
        sys.modules["__main__"] = own
        if job["module"]:
            sys.modules.pop(name, None)


def pool_of(nworkers: int) -> Callable[[], Executor]:
    """Return a function that makes a process pool."""
    context = multiprocessing.get_context("forkserver")
    return lambda: ProcessPoolExecutor(nworkers, mp_context=context)


if __name__ == "__main__":
    main()
