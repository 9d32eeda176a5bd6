"""Ray: the one that this program is connected to, or a local one that is started.

    places ◀── actors that are ready          post ──▶ actor ══ remote.work
                                              notify ◀── future of the call

Each place is an actor, a process of its own, which evaluates one call at a time. Ray does not
restart it: a death is seen in milliseconds, and another actor takes its place and its number. An
actor for which there is no room waits, and is no place until it has started.
"""

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.cluster.costs import COSTS, GRAIN
from seqtools.engines.cluster.executor import writable
from seqtools.engines.cluster.kinds import RAY
from seqtools.engines.cluster.ray_connection import RayConnection, connect
from seqtools.engines.cluster.ray_errors import after_death, why_unusable
from seqtools.engines.cluster.ray_room import Room
from seqtools.engines.cluster.ray_worker import Actor, SeqtoolsWorker, is_dead
from seqtools.engines.cluster.shipment import Shipment, machine
from seqtools.engines.cluster.transport import BrokenError, LostError, Notify, Place

_SMALL = 1 << 16
"""Bytes of a pipeline that each actor is created with. Arbitrary."""
_PATIENCE = 20.0
"""Seconds until it is said that actors wait. Most start in less than 3, but on a busy machine in
more than 10; and an actor that starts holds its processor, so that none is free."""
_LONG = 60.0
"""The same if there is room, but Ray prepares what `runtime_env` asks for. Arbitrary."""
_BESIDE = 1.0
"""Seconds until actors start beside those of another prefetch of this process. Arbitrary."""
_MOST_LONELY = 30.0
"""Seconds without any worker after which that is an error, if there were some, and no node has room
for one. Arbitrary. Before any has started, it may be a cluster that begins with no node."""
_GROWTH = 10.0
"""Seconds between two looks whether the cluster has grown. Arbitrary."""
_SILENCE = 5.0
"""Seconds without an answer until it is asked whether this machine still is in the cluster, and
between two such questions. Arbitrary."""
_MOST_LOST = 10
"""Times for each actor that one is lost for no reason of its own, without an answer in between,
until that is an error. Arbitrary."""


