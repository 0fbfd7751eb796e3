"""The learner: the proposer's expensive work, in a thread beside the loop or in line with it."""

from __future__ import annotations

import copy
import queue
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rayscan.learn.data import Proposals, Rows
from rayscan.learn.proposer import Proposer


@dataclass(frozen=True, slots=True)
class Lesson:
    """The result of one round of learning.

    Attributes
    ----------
    proposals : Proposals
    state : dict
        The proposer's state after proposing, for a checkpoint.
    told : int
        How many rows the proposer has seen.
    seconds : float
        Wall time of refit and proposal together.
    refitted : bool
        Whether there were rows to learn from; if not, the proposals are more of the same generation.
    first_id : int
        The first id that its proposals get; set by the loop when it takes them up.
    """

    proposals: Proposals
    state: dict[str, Any]
    told: int
    seconds: float
    refitted: bool
    first_id: int = 0


class Learner:
    """Tells, refits and asks a `Proposer`, one round at a time.

    Parameters
    ----------
    proposer : Proposer
    background : bool
        Learn in a thread while the loop goes on. torch, vegas and NumPy release the interpreter lock in their kernels.
    told : int
        Rows the proposer has seen already, when a scan is resumed.
    """

    def __init__(self, proposer: Proposer, *, background: bool, told: int = 0) -> None:
        self.proposer = proposer
        self.told = told
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="rayscan-learner") if background else None
        self._future: Future[Lesson] | None = None
        self._bridges: queue.SimpleQueue[Proposals] = queue.SimpleQueue()

    @property
    def busy(self) -> bool:
        """Whether a round of learning is under way or waits to be taken."""
        return self._future is not None

    @property
    def background(self) -> bool:
        """Whether a round goes on beside the loop."""
        return self._executor is not None

    def start(self, rows: Rows, n: int, pending: NDArray[Any], bridge: int = 0) -> None:
        """Begin a round.

        Parameters
        ----------
        rows : Rows
            New rows, in issue order. None at all asks for the initial points, or for more of the same.
        n : int
            Number of points to propose.
        pending : ndarray, shape (k, d)
            Points issued and not yet back.
        bridge : int
            Points of the present generation to hand out first, so that evaluators have work during the refit.
        """
        assert self._future is None
        if self._executor is not None:
            self._future = self._executor.submit(self._learn, rows, n, pending, bridge)
        else:
            lesson = self._learn(rows, n, pending, bridge)
            self._future = Future()
            self._future.set_result(lesson)

    def take_bridge(self) -> Proposals | None:
        """Return the points that bridge the round under way, once, as soon as they are there."""
        try:
            return self._bridges.get_nowait()
        except queue.Empty:
            return None

    def take(self) -> Lesson | None:
        """Return the finished round, or None; an exception of the round is raised here."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def close(self) -> None:
        """Forget the round under way. Nobody waits for it: what it would have learnt is learnt again on resume."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._future = None

    def _learn(self, rows: Rows, n: int, pending: NDArray[Any], bridge: int) -> Lesson:
        if bridge:
            self._bridges.put(self.proposer.ask(bridge, pending))
        start = time.monotonic()
        if len(rows):
            self.proposer.tell(rows)
            self.proposer.refit()
            self.told += len(rows)
        proposals = self.proposer.ask(n, pending)
        seconds = time.monotonic() - start
        # A copy: a checkpoint is written while the next round goes on.
        state = copy.deepcopy(self.proposer.state_dict())
        return Lesson(proposals, state, self.told, seconds, bool(len(rows)))
