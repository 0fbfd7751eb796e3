"""The crew: the seats of a pool, on which nodes they are, and who sits there. It follows the cluster."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayscan.engine.nodes import NodeWatch
from rayscan.engine.roster import ANYWHERE, Bounds, Demand, plan
from rayscan.errors import ClusterError
from rayscan.tools.base import Points

SPAWN_WAVE, WAVE_SECONDS = 16, 30.0
"""Evaluators started at once, or as many as are at work already: a storm of them hurts shared file systems. One that
takes longer than these seconds waits for a place in the cluster, and holds up no other."""
REST_SECONDS = 10.0
"""Seconds without work, when a scan is ending, after which an evaluator is released, so that a cluster may shrink."""


@dataclass
class Claim:
    """A chunk in the hands of an evaluator, with the points it still owes."""

    owed: Points
    stream: Any
    touched: float
    alone: bool = False


@dataclass
class Seat:
    """A place in the pool, and the evaluator that sits there now."""

    index: int
    node: str = ANYWHERE
    incarnation: int = 0
    actor: Any = None
    ready: Any = None
    open: bool = False
    failures: int = 0
    not_before: float = 0.0
    started: float = 0.0
    idle_since: float = 0.0
    where: Any = None
    claims: deque[Claim] = field(default_factory=deque)

    def takes(self, depth: int, *, alone: bool) -> bool:
        """Whether another chunk may be sent here; nothing may wait behind a point under suspicion."""
        if not self.open or len(self.claims) >= depth:
            return False
        return not self.claims if alone else not any(claim.alone for claim in self.claims)

    def start(self, actor: Any) -> None:
        """Take in an evaluator that is just starting."""
        self.actor, self.started = actor, time.monotonic()
        self.ready = actor.ready.remote()
        self.where = None if self.node else actor.where.remote()

    def opened(self) -> None:
        """Note that the evaluator is ready for points."""
        # Put anywhere, it knows by now where it is.
        self.node = self.node or ray.get(self.where)
        self.ready, self.open, self.idle_since = None, True, time.monotonic()

    def vacate(self) -> None:
        """End the evaluator; its reaper removes what it leaves."""
        if self.actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(self.actor, no_restart=True)
        self.actor, self.ready, self.where, self.open = None, None, None, False
        self.claims = deque()
        self.incarnation += 1


class Crew:
    """The seats, as many and where the cluster has room for them.

    Parameters
    ----------
    bounds : Bounds
        How many evaluators are wanted.
    demand : Demand
        What each asks of a node.
    watch : NodeWatch
        Knows the nodes, and whether the tool works there.
    make : callable
        Takes a seat and options of Ray, returns an evaluator for it.

    Attributes
    ----------
    seats : list of Seat
    wanted : int
        How many there should be.
    """

    def __init__(
        self, bounds: Bounds, demand: Demand, watch: NodeWatch, make: Callable[[Seat, dict[str, Any]], Any]
    ) -> None:
        self.watch, self.demand = watch, demand
        self.seats: list[Seat] = []
        self.wanted = bounds.low
        self._bounds, self._make = bounds, make
        self._next_index = 0
        self._resting = False
        self._planned = -1
        self.follow(now=True)

    @property
    def size(self) -> int:
        """How many evaluators are ready for points."""
        return sum(seat.open for seat in self.seats)

    def follow(self, *, now: bool = False) -> None:
        """Have as many seats as the nodes that are there offer, where they offer them, and fill those that are empty.

        Raises
        ------
        ClusterError
            The tool works on no node.
        """
        self.watch.look(now=now)
        if not self._resting and (self._planned != self.watch.version or len(self.seats) > self.wanted):
            self._planned = self.watch.version
            self._arrange()
        self._fill()

    def _arrange(self) -> None:
        good = self.watch.good
        if not good:
            if self.watch.settled:
                reasons = "\n  ".join(f"{one.name}: {one.complaint}" for one in self.watch.reports.values())
                msg = f"no node can run the tool:\n  {reasons}\nmend it there, and start again: the scan resumes"
                raise ClusterError(msg)
            return
        shares = plan(good, self.demand, self._bounds)
        self.wanted = sum(shares.values())
        known = {node.node_id for node in good}
        for seat in self.seats:
            if seat.actor is None and seat.node not in known:
                seat.node = ANYWHERE
        self._remove(len(self.seats) - self.wanted, known)
        taken = {one: sum(seat.node == one for seat in self.seats) for one in shares}
        for one, share in sorted(shares.items(), key=lambda item: item[0] == ANYWHERE):
            for _ in range(share - taken[one]):
                if len(self.seats) < self.wanted:
                    self.seats.append(Seat(self._next_index, one))
                    self._next_index += 1

    def _remove(self, surplus: int, known: set[str]) -> None:
        """Give up seats that nobody works at, those first that no node has room for."""
        spare = [seat for seat in self.seats if not seat.open and not seat.claims]
        spare.sort(key=lambda seat: (seat.node in known, seat.ready is not None))
        for seat in spare[: max(surplus, 0)]:
            self._give_up(seat)

    def _give_up(self, seat: Seat) -> None:
        seat.vacate()
        self.seats.remove(seat)

    def _fill(self) -> None:
        now = time.monotonic()
        starting = sum(seat.ready is not None and now - seat.started < WAVE_SECONDS for seat in self.seats)
        wave = max(SPAWN_WAVE, self.size)
        for seat in self.seats:
            if seat.actor is None and now >= seat.not_before and starting < wave:
                seat.start(self._make(seat, self._place(seat)))
                starting += 1

    def _place(self, seat: Seat) -> dict[str, Any]:
        """Return the options that put an evaluator on its node, or on any that is not left out."""
        if seat.node:
            return {"scheduling_strategy": NodeAffinitySchedulingStrategy(seat.node, soft=False)}
        bad = self.watch.bad
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(bad)})"}} if bad else {}

    def displaced(self, seat: Seat) -> None:
        """Hear that an evaluator died: its node may be gone, and then its seat can be anywhere."""
        self.watch.look(now=True)
        if all(seat.node != node.node_id for node in self.watch.good):
            seat.node = ANYWHERE

    def rest(self) -> None:
        """Release evaluators that have had no work for a while, all but one."""
        now = time.monotonic()
        idle = [seat for seat in self.seats if not seat.claims and now - seat.idle_since > REST_SECONDS]
        for seat in idle[: len(self.seats) - 1]:
            self._resting = True
            self._give_up(seat)
            self.wanted = len(self.seats)

    def wake(self) -> None:
        """Hear that there is work again."""
        if self._resting:
            self._resting, self._planned = False, -1
