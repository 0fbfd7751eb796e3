"""The pool of Ray actors: back-pressure, burial and respawn, quarantine.

Ray's own retries run a point twice without saying so, and its `ActorPool` hands out dead actors; both are off here.
Evaluators stream one message per bit of work, so that a crash keeps what was already answered.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import time
from collections import Counter, deque
from dataclasses import replace
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError

from rayscan.engine.actor import EvaluatorActor
from rayscan.engine.crew import Claim, Crew, Seat
from rayscan.engine.freight import Cargo, Freight
from rayscan.engine.nodes import NodeWatch
from rayscan.engine.roster import Bounds, Demand
from rayscan.errors import ClusterError, ToolError
from rayscan.tools.base import Outcome, Outcomes, Points, Status, Tool

DEPTH, MOST_DEPTH = 2, 4
"""Chunks in the hands of an evaluator: one in work and at least one to go on with."""
AHEAD_SECONDS = 1.5
"""Work that an evaluator should have at hand beyond its present chunk: a refit may keep the driver busy."""
CHUNK_SECONDS = 0.5
"""Work per chunk. Longer chunks would delay the end of a scan, shorter ones the driver."""
MAX_CHUNK = 4096
POISON_AFTER = 3
"""Evaluators that a point may kill, alone, before it is set aside."""
HOPELESS_AFTER, HOPELESS_LATER = 4, 8
"""Evaluators in a row that do not start, while no other works, after which the scan gives up: at first, and once some
have worked, when a node or a file system may just be away."""
LONGEST_PAUSE = 30.0
"""Seconds between two evaluators at a place where none gets anywhere."""
GRACE_SECONDS = 5.0
"""Seconds beyond a tool's deadline before silence is a hang: news of a death may take that long on a busy machine."""
CLOSE_SECONDS = 5.0
"""Seconds that evaluators get to close their tool."""
SILENCE = 20.0
"""Seconds without a working evaluator after which the progress line says why."""


def back_off(failures: int) -> float:
    """Return the seconds before a place is filled again, after so many evaluators in a row that gave no result there.

    None after one: most deaths are accidents, and waiting would cost more than the next evaluator.
    """
    return 0.0 if failures < 2 else min(LONGEST_PAUSE, 0.25 * 2.0 ** min(failures, 20))


