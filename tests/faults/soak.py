"""`python -m tests.faults.soak`: read for a while, with workers killed at random."""

import argparse
import faulthandler
import gc
import random
import resource
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence

from tests import leaks
from tests.faults.harness.growth import SLACK, Holding, Pages, growth, look
from tests.faults.harness.repeating import PIPELINES, Reader
from tests.faults.harness.watching import Diary, Watched, watched

_BETWEEN = 0.15  # seconds between two strikes, on average
_HANGS = 30.0  # seconds without an item
_LINE = 30.0  # seconds between two lines
_ENOUGH = 50  # samples, each after a second, from which growth is judged: engines warm up

_KINDS = {
    "one SIGKILL": 10,
    "one SIGSEGV": 2,
    "all SIGKILL": 2,
    "template SIGKILL": 2,
    "one SIGSTOP": 3,
    "all SIGSTOP": 1,
    "template SIGSTOP": 1,
}
"""What is done, by how often; what is stopped is told to go on after up to a third of a second."""


class Soak:
    """Readers, who is after their workers, and who looks at what is held."""

    def __init__(self, diary: Diary, pages: Pages, seed: int, seconds: float) -> None:
        diary.lost, diary.killed = deque(maxlen=1000), deque(maxlen=1000)
        diary.templates = deque(maxlen=1)
        self._diary, self._pages, self._seconds = diary, pages, seconds
        self._rng = random.Random(seed)
        self._stop = threading.Event()
        self._readers = [Reader(name, seed, diary, self._stop) for name in PIPELINES]
        self._struck: Counter[str] = Counter()
        self._paused: list[tuple[float, Watched, str]] = []
        self._held: list[Holding] = []
        self._hung: list[str] = []
        self._begin = time.monotonic()

    def run(self) -> None:
        """Have it happen, until the time is over or somebody hangs."""
        for reader in self._readers:
            reader.thread.start()
        self._begin = now = time.monotonic()
        sample = line = now
        while now < self._begin + self._seconds and not self._hung:
            time.sleep(min(0.2, self._rng.expovariate(1 / _BETWEEN)))
            self._strike()
            now = time.monotonic()
            if now >= sample:
                sample += 1
                self._held.append(look(self._pages))
                self._hung += [
                    f"hang: the reader of {reader.name}, for {_HANGS:g} s"
                    for reader in self._readers
                    if now - reader.progress > _HANGS and reader.thread.is_alive()
                ]
            if now >= line + _LINE:
                line += _LINE
                self.say()
        self._go_on(force=True)
        self._stop.set()
        for reader in self._readers:
            reader.thread.join(_HANGS)
            if reader.thread.is_alive():
                self._hung.append(f"hang: the reader of {reader.name} does not end")
        if self._hung:
            faulthandler.dump_traceback(all_threads=True)

    def _strike(self) -> None:
        self._go_on()
        # no engine that has not recovered from the last one: it would give up, rightly
        engines = [
            e for e in list(self._diary.engines) if not e._operator.workers.receiver.deaths_in_a_row
        ]
        if not engines:
            return
        engine = self._rng.choice(engines)
        kind = self._rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        what, how = kind.split()
        _send(engine, what, how)
        self._struck[kind] += 1
        if how == "SIGSTOP":
            self._paused.append((time.monotonic() + self._rng.uniform(0, 0.3), engine, what))

    def _go_on(self, *, force: bool = False) -> None:
        for pause in list(self._paused):
            until, engine, what = pause
            if force or time.monotonic() > until:
                self._paused.remove(pause)
                _send(engine, "template" if what == "template" else "all", "SIGCONT")

    def defects(self) -> list[str]:
        """Return all that went wrong."""
        found = [f"{r.name}: {defect}" for r in self._readers for defect in r.defects]
        found += [f"repeated: item {i}, by an engine" for i in self._diary.repeated]
        found += self._hung
        found += [
            f"{name}: {more:+.0f} from the first third to the last"
            for name, more in self._growth().items()
            if more > SLACK[name]
        ]
        return found

    def _growth(self) -> dict[str, float]:
        """Return what has grown, except in the first tenth of the time."""
        warm: Sequence[Holding] = self._held[len(self._held) // 10 :]
        return growth(warm) if len(warm) >= _ENOUGH else {}

    def say(self) -> None:
        """Print how it is going."""
        held = self._held[-1]
        told = {
            "s": time.monotonic() - self._begin,
            "items": sum(reader.items for reader in self._readers),
            "pipelines": sum(reader.passes for reader in self._readers),
            "strikes": sum(self._struck.values()),
            "MB": held.memory,
            **{name: getattr(held, name) for name in SLACK if name != "memory"},
            "defects": sum(len(reader.defects) for reader in self._readers),
        }
        print(", ".join(f"{count:,.0f} {what}" for what, count in told.items()), flush=True)

    def summary(self) -> None:
        """Print what happened."""
        self.say()
        for reader in self._readers:
            print(
                f"{reader.name:14} {reader.items:>10,} items of {reader.passes:>4} pipelines, "
                f"{reader.failed} failed as two workers were killed over them"
            )
        print(", ".join(f"{kind}: {count}" for kind, count in self._struck.items()))
        if grown := self._growth():
            told = ", ".join(f"{name} {more:+.1f}" for name, more in grown.items())
            print(f"growth from the first third to the last: {told}")


def _send(engine: Watched, what: str, how: str) -> None:
    if what == "template":
        engine.kill_template(how)
    else:
        engine.kill_workers(how, None if what == "all" else 1)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, help="of all that is random; random by default")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    print(f"==> {len(PIPELINES)} pipelines for {options.seconds:g} s, seed {seed}", flush=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    leaks.watch_orphans()
    leaks.foreign = leaks.OTHERS
    before = leaks.held()
    pages = Pages()
    with watched() as diary, pages.known():
        soak = Soak(diary, pages, seed, options.seconds)
        soak.run()
    defects = soak.defects()
    gc.collect()
    defects += [f"left behind: {what}" for what in leaks.leaked(before, leaks.GRACE)]
    defects += [f"{pages.count} files of slots are still mapped"] if pages.count else []
    soak.summary()
    print("\n".join([f"{len(defects)} defects", *defects[:50]]))
    sys.exit(bool(defects))


if __name__ == "__main__":
    main()
