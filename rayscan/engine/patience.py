"""How long a program may take before its point is put off: what finished points took, and generously more."""

from __future__ import annotations

import collections
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Proposals
from rayscan.tools.base import Outcomes, Stage, Status

FEW, ENOUGH = 5, 20
"""Points that a program has to have finished before anything is known of it, and before it is known well."""
TIMES, LEAST = 8.0, 2.0
"""A program may take so many times as long as the slowest that finished, more while few have, and at least so many
seconds."""
RARE = 0.05
"""The share of points put off above which it may not be they that are odd, but the limit, which grows with it."""
SHARE = 0.05
"""Of the evaluators' time that second tries may cost while there is other work."""
Batch = tuple[Proposals, NDArray[np.int64]]


class Patience:
    """Limits learned from a scan's own points, and the points that exceeded them.

    Some programs loop for ever on one point in a thousand, and each such point holds an evaluator until the program's
    own limit, often minutes. A point that exceeds the learned limit is ended and put off; it is neither stored nor
    learned from. Later it is tried again, without a learned limit.

    Attributes
    ----------
    waiting : deque of tuple (Proposals, ndarray)
        The points put off, one at a time, with their ids.
    lost : float
        Seconds that evaluators spent on points until these were put off.
    """

    def __init__(self) -> None:
        self.waiting: collections.deque[Batch] = collections.deque()
        self.lost = 0.0
        self._slowest: dict[str, float] = collections.defaultdict(float)
        self._finished: dict[str, int] = collections.Counter()
        self._sent: dict[int, Mapping[str, float]] = {}
        self._tried: dict[int, tuple[Stage, ...]] = {}
        self._again: set[int] = set()
        self._points = self._put_off = 0
        self._spent = 0.0

    def limits(self) -> dict[str, float]:
        """Return the seconds that each program may take; nothing of those that are not known well enough."""
        # Some limit there has to be: a program without one of its own would never end.
        more = max(1.0, self._put_off / (RARE * (self._points + ENOUGH))) ** 3
        return {
            name: more * max(TIMES * max(1.0, ENOUGH / count) * self._slowest[name], LEAST)
            for name, count in self._finished.items()
            if count >= FEW
        }

    @property
    def unanswered(self) -> int:
        """How many points were put off and have not been answered since."""
        return len(self._tried)

    @property
    def longest(self) -> float:
        """Seconds that a point may take as a whole."""
        return sum(self.limits().values())

    def sent(self, point_id: NDArray[np.int64], limits: Mapping[str, float]) -> None:
        """Note that points are on their way under these limits."""
        if limits:
            self._sent.update(dict.fromkeys(point_id.tolist(), limits))

    def hung(self, outcomes: Outcomes) -> NDArray[np.bool_]:
        """Learn from outcomes, and return which of them ``(n,)`` are of points that exceeded a learned limit."""
        hung = np.zeros(len(outcomes), dtype=bool)
        for row, (one, stages) in enumerate(zip(outcomes.point_id.tolist(), outcomes.stages, strict=True)):
            limits = self._sent.pop(one, {})
            self._again.discard(one)
            if outcomes.status[row] == Status.TIMEOUT and stages and stages[-1].name in limits:
                hung[row] = stages[-1].seconds >= 0.99 * limits[stages[-1].name]
            if hung[row]:
                self._tried[one] = stages
                self.lost += float(outcomes.ended[row] - outcomes.started[row])
                continue
            self._learn(stages)
            if one in self._tried:
                self._spent += float(outcomes.ended[row] - outcomes.started[row])
                outcomes.stages[row] = self._tried.pop(one) + stages
        self._points += len(outcomes)
        self._put_off += int(hung.sum())
        return hung

    def _learn(self, stages: tuple[Stage, ...]) -> None:
        for stage in stages:
            if stage.status in (Status.OK, Status.UNPHYSICAL):
                self._slowest[stage.name] = max(self._slowest[stage.name], stage.seconds)
                self._finished[stage.name] += stage.status is Status.OK

    def second_tries(self, elapsed: float, evaluators: int) -> int:
        """Return how many points may be tried again while there is other work."""
        affordable = SHARE * elapsed * evaluators > self._spent + TIMES * self.longest
        return 1 if self.waiting and not self._again and affordable else 0

    def next(self) -> Batch:
        """Return a point to try again now."""
        proposals, point_id = self.waiting.popleft()
        self._again.update(point_id.tolist())
        return proposals, point_id

    def give_up(self) -> list[Batch]:
        """Forget the points put off, and return those that are not tried again at present."""
        left = list(self.waiting)
        self.waiting.clear()
        self._again.clear()
        return left

    def only_second_tries(self, under_way: int) -> bool:
        """Whether nothing but points put off before is under way."""
        return under_way <= len(self._again)