class RayTransport:
    """Ray.

    Args:
        nworkers: The number of actors.
        every_worker: Whether to use all that the cluster has, however much that is later.
        options: Options of the actors.
    """

    title = "Ray"
    grain = GRAIN
    overhead = COSTS[RAY].seconds
    shares_memory = False
    directs = isolates = turns = numbered = ends_items = True
    spare = False

    def __init__(
        self, nworkers: int, *, every_worker: bool = False, options: Mapping[str, Any] | None = None
    ) -> None:
        self._nworkers, self._every_worker = nworkers, every_worker
        self._given = dict(options or {})
        self._actors: dict[int, Actor] = {}
        self._outlet: list[Notify] = []  # empty at the end: futures keep their callbacks for good
        self._started: SimpleQueue[tuple[Actor, Any]] = SimpleQueue()
        self._connection: RayConnection | None = None
        self._shipment: Shipment | None = None
        self._class: Any = None
        self._reference: Any = None  # of the payload in the object store
        self._lost_in_a_row = 0
        self._news: list[str] = []
        self._told = False
        self._lonely_since: float | None = None  # when there was a worker last
        self._grown = self._heard = 0.0

    def open(self, shipment: Shipment | None, notify: Notify) -> None:
        """Connect, and have actors start."""
        assert shipment is not None  # noqa: S101 -- for mypy: workers share no memory
        self._shipment = shipment
        self._outlet.append(notify)
        given = self._given
        each = given.get("num_cpus", 1)
        cores = len(os.sched_getaffinity(0))
        self._connection = connect(max(cores, round(self._nworkers * max(each, 1))))
        # a Ray of ours is for prefetches only, which share its processors
        default = 0 if self._connection.is_local else 1
        self._room = Room({"num_cpus": default, **given})
        self._create_class(**{"num_cpus": default, **given})
        if self._connection.is_local and not self._room.most():
            raise BrokenError(
                f"no worker can start in the local Ray, which has not {self._room}: "
                "connect to another one, by ray.init()"
            )
        if self._every_worker and not self._connection.is_local:
            self._nworkers = self._room.most() or self._nworkers
        self._grown = self._heard = time.monotonic()
        with _lock:
            _open.add(self)
        self._create_actors(self._nworkers)

    def places(self) -> Sequence[Place]:
        """Return those of the actors that have started."""
        self._check()
        with suppress(Empty):
            while True:
                self._begin(*self._started.get_nowait())
        for actor in [*self._actors.values()]:
            if actor.ready and not actor.calls and is_dead(actor):
                self._replace(actor)
        self._look()
        return [actor.place for actor in self._actors.values() if actor.ready]

    def wanted(self) -> int:
        """Return the number of actors, including those that are starting."""
        return len(self._actors) or self._nworkers

    def post(self, place: Place, number: int, call: Any, *, payload: bool) -> None:
        """Call the actor."""
        self._check()
        actor, outlet = place.address, self._outlet
        if not actor.calls and is_dead(actor):
            outlet[0](number, (number, actor, None))
            return
        arguments = (call, self._payload()) if payload else (call,)
        try:
            future = actor.handle.work.remote(*arguments).future()
        except Exception as error:
            raise BrokenError(f"Ray takes no more work: {summary(error)}") from error
        actor.calls[number] = future

        def tell(future: Any) -> None:
            for notify in outlet:
                notify(number, (number, actor, future))

        future.add_done_callback(tell)

    def answer(self, came: Any) -> Any:
        """Return the result of a call."""
        number, actor, future = came
        self._heard = time.monotonic()
        actor.calls.pop(number, None)
        if future is None:
            self._lose(actor, LostError("it had died before", deaths=0, place_ended=True))
        error = future.exception()
        if error is not None:
            self._lose(actor, self._meaning(error), error)
        self._lost_in_a_row = 0
        return future.result()

    def own(self, part: Any) -> Any:
        """Return a copy of what is in the object store, which then is free there."""
        return writable(part)

    def renew(self) -> bool:
        """Return False: Ray is not started again when it has ended."""
        return False

    def end(self, place: Place) -> None:
        """Replace the actor."""
        self._replace(place.address)

    def ship(self, path: str) -> str:
        """Return the line that sends a module."""
        return f"ray.init(runtime_env={{'py_modules': [{path!r}]}}), before anything else, sends it"

    def news(self) -> list[str]:
        """Return that actors wait, once."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """End the actors, and the connection if nobody else uses it."""
        with _lock:
            _open.discard(self)
        self._outlet.clear()
        actors, self._actors = [*self._actors.values()], {}
        if self._connection is None:
            return
        for actor in actors:
            self._kill(actor)
        self._reference = self._class = None
        self._connection.release()

    # Implementation

    def _check(self) -> None:
        if self._connection is None or not self._connection.holds:
            raise BrokenError("Ray was shut down, or is another one by now: read again to use it")

    def _create_class(self, **options: Any) -> None:
        import ray

        try:
            decorator = ray.remote(max_restarts=0, max_task_retries=0, **options)
            self._class = decorator(SeqtoolsWorker)
        except (TypeError, ValueError) as error:
            message = f"Ray refuses engine_options={self._given}: {summary(error)}"
            raise BrokenError(message) from error
        self._options = options

    def _create_actors(self, n: int) -> None:
        """Have `n` actors, of which some may have started."""
        for number in range(len(self._actors), n):
            self._actors[number] = self._create(number)

    def _create(self, number: int) -> Actor:
        started, outlet, shipment = self._started, self._outlet, self._shipment
        small = shipment is not None and shipment.memory.size < _SMALL
        path = [os.path.abspath(folder) for folder in sys.path]
        payload = shipment.payload() if shipment is not None and small else None
        try:
            handle = self._class.remote(machine(), path, payload)
            actor = Actor(handle, number)
            future = handle.ready.remote().future()
        except Exception as error:
            raise BrokenError(f"Ray starts no worker: {summary(error)}") from error

        def tell(future: Any) -> None:
            for notify in outlet:
                started.put((actor, future))
                notify(0, None)

        future.add_done_callback(tell)
        return actor

    def _begin(self, actor: Actor, future: Any) -> None:
        """Note that an actor has started, or has failed to."""
        if self._actors.get(actor.place.number or 0) is not actor:
            return  # it was replaced meanwhile
        error = future.exception()
        if error is None:
            actor.ready = True
            return
        lost = self._meaning(error)
        self._count_loss(lost)
        self._replace(actor)

    def _meaning(self, error: BaseException) -> LostError:
        """Return what an error means for items.

        Raises:
            BrokenError: If nothing can be evaluated any more.
        """
        self._check()
        lost = after_death(error)
        if lost is None:
            raise BrokenError(why_unusable(error)) from error
        return lost

    def _lose(self, actor: Actor, lost: LostError, error: BaseException | None = None) -> None:
        """Raise that a call was lost; replace its actor if that has ended."""
        if lost.place_ended:
            self._replace(actor)
        if not lost.deaths:
            self._count_loss(lost)
        try:
            raise lost from error
        finally:
            del lost, error  # this frame belongs to it, and others that refer to the call

    def _count_loss(self, lost: LostError) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row > _MOST_LOST * max(1, len(self._actors)):
            raise BrokenError(f"Ray loses all workers: {lost}") from lost

    def _replace(self, actor: Actor) -> None:
        self._kill(actor)
        number = actor.place.number or 0
        if self._actors.get(number) is actor:
            self._actors[number] = self._create(number)

    def _kill(self, actor: Actor) -> None:
        import ray

        handle, actor.handle = actor.handle, None
        actor.calls.clear()
        if handle is not None and self._connection is not None and self._connection.holds:
            with suppress(Exception):
                ray.kill(handle)

    def _payload(self) -> Any:
        """Return the reference to the pipeline, which each other machine loads once."""
        import ray

        if self._reference is None:
            assert self._shipment is not None  # noqa: S101 -- for mypy
            self._reference = ray.put(self._shipment.payload())
        return self._reference

    def _look(self) -> None:
        """Look after actors that wait, and whether the cluster has grown, or has lost this node."""
        now = time.monotonic()
        if now - self._heard > _SILENCE:
            self._heard = now
            if not self._room.has_this_node():  # calls would never be answered
                raise BrokenError("Ray has ended on this machine: its raylet has died")
        waiting = [actor for actor in self._actors.values() if not actor.ready]
        if len(waiting) < len(self._actors):
            self._lonely_since = now
        elif self._lonely_since is not None:
            self._check_lonely(now - self._lonely_since)
        longest = max([now - actor.since for actor in waiting], default=0.0)
        if len(waiting) == len(self._actors) and longest > _BESIDE:
            self._start_beside()
        if longest > _PATIENCE and not self._told:
            started, n = len(self._actors) - len(waiting), len(self._actors)
            if not self._room.free():
                self._told = True
                self._news.append(self._room.words(started, n))
            elif longest > _LONG:
                self._told = True
                what = f"{started} of {n} workers have started in Ray within {_LONG:g} seconds"
                self._news.append(f"{what}, although there is room: its logs may say why")
        if self._every_worker and now - self._grown > _GROWTH and not waiting:
            self._grown = now
            self._create_actors(self._room.most())

    def _check_lonely(self, seconds: float) -> None:
        """Raise an error after so long without workers, if no node has room for any."""
        if seconds > _MOST_LONELY and not self._room.most():
            message = f"all workers of Ray have ended, and no node that is left has {self._room}"
            raise BrokenError(message)

    def _start_beside(self) -> None:
        """Use the processors of other prefetches of this process, which the user shares out."""
        if "num_cpus" in self._given or not self._options["num_cpus"] or self._room.free():
            return
        with _lock:
            held = sum([each.held for each in _open if each is not self])
        if not held:
            return
        for actor in self._actors.values():
            self._kill(actor)
        n = min(len(self._actors), held)
        self._actors.clear()
        self._create_class(**{**self._options, "num_cpus": 0})
        self._create_actors(n)

    @property
    def held(self) -> int:
        """The number of actors that have started, and hold processors."""
        if not getattr(self, "_options", {}).get("num_cpus"):
            return 0
        return sum([actor.ready for actor in [*self._actors.values()]])


_lock = threading.Lock()
_open: set[RayTransport] = set()
