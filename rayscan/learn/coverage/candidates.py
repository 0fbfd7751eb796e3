"""Places that the population has visited, and which of them to take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import NEAR, Array
from rayscan.learn.moves.spread import apart_points, farthest_points, nearest_distance

SPREAD = 0.15
"""Of the points taken, those that fill the largest holes. They cover; more of them would crowd the rims."""
CROWDED = 0.2
"""Of the candidates, those nearest to a known or pending point that are not taken."""


class Candidates:
    """Places where a point might go, each with the room around it.

    Parameters
    ----------
    d : int

    Attributes
    ----------
    u : ndarray, shape (n, d)
    gap : ndarray, shape (n,)
        Distance to the nearest point that is known, pending or taken; infinite where there is none.
    """

    def __init__(self, d: int) -> None:
        self.d = d
        self.clear()

    def __len__(self) -> int:
        return len(self.u)

    def clear(self) -> None:
        """Forget all: they were drawn from what is no longer believed."""
        self.u: Array = np.empty((0, self.d))
        self.gap: Array = np.empty(0)

    def add(self, visited: Array, evaluated: Array, known: Array) -> None:
        """Add places that were `visited`, none twice and none that was `evaluated`; `known` points take up room."""
        # A particle may stand where it was evaluated before, or not have moved since the last snapshot.
        u = np.unique(np.concatenate([self.u, visited]), axis=0)
        self.u = u[~np.isin(_digest(u), _digest(evaluated))]
        self.gap = nearest_distance(self.u, known) if self.d <= NEAR else np.full(len(self.u), np.inf)

    def keep_away(self, taken: Array) -> None:
        """Note points ``(k, d)`` that take up room."""
        if len(taken) and self.d <= NEAR:
            self.gap = np.minimum(self.gap, nearest_distance(self.u, taken))

    def filling(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose `n` candidates: `SPREAD` of them fill the largest holes, the others are taken as they come."""
        if self.d > NEAR:
            return rng.choice(len(self.u), min(n, len(self.u)), replace=False)
        first = farthest_points(self.u, self.gap, int(SPREAD * n))
        # Among the rest, none that nearly repeat what is known or under way.
        others = np.setdiff1d(np.flatnonzero(self.gap >= np.quantile(self.gap, CROWDED)), first)
        second = rng.choice(others, min(n - int(SPREAD * n), len(others)), replace=False)
        return np.concatenate([first, second])

    def apart(self, n: int, distance: float, rng: np.random.Generator) -> NDArray[np.int64]:
        """Choose `n` candidates that keep a distance from known points and from each other, where that can be done."""
        return apart_points(self.u, self.gap, distance, n, rng)

    def take(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Return the chosen ones ``(n, d)`` in random order, and keep the others."""
        u = self.u[chosen]
        keep = np.ones(len(self.u), dtype=bool)
        keep[chosen] = False
        self.u, self.gap = self.u[keep], self.gap[keep]
        self.keep_away(u)
        shuffled: Array = u[rng.permutation(len(u))]
        return shuffled

    def state_dict(self) -> dict[str, Any]:
        """Return places and gaps."""
        return {"u": self.u, "gap": self.gap}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.u = np.array(state["u"], dtype=np.float64).reshape(-1, self.d)
        self.gap = np.array(state["gap"], dtype=np.float64)


def _digest(u: Array) -> NDArray[np.uint64]:
    """Return one number ``(n,)`` for each point ``(n, d)``; two points share one about once in 1e19 times."""
    odd = 2 * np.random.default_rng(0).integers(2**62, size=u.shape[1], dtype=np.uint64) + np.uint64(1)
    return np.asarray((np.ascontiguousarray(u).view(np.uint64) * odd).sum(axis=1, dtype=np.uint64))
