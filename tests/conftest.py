"""What holds for every test: it is the same in every run, and it leaves nothing behind."""

import pytest
from hypothesis import settings

from tests import leaks

# The same examples in every run, and no verdict that depends on how busy the machine is.
# `--hypothesis-profile=explore` looks for new ones instead.
settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Watch all tests: a fixture defined in here would miss the docstrings in src/."""
    leaks.watch_orphans()
    config.pluginmanager.register(leaks, "leaks")
