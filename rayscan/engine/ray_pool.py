"""The pool of Ray actors: back-pressure, burial and respawn, quarantine.

Ray's own retries run a point twice without saying so, and its `ActorPool` hands out dead actors; both are off here.
Evaluators stream one message per bit of work, so that a crash keeps what was already answered.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayActorError, RayError

from rayscan.engine.evaluator import Evaluator, worker_name
from rayscan.errors import ClusterError
from rayscan.tools.base import Outcome, Outcomes, Points, Status, Tool

DEPTH = 2
"""Chunks in the hands of an evaluator: one in work and one to go on with."""
CHUNK_SECONDS = 0.5
"""Work per chunk. Longer chunks would delay the end of a scan, shorter ones the driver."""
MAX_CHUNK = 4096
POISON_AFTER = 3
"""Evaluators that a point may kill, alone, before it is set aside."""
SPAWN_WAVE = 16
"""Evaluators started at once: a storm of them hurts shared file systems."""


class EvaluatorActor:
    """An `Evaluator` as a Ray actor."""

    def __init__(
        self, tool: Tool, parameters: tuple[str, ...], run_id: str, index: int, incarnation: int, scratch: str | None
    ) -> None:
        where = Path(scratch) if scratch else None
        self._evaluator = Evaluator(tool, parameters, run_id, worker_name(index, incarnation), where)

    def ready(self) -> bool:
        """Answer once the tool is open."""
        return True

    def evaluate(self, points: Points) -> Any:
        """Stream outcomes of `points`."""
        yield from self._evaluator.evaluate(points)

    def close(self) -> None:
        """Close the tool and remove the scratch directory."""
        self._evaluator.close()


@dataclass
class _Claim:
    """A chunk in the hands of an evaluator, with the points it still owes."""

    owed: Points
    stream: Any
    touched: float
    alone: bool = False


@dataclass
class _Seat:
    """A place in the pool, and the evaluator that sits there now."""

    index: int
    incarnation: int = 0
    actor: Any = None
    ready: Any = None
    open: bool = False
    failures: int = 0
    not_before: float = 0.0
    claims: deque[_Claim] = field(default_factory=deque)

    def takes(self, *, alone: bool) -> bool:
        """Whether another chunk may be sent here; nothing may wait behind a point under suspicion."""
        if not self.open or len(self.claims) >= DEPTH:
            return False
        return not self.claims if alone else not any(claim.alone for claim in self.claims)


class RayPool:
    """A pool of `EvaluatorActor`.

    Parameters
    ----------
    tool : Tool
    parameters : tuple of str
    run_id : str
        Names the scratch directories.
    size : int
        Number of evaluators.
    cpus : float
        Logical CPUs that each asks of Ray.
    scratch : str, optional
        Root of scratch directories on each node.

    Attributes
    ----------
    size, lost : int
        As in `Pool`.
    duplicates : int
        Answers to points that had been answered already; dropped.
    """

    def __init__(
        self,
        tool: Tool,
        parameters: tuple[str, ...],
        run_id: str,
        size: int,
        cpus: float = 1.0,
        scratch: str | None = None,
    ) -> None:
        self.size, self.lost, self.duplicates = size, 0, 0
        self._tool, self._outputs = tool, tool.outputs
        self._arguments = (ray.put(tool), parameters, run_id)
        self._scratch = scratch
        self._actor_class = ray.remote(EvaluatorActor).options(num_cpus=cpus, max_restarts=0, max_task_retries=0)
        self._seats = [_Seat(index) for index in range(size)]
        self._fresh: deque[Points] = deque()
        self._suspects: deque[Points] = deque()
        self._charges: dict[int, int] = {}
        self._open_ids: set[int] = set()
        self._seconds_per_point = 1e-3 if tool.vectorized else 1.0
        self._finished: list[Outcomes] = []
        self._fill_seats()

    # Points in ------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        waiting = sum(len(points) for points in self._fresh)
        hands = sum(DEPTH - len(seat.claims) for seat in self._seats if seat.open)
        return max(0, hands * self._chunk() - waiting)

    def submit(self, points: Points) -> None:
        if len(points):
            self._fresh.append(points)
            self._open_ids.update(points.point_id.tolist())
            self._dispatch()

    def _chunk(self) -> int:
        return int(np.clip(CHUNK_SECONDS / self._seconds_per_point, 1, MAX_CHUNK))

    def _dispatch(self) -> None:
        """Hand chunks to evaluators, the least burdened first; suspects travel alone."""
        while self._suspects or self._fresh:
            alone = bool(self._suspects)
            seats = [seat for seat in self._seats if seat.takes(alone=alone)]
            if alone and not seats:
                alone, seats = False, [seat for seat in self._seats if seat.takes(alone=False)]
            if not seats or not (alone or self._fresh):
                return
            seat = min(seats, key=lambda s: len(s.claims))
            points = self._suspects.popleft() if alone else self._take()
            stream = seat.actor.evaluate.options(num_returns="streaming").remote(points)
            seat.claims.append(_Claim(points, stream, time.monotonic(), alone))

    def _take(self) -> Points:
        """Take a chunk from the queue, leaving the others an equal share of what is there."""
        points = self._fresh.popleft()
        waiting = len(points) + sum(len(more) for more in self._fresh)
        size = max(1, min(self._chunk(), -(-waiting // self.size)))
        if len(points) > size:
            self._fresh.appendleft(points[size:])
        return points[:size]

    # Outcomes out ---------------------------------------------------------------------------------------------------

    def collect(self, timeout: float) -> list[Outcomes]:
        self._fill_seats()
        self._dispatch()
        waiting = {seat.claims[0].stream: seat for seat in self._seats if seat.claims}
        waiting |= {seat.ready: seat for seat in self._seats if seat.ready is not None}
        if not waiting and not self._finished:
            time.sleep(timeout)
        elif waiting:
            patience = 0.0 if self._finished else timeout
            done, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0, fetch_local=False)
            if not done and patience:
                done, _ = ray.wait(list(waiting), num_returns=1, timeout=patience, fetch_local=False)
            for item in done:
                self._attend(waiting[item], item)
        self._bury_overdue()
        self._dispatch()
        finished, self._finished = self._finished, []
        return finished

    def _attend(self, seat: _Seat, item: Any) -> None:
        try:
            if item is seat.ready:
                ray.get(item)
                seat.ready, seat.open = None, True
            elif seat.claims and item is seat.claims[0].stream:
                self._receive(seat, ray.get(next(item)))
        except StopIteration:
            finished = seat.claims.popleft()
            if len(finished.owed):
                self._requeue(finished.owed)
            if seat.claims:
                seat.claims[0].touched = time.monotonic()
        except RayActorError as error:
            self._bury(seat, error)
        except RayError as error:
            # The evaluator answers for every exception of a tool; anything else is ours or Ray's, and not the point's.
            self._bury(seat, error)

    def _receive(self, seat: _Seat, outcomes: Outcomes) -> None:
        claim = seat.claims[0]
        claim.owed = claim.owed[len(outcomes) :]
        claim.touched = time.monotonic()
        seat.failures = 0
        seconds = float((outcomes.ended - outcomes.started).mean())
        self._seconds_per_point += 0.2 * (max(seconds, 1e-7) - self._seconds_per_point)
        known = [point_id in self._open_ids for point_id in outcomes.point_id.tolist()]
        if not all(known):
            self.duplicates += len(known) - sum(known)
            pieces = [piece for piece, is_open in zip(outcomes.split(), known, strict=True) if is_open]
        else:
            pieces = [outcomes]
        for piece in pieces:
            self._open_ids.difference_update(piece.point_id.tolist())
            for point_id in piece.point_id.tolist():
                self._charges.pop(point_id, None)
            self._finished.append(piece)

    # Death ----------------------------------------------------------------------------------------------------------

    def _fill_seats(self) -> None:
        now = time.monotonic()
        starting = sum(seat.ready is not None for seat in self._seats)
        for seat in self._seats:
            if seat.actor is None and now >= seat.not_before and starting < SPAWN_WAVE:
                tool, parameters, run_id = self._arguments
                seat.actor = self._actor_class.remote(
                    tool, parameters, run_id, seat.index, seat.incarnation, self._scratch
                )
                seat.ready = seat.actor.ready.remote()
                starting += 1

    def _bury(self, seat: _Seat, error: BaseException | None, overdue: bool = False) -> None:
        """Mark the evaluator dead, make sure that it is, and see to the points it still owed."""
        claims, seat.claims = seat.claims, deque()
        was_open = seat.open
        with contextlib.suppress(Exception):
            ray.kill(seat.actor, no_restart=True)
        seat.actor, seat.ready, seat.open = None, None, False
        seat.incarnation += 1
        seat.failures += 1
        seat.not_before = time.monotonic() + (0.0 if seat.failures < 2 else min(30.0, 0.25 * 2**seat.failures))
        if not was_open and seat.failures >= 4 and not any(other.open for other in self._seats):
            msg = f"no evaluator could be started; the last one died with: {error}"
            raise ClusterError(msg) from error
        for position, claim in enumerate(claims):
            if position == 0 and len(claim.owed):
                self._charge(claim.owed[:1] if overdue else claim.owed, overdue=overdue)
                if overdue:
                    self._requeue(claim.owed[1:])
            else:
                self._requeue(claim.owed)

    def _charge(self, owed: Points, *, overdue: bool) -> None:
        """Deal with the points of a claim whose evaluator died.

        Among several unanswered points nobody knows the culprit, so each goes again alone. A point that was alone is
        charged, and set aside when it has killed too many.
        """
        if overdue:
            self._give_up(
                owed, Status.TIMEOUT, f"still running after {self._tool.deadline:g} s; its evaluator was ended"
            )
            return
        if len(owed) == 1:
            point_id = int(owed.point_id[0])
            self._charges[point_id] = self._charges.get(point_id, 0) + 1
            if self._charges[point_id] >= POISON_AFTER:
                self._give_up(owed, Status.POISON, f"its evaluator died {POISON_AFTER} times while working on it alone")
                return
        for row in range(len(owed)):
            self._requeue(owed[row : row + 1], suspect=True)

    def _requeue(self, points: Points, suspect: bool = False) -> None:
        if not len(points):
            return
        self.lost += len(points)
        if suspect:
            self._suspects.append(Points(points.point_id, points.x, points.attempt + np.int32(1)))
        else:
            self._fresh.appendleft(points)

    def _give_up(self, points: Points, status: Status, message: str) -> None:
        now = time.time()
        self._open_ids.difference_update(points.point_id.tolist())
        self._finished.append(Outcomes.of(points, [Outcome(status, message=message)], self._outputs, [(now, now)]))

    def _bury_overdue(self) -> None:
        if self._tool.deadline is None:
            return
        now = time.monotonic()
        for seat in self._seats:
            if seat.claims and now - seat.claims[0].touched > self._tool.deadline:
                self._bury(seat, None, overdue=True)

    def abandon(self) -> None:
        self._fresh.clear()
        self._suspects.clear()
        for seat in self._seats:
            if seat.claims:
                seat.claims.clear()
                with contextlib.suppress(Exception):
                    ray.kill(seat.actor, no_restart=True)
                seat.actor, seat.ready, seat.open = None, None, False
                seat.incarnation += 1
        self._open_ids.clear()

    def close(self) -> None:
        closing = [seat.actor.close.remote() for seat in self._seats if seat.open and not seat.claims]
        with contextlib.suppress(RayError):
            ray.wait(closing, num_returns=len(closing), timeout=5.0) if closing else None
        for seat in self._seats:
            if seat.actor is not None:
                with contextlib.suppress(Exception):
                    ray.kill(seat.actor, no_restart=True)
            seat.actor, seat.ready, seat.open = None, None, False
            seat.claims.clear()
