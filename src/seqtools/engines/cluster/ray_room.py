"""How many actors have room in a cluster of Ray."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""How Ray calls what options ask for."""
_SHOWN = 1e9
"""Ray counts memory in bytes; it is shown in gigabytes."""


class Room:
    """What each actor needs, and what there is.

    Args:
        options: Options of the actors.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._needs = {name: options[key] for key, name in _NAMES.items() if options.get(key)}
        self._needs.update({name: n for name, n in (options.get("resources") or {}).items() if n})

    def most(self) -> int:
        """Return how many actors all nodes together have room for, if nothing else runs there."""
        import ray

        if not self._needs:
            return int(ray.cluster_resources().get("CPU", 1)) or 1
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum([self._fitting(node) for node in nodes])

    def free(self) -> bool:
        """Return whether an actor might start now."""
        import ray

        return self._fitting(ray.available_resources()) > 0

    def has_this_node(self) -> bool:
        """Return whether the node to which this process is connected is alive."""
        import ray

        node_id = ray.get_runtime_context().get_node_id()
        return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())

    def words(self, started: int, wanted: int) -> str:
        """Return a warning that not all actors have started."""
        import ray

        if not self.most():
            return (
                f"no node of Ray has {self}, which each worker needs: items wait until one has; "
                "engine_options= says what is needed"
            )
        total, free = ray.cluster_resources(), ray.available_resources()
        amounts = [
            f"{_amount(name, free.get(name, 0), unit=False)} of {_amount(name, total.get(name, 0))}"
            for name in self._needs
        ]
        items = (
            "items wait until others release some" if not started else "these evaluate all items"
        )
        return (
            f"{started} of {wanted} workers have started in Ray. Each needs {self}; "
            f"{' and '.join(amounts)} are free: {items}"
        )

    def __str__(self) -> str:
        """Return what an actor needs."""
        return " and ".join([_amount(name, n) for name, n in self._needs.items()]) or "nothing"

    def _fitting(self, there: Mapping[str, float]) -> int:
        if not self._needs:
            return 1
        return min(int(there.get(name, 0) / n + 1e-9) for name, n in self._needs.items())


def _amount(name: str, n: float, *, unit: bool = True) -> str:
    if name == "memory":
        return f"{n / _SHOWN:.3g} GB" + (" of memory" if unit else "")
    return f"{n:g} {name}" if unit else f"{n:g}"
