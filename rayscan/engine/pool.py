"""The face of a pool of evaluators, and the pool that needs no Ray."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from rayscan.engine.evaluator import Evaluator
from rayscan.tools.base import Outcomes, Points


class Pool(Protocol):
    """Points in, exactly one outcome per point out, whatever dies in between.

    Attributes
    ----------
    size : int
        How many evaluators are at work now.
    wanted : int
        How many there should be, by what was asked for and what the cluster has.
    left_out : int
        Nodes that cannot run the tool; the run's log says why.
    news : list of str
        Nodes that joined, left or cannot be used, for whoever keeps a log and clears it.
    lost : int
        How often a point had to be issued again because its evaluator died.
    notice : str
        Why nothing is evaluated at present, when there is something to say.
    """

    lost: int
    notice: str

    @property
    def size(self) -> int: ...

    @property
    def wanted(self) -> int: ...

    @property
    def left_out(self) -> int: ...

    @property
    def news(self) -> list[str]: ...

    def room(self) -> int:
        """Return how many more points would start soon; 0 means wait."""

    def submit(self, points: Points) -> None:
        """Take points for evaluation."""

    def collect(self, timeout: float) -> list[Outcomes]:
        """Return what has come back, waiting at most `timeout` seconds for the first of it."""

    def rest(self) -> None:
        """Hear that the scan is ending: evaluators without work may be released."""

    def crew(self) -> dict[str, int]:
        """Return how many evaluators are ``working``, ``waiting``, ``starting`` or ``away``."""

    def abandon(self) -> None:
        """Forget what was submitted and has not come back, ending what runs."""

    def close(self) -> None:
        """End every evaluator and leave nothing behind."""


class SerialPool:
    """One evaluator in this process: for tests, notebooks and debuggers, and for functions too fast to send away.

    A tool's `deadline` cannot be kept here: nobody can end a function in this process without ending the process.
    Programs have their own time-outs, which hold.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.size, self.wanted, self.left_out, self.lost, self.notice = 1, 1, 0, 0, ""
        self.news: list[str] = []
        self._evaluator = evaluator
        self._queue: deque[Points] = deque()
        self._running: Iterator[Outcomes] | None = None

    def room(self) -> int:
        if self._evaluator.tool.vectorized:
            return 0 if self._queue or self._running else 1 << 20
        return 0 if len(self._queue) > 1 else 1

    def submit(self, points: Points) -> None:
        if len(points):
            self._queue.append(points)

    def collect(self, timeout: float) -> list[Outcomes]:
        while True:
            if self._running is not None:
                try:
                    return [next(self._running)]
                except StopIteration:
                    self._running = None
            if not self._queue:
                time.sleep(timeout)
                return []
            self._running = self._evaluator.evaluate(self._queue.popleft())

    def rest(self) -> None:
        return

    def crew(self) -> dict[str, int]:
        return {"working" if self._queue or self._running else "waiting": 1}

    def abandon(self) -> None:
        self._queue.clear()
        self._running = None

    def close(self) -> None:
        self.abandon()
        self._evaluator.close()
