"""The pool of Ray actors: back-pressure, burial and respawn, quarantine.

Ray's own retries run a point twice without saying so, and its `ActorPool` hands out dead actors; both are off here.
Evaluators stream one message per bit of work, so that a crash keeps what was already answered.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError

from rayscan.engine.evaluator import Evaluator, worker_name
from rayscan.errors import ClusterError, RayscanError, ToolError
from rayscan.sandbox.workshop import sweep
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
SPAWN_WAVE, WAVE_SECONDS = 16, 30.0
"""Evaluators started at once: a storm of them hurts shared file systems. One that takes longer than these seconds waits
for a place in the cluster, and holds up no other."""
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


class EvaluatorActor:
    """An `Evaluator` as a Ray actor."""

    def __init__(
        self,
        tool: Tool,
        parameters: tuple[str, ...],
        run_id: str,
        keep: str,
        index: int,
        incarnation: int,
        scratch: str | None,
    ) -> None:
        self._evaluator: Evaluator | None = None
        self._tool, self._parameters = tool, parameters
        self._run_id, self._keep, self._name = run_id, keep, worker_name(index, incarnation)
        self._scratch = Path(scratch) if scratch else None
        self._first = incarnation == 0

    def ready(self) -> str:
        """Open the tool; return what it complains of, empty if nothing.

        Returned, not raised: Ray would bury the message in its own.
        """
        try:
            if self._first:
                sweep(self._scratch)
            # What the user's machine has, this node may lack.
            self._tool.check(self._parameters)
            self._evaluator = Evaluator(
                self._tool, self._parameters, self._run_id, self._name, self._scratch, keep=self._keep
            )
        except Exception as error:  # noqa: BLE001 - a user's tool may raise anything
            return str(error) if isinstance(error, RayscanError) else f"{type(error).__name__}: {error}"
        return ""

    def evaluate(self, points: Points) -> Any:
        """Stream outcomes of `points`."""
        assert self._evaluator is not None
        yield from self._evaluator.evaluate(points)

    def close(self) -> None:
        """Close the tool, and remove the scratch directory and those of evaluators that died here."""
        if self._evaluator is not None:
            self._evaluator.close()
        sweep(self._scratch, self._run_id)


def back_off(failures: int) -> float:
    """Return the seconds before a place is filled again, after so many evaluators in a row that gave no result there.

    None after one: most deaths are accidents, and waiting would cost more than the next evaluator.
    """
    return 0.0 if failures < 2 else min(LONGEST_PAUSE, 0.25 * 2.0 ** min(failures, 20))


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
    started: float = 0.0
    claims: deque[_Claim] = field(default_factory=deque)

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
    ahead : float
        Seconds of work that each evaluator should have waiting; 0 where all points of a round are known and equal
        shares matter more.
    keep : {"never", "valid", "all"}
        Whose output files evaluators send.

    Attributes
    ----------
    size, lost, notice
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
        ahead: float = AHEAD_SECONDS,
        keep: str = "all",
    ) -> None:
        self._ahead = ahead
        self.size, self.lost, self.duplicates = size, 0, 0
        self.notice = ""
        self._tool, self._outputs, self._cpus = tool, tool.outputs, cpus
        self._arguments = (ray.put(tool), parameters, run_id, keep)
        self._scratch = scratch
        self._actor_class = ray.remote(EvaluatorActor).options(num_cpus=cpus, max_restarts=0, max_task_retries=0)
        self._seats = [_Seat(index) for index in range(size)]
        self._fresh: deque[Points] = deque()
        self._suspects: deque[Points] = deque()
        self._charges: dict[int, int] = {}
        self._open_ids: set[int] = set()
        self._seconds_per_point = 1e-3 if tool.vectorized else 1.0
        self._finished: list[Outcomes] = []
        self._seen_open, self._worked = time.monotonic(), False
        self._fill_seats()

    # Points in ------------------------------------------------------------------------------------------------------

    def room(self) -> int:
        waiting = sum(len(points) for points in self._fresh)
        depth = self._depth()
        hands = sum(max(0, depth - len(seat.claims)) for seat in self._seats if seat.open)
        return max(0, hands * self._chunk() - waiting)

    def submit(self, points: Points) -> None:
        if len(points):
            self._fresh.append(points)
            self._open_ids.update(points.point_id.tolist())
            self._dispatch()

    def _depth(self) -> int:
        ahead = math.ceil(self._ahead / (self._chunk() * self._seconds_per_point))
        return min(max(DEPTH, 1 + ahead), MOST_DEPTH)

    def _chunk(self) -> int:
        return int(np.clip(CHUNK_SECONDS / self._seconds_per_point, 1, MAX_CHUNK))

    def _dispatch(self) -> None:
        """Hand chunks to evaluators, the least burdened first; suspects travel alone."""
        while self._suspects and (seat := self._idlest(alone=True)) is not None:
            self._send(seat, self._suspects.popleft(), alone=True)
        kept_free = self._kept_free()
        while self._fresh and (seat := self._idlest(alone=False, but=kept_free)) is not None:
            self._send(seat, self._take(), alone=False)

    def _idlest(self, *, alone: bool, but: frozenset[int] = frozenset()) -> _Seat | None:
        seats = [seat for seat in self._seats if seat.takes(self._depth(), alone=alone) and seat.index not in but]
        return min(seats, key=lambda seat: len(seat.claims), default=None)

    def _kept_free(self) -> frozenset[int]:
        """Return the seats that get nothing more until a waiting suspect can go there: else none would ever be free."""
        seats = [seat for seat in self._seats if seat.takes(self._depth(), alone=False)]
        seats.sort(key=lambda seat: len(seat.claims))
        share = max(1, sum(seat.open for seat in self._seats) // 4)
        return frozenset(seat.index for seat in seats[: min(len(self._suspects), share)])

    def _send(self, seat: _Seat, points: Points, *, alone: bool) -> None:
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
        self._explain_silence()
        finished, self._finished = self._finished, []
        return finished

    def _attend(self, seat: _Seat, item: Any) -> None:
        try:
            if item is seat.ready:
                complaint = ray.get(item)
                if complaint:
                    self._bury(seat, ToolError(complaint))
                else:
                    seat.ready, seat.open = None, True
                    self._worked = True
            elif seat.claims and item is seat.claims[0].stream:
                self._receive(seat, ray.get(next(item)))
        except StopIteration:
            finished = seat.claims.popleft()
            self._requeue(finished.owed)
            if seat.claims:
                seat.claims[0].touched = time.monotonic()
        except RayError as error:
            # A dead evaluator, or trouble of Ray's: an evaluator itself answers for every exception of a tool.
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
        starting = sum(seat.ready is not None and now - seat.started < WAVE_SECONDS for seat in self._seats)
        for seat in self._seats:
            if seat.actor is None and now >= seat.not_before and starting < SPAWN_WAVE:
                seat.actor = self._actor_class.remote(*self._arguments, seat.index, seat.incarnation, self._scratch)
                seat.ready, seat.started = seat.actor.ready.remote(), now
                starting += 1

    def _bury(self, seat: _Seat, error: BaseException | None, overdue: bool = False) -> None:
        """Mark the evaluator dead, make sure that it is, and see to the points it still owed."""
        claims, was_open = seat.claims, seat.open
        self._vacate(seat)
        # What a tool complains of when it is opened seldom passes by itself.
        seat.failures += 2 if isinstance(error, ToolError) else 1
        seat.not_before = time.monotonic() + back_off(seat.failures)
        hopeless = HOPELESS_LATER if self._worked else HOPELESS_AFTER
        if not was_open and seat.failures >= hopeless and not any(other.open for other in self._seats):
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
            self._suspects.append(Points(points.point_id, points.x, points.attempt + np.int32(1)))
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
        for seat in self._seats:
            if seat.claims and now - seat.claims[0].touched > self._tool.deadline + GRACE_SECONDS:
                self._bury(seat, None, overdue=True)

    def _explain_silence(self) -> None:
        now = time.monotonic()
        if any(seat.open for seat in self._seats):
            self._seen_open, self.notice = now, ""
        elif now - self._seen_open > SILENCE and not self.notice:
            free = ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
            self.notice = (
                f"no evaluator has started for {SILENCE:.0f} s; each asks for {self._cpus:g} CPU, and the cluster has "
                f"{free:g} free"
            )

    def crew(self) -> dict[str, int]:
        return dict(Counter(seat.does for seat in self._seats))

    def abandon(self) -> None:
        self._fresh.clear()
        self._suspects.clear()
        self._finished.clear()
        self._charges.clear()
        self._open_ids.clear()
        for seat in self._seats:
            if seat.claims:
                self._vacate(seat)

    def close(self) -> None:
        # Those that are just starting as well: killed before its reaper stands, one would leave its directory.
        closing = [seat.actor.close.remote() for seat in self._seats if seat.actor is not None and not seat.claims]
        if closing:
            with contextlib.suppress(RayError):
                ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for seat in self._seats:
            self._vacate(seat)

    def _vacate(self, seat: _Seat) -> None:
        """End the evaluator; its reaper removes what it leaves."""
        if seat.actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(seat.actor, no_restart=True)
        seat.actor, seat.ready, seat.open = None, None, False
        seat.claims = deque()
        seat.incarnation += 1
