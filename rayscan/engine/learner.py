"""The learner: the proposer's expensive work, in a thread beside the loop or in line with it."""

from __future__ import annotations

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
    """

    proposals: Proposals
    state: dict[str, Any]
    told: int
    seconds: float


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

    @property
    def busy(self) -> bool:
        """Whether a round of learning is under way or waits to be taken."""
        return self._future is not None

    def start(self, rows: Rows, n: int, pending: NDArray[Any]) -> None:
        """Begin a round.

        Parameters
        ----------
        rows : Rows
            New rows, in issue order. None at all asks for the initial points, or for more of the same.
        n : int
            Number of points to propose.
        pending : ndarray, shape (k, d)
            Points issued and not yet back.
        """
        assert self._future is None
        if self._executor is not None:
            self._future = self._executor.submit(self._learn, rows, n, pending)
        else:
            self._future = Future()
            self._future.set_result(self._learn(rows, n, pending))

    def take(self) -> Lesson | None:
        """Return the finished round, or None; an exception of the round is raised here."""
        if self._future is None or not self._future.done():
            return None
        future, self._future = self._future, None
        return future.result()

    def close(self) -> None:
        """Wait for the round under way, and forget it."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._future = None

    def _learn(self, rows: Rows, n: int, pending: NDArray[Any]) -> Lesson:
        start = time.monotonic()
        if len(rows):
            self.proposer.tell(rows)
            self.proposer.refit()
            self.told += len(rows)
        proposals = self.proposer.ask(n, pending)
        return Lesson(proposals, self.proposer.state_dict(), self.told, time.monotonic() - start)
