"""The crew: the seats of a pool, and who sits there. As many as the nodes that are there have room for."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray

from rayscan.engine.nodes import NodeWatch
from rayscan.engine.roster import Bounds, Demand, wanted
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
    """A place in the pool, and the evaluator that sits there now; Ray chooses its node."""

    index: int
    incarnation: int = 0
    actor: Any = None
    ready: Any = None
    where: Any = None
    avoids: tuple[str, ...] = ()
    node: str = ""
    open: bool = False
    failures: int = 0
    not_before: float = 0.0
    started: float = 0.0
    idle_since: float = 0.0
    claims: deque[Claim] = field(default_factory=deque)

    @property
    def does(self) -> str:
        """What the evaluator here does, in a word."""
        if self.open:
            return "working" if self.claims else "waiting"
        return "away" if self.actor is None else "starting"

    def takes(self, depth: int, *, alone: bool) -> bool:
        """Whether another chunk may be sent here; nothing may wait behind a point under suspicion."""
        if not self.open or len(self.claims) >= depth:
            return False
        return not self.claims if alone else not any(claim.alone for claim in self.claims)

    def start(self, actor: Any, avoids: tuple[str, ...]) -> None:
        """Take in an evaluator that is just starting, on any node but those."""
        self.actor, self.avoids = actor, avoids
        self.started = self.idle_since = time.monotonic()
        self.where, self.ready = actor.where.remote(), actor.ready.remote()

    def opened(self) -> None:
        """Note that the evaluator is ready for points."""
        self.node = ray.get(self.where)
        self.ready, self.where, self.open, self.idle_since = None, None, True, time.monotonic()

    def vacate(self) -> None:
        """End the evaluator; its reaper removes what it leaves."""
        if self.actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(self.actor, no_restart=True)
        self.actor, self.ready, self.where, self.node, self.open = None, None, None, "", False
        self.claims = deque()
        self.incarnation += 1


class Crew:
    """The seats, as many as the cluster has room for.

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
        self._bad: tuple[str, ...] = ()
        self.follow(now=True)

    @property
    def size(self) -> int:
        """How many evaluators are ready for points."""
        return sum(seat.open for seat in self.seats)

    @property
    def misplaced(self) -> list[Seat]:
        """Those at work on a node that turned out bad after they had got there."""
        return [seat for seat in self.seats if seat.node in self._bad]

    def follow(self, *, now: bool = False) -> None:
        """Have as many seats as the nodes that are there have room for, and fill those that are empty.

        Raises
        ------
        ClusterError
            The tool works on no node.
        """
        if self.watch.look(now=now):
            self._arrange()
        if not self._resting:
            self._fill()

    def _arrange(self) -> None:
        good, self._bad = self.watch.good, self.watch.bad
        if not good and self.watch.settled:
            reasons = "\n  ".join(f"{one.name}: {one.complaint}" for one in self.watch.reports.values())
            msg = f"no node can run the tool:\n  {reasons}\nmend it there, and start again: the scan resumes"
            raise ClusterError(msg)
        if good and not self._resting:
            self.wanted = wanted(good, self.demand, self._bounds)
            while len(self.seats) < self.wanted:
                self.seats.append(Seat(self._next_index))
                self._next_index += 1
            self._shrink()

    def _shrink(self) -> None:
        """Give up seats beyond those wanted that nobody works at: first the empty ones, then those that wait."""
        surplus = len(self.seats) - self.wanted
        if surplus > 0:
            spare = [seat for seat in self.seats if not seat.open and not seat.claims]
            spare.sort(key=lambda seat: (seat.actor is not None, -seat.started))
            for seat in spare[:surplus]:
                self._give_up(seat)

    def _give_up(self, seat: Seat) -> None:
        seat.vacate()
        self.seats.remove(seat)

    def _fill(self) -> None:
        now, bad = time.monotonic(), self._bad
        for seat in self.seats:
            if seat.ready is not None and seat.avoids != bad:
                # It may be waiting for room on a node that is good again, or be about to get onto a bad one.
                seat.vacate()
        starting = sum(seat.ready is not None and now - seat.started < WAVE_SECONDS for seat in self.seats)
        wave = max(SPAWN_WAVE, self.size)
        options = {"label_selector": {"ray.io/node-id": f"!in({','.join(bad)})"}} if bad else {}
        for seat in self.seats:
            if seat.actor is None and now >= seat.not_before and starting < wave:
                seat.start(self._make(seat, options), bad)
                starting += 1

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
        self._resting = False
