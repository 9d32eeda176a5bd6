"""`python -m tests.faults.campaign`: kill workers at every point, and see that nothing is lost."""

import argparse
import random
import sys
import time

from tests.faults.campaign import report, serving
from tests.faults.campaign.cells import cell, names

LEAST_CELLS, LEAST_FAULTS = 300, 2000


def main() -> None:
    """Do what the command line says."""
    options = _options()
    if options.serve:
        serving.serve(options.seed)
        return
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    chosen = options.cell or names()
    try:
        for name in chosen:
            cell(name, seed)
    except ValueError as error:
        sys.exit(f"error: {error}")
    if options.list:
        print("\n".join(chosen))
        return
    begin = time.monotonic()
    print(f"==> {len(chosen)} cells in {options.processes} processes, seed {seed}", flush=True)
    verdicts = []
    for verdict in serving.verdicts(chosen, seed, options.processes):
        verdicts.append(verdict)
        if verdict.defects or options.cell:
            print(report.story(verdict, cell(verdict.name, seed), seed), flush=True)
    summary, good = report.summary(verdicts, time.monotonic() - begin)
    print(summary)
    if not options.cell:
        enough = len(verdicts) >= LEAST_CELLS and sum(v.faults for v in verdicts) >= LEAST_FAULTS
        good = good and enough
        if not enough:
            print(f"error: fewer than {LEAST_CELLS} cells or {LEAST_FAULTS} faults")
    sys.exit(not good)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--cell", action="append", metavar="NAME", help="only this one")
    parser.add_argument("--seed", type=int, help="varies when the faults are; random by default")
    parser.add_argument("--processes", type=int, default=2, help="that run cells at the same time")
    parser.add_argument("--list", action="store_true", help="print the names of all cells")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
