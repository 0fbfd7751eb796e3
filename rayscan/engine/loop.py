"""The loop: propose, issue, collect, learn, save. Knows a pool's face, not what is behind it."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

import numpy as np

from rayscan.engine.learner import Learner, Lesson
from rayscan.engine.ledger import Ledger
from rayscan.engine.pace import Pace
from rayscan.engine.pool import Pool
from rayscan.engine.recorder import Recorder
from rayscan.errors import FailureRateError
from rayscan.learn.data import Proposals
from rayscan.options import ScanOptions
from rayscan.progress import Goal, Progress
from rayscan.tools.base import Outcomes, Status

TICK = 0.1
"""Seconds that the loop waits for results at most, so that requests to stop are heard."""
FAILURE_WINDOW = 200
FIRST_FAILURES = 20


class Loop:
    """One scan from issue to row.

    Parameters
    ----------
    options : ScanOptions
    ledger : Ledger
    learner : Learner
    pool : Pool
    recorder : Recorder
        Where rows and checkpoints go, and what an earlier session left.

    Attributes
    ----------
    watcher : callable or None
        Called with a `Progress` at every turn of the loop.
    """

    def __init__(self, options: ScanOptions, ledger: Ledger, learner: Learner, pool: Pool, recorder: Recorder) -> None:
        self._options, self._ledger, self._learner, self._pool, self._recorder = (
            options,
            ledger,
            learner,
            pool,
            recorder,
        )
        self._pace = Pace(pool.size)
        self._ready: Proposals | None = recorder.ready
        self._cursor = 0
        self._lesson: Lesson | None = None
        self._stop: str | None = None
        self._state = "starting"
        self._started = time.monotonic()
        self._goal = Goal()
        self._failures: collections.deque[bool] = collections.deque(maxlen=FAILURE_WINDOW)
        self._last_failure = ""
        self.watcher: Callable[[Progress], None] | None = None

    # What others may call at any time, from any thread ---------------------------------------------------------------

    def stop(self, *, now: bool = False) -> None:
        """Ask the scan to end: points under way are finished and saved, or with `now` left for the next session."""
        self._stop = "now" if now else (self._stop or "drain")

    def progress(self) -> Progress:
        """Return a snapshot."""
        ledger = self._ledger
        return Progress(
            state=self._state,
            evaluations=ledger.evaluations,
            issued=max(ledger.next_id, ledger.evaluations + ledger.under_way),
            valid=ledger.valid,
            statuses={Status(code).label: count for code, count in sorted(ledger.statuses.copy().items())},
            acceptance=ledger.acceptance,
            rate=self._pace.rate,
            busy=self._pace.busy,
            lag=max(0, ledger.evaluations - self._learner.told),
            generation=self._ready.generation if self._ready is not None else 0,
            refit_seconds=self._pace.lesson_seconds,
            elapsed=time.monotonic() - self._started,
            goal=self._goal,
            evaluators=self._pool.size,
            lost=self._pool.lost,
        )

    # The scan -------------------------------------------------------------------------------------------------------

    def run(self, goal: Goal) -> Progress:
        """Scan until `goal` is reached or `stop` is called, and leave everything saved.

        Raises
        ------
        FailureRateError
            When too many recent points failed for technical reasons.
        """
        self._goal, self._started, self._stop = goal, time.monotonic(), None
        self._state = "scanning"
        self._failures.clear()
        try:
            while not self._over():
                self._learn()
                self._issue()
                self._collect()
                self._tend()
            reason = self._reason()
            self._drain()
        finally:
            self._recorder.save(self._lesson)
        self._state = f"done: {reason}"
        progress = self.progress()
        self._recorder.publish(progress, now=True)
        return progress

    def _tend(self) -> None:
        """Save what is due, listen to other terminals, and wait while the disk is full."""
        self._recorder.tick(self._lesson)
        progress = self.progress()
        if self.watcher is not None:
            self.watcher(progress)
        if self._recorder.publish(progress):
            self.stop()
        if self._state == "scanning" or self._state.startswith("paused"):
            self._state = f"paused: {self._recorder.trouble}" if self._recorder.trouble else "scanning"

    def _reason(self) -> str:
        goal, ledger = self._goal, self._ledger
        if self._stop is not None:
            return "stopped"
        if goal.valid is not None and ledger.valid >= goal.valid:
            return f"{ledger.valid:,} valid points"
        if goal.evaluations is not None and ledger.next_id >= goal.evaluations and not self._recorder.again:
            return f"{ledger.next_id:,} evaluations"
        if goal.seconds is not None and time.monotonic() - self._started >= goal.seconds:
            return f"{goal.seconds:g} s"
        return ""

    def _over(self) -> bool:
        if self._stop is None and self._options.deterministic and self._mid_round():
            # Only whole rounds are the same whatever the speed of the evaluators.
            return False
        return bool(self._reason())

    def _mid_round(self) -> bool:
        unissued = self._ready is not None and self._cursor < len(self._ready) and self._cursor > 0
        replaying = self._recorder.replaying(self._ledger.next_id)
        return ((unissued or replaying) and self._left() > 0) or self._ledger.under_way > 0

    def _drain(self) -> None:
        """Finish what is under way; what does not finish in time is left, issued, to the next session."""
        self._state = "draining"
        deadline = time.monotonic() + self._options.drain
        while self._ledger.under_way and self._stop != "now":
            if self._stop == "drain" and time.monotonic() > deadline:
                break
            self._collect()
            self._tend()
        if self._ledger.under_way:
            self._pool.abandon()
            self._recorder.again.extend(self._ledger.give_back())

    # Learning -------------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        lesson = self._learner.take()
        if lesson is not None:
            self._lesson, self._ready, self._cursor = lesson, lesson.proposals, 0
            self._pace.learned(lesson.seconds)
        if self._learner.busy or not self._due():
            return
        rows = self._ledger.tell(self._horizon())
        pending = self._ledger.pending()
        if self._ready is not None and not self._options.deterministic:
            pending = np.concatenate([pending, self._ready.u[self._cursor :]])
        self._learner.start(rows, self._batch(), pending)

    def _due(self) -> bool:
        exhausted = self._ready is None or self._cursor >= len(self._ready)
        if self._options.deterministic or self._ready is None:
            return exhausted and not self._ledger.under_way
        if exhausted and not self._ledger.under_way:
            return True
        new, quota = self._ledger.tellable(self._horizon()), self._quota()
        often = new >= max(8, quota // 10) and self._pace.rested and self._pace.tool_bound(quota)
        return new >= quota or (often and self._ready.generation > 0)

    def _quota(self) -> int:
        """Return how many points of a generation are meant to be evaluated before the next."""
        first = self._ready is None or self._ready.generation == 0
        return max(1, self._options.learn.initial_count if first else self._options.learn.K)

    def _batch(self) -> int:
        first = self._ready is None and not self._ledger.evaluations
        quota = max(1, self._options.learn.initial_count) if first else self._options.learn.K
        return quota if self._options.deterministic else quota + self._pace.reserve(quota)

    def _horizon(self) -> int:
        return 1 << 62 if self._options.deterministic else 6 * self._pool.size + self._options.learn.K // 4

    # Issuing --------------------------------------------------------------------------------------------------------

    def _left(self) -> int:
        """Return how many points may still be issued before the goal."""
        limit = self._goal.evaluations
        return 1 << 62 if limit is None else max(0, limit - self._ledger.next_id)

    def _issue(self) -> None:
        room = 0 if self._recorder.trouble else self._pool.room()
        while self._recorder.again and room > 0:
            proposals, point_id = self._recorder.again.popleft()
            self._pool.submit(self._ledger.issue(proposals, point_id, attempt=2))
            self._pace.began()
            room -= len(proposals)
        if self._ready is None:
            return
        limit = len(self._ready)
        if not self._options.deterministic and not self._pace.tool_bound(self._quota()):
            limit = min(limit, self._quota())
        n = min(room, limit - self._cursor, self._left())
        if n <= 0:
            return
        batch = self._ready[self._cursor : self._cursor + n]
        self._cursor += n
        if self._recorder.replaying(self._ledger.next_id):
            batch = self._replay(batch)
        if len(batch):
            points = self._ledger.issue(batch)
            self._recorder.issued(points.point_id, batch)
            self._pool.submit(points)
            self._pace.began()

    def _replay(self, batch: Proposals) -> Proposals:
        """Skip the points of a deterministic round that an interrupted session has evaluated already."""
        for row in range(len(batch)):
            rows = self._recorder.recall(self._ledger.next_id, batch.u[row])
            if rows is None:
                points = self._ledger.issue(batch[row : row + 1])
                self._recorder.issued(points.point_id, batch[row : row + 1])
                self._pool.submit(points)
            else:
                self._ledger.adopt(rows)
        return batch[:0]

    # Collecting -----------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        for outcomes in self._pool.collect(TICK if self._ledger.under_way else TICK / 10):
            columns = self._ledger.close(outcomes)
            self._recorder.record(columns, outcomes)
            self._pace.came_back(outcomes)
            self._watch_failures(outcomes)

    def _watch_failures(self, outcomes: Outcomes) -> None:
        failed = np.isin(outcomes.status, (Status.TOOL_ERROR, Status.POISON))
        self._failures.extend(failed.tolist())
        if failed.any():
            self._last_failure = outcomes.message[int(np.flatnonzero(failed)[-1])]
        share, seen = sum(self._failures) / max(len(self._failures), 1), len(self._failures)
        hopeless = seen >= FIRST_FAILURES and share == 1.0
        if hopeless or (seen == FAILURE_WINDOW and share > self._options.max_tool_errors):
            msg = (
                f"{share:.0%} of the last {seen} points failed for technical reasons; the last one said:\n"
                f"{self._last_failure}\n"
                "Run `rayscan check` on one point, mend the tool, and start again: the scan resumes."
            )
            raise FailureRateError(msg)
