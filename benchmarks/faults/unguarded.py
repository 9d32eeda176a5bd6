"""A script without `if __name__ == "__main__"` around what it does, and with a closure.

`python -m benchmarks.faults.watch` runs it as a program, as somebody would who tries something.
"""

import sys
from collections.abc import Callable

from benchmarks.faults import work
from benchmarks.faults.cases import CASES
from benchmarks.faults.libraries import LIBRARIES
from benchmarks.faults.one import Report, loaded, read


def shifted(by: int) -> Callable[[int], int]:
    return lambda i: work.item(i + by) - by


report = Report()
library = LIBRARIES[sys.argv[1]]
report("begin", version=loaded(library))
read(CASES["script"], library, shifted(7), report)
report("end")
