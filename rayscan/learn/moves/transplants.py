"""Points of one island, moved to where they would be on another: a test of whether islands are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.record import Record
from rayscan.learn.moves.trials import distinct, in_cube, in_new_territory

LEAST, MOST = 0.01, 0.4
TRIED = 4000


class Transplants:
    """Tests, on the true function, what is said of an island by its likeness to others.

    Surrogates that know an island by its own points alone are sure that places far from these are invalid, and as
    particles go where most agree, who is right would never be found out. So places of which it is said that they must
    be valid because they are on other islands, and which the others deny, are tried as often as that is so.

    Attributes
    ----------
    record : Record
        Of places, and those that were valid.
    """

    def __init__(self) -> None:
        self.record = Record(4.0, 1.0, prior=(2.0, 0.5))

    @property
    def share(self) -> float:
        """Of the guided points, between fixed bounds."""
        return float(np.clip(self.record.rate, LEAST, MOST))

    def learn(self, valid: NDArray[np.bool_]) -> None:
        """Count places that were tried by whether they were valid."""
        self.record.learn(valid)

    def propose(
        self,
        islands: Islands,
        middle: Array,
        dead: Array,
        reach: float,
        contested: Callable[[Array], NDArray[np.bool_]],
        count: int,
        rng: np.random.Generator,
    ) -> Array:
        """Return up to `count` places ``(n, d)``.

        Parameters
        ----------
        islands : Islands
        middle : ndarray, shape (m, d)
            Of each island, as learned.
        dead : ndarray, shape (k, d)
            Places that were tried before and are not valid.
        reach : float
            Distance from known valid points up to which a place is not worth a test.
        contested : callable
            Which places ``(n, d)`` to test ``(n,)``.
        count : int
        rng : numpy Generator
        """
        known = islands.u
        if len(middle) < 2 or not len(known) or not count:
            return np.empty((0, known.shape[1]))
        nearest = KDTree(middle).query(known)[1]
        start, there = rng.integers(len(known), size=TRIED), rng.integers(len(middle), size=TRIED)
        trial = known[start] + middle[there] - middle[nearest[start]]
        trial = in_new_territory(distinct(trial[in_cube(trial)]), islands, dead, reach)
        trial = trial[contested(trial)]
        tested: Array = trial[rng.permutation(len(trial))[:count]]
        return tested

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"record": self.record.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.record.load_state_dict(state["record"])
