"""The pace of a scan: how fast points come back, how long learning takes, and what that means for the ready-buffer."""

from __future__ import annotations

import time
from collections import deque

from rayscan.tools.base import Outcomes

WINDOW = 60.0
"""Seconds over which the live rate is taken."""
FIRST_GUESS = 1.0
"""Seconds that a refit is expected to take before there was one."""
MARGIN = 1.5
"""How much longer than expected a refit may take before evaluators run out of points."""

GROWTH, MOST_RAISED = 0.1, 100
"""Where refits take longer than the points between them, each waits for a tenth more points, or for 100."""


class Pace:
    """Running measurements of evaluation and learning.

    Parameters
    ----------
    evaluators : int
        How many work at the same time.

    Attributes
    ----------
    lesson_seconds : float
        What the last refit took, with the proposals it led to; 0 before the first.
    """

    def __init__(self, evaluators: int) -> None:
        self.evaluators = evaluators
        self.lesson_seconds = 0.0
        self._expected = FIRST_GUESS
        self._lesson_ended = -1e9
        self._point_seconds: float | None = None
        self._worked = 0.0
        self._began: float | None = None
        self._marks: deque[tuple[float, int]] = deque()
        self._offered, self._since = 0.0, time.monotonic()

    def crew(self, evaluators: int) -> None:
        """Note how many evaluators are at work now."""
        if evaluators != self.evaluators:
            now = time.monotonic()
            if self._began is not None:
                self._offered += self.evaluators * (now - self._since)
            self.evaluators, self._since = evaluators, now

    def began(self) -> None:
        """Note that a point was issued."""
        if self._began is None:
            self._began = self._since = time.monotonic()

    def came_back(self, outcomes: Outcomes) -> None:
        """Note finished points."""
        now = time.monotonic()
        self._marks.append((now, len(outcomes)))
        while self._marks and self._marks[0][0] < now - WINDOW:
            self._marks.popleft()
        seconds = float((outcomes.ended - outcomes.started).sum())
        if not outcomes.host:
            # Given up by the pool: its time stamps say nothing about the tool.
            return
        self._worked += seconds
        mean = max(seconds / max(len(outcomes), 1), 1e-9)
        self._point_seconds = mean if self._point_seconds is None else 0.9 * self._point_seconds + 0.1 * mean

    def learned(self, seconds: float) -> None:
        """Note a finished refit. The next may be as slow as a recent one, if not as the last."""
        self.lesson_seconds = seconds
        first = self._lesson_ended < 0
        self._expected = seconds if first else max(seconds, 0.8 * self._expected)
        self._lesson_ended = time.monotonic()

    @property
    def expected(self) -> float:
        """Seconds that the next refit is expected to take."""
        return self._expected

    @property
    def rate(self) -> float:
        """Points a second of late."""
        if not self._marks:
            return 0.0
        span = time.monotonic() - self._marks[0][0]
        return sum(n for _, n in tuple(self._marks)) / max(span, 0.5)

    @property
    def busy(self) -> float:
        """Share of the evaluators' time spent on points since the first was issued."""
        if self._began is None:
            return 0.0
        offered = self._offered + self.evaluators * (time.monotonic() - self._since)
        return min(1.0, self._worked / max(offered, 1e-9))

    @property
    def point_seconds(self) -> float:
        """What a point takes of late; 0 while nothing is known."""
        return self._point_seconds or 0.0

    @property
    def rested(self) -> bool:
        """Whether the learner has idled four times as long as it last worked, so that more learning is cheap."""
        return time.monotonic() - self._lesson_ended > 4 * self.lesson_seconds

    def tool_bound(self, points: int) -> bool:
        """Whether `points` take longer to evaluate than one refit.

        If so, evaluators go on with points of the present generation while the next is learnt. If not, the learner is
        the bottleneck, and evaluating from an old generation would only buy worse points: evaluators wait for it.
        """
        if self._point_seconds is None:
            return False
        return points * self._point_seconds / max(self.evaluators, 1) > self._expected

    def round(self, points: int, known: int) -> int:
        """Return how many points to learn from at a time where `points` are asked for and `known` have been evaluated.

        Where they take longer than a refit, what is asked for; else a refit pays only for a sample that has grown.
        """
        return points if self.tool_bound(points) else max(points, min(int(GROWTH * known), MOST_RAISED))

    def reserve(self, points: int) -> int:
        """Return how many points beyond `points` keep the evaluators busy during a refit."""
        if self._point_seconds is None:
            return points
        if not self.tool_bound(points):
            return 0
        meanwhile = MARGIN * self._expected * self.evaluators / self._point_seconds
        return min(int(meanwhile) + 2 * self.evaluators, 2 * points)
