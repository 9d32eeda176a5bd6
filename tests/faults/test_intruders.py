"""Where Python lets signal handlers in is where intruders come in."""

import dis
import itertools
import random
import signal
from types import CodeType, FrameType

from tests.faults.intruders import _steps


def generator(n: int) -> object:
    for i in range(n):
        yield i * i


def double(i: int) -> int:
    return 2 * i


def work() -> None:
    """Do something with all kinds of steps."""
    n, base = 30, {"base": 10}
    while n > 0 or n < -5:
        n -= 1
    items = iter([1] * 20)
    while next(items, None) is not None:
        pass
    while True:
        n += 1
        if n > 20:
            break
    for i in generator(20):
        max(*[i, 1])
        int(*["3"], **base)
        sorted([i, 2], reverse=True)
        len([i])
    list(map(double, range(10)))


def test_signals_come_where_intruders_do() -> None:
    came: list[tuple[CodeType, int]] = []

    def handler(number: int, frame: FrameType | None) -> None:
        del number
        if frame is not None:
            came.append((frame.f_code, frame.f_lasti))

    ours = {work.__code__, generator.__code__, double.__code__}
    before = signal.signal(signal.SIGALRM, handler)
    rng = random.Random(0)
    try:
        for _ in itertools.takewhile(lambda _: len(came) < 300, itertools.count()):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 1e-4))
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    places = {place for place in came if place[0] in ours}
    assert len(places) > 5
    for code, offset in places:
        offsets = [step.offset for step in dis.get_instructions(code)]
        # Python 3.11 may do an instruction and the one after it as one
        near = offsets[offsets.index(offset) :][:2]
        assert _steps(code).keys() & near, (code.co_name, offset)
