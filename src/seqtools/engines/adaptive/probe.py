"""Items measured in the threads that evaluate them: how long they take, and what to send them."""

import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.adaptive.measurements import ItemTime, TransferCost
from seqtools.engines.wire.result_pickling import ResultDumper, ResultLoader

_WEIGHED = 3
"""Values that are pickled to see how long that takes: those of items that are not counted."""
_WEIGHING, _OFTEN = 1e-3, 8
"""Seconds, and times, after which a value is not pickled again to see how long that takes."""
OFTEN_ENOUGH = 1e-3
"""Seconds after which a thread looks for how long no core was free. It takes 10 µs, or three turns
of others that have the lock."""


class ThreadMeter:
    """Measures items in the threads that evaluate them."""

    def __init__(self, by_value: list[Any]) -> None:
        self.times: deque[ItemTime] = deque(maxlen=10_000)
        self.costs: list[TransferCost] = []
        self.refused: str | None = None
        """Why a value cannot be sent."""
        self.weighs = _WEIGHED
        """So many of the next values are pickled."""
        self.interval = OFTEN_ENOUGH
        """Seconds after which a thread looks for how long no core was free."""
        self._by_value = by_value
        self._delays = threading.local()
        self._nothing = 0.0  # that it takes to measure
        self._nothing = min(self._measured(lambda i: i, 0)[1].cpu for _ in range(_OFTEN))

    def __call__(self, get: Callable[[int], Any], i: int) -> Any:
        """Return item `i`, and note how long it took."""
        value, time = self._measured(get, i)
        self.times.append(time)
        if self.weighs > 0:
            self.weighs -= 1
            self._weigh(value)
        return value

    def _measured(self, get: Callable[[int], Any], i: int) -> tuple[Any, ItemTime]:
        delays = self._delays
        if not hasattr(delays, "told"):
            delays.told, delays.at = _delay(), perf_counter()
        began, computed = perf_counter(), thread_time()
        value = get(i)
        ended, cpu, delay = perf_counter(), thread_time() - computed, 0.0
        wall = ended - began
        if ended - delays.at > self.interval:
            told = _delay()
            delay, delays.told, delays.at = told - delays.told, told, ended
        return value, ItemTime(wall - self._nothing, cpu - self._nothing, delay)

    def _weigh(self, value: Any) -> None:
        """Note what it takes to send `value` among others."""
        try:
            dump, load, nbytes = self._sent([value])
            nothing = self._sent([])
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            kind = type(value).__qualname__
            self.refused = f"items of type {kind} cannot be sent: {summary(error)}"
            return
        self.costs.append(
            TransferCost(max(0.0, dump - nothing[0]), max(0.0, load - nothing[1]), nbytes)
        )

    def _sent(self, values: list[Any]) -> tuple[float, float, int]:
        """Return what it takes to send `values`, the least of a few times if that is little."""
        dumps, loads = [], []
        while True:
            buffers: list[Any] = []
            began = thread_time()
            body = ResultDumper(self._by_value).dumps(values, lambda b: buffers.append(b.raw()))  # noqa: B023 -- called at once
            dumped = thread_time()
            ResultLoader(self._by_value).loads(body, buffers)
            loads.append(thread_time() - dumped)
            dumps.append(dumped - began)
            if sum(dumps) + sum(loads) > _WEIGHING or len(dumps) >= _OFTEN:
                return min(dumps), min(loads), sum(buffer.nbytes for buffer in buffers)


def _delay() -> float:
    """Return for how many seconds this thread was ready and no core was free, if that is told."""
    try:
        with open("/proc/thread-self/schedstat", "rb") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):  # another system, or no descriptor left
        return 0.0
