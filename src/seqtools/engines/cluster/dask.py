"""Dask: a cluster that the user has, by its client, or one that is started here.

Each call is a task with a key of its own, for one worker only. So items that share a file go where
it is loaded, and it is known what a worker had that has died: the scheduler would begin such a task
again in the next workers, until it has killed four of them. And only workers that have seqtools are
used: see `dask_fitness`. The loop of the client, in its thread:

    post ──▶ Client.submit ══ scheduler ══ worker ──▶ gather ──▶ notify
                                  ╚═══ which workers there are, each second ──▶ places
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from seqtools._core.errors import summary
from seqtools.engines.cluster.costs import COSTS, GRAIN, WITH_SCHEDULER
from seqtools.engines.cluster.dask_fitness import WorkerFitness
from seqtools.engines.cluster.dask_places import WorkerPlaces
from seqtools.engines.cluster.dask_tasks import DaskTasks, PostedCall, work
from seqtools.engines.cluster.executor import writable
from seqtools.engines.cluster.kinds import DASK
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import BrokenError, LostError, Notify, Place

_PATIENCE = 3.0
"""Seconds that the client may need to be connected again. Arbitrary."""
_LONELY, _MOST_LONELY = 10.0, 30.0
"""Seconds without any worker after which a warning says so, and after which that is an error, if
workers have died. Otherwise the cluster may be one that starts some when it has time. Arbitrary."""
_MOST_RESTARTS = 10
"""Times that calls are lost, posted again and lost again, without an answer in between, before that
is an error. Arbitrary."""
_LOGGERS = "distributed.client", "distributed.batched"


class Cluster(Protocol):
    """A cluster that was started here."""

    def start(self) -> Any:
        """Return a client of it.

        Raises:
            BrokenError: If it does not start.
        """

    def ended(self) -> str | None:
        """Return how it has ended, `None` if it runs."""

    def close(self) -> None:
        """End it, and the client."""


class DaskTransport(DaskTasks):
    """A cluster of Dask.

    Args:
        client: The client of a user, which stays open; `None` to start a cluster.
        nworkers: The number of places.
        every_worker: Whether to use all threads of the workers, however many there are later.
        resources: What each call takes of the resources of a worker.
        cluster: Starts and ends a cluster, if there is no client.
    """

    title = "Dask"
    grain = GRAIN
    shares_memory = numbered = ends_items = False
    directs = True

    def __init__(
        self,
        client: Any,
        nworkers: int,
        *,
        every_worker: bool = False,
        resources: Mapping[str, float] | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self._nworkers, self._cluster = nworkers, cluster
        self._resources = dict(resources or {})
        most = None if every_worker else nworkers
        super().__init__(client, WorkerPlaces(most, self._resources))
        self._restarts = self._restarts_before = 0  # before the last answer
        self._lonely_since, self._died_at = 0.0, -_LONELY  # without workers; the last death
        self._lost_at: float | None = None  # when the connection was
        self._news: list[str] = []
        self._told = self._told_unfit = False

    @property
    def overhead(self) -> float:
        """See `costs`; more if the scheduler is in this process."""
        cluster = getattr(self._client, "cluster", None)
        is_here = hasattr(getattr(cluster, "scheduler", None), "workers")
        return WITH_SCHEDULER if is_here else COSTS[DASK].seconds

    @property
    def spare(self) -> bool:
        """Whether a worker that has a place has a thread without one."""
        return self._workers.spare

    @property
    def turns(self) -> bool:
        """Whether all workers have one thread."""
        return self._workers.single

    @property
    def isolates(self) -> bool:
        """Whether only one call is lost with a worker that had begun."""
        return self._workers.single

    def open(self, shipment: Shipment | None, notify: Notify) -> None:
        """Start a cluster if there is none, and look at the workers."""
        assert shipment is not None  # noqa: S101 -- for mypy: workers share no memory
        self._shipment, self._notify = shipment, notify
        if self._cluster is not None:
            self._client = self._cluster.start()
        self._fitness = WorkerFitness(self._client)
        self._check()
        self._where = self._client.scheduler.address, self._client.security
        try:
            self._run(self._ask(), _PATIENCE)
            self._run(self._update(_PATIENCE), 2 * _PATIENCE)
        except Exception as error:
            self._check()
            raise BrokenError(f"the scheduler of Dask does not answer: {summary(error)}") from error
        self._check()
        if self._workers.unsuitable:
            message = (
                f"no worker of Dask has resources {self._resources}: start some with these, as by "
                "dask worker … --resources 'NAME=AMOUNT'"
            )
            raise BrokenError(message)
        self._lonely_since = time.monotonic()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._is_not_ours)
        self._begin(shipment.token)

    def places(self) -> Sequence[Place]:
        """Return those that the scheduler named last; one for any worker if there is none.

        A cluster may have no worker because it has nothing to do. But Dask would begin a task that
        kills workers again in each that comes; so after a death, they are waited for.
        """
        self._check()
        now = time.monotonic()
        if self._workers.addresses:
            self._lonely_since = now
            return self._workers.places
        if now - max(self._lonely_since, self._died_at) > _MOST_LONELY and self._died_at > 0:
            raise BrokenError("all workers of Dask have ended, and no other has come")
        if not self._told and now - self._lonely_since > _LONELY:
            self._told = True
            self._news.append(self._lonely())
        return () if now - self._died_at < _LONELY else self._workers.places

    def wanted(self) -> int:
        """Return the number of places that there are, or will be in a cluster that is started."""
        if self._cluster is not None:
            return self._nworkers
        return len(self._workers.places) if self._workers.addresses else self._nworkers

    def post(self, place: Place, number: int, call: Any, *, payload: bool) -> None:
        """Submit a task, and follow it."""
        options: dict[str, Any] = {"resources": self._resources or None}
        try:
            if place.address is None:
                future = self._submit(eval, "0", **options)  # so that a worker comes
            else:
                arguments = (call, *self._payload()) if payload else (call,)
                future = self._submit(work, *arguments, workers=[place.address], **options)
        except RuntimeError as error:
            raise BrokenError(f"Dask takes no more work: {summary(error)}") from error
        except Exception as error:
            if type(error).__name__ != "ClosedClientError":
                raise
            raise BrokenError(f"Dask takes no more work: {summary(error)}") from error
        self._calls[number] = PostedCall(future, place, self._restarts)
        self._follow(number, future, waking=place.address is None)

    def answer(self, came: Any) -> Any:
        """Return the result of a task."""
        number, raw, error = came
        call = self._calls.pop(number)
        if error is not None:
            self._raise(error, call)
        if call.place.address is None:
            raise LostError("a worker has come", deaths=0)
        self._restarts_before = self._restarts
        return raw

    def own(self, part: Any) -> Any:
        """Return a part itself if it can be written to, or a copy."""
        return writable(part)

    def renew(self) -> bool:
        """Return False: a scheduler that is gone has taken the workers with it."""
        return False

    def end(self, place: Place) -> None:
        """Do nothing: Dask cannot end a task that has begun."""

    def ship(self, path: str) -> str:
        """Return the line that sends a module."""
        if self._cluster is not None:
            return f"add its folder to sys.path before anything is read, here {path!r}"
        if path.endswith(".py"):
            return f"client.upload_file({path!r}) sends it, after modules of yours that it imports"
        return (
            f"put it into a zip file and send that, client.upload_file('….zip'), or install it "
            f"there; here it is in {path!r}"
        )

    def news(self) -> list[str]:
        """Return that there are no workers, once."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Recall all tasks, and have the workers forget the pipeline; or end the cluster."""
        if self._cluster is None:
            self._end()
        else:
            self._forget_all()
            self._cluster.close()
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._is_not_ours)

    # In this thread

    def _check(self) -> None:
        """Raise an error if nothing can be evaluated any more."""
        ended = None if self._cluster is None else self._cluster.ended()
        if ended is not None:
            raise BrokenError(f"the local cluster of Dask has ended: {ended}")
        status = self._client.status
        if status in {"closing", "closed"} and self._lost_at is None:
            raise BrokenError("the client of Dask was closed")
        if status == "running":
            self._lost_at = None
            self._check_workers()
            return
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if now - self._lost_at > _PATIENCE or status == "closed":
            message = (
                f"the scheduler of Dask is gone: its client is {status}; read on from the same "
                "state_dict() with another client"
            )
            raise BrokenError(message)

    def _check_workers(self) -> None:
        """Raise an error if no worker can be used; warn if some cannot."""
        unfit = self._fitness.unfit
        if not unfit:
            return
        why = next(iter(unfit.values()))
        if not self._workers.addresses and self._died_at < 0:
            raise BrokenError(why)
        if not self._told_unfit:
            self._told_unfit = True
            self._news.append(f"{len(unfit)} workers of Dask are not used: {why}")

    def _raise(self, error: BaseException, call: PostedCall) -> None:
        """Raise what the error of a task means.

        Raises:
            LostError: If the items may be evaluated again.
            BrokenError: If not.
        """
        address, name = call.place.address, type(error).__name__
        killed = name == "KilledWorker"
        if not killed:
            self._check()
        cancelled = "Cancelled" in name or isinstance(error, OSError)
        if cancelled:
            self._withdraw([call.future])
        if killed or (cancelled and address is not None and address not in self._workers.addresses):
            self._bury(call.place)
            raise LostError(f"worker {address} of Dask has ended", place_ended=True) from error
        if cancelled:
            self._count_restart(call, error)
            raise LostError(summary(error), deaths=0) from error
        raise BrokenError(f"Dask failed: {summary(error)}") from error

    def _bury(self, place: Place) -> None:
        """Forget what a worker had that has ended."""
        lost = [number for number, call in self._calls.items() if call.place is place]
        futures = [self._calls.pop(number).future for number in lost]
        self._withdraw(futures)  # the scheduler would keep them until that worker is back
        self._workers.forget([place.address])
        self._died_at = time.monotonic()
        self._look_soon()

    def _count_restart(self, call: PostedCall, error: BaseException) -> None:
        """Note that all tasks were lost, but no worker."""
        if call.restarts == self._restarts:  # the first of those that are lost together
            self._restarts += 1
            self._workers.forget([*self._workers.addresses])  # they are ended too
            self._look_soon()
        if self._restarts - self._restarts_before > _MOST_RESTARTS:
            raise BrokenError(f"Dask loses all tasks: {summary(error)}") from error

    def _is_not_ours(self, record: logging.LogRecord) -> bool:
        """Return whether a line of a log is about others: of ours, the reader is told."""
        told = record.getMessage()
        is_local = self._cluster is not None and self._where[0] in told
        return not is_local and self._name not in told

    def _lonely(self) -> str:
        wanted = f" with resources {self._resources}" if self._resources else ""
        return f"Dask has no worker{wanted}: items wait until there is one"
