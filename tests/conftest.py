"""What holds for every test: it is the same in every run, and it leaves nothing behind."""

import compileall
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

import seqtools
from tests import leaks, sampling

# Compiled code is kept, even where PYTHONDONTWRITEBYTECODE is set: otherwise pytest rewrites all
# assertions in each run and each of its processes, which takes longer than collecting does.
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell ignores Ctrl-C for what it runs in the background, and tests send themselves some
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no verdict that depends on how busy the machine is.
# `--hypothesis-profile=explore` looks for new ones instead.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
# `make machines`: the state machines for long, with other examples each time.
settings.register_profile(
    "machines",
    database=None,
    deadline=None,
    max_examples=10_000,
    stateful_step_count=50,
    print_blob=True,
)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every", action="store_true", help="run all, see tests/sampling.py")


def pytest_configure(config: pytest.Config) -> None:
    """Watch all tests: a fixture defined in here would miss the docstrings in src/."""
    # Tests start a thousand interpreters. Workers among them write nothing, so each would compile
    # the package again, and a start would cost twice as much processor time.
    if not hasattr(config, "workerinput"):  # of pytest-xdist, whose main process does it for all
        compileall.compile_dir(Path(seqtools.__file__).parent, quiet=2)
    leaks.watch_orphans()
    config.pluginmanager.register(leaks, "leaks")
    config.pluginmanager.register(sampling, "sampling")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call() -> None:
    """Take away the name of the test, with which each would need a fork server of its own."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)


def pytest_sessionfinish() -> None:
    """End the fork server that the tests have used."""
    seqtools.close_all()
