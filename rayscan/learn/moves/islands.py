"""Known islands of valid points, and where others like them would be."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from rayscan.clusters import boxes, islands
from rayscan.learn.data import Array

MAPPED = 5000
"""Points at most that islands are told apart by."""
CROSSED = 0.1
"""Of the copies, those that go to where no known way leads: a pattern of islands may be part of a finer one."""


class Islands:
    """Clusters of known valid points, each with the middle of the box around it.

    Parameters
    ----------
    known : ndarray, shape (n, d)

    Attributes
    ----------
    points : ndarray, shape (k, d)
        Those of the known points, or of a part of them, that are in a cluster.
    label : ndarray of int, shape (k,)
        The island of each.
    centre : ndarray, shape (m, d)
    radius : ndarray, shape (m,)
        Half the diagonal of the box.
    """

    def __init__(self, known: Array) -> None:
        known = known[np.linspace(0, len(known) - 1, min(len(known), MAPPED)).astype(np.int64)]
        label = islands(known)
        order = np.argsort(label, kind="stable")[int((label < 0).sum()) :]
        self.points, self.label = known[order], label[order]
        self.centre, self.radius = boxes(self.points, self.label)

    def copies(self, count: int, rng: np.random.Generator) -> Array:
        """Return up to `count` points ``(n, d)`` of islands that are moved to where none is known.

        Most move by the way from one centre to another: where islands repeat, they come to lie on the next one, and
        their points are valid there as they were before. The others move to some coordinates of one centre and the
        rest of another, where there is an island as well if the parameters act each on its own.
        """
        n = len(self.points)
        if len(self.centre) < 2:
            return np.empty((0, self.points.shape[1]))
        # Large islands are drawn more often: the centres of fragments are nowhere in particular.
        start, b, c = rng.integers(n, size=(3, count))
        here, there, beyond = (self.centre[self.label[chosen]] for chosen in (start, b, c))
        middle = here + there - beyond
        crossed = rng.random(count) < CROSSED
        middle[crossed] = np.where(rng.random(here.shape) < 0.5, there, beyond)[crossed]
        trial = self.points[start] + middle - here
        inside = ((trial >= 0) & (trial <= 1)).all(axis=1)
        free = KDTree(self.centre).query(middle)[0] > self.radius[self.label[start]]
        copies: Array = trial[inside & free]
        return copies
