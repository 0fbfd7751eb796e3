"""Steps that need no surrogate: from known valid points, as far as the nearest point known to be out of target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.moves.record import Record
from rayscan.learn.moves.spread import sparse_points
from rayscan.learn.moves.trials import in_cube

MOST = 0.9
POOR = 0.1
"""Acceptance of the population below which growth takes its full share."""
SHORTEST, LONGEST = 0.3, 1.5
"""Lengths of steps, in units of the distance to the nearest point out of target."""


class Growth:
    """Lets known valid regions grow along themselves where the surrogate cannot follow them.

    A thin region that winds faster than a network or an interpolation resolves leaves the population no better than
    chance. The points known to be out of target say how thick the region is around a valid point, whatever its shape; a
    step of that length often stays inside, and many of them follow it to its end.

    Attributes
    ----------
    own, population : Record
        Of its own points and of the population's.
    """

    def __init__(self, enough: float) -> None:
        self.enough = enough
        # The population is given a few batches to prove itself: a first failure says little of a surrogate that learns.
        self.own, self.population = Record(2.0, 1.0, prior=(0.0, 1.0)), Record(900.0, 450.0, prior=(0.0, 1.0))

    @property
    def share(self) -> float:
        """Of the guided points: none while the population does well, then by what either has lately found."""
        own, population = self.own.rate, self.walked
        need = np.clip((self.enough - population) / (self.enough - POOR), 0.0, 1.0)
        return float(MOST * need * own / (own + population))

    @property
    def walked(self) -> float:
        """Acceptance of what the population proposed lately."""
        return self.population.rate

    def learn(self, valid: NDArray[np.bool_], walked: NDArray[np.bool_]) -> None:
        """Count steps and the population's points by whether they were valid."""
        self.own.learn(valid)
        self.population.learn(walked)

    def propose(self, known: Array, out: Array, count: int, rng: np.random.Generator) -> Array:
        """Return up to `count` steps ``(n, d)`` from `known` valid points, those in sparse places first served.

        Parameters
        ----------
        known, out : ndarray, shape (k, d)
            Points in and out of target.
        """
        if not len(known) or not len(out) or not count:
            return np.empty((0, known.shape[1]))
        start = known[sparse_points(known, 2 * count, rng)]
        thickness, _ = KDTree(out).query(start)
        step = rng.normal(size=start.shape)
        length = thickness * np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST), len(start)))
        step *= (length / np.linalg.norm(step, axis=1))[:, None]
        trial = start + step
        inside: Array = trial[in_cube(trial)]
        return inside[:count]

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"own": self.own.state_dict(), "population": self.population.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.own.load_state_dict(state["own"])
        self.population.load_state_dict(state["population"])
