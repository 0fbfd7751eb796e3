"""Evaluated points, as lessons for a surrogate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array, History, Rows
from rayscan.learn.islands import Islands
from rayscan.learn.surrogates.ladder import ENOUGH, Ladder
from rayscan.problem.target import Target

BATCH = 256
"""Points of a gradient step."""


class Replay:
    """The points so far, a bounded number of them, and the minibatches drawn from them.

    Parameters
    ----------
    d : int
    target : Target
    ladder : Ladder
    """

    def __init__(self, d: int, target: Target, ladder: Ladder) -> None:
        self._ladder = ladder
        self._judged_whole = target.labels is not None or target.function is not None
        self._history = History(d, len(ladder.columns))
        self._islands: Islands | None = None

    def __len__(self) -> int:
        return len(self._history)

    def add(self, rows: Rows) -> None:
        """Append rows, keeping only the observables that are constrained."""
        kept = {name: getattr(rows, name) for name in Rows.__slots__}
        kept["observables"] = np.where(np.isfinite(rows.observables), rows.observables, np.nan)[:, self._ladder.columns]
        self._history.add(Rows(**kept))
        self._islands = None

    @property
    def rows(self) -> Rows:
        """What is remembered, in the order of ids; `observables` holds the constrained ones alone."""
        return self._history.rows

    @property
    def u(self) -> Array:
        """Places ``(n, d)``."""
        return self.rows.u

    @property
    def observables(self) -> Array:
        """What the surrogate learns ``(n, outputs)``: constrained observables, NaN where missing."""
        return self._ladder.seen(self.rows.observables, self.rows.likelihood)

    @property
    def penalty(self) -> Array:
        """Distance to the target ``(n,)``, infinite for failed points."""
        return np.where(self.rows.status == 0, self.rows.penalty, np.nan)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """In target ``(n,)``."""
        return self.rows.valid

    @property
    def islands(self) -> Islands:
        """The valid points, told apart by island."""
        if self._islands is None:
            self._islands = Islands(self.u[self.valid])
        return self._islands

    def labels(self) -> Array:
        """Return the validity head's lesson ``(n,)``: 1 good, 0 bad, NaN where nothing follows.

        Where the observables decide, good means that they are there. A point whose missing observables belong to
        programs skipped because an earlier constraint had failed teaches nothing here.
        """
        observables = self.observables
        failed = self.rows.status != 0
        present = np.isfinite(observables)
        inside = (observables >= self._ladder.goal[: observables.shape[1], 0]) & (
            observables <= self._ladder.goal[: observables.shape[1], 1]
        )
        violated = (present & ~inside).any(axis=1)
        answer = np.where(present.all(axis=1), 1.0, np.where(violated, np.nan, 0.0))
        if self._judged_whole and not self._ladder.graded:
            answer = np.where(self.valid, 1.0, np.where(violated, np.nan, 0.0))
        answer[failed] = 0.0
        return np.asarray(answer, dtype=np.float64)

    def lesson(self) -> tuple[Array, Array, Array]:
        """Return places, scaled observables and validity labels."""
        return self.u, self._ladder.scaled(self.observables), self.labels()

    def batches(self, steps: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw minibatches ``(steps, size)``: half from everything, a quarter near the target, a quarter recent."""
        n = len(self)
        near = self.near()
        recent = np.arange(max(0, n - 900), n)
        quarter = size // 4
        return np.concatenate(
            [
                rng.integers(n, size=(steps, size - 2 * quarter)),
                near[rng.integers(len(near), size=(steps, quarter))],
                recent[rng.integers(len(recent), size=(steps, quarter))],
            ],
            axis=1,
        )

    def near(self, least: int = ENOUGH) -> NDArray[np.int64]:
        """Return the points nearest the target: twice as many as are valid, a tenth of all, and at least so many."""
        n = len(self)
        if not self._ladder.outputs:
            valid = np.flatnonzero(self.valid)
            return valid if len(valid) else np.arange(n)
        penalty = np.where(np.isnan(self.penalty), np.inf, self.penalty)
        count = min(n, max(2 * int(self.valid.sum()), n // 10, least))
        return np.argpartition(penalty, count - 1)[:count]

    def best(self) -> Array:
        """Return the known points inside the current level: valid ones, or the nearest to the target."""
        valid = self.u[self.valid]
        if len(valid) >= ENOUGH or not self._ladder.outputs:
            return valid
        penalty = np.where(np.isnan(self.penalty), np.inf, self.penalty)
        usable = int(np.isfinite(penalty).sum())
        return self.u[np.argsort(penalty, kind="stable")[: min(ENOUGH, max(usable // 5, 10), usable)]]
