"""Measures in threads how long items take, and what it costs to send them."""

from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter, thread_time
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.adaptive.measurements import ItemTime, TransferCost
from seqtools.engines.wire.result_pickling import ResultDumper, ResultLoader

_PICKLED = 3
"""The number of values that are pickled to measure the cost: as many as items that do not count."""
_ENOUGH_SECONDS, _ENOUGH_TIMES = 1e-3, 8
"""Seconds, and repetitions, after which the cost of a value is known well enough."""


class ThreadMeter:
    """Measures items in the threads that evaluate them."""

    def __init__(self, by_value: list[Any]) -> None:
        self.times: deque[ItemTime] = deque(maxlen=10_000)
        self.costs: list[TransferCost] = []
        self.refused: str | None = None
        """Why a value cannot be sent."""
        self.to_pickle = _PICKLED
        """The number of next values that are pickled."""
        self._by_value = by_value
        self._overhead = 0.0  # seconds that the measurement itself takes
        times = [self._measured(lambda i: i, 0)[1].cpu for _ in range(_ENOUGH_TIMES)]
        self._overhead = min(times)

    def __call__(self, get: Callable[[int], Any], i: int) -> Any:
        """Return item `i`, and note how long it took."""
        value, time = self._measured(get, i)
        self.times.append(time)
        if self.to_pickle > 0:
            self.to_pickle -= 1
            self._measure_transfer(value)
        return value

    def _measured(self, get: Callable[[int], Any], i: int) -> tuple[Any, ItemTime]:
        began, computed = perf_counter(), thread_time()
        value = get(i)
        wall, cpu = perf_counter() - began, thread_time() - computed
        return value, ItemTime(wall - self._overhead, cpu - self._overhead)

    def _measure_transfer(self, value: Any) -> None:
        """Note what it costs to send `value` together with others."""
        try:
            dump, load, nbytes = self._transfer([value])
            nothing = self._transfer([])
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            kind = type(value).__qualname__
            self.refused = f"items of type {kind} cannot be sent: {summary(error)}"
            return
        self.costs.append(
            TransferCost(max(0.0, dump - nothing[0]), max(0.0, load - nothing[1]), nbytes)
        )

    def _transfer(self, values: list[Any]) -> tuple[float, float, int]:
        """Return what it costs to send `values`: the least of several times if it is little."""
        dumps, loads = [], []
        while True:
            buffers: list[Any] = []
            began = thread_time()
            body = ResultDumper(self._by_value).dumps(values, lambda b: buffers.append(b.raw()))  # noqa: B023 -- called at once
            dumped = thread_time()
            ResultLoader(self._by_value).loads(body, buffers)
            loads.append(thread_time() - dumped)
            dumps.append(dumped - began)
            if sum(dumps) + sum(loads) > _ENOUGH_SECONDS or len(dumps) >= _ENOUGH_TIMES:
                return min(dumps), min(loads), sum(buffer.nbytes for buffer in buffers)


def delay(threads: Iterable[int | None]) -> float:
    """Return for how many seconds no core was free for threads, given their native ids.

    Where the system does not tell that, it is 0.
    """
    total = 0
    for thread in threads:
        try:
            with open(f"/proc/self/task/{thread}/schedstat", "rb") as file:
                total += int(file.read().split()[1])
        except (OSError, ValueError, IndexError):  # it has ended, or there is no descriptor
            pass
    return total / 1e9
