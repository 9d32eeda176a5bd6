"""A cluster as a discrete-event simulation, up to a thousand workers.

    python -m benchmarks.simulate --measure   # real runs give costs; others are compared with them
    python -m benchmarks.simulate --again     # the same with the runs that are stored
    python -m benchmarks.simulate             # tables and plots of docs/one-reader.md

`--only pool` does so for one engine of `crowd`, `pool`, `dask`, `ray`, as often as it is given.
"""

import argparse
import sys

from benchmarks.simulation import page, study


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="run, fit and compare")
    parser.add_argument("--again", action="store_true", help="fit and compare stored runs")
    parser.add_argument("--plot", action="store_true", help="write the plots and tables")
    parser.add_argument("--only", action="append", choices=study.ENGINES, help="an engine")
    parser.add_argument(
        "--patience", type=float, default=60.0, help="seconds to wait for a calm machine"
    )
    options = parser.parse_args()
    engines = options.only or study.ENGINES
    close = True
    if options.measure:
        for engine in engines:
            close &= study.measure(engine, options.patience)
    if options.again:
        for engine in engines:
            close &= study.do_again(engine)
    if options.plot or not (options.measure or options.again):
        page.write()
    if not close:
        sys.exit(f"error: a prediction is wrong by more than {study.LIMIT:.0%}")


if __name__ == "__main__":
    main()
