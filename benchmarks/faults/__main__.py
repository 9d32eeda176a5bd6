"""`python -m benchmarks.faults [CASE …]`: run cases, store what came of them, write the page."""

import argparse
import os
import sys
import time
from typing import Any

from benchmarks import results, rounds
from benchmarks.faults import table
from benchmarks.faults.cases import CASES, Case
from benchmarks.faults.libraries import LIBRARIES, Library
from benchmarks.faults.verdict import judged
from benchmarks.faults.watch import run

PAGE = os.path.join(rounds.ROOT, "docs", "faults-elsewhere.md")
RESULTS = "faults"  # name of the file with the results


def main() -> None:
    """Do what the command line says."""
    options = _options()
    for given, known in ((options.cases, CASES), (options.only or (), LIBRARIES)):
        unknown = sorted({*given} - {*known})
        if unknown:
            sys.exit(f"error: there is no {unknown[0]!r}: choose from {', '.join(known)}")
    if not options.table:
        for name in options.cases or CASES:
            _run(CASES[name], options)
    if not options.only:
        write_page()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"from {', '.join(CASES)}; by default all")
    parser.add_argument("--runs", type=int, default=3, help="of each case with each library")
    parser.add_argument(
        "--original",
        default=os.path.join(rounds.ROOT, ".venv-bench-original", "bin", "python"),
        help="the Python that has SeqTools 1.x",
    )
    parser.add_argument(
        "--only", action="append", help="a library, as often as needed; nothing is stored then"
    )
    parser.add_argument("--table", action="store_true", help="only write the page of results")
    return parser.parse_args()


def _run(case: Case, options: argparse.Namespace) -> None:
    """Have the libraries take turns in a case, and store what came of it."""
    print(f"==> {case.name}", flush=True)
    before = os.getloadavg()[0]
    libraries = [LIBRARIES[name] for name in options.only or LIBRARIES]
    answers: dict[str, list[dict[str, Any]]] = {library.name: [] for library in libraries}
    for number in range(options.runs):
        for library in libraries:
            begin = time.perf_counter()
            answer = _once(case, library, options.original)
            answers[library.name].append(answer)
            if answer["outcome"] != "does not apply":
                took = time.perf_counter() - begin
                said = table.cell(case, [answer])
                print(f"  {number + 1}/{options.runs} {library.name:<20} {said} ({took:.0f} s)")
                sys.stdout.flush()
    if not options.only:
        stored = results.stored([RESULTS]).get(RESULTS, {})
        stored[case.name] = results.new(answers, options.runs, before)
        results.store(RESULTS, stored)


def _once(case: Case, library: Library, original: str) -> dict[str, Any]:
    if case.timeout is not None and not library.has_timeout:
        return {"outcome": "does not apply"}
    result = run(case, library, original if library.needs_original else sys.executable)
    versions = [event["version"] for event in result.events if event["event"] == "begin"]
    if not versions:
        sys.exit(f"error: {library.name} cannot be imported:\n{result.stderr}")
    return {"version": versions[0], **judged(case, result)}


def write_page() -> None:
    """Write docs/faults-elsewhere.md from what is stored."""
    with open(PAGE, "w") as file:
        file.write(table.page(results.stored([RESULTS]).get(RESULTS, {})))


if __name__ == "__main__":
    main()