class RayPool:
    """A pool of `EvaluatorActor`.

    Parameters
    ----------
    tool : Tool
    parameters : tuple of str
    run_id : str
        Names the scratch directories.
    bounds : Bounds
        How many evaluators are wanted.
    demand : Demand
        What each asks of a node.
    scratch : str, optional
        Root of scratch directories on each node.
    ahead : float
        Seconds of work that each evaluator should have waiting; 0 where all points of a round are known and equal
        shares matter more.
    keep : {"never", "valid", "all"}
        Whose output files evaluators send.
    driver_cpus : float
        What the driver takes of its node, so that evaluators are not put there.
    cargo : Cargo, optional
        What the tool brings along to each node.

    Attributes
    ----------
    size, wanted, left_out, lost, notice, news
        As in `Pool`.
    duplicates : int
        Answers to points that had been answered already; dropped.
    """

    def __init__(
        self,
        tool: Tool,
        parameters: tuple[str, ...],
        run_id: str,
        bounds: Bounds,
        demand: Demand,
        scratch: str | None = None,
        ahead: float = AHEAD_SECONDS,
        keep: str = "all",
        driver_cpus: float = 0.0,
        cargo: Cargo | None = None,
    ) -> None:
        self._ahead = ahead
        self.lost, self.duplicates, self.notice = 0, 0, ""
        self._tool, self._outputs = tool, tool.outputs
        arguments = (ray.put(Freight(tool, cargo)), parameters, run_id, keep)
        demands: dict[str, Any] = {"memory": demand.memory} if demand.memory else {}
        actor_class = ray.remote(
            num_cpus=demand.cpus, resources=dict(demand.resources), max_restarts=0, max_task_retries=0, **demands
        )(EvaluatorActor)

        def make(seat: Seat, options: dict[str, Any]) -> Any:
            return actor_class.options(**options).remote(*arguments, seat.index, seat.incarnation, scratch)

        self._fresh: deque[Points] = deque()
        self._suspects: deque[Points] = deque()
        self._charges: dict[int, int] = {}
        self._open_ids: set[int] = set()
        self._seconds_per_point = 1e-3 if tool.vectorized else 1.0
        self._finished: list[Outcomes] = []
        self._seen_open, self._worked = time.monotonic(), False
        self._crew = Crew(bounds, demand, NodeWatch(tool, parameters, scratch, driver_cpus, cargo=cargo), make)

    @property
    def size(self) -> int:
        return self._crew.size

    @property
    def wanted(self) -> int:
        return self._crew.wanted

    @property
    def left_out(self) -> int:
        return len(self._crew.watch.bad)

    @property
    def news(self) -> list[str]:
        return self._crew.watch.news

    def rest(self) -> None:
        if not self._fresh and not self._suspects:
            self._crew.rest()

    # Points in ------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        waiting = sum(len(points) for points in self._fresh)
        depth = self._depth()
        hands = sum(max(0, depth - len(seat.claims)) for seat in self._crew.seats if seat.open)
        return max(0, hands * self._chunk() - waiting)

    def submit(self, points: Points) -> None:
        if len(points):
            self._fresh.append(points)
            self._open_ids.update(points.point_id.tolist())
            self._crew.wake()
            self._dispatch()

    def _depth(self) -> int:
        ahead = math.ceil(self._ahead / (self._chunk() * self._seconds_per_point))
        return min(max(DEPTH, 1 + ahead), MOST_DEPTH)

    def _chunk(self) -> int:
        return min(max(1, int(CHUNK_SECONDS / self._seconds_per_point)), MAX_CHUNK)

    def _dispatch(self) -> None:
        """Hand chunks to evaluators, the least burdened first; suspects travel alone."""
        while self._suspects and (seat := self._idlest(alone=True)) is not None:
            self._send(seat, self._suspects.popleft(), alone=True)
        if not self._fresh:
            return
        kept_free, depth = self._kept_free(), self._depth()
        takers = [seat for seat in self._crew.seats if seat.takes(depth, alone=False) and seat.index not in kept_free]
        heap = [(len(seat.claims), seat.index, seat) for seat in takers]
        heapq.heapify(heap)
        # Also those that are just starting; who has enough gets none of it.
        sharers = sum(len(seat.claims) < depth for seat in self._crew.seats)
        while self._fresh and heap:
            seat = heapq.heappop(heap)[2]
            self._send(seat, self._take(sharers), alone=False)
            if seat.takes(depth, alone=False):
                heapq.heappush(heap, (len(seat.claims), seat.index, seat))

    def _idlest(self, *, alone: bool) -> Seat | None:
        seats = [seat for seat in self._crew.seats if seat.takes(self._depth(), alone=alone)]
        return min(seats, key=lambda seat: len(seat.claims), default=None)

    def _kept_free(self) -> frozenset[int]:
        """Return the seats that get nothing more until a waiting suspect can go there: else none would ever be free."""
        if not self._suspects:
            return frozenset()
        seats = [seat for seat in self._crew.seats if seat.takes(self._depth(), alone=False)]
        seats.sort(key=lambda seat: len(seat.claims))
        share = max(1, sum(seat.open for seat in self._crew.seats) // 4)
        return frozenset(seat.index for seat in seats[: min(len(self._suspects), share)])

    def _send(self, seat: Seat, points: Points, *, alone: bool) -> None:
        stream = seat.actor.evaluate.options(num_returns="streaming").remote(points)
        seat.claims.append(Claim(points, stream, time.monotonic(), alone))

    def _take(self, sharers: int) -> Points:
        """Take a chunk from the queue, leaving the others that need some an equal share of what is there."""
        points = self._fresh.popleft()
        waiting = len(points) + sum(len(more) for more in self._fresh)
        size = max(1, min(self._chunk(), -(-waiting // max(sharers, 1))))
        if len(points) > size:
            self._fresh.appendleft(points[size:])
        return points[:size]

    # Outcomes out ---------------------------------------------------------------------------------------------------

    def collect(self, timeout: float) -> list[Outcomes]:
        self._crew.follow()
        for seat in self._crew.misplaced:
            self._bury(seat, None)
        self._dispatch()
        waiting = {seat.claims[0].stream: seat for seat in self._crew.seats if seat.claims}
        waiting |= {seat.ready: seat for seat in self._crew.seats if seat.ready is not None}
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
        self._explain_silence()
        finished, self._finished = self._finished, []
        return finished

    def _attend(self, seat: Seat, item: Any) -> None:
        try:
            if item is seat.ready:
                complaint = ray.get(item)
                if complaint:
                    self._bury(seat, ToolError(complaint))
                else:
                    seat.opened()
                    self._worked = True
            elif seat.claims and item is seat.claims[0].stream:
                self._receive(seat, ray.get(next(item)))
        except StopIteration:
            finished = seat.claims.popleft()
            self._requeue(finished.owed)
            seat.idle_since = time.monotonic()
            if seat.claims:
                seat.claims[0].touched = time.monotonic()
        except RayError as error:
            # A dead evaluator, or trouble of Ray's: an evaluator itself answers for every exception of a tool.
            self._bury(seat, error)

    def _receive(self, seat: Seat, outcomes: Outcomes) -> None:
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

    def _bury(self, seat: Seat, error: BaseException | None, overdue: bool = False) -> None:
        """Mark the evaluator dead, make sure that it is, and see to the points it still owed."""
        claims, was_open = seat.claims, seat.open
        seat.vacate()
        # What a tool complains of when it is opened seldom passes by itself.
        seat.failures += 2 if isinstance(error, ToolError) else 1
        seat.not_before = time.monotonic() + back_off(seat.failures)
        hopeless = HOPELESS_LATER if self._worked else HOPELESS_AFTER
        if not was_open and seat.failures >= hopeless and not any(other.open for other in self._crew.seats):
            msg = f"no evaluator could be started; the last one said: {error}"
            raise ClusterError(msg)
        culprit = next((position for position, claim in enumerate(claims) if len(claim.owed)), None)
        for position, claim in enumerate(claims):
            if position == culprit:
                self._charge(claim.owed, overdue=overdue)
            else:
                self._requeue(claim.owed)

    def _charge(self, owed: Points, *, overdue: bool) -> None:
        """Deal with the points of a claim whose evaluator died, or was ended because it had been silent for too long.

        Among several unanswered points nobody knows the culprit, so each goes again alone. A point that was alone is
        charged, and set aside when it has killed too many; one that ran for too long alone has timed out.
        """
        if len(owed) == 1 and overdue:
            why = f"still running after {self._tool.deadline:g} s; its evaluator was ended"
            self._give_up(owed, Status.TIMEOUT, why)
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
            self._suspects.append(replace(points, attempt=points.attempt + np.int32(1)))
        else:
            self._fresh.appendleft(points)

    def _give_up(self, points: Points, status: Status, message: str) -> None:
        now = time.time()
        for point_id in points.point_id.tolist():
            self._open_ids.discard(point_id)
            self._charges.pop(point_id, None)
        self._finished.append(Outcomes.of(points, [Outcome(status, message=message)], self._outputs, [(now, now)]))

    def _bury_overdue(self) -> None:
        if self._tool.deadline is None:
            return
        now = time.monotonic()
        for seat in self._crew.seats:
            if seat.claims and now - seat.claims[0].touched > self._tool.deadline + GRACE_SECONDS:
                self._bury(seat, None, overdue=True)

    def _explain_silence(self) -> None:
        now = time.monotonic()
        if any(seat.open for seat in self._crew.seats):
            self._seen_open, self.notice = now, ""
        elif now - self._seen_open > SILENCE and not self.notice:
            free = ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
            self.notice = (
                f"no evaluator has started for {SILENCE:.0f} s; each asks for {self._wishes()}, and the cluster has "
                f"{free:g} CPU free"
            )

    def _wishes(self) -> str:
        return ", ".join(f"{much:g} {name}" for name, much in self._crew.demand.of_ray().items())

    def crew(self) -> dict[str, int]:
        return dict(Counter(seat.does for seat in self._crew.seats))

    def abandon(self) -> None:
        self._fresh.clear()
        self._suspects.clear()
        self._finished.clear()
        self._charges.clear()
        self._open_ids.clear()
        for seat in self._crew.seats:
            if seat.claims:
                seat.vacate()

    def close(self) -> None:
        self._crew.watch.close()
        # Those that are just starting as well: killed before its reaper stands, one would leave its directory.
        closing = [seat.actor.close.remote() for seat in self._crew.seats if seat.actor is not None and not seat.claims]
        if closing:
            with contextlib.suppress(RayError):
                ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for seat in self._crew.seats:
            seat.vacate()
        self._crew.watch.tidy()
