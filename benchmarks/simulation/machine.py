"""What else the machine does while something is measured."""

import os
import time

CALM = 0.2
"""Processors that other programs may use during a measurement."""


def busy() -> float:
    """Return the seconds for which the processors of this machine have been busy."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_until_calm(seconds: float) -> None:
    """Wait until other programs use little of the processors, or for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = busy()
        time.sleep(0.5)
        if busy() - before < 0.5 * CALM:
            return
