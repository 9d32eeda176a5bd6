"""Whether workers of Dask can evaluate items: each is asked before it is sent any.

A worker that cannot unpickle a task ends, as does each other one that the scheduler then tries, and
nobody is told. So the question is a text for `eval`, which workers of every version have.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.cluster.messages import SPEAKS
from seqtools.engines.cluster.versions import other_version

QUESTION = (
    "tuple(__import__('seqtools.engines.cluster.messages', fromlist=['SPEAKS']).SPEAKS)"
    " if __import__('sys').version_info[:2] == {python}"
    " else (0, *__import__('sys').version_info[:2])"
)


class WorkerFitness:
    """What workers have answered. For the thread of the client's loop.

    Args:
        client: The client.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked: dict[str, asyncio.Task[str | None]] = {}
        self.unfit: dict[str, str] = {}
        """Why workers cannot be used, by their addresses."""

    async def fit(self, workers: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return those of `workers` that can be used; ask new ones.

        Args:
            workers: All workers that there are, by their addresses.
            seconds: How long to wait for answers. A worker that has not answered, because it is
                busy, is not used yet.
        """
        asked = self._asked
        for address in [address for address in asked if address not in workers]:
            asked.pop(address).cancel()
        for address in workers:
            if address not in asked:
                asked[address] = asyncio.ensure_future(self._ask(address))
        if waiting := [task for task in asked.values() if not task.done()]:
            await asyncio.wait(waiting, timeout=seconds)
        answers = {address: task.result() for address, task in asked.items() if task.done()}
        for address, why in answers.items():
            if why is None:  # it is asked again
                del asked[address]
        self.unfit = {address: why for address, why in answers.items() if why}
        return {address: each for address, each in workers.items() if answers.get(address) == ""}

    def end(self) -> None:
        """Ask no more."""
        for task in self._asked.values():
            task.cancel()
        self._asked.clear()

    async def _ask(self, address: str) -> str | None:
        """Return why a worker cannot be used, nothing if it can, `None` if it has not answered."""
        question = QUESTION.format(python=SPEAKS[1:])
        try:
            said = await self._client.run(
                eval, question, workers=[address], on_error="return", asynchronous=True
            )
        except Exception:  # noqa: BLE001 -- the client, or the worker, has ended
            return None
        answer = said.get(address)
        if isinstance(answer, ModuleNotFoundError) and answer.name == __name__.partition(".")[0]:
            what = "install the one that this program has in its environment"
            return f"worker {address} of Dask has no {answer.name}: {what}"
        if isinstance(answer, ImportError):
            what = summary(answer)
            return f"worker {address} of Dask cannot import what seqtools here needs: {what}"
        if not isinstance(answer, tuple):
            return None
        return "" if answer == SPEAKS else other_version(answer, "Dask")
