"""`python -m benchmarks [WORKLOAD …]`: measure, store, and write the page of results."""

import argparse
import os
import sys
import time

from benchmarks import advice, overhead, results, rounds, table
from benchmarks.one import load
from benchmarks.workloads import GROUPS, NAMES

STUDIES = {"verdict": advice.run, "overhead": overhead.run}
"""What is no contest: each prints, and says whether it is as it should be."""
PAGE = os.path.join(rounds.ROOT, "docs", "benchmarks.md")


def main() -> None:
    """Do what the command line says."""
    options = _options()
    known = [*NAMES, *GROUPS, *STUDIES]
    unknown = sorted({*options.workloads} - {*known})
    if unknown:
        sys.exit(f"error: there is no workload {unknown[0]!r}: choose from {', '.join(known)}")
    studies = [STUDIES[name]() for name in options.workloads if name in STUDIES]
    if studies:
        sys.exit(not all(studies))
    if not options.table:
        interpreters = rounds.Interpreters(
            sys.executable,
            os.path.abspath(options.original),
            os.path.abspath(options.before_python),
        )
        for given in options.workloads or NAMES:
            for name in GROUPS.get(given, (given,)):
                _measure(name, options, interpreters)
    if not options.only:
        write_page()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", help=f"from {', '.join([*NAMES, *GROUPS, *STUDIES])}"
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
    parser.add_argument(
        "--original",
        default=os.path.join(rounds.ROOT, ".venv-bench-original", "bin", "python"),
        help="the Python that has SeqTools 1.x",
    )
    parser.add_argument("--before", metavar="COMMIT", help="run ours of this commit too")
    parser.add_argument(
        "--before-python",
        default=os.path.join(rounds.ROOT, ".venv-bench-before", "bin", "python"),
        help="the Python that has ours of that commit",
    )
    parser.add_argument(
        "--only", action="append", help="a contestant, as often as needed; nothing is stored then"
    )
    parser.add_argument("--table", action="store_true", help="only write the page of results")
    return parser.parse_args()


def _measure(name: str, options: argparse.Namespace, interpreters: rounds.Interpreters) -> None:
    print(f"==> {name}", flush=True)
    begin, before = time.perf_counter(), os.getloadavg()[0]
    workload = load(name).with_before() if options.before else load(name)
    answers = rounds.run(name, workload, options.rounds, interpreters, options.only)
    record = results.new(answers, options.rounds, before)
    if options.before:
        record["before"] = options.before
    if not options.only:
        results.store(name, record)
        print()
        print(table.section(name, results.Results(workload, record)))
    if options.before:
        print(table.compared(results.Results(workload, record)))
    print(f"({name} took {time.perf_counter() - begin:.0f} s)\n", flush=True)


def write_page() -> None:
    """Write docs/benchmarks.md from all that is stored."""
    records = results.stored(NAMES)
    shown = {name: results.Results(load(name), record) for name, record in records.items()}
    with open(PAGE, "w") as file:
        file.write(table.page(shown))


if __name__ == "__main__":
    main()
