"""The loop: propose, issue, collect, learn, save. Knows a pool's face, not what is behind it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rayscan.ending import End, Ending, by_count
from rayscan.engine.failure_rate import FailureRate
from rayscan.engine.learner import Learner, Lesson
from rayscan.engine.ledger import Ledger, chosen
from rayscan.engine.pace import Pace
from rayscan.engine.patience import Patience
from rayscan.engine.pool import Pool
from rayscan.engine.recorder import Recorder
from rayscan.engine.survey import Survey
from rayscan.errors import StoreError
from rayscan.learn.data import Proposals
from rayscan.options import ScanOptions
from rayscan.progress import Goal, Progress
from rayscan.store.put_off import PutOff
from rayscan.tools.base import Outcomes, Status

TICK = 0.1
"""Seconds that the loop waits for results at most, so that requests to stop are heard."""
SAVE_SECONDS = 20.0
"""Before the end of a batch job: what it takes to save, close and say so."""
IDLE = 0.01
"""Seconds between two looks when nothing is under way."""
FOREVER = 1 << 62
COLUMNS = ("u", "origin", "density", "score")
ALL_ISSUED = Ending(End.REACHED, "all points issued")


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
    interruptible : bool
        Whether a ``KeyboardInterrupt`` may be raised in the loop's thread now: it ends the point or the refit that runs
        there, and then the scan as ``stop(now=True)`` does.
    """

    def __init__(self, options: ScanOptions, ledger: Ledger, learner: Learner, pool: Pool, recorder: Recorder) -> None:
        self._options, self._ledger, self._learner = options, ledger, learner
        self._pool, self._recorder = pool, recorder
        self._pace, self._patience = Pace(pool.size), Patience()
        self._ready, self._cursor = recorder.ready, recorder.cursor
        self._lesson: Lesson | None = None
        self._hungry_since: float | None = None
        self._stop: str | None = None
        self._ending: Ending | None = None
        self._state = self._phase = "starting"
        self._started = time.monotonic()
        self._goal = Goal()
        self._failures = FailureRate(options.max_tool_errors)
        self._cramped = ""
        self._hurry: float | None = None
        self.watcher: Callable[[Progress], None] | None = None
        self.interruptible = False

    # What others may call at any time, from any thread ---------------------------------------------------------------

    def stop(self, *, now: bool = False) -> None:
        """Ask the scan to end: points under way are finished and saved, or with `now` left for the next session."""
        self._stop = "now" if now else (self._stop or "drain")

    def progress(self) -> Progress:
        """Return a snapshot."""
        ledger, ready = self._ledger, self._ready
        findings = ledger.survey.findings.numbers() if ledger.survey is not None and self._goal.probed else {}
        return Progress(
            state=self._state,
            ending=self._ending.end.name if self._ending is not None else "",
            evaluations=ledger.evaluations,
            issued=max(ledger.issued, ledger.evaluations + ledger.under_way),
            valid=ledger.valid,
            statuses={Status(code).label: count for code, count in sorted(dict(ledger.statuses).items())},
            acceptance=ledger.acceptance,
            rate=self._pace.rate,
            busy=self._pace.busy,
            lag=max(0, ledger.evaluations - self._learner.told),
            generation=ready.generation if ready is not None else 0,
            refit_seconds=self._pace.lesson_seconds,
            elapsed=time.monotonic() - self._started,
            goal=self._goal,
            evaluators=self._pool.size,
            wanted=self._pool.wanted,
            left_out=self._pool.left_out,
            lost=self._pool.lost,
            crew=self._pool.crew(),
            **findings,
        )

    # The scan -------------------------------------------------------------------------------------------------------

    def run(self, goal: Goal) -> Progress:
        """Scan until `goal` is reached or `stop` is called, and leave everything saved.

        Raises
        ------
        FailureRateError
            When too many recent points failed for technical reasons.
        ClusterError
            When no evaluator can be started.
        StoreError
            When rows could not be written: the disk refused and the scan was told to stop at once.
        """
        self._goal, self._started, self._stop, self._ending = goal, time.monotonic(), None, None
        self._state = self._phase = "scanning"
        self._failures.clear()
        if goal.probed and self._ledger.survey is None:
            self._ledger.survey = Survey(self._recorder.rows())
        try:
            while not self._over():
                self._learn()
                self._issue()
                self._collect()
                self._failures.judge()
                self._tend()
            first = self._reason()
            self._drain()
            self._give_up_rest()
        except BaseException as error:
            self._give_up_rest()
            with contextlib.suppress(StoreError):
                self._recorder.save(self._lesson)
            # Our errors say what is wrong first, and then what to do.
            self._end(
                Ending(End.FAILED, (str(error).strip() or type(error).__name__).splitlines()[0].partition(";")[0])
            )
            raise
        self._save_at_last()
        left = self._patience.unanswered
        return self._end(self._decide(first), f", {left} that hang left to the next session" if left else "")

    def _decide(self, first: Ending | None) -> Ending:
        """Return how the scan ended: by what is there, and only then by what made it end."""
        goal, ledger = self._goal, self._ledger
        enough = by_count(goal.valid, goal.evaluations, ledger.valid, ledger.evaluations + self._patience.unanswered)
        if enough is None and first is ALL_ISSUED:
            # Points that were issued were left behind since, and what had been asked for is answers.
            first = self._reason()
        return enough or first or Ending(End.STOPPED)

    def _end(self, ending: Ending, more: str = "") -> Progress:
        self._ending, self._state = ending, ending.state + more
        progress = self.progress()
        self._recorder.publish(progress, now=True)
        return progress

    def _tend(self) -> None:
        """Save what is due, listen to other terminals, and wait while the disk is full."""
        self._recorder.tick(self._lesson)
        self._pace.crew(self._pool.size)
        while self._pool.news:
            self._recorder.note(self._pool.news.pop(0))
        progress = self.progress()
        if self.watcher is not None:
            self.watcher(progress)
        if self._recorder.publish(progress):
            self.stop()
        trouble, notice = self._recorder.trouble or self._cramped, self._pool.notice
        self._state = f"paused: {trouble}" if trouble else f"waiting: {notice}" if notice else self._phase

    def _reason(self) -> Ending | None:
        """Return what makes the scan end now, if anything does."""
        goal, ledger = self._goal, self._ledger
        if self._stop is not None:
            return Ending(End.STOPPED)
        if self._job_ends_in(self._pace.point_seconds):
            # A point issued now would be cut off.
            return Ending(End.JOB_OVER)
        if enough := by_count(goal.valid, None, ledger.valid, 0):
            return enough
        if goal.evaluations is not None and self._left() == 0 and not self._recorder.again:
            return ALL_ISSUED
        if goal.probed and ledger.survey is not None:
            ledger.survey.look(always=self._options.deterministic, least=self._options.learn.K)
            if reached := ledger.survey.findings.reached(goal):
                return Ending(End.REACHED, reached)
        return Ending(End.REACHED, f"the time limit of {goal.seconds:g} s") if self._late() else None

    def _late(self) -> bool:
        return self._goal.seconds is not None and time.monotonic() - self._started >= self._goal.seconds

    def _told_to_end(self) -> bool:
        """Whether it ends whatever has been found: somebody stopped it, or its time is over."""
        return self._stop is not None or self._late()

    def _job_ends_in(self, seconds: float) -> bool:
        return self._goal.ends is not None and time.time() + seconds > self._goal.ends - SAVE_SECONDS

    def _over(self) -> bool:
        ends = self._told_to_end() or self._job_ends_in(self._pace.point_seconds)
        if not ends and self._options.deterministic and self._mid_round():
            # Where a scan ends by what it found, only whole rounds are the same whatever the evaluators' speed.
            return False
        return self._reason() is not None

    def _mid_round(self) -> bool:
        unissued = self._ready is not None and 0 < self._cursor < len(self._ready)
        replaying = self._recorder.replaying(self._ledger.next_id)
        return ((unissued or replaying) and self._left() > 0) or self._outstanding()

    def _drain(self) -> None:
        """Finish what is under way; who is in a hurry leaves the rest, issued, to the next session."""
        self._state = self._phase = "draining"
        self._hurry = None
        ends = time.monotonic() + self._patience.longest
        while not self._in_a_hurry():
            if not self._told_to_end():
                self._try_again(self._pool.room())
            if not self._ledger.under_way and self._recorder.flush():
                break
            self._collect()
            if not self._patience.waiting:
                self._pool.rest()
            self._tend()
            if self._patience.only_second_tries(self._ledger.under_way) and time.monotonic() > ends:
                # What took too long once may go on for ever.
                break

    def _save_at_last(self) -> None:
        """Leave everything durable. A disk that refuses for now is waited for, unless the user is in a hurry."""
        while not self._in_a_hurry() and not self._recorder.settle(self._lesson):
            self._tend()
            time.sleep(TICK)
        self._recorder.save(self._lesson)

    def _in_a_hurry(self) -> bool:
        """Whether the scan was told to end, and has had the time it may take for that."""
        if self._hurry is None and self._told_to_end():
            self._hurry = time.monotonic() + self._options.drain
        late = self._hurry is not None and time.monotonic() > self._hurry
        return self._stop == "now" or late or self._job_ends_in(0.0)

    def _give_up_rest(self) -> None:
        self._recorder.again.extend(self._patience.give_up())
        if self._ledger.under_way:
            self._pool.abandon()
            self._recorder.again.extend(self._ledger.give_back())

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let a second Ctrl-C end what this thread waits for, and nothing else."""
        self.interruptible = True
        try:
            yield
        except KeyboardInterrupt:
            self.interruptible = False
            self.stop(now=True)
        finally:
            self.interruptible = False

    # Learning -------------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        bridge = self._learner.take_bridge()
        if bridge is not None and self._ready is not None:
            self._ready, self._cursor = self._with(self._recorder.unseen(bridge)), 0
        self._adopt(self._learner.take())
        if self._learner.busy or not self._due():
            return
        rows, bridge_points = self._ledger.nothing(), 0
        if self._refit_due():
            # Where evaluators wait for a straggler, what came after it is heard before it.
            rows = self._ledger.tell(0 if self._starving() else self._horizon())
            bridge_points = self._bridge()
            if not self._learner.background:
                # Nobody flushes while the loop itself learns, and that may be ended before it is done.
                self._recorder.flush()
        with self._interruptible():
            self._learner.start(rows, self._batch(), self._pending(), bridge_points)
        self._adopt(self._learner.take())

    def _adopt(self, lesson: Lesson | None) -> None:
        """Take up the points of a finished round."""
        if lesson is None:
            return
        new, replaced = self._recorder.unseen(lesson.proposals), lesson.refitted or self._ready is None
        if lesson.refitted:
            self._pace.learned(lesson.seconds)
            self._recorder.caught_up(lesson.told)
        self._ready = new if replaced else self._with(new)
        self._cursor, self._hungry_since = 0, None
        self._lesson = replace(lesson, proposals=self._ready, first_id=self._ledger.next_id)
        self._recorder.tick(self._lesson)

    def _with(self, more: Proposals) -> Proposals:
        """Return the points that are ready and `more` of the same generation."""
        assert self._ready is not None
        return _join(self._ready[self._cursor :], more)

    def _pending(self) -> NDArray[np.float64]:
        pending = self._ledger.pending()
        if self._options.deterministic or self._ready is None:
            return pending
        return np.concatenate([pending, self._ready.u[self._cursor :]])

    def _outstanding(self) -> bool:
        """Whether points have been issued, now or by an earlier session, that have no row yet."""
        return self._ledger.under_way > 0 or bool(self._recorder.again)

    def _due(self) -> bool:
        """Whether the learner should start a round."""
        if self._options.deterministic:
            return self._issuable() <= 0 and not self._outstanding()
        if self._ready is None or (self._issuable() <= 0 and not self._outstanding()):
            return True
        return self._refit_due() or self._low()

    def _refit_due(self) -> bool:
        """Whether the round should begin with a refit; if not, it only proposes more of the present generation."""
        if self._options.deterministic or self._ready is None:
            return True
        if self._issuable() <= 0 and not self._outstanding():
            return True
        new, quota = self._ledger.tellable(self._horizon()), self._quota()
        often = new >= max(8, quota // 10) and self._pace.rested and self._pace.tool_bound(quota)
        return new >= quota or (often and self._ready.generation > 0) or self._starving()

    def _low(self) -> bool:
        """Whether evaluators that are the bottleneck will soon have nothing to do."""
        if not self._learner.background or not self._pace.tool_bound(self._quota()):
            return False
        return self._issuable() < 2 * max(self._pool.size, 1)

    def _starving(self) -> bool:
        """Whether evaluators have idled as long as a refit takes because one slow point holds up the others."""
        if self._issuable() > 0 or not self._ledger.under_way or self._pool.room() <= 0 or not self._ledger.untold:
            self._hungry_since = None
            return False
        now = time.monotonic()
        if self._hungry_since is None:
            self._hungry_since = now
        return now - self._hungry_since > max(TICK, self._pace.expected)

    def _quota(self) -> int:
        """Return how many points of a generation are meant to be evaluated before the next."""
        first = self._ready is None or self._ready.generation == 0
        return max(1, self._options.learn.initial_count) if first else self._round()

    def _round(self) -> int:
        asked = self._options.learn.K
        paced = self._learner.background and not self._options.deterministic
        return self._pace.round(asked, self._ledger.evaluations) if paced else asked

    def _batch(self) -> int:
        first = self._ready is None and not self._ledger.evaluations
        quota = max(1, self._options.learn.initial_count) if first else self._round()
        return quota + self._pace.reserve(quota) if self._learner.background else quota

    def _bridge(self) -> int:
        """Return how many more points of this generation the evaluators need while the next is learnt."""
        if not self._learner.background or self._ready is None or not self._pace.tool_bound(self._quota()):
            return 0
        return max(0, self._pace.reserve(self._quota()) - self._issuable())

    def _horizon(self) -> int:
        return FOREVER if self._options.deterministic else 6 * max(self._pool.size, 1) + self._options.learn.K // 4

    # Issuing --------------------------------------------------------------------------------------------------------

    def _left(self) -> int:
        """Return how many points may still be issued before the goal."""
        limit = self._goal.evaluations
        return FOREVER if limit is None else max(0, limit - self._ledger.issued)

    def _needed(self) -> int:
        """Return how many more points the missing valid ones ask for: more would only overshoot the goal."""
        if self._goal.valid is None or self._options.deterministic:
            return FOREVER
        expected = (self._goal.valid - self._ledger.valid) / max(self._ledger.acceptance, 1e-9)
        # Whoever has nothing to do gets a point all the same: those under way may hang.
        return max(math.ceil(expected) - self._ledger.under_way, self._pool.crew().get("waiting", 0))

    def _issuable(self) -> int:
        """Return how many of the ready points may go out."""
        if self._ready is None:
            return 0
        limit = len(self._ready)
        if not self._options.deterministic and not self._pace.tool_bound(quota := self._quota()):
            limit = min(limit, quota)
        return limit - self._cursor

    def _issue(self) -> None:
        room = 0 if self._recorder.trouble else self._pool.room()
        again = self._recorder.again
        while again and room > 0:
            proposals, point_id = again.popleft()
            if len(proposals) > room:
                again.appendleft((proposals[room:], point_id[room:]))
                proposals, point_id = proposals[:room], point_id[:room]
            self._pool.submit(self._ledger.issue(proposals, point_id, attempt=2))
            self._pace.began()
            room -= len(proposals)
        if room > 0 and self._patience.waiting and self._ledger.problem.tool.deadline:
            self._try_again(self._patience.second_tries(time.monotonic() - self._started, self._pool.size))
            room = self._pool.room()
        n = 0 if self._cramped else min(room, self._issuable(), self._left(), self._needed())
        if n <= 0 or self._ready is None:
            return
        batch = self._ready[self._cursor : self._cursor + n]
        self._cursor += n
        if self._recorder.replaying(self._ledger.next_id):
            for row in range(n):
                self._replay(batch[row : row + 1])
        else:
            self._send(batch)

    def _send(self, batch: Proposals) -> None:
        # Which points are put off depends on the machine's load, and the points of a deterministic scan must not.
        limits = {} if self._options.deterministic else self._patience.limits()
        points = replace(self._ledger.issue(batch), limits=limits)
        self._recorder.issued(points.point_id, batch)
        self._patience.sent(points.point_id, limits)
        self._pool.submit(points)
        self._pace.began()

    def _try_again(self, count: int) -> None:
        """Issue points that were put off once more, with the programs' own limits (without one they may hang again)."""
        for _ in range(min(count, len(self._patience.waiting))):
            self._pool.submit(self._ledger.issue(*self._patience.next(), attempt=2))

    def _replay(self, one: Proposals) -> None:
        """Take a point's row from the interrupted session of a deterministic scan, or evaluate it if it has none."""
        rows = self._recorder.recall(self._ledger.next_id, one.u[0])
        if rows is None:
            self._send(one)
        else:
            self._ledger.adopt(rows)

    # Collecting -----------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        collected: list[Outcomes] = []
        with self._interruptible():
            collected = self._pool.collect(TICK if self._ledger.under_way else IDLE)
        for back in collected:
            outcomes = self._put_off(self._put_back(back))
            if not len(outcomes):
                continue
            self._recorder.record(self._ledger.close(outcomes))
            self._pace.came_back(outcomes)
            self._failures.add(outcomes)

    def _put_back(self, outcomes: Outcomes) -> Outcomes:
        """Keep points that were sent back for later, and return the outcomes of the others."""
        lost = outcomes.status == Status.LOST
        if not lost.any():
            if self._cramped and len(outcomes):
                self._recorder.note("there is room for programs again")
                self._cramped = ""
            return outcomes
        self._recorder.again.extend(self._ledger.give_back(outcomes.point_id[lost]))
        if not self._cramped:
            self._cramped = outcomes.message[int(np.flatnonzero(lost)[0])]
            self._recorder.note(f"paused: {self._cramped}")
        return chosen(outcomes, ~lost)

    def _put_off(self, outcomes: Outcomes) -> Outcomes:
        """Keep points that take suspiciously long for later, and return the outcomes of the others."""
        hung = self._patience.hung(outcomes)
        if not hung.any():
            return outcomes
        given = self._ledger.give_back(outcomes.point_id[hung])
        self._patience.waiting.extend(given)
        space = self._ledger.problem.space
        for row, (proposals, _) in zip(np.flatnonzero(hung).tolist(), given, strict=True):
            point = dict(zip(space.names, space.to_physical(proposals.u)[0].tolist(), strict=True))
            seconds = float(outcomes.ended[row] - outcomes.started[row])
            one, said = int(outcomes.point_id[row]), outcomes.message[row]
            self._recorder.put_off(PutOff(one, seconds, said, {name: point[name] for name in space.free}))
        return chosen(outcomes, ~hung)


def _join(first: Proposals, second: Proposals) -> Proposals:
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS}
    return Proposals(**columns, generation=second.generation)
