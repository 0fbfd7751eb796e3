"""Known islands of valid points, and where others like them would be."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from rayscan.clusters import clusters
from rayscan.learn.data import Array

MAPPED = 5000
"""Points at most that islands are told apart by."""


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
        known = known[:: max(1, -(-len(known) // MAPPED))]
        label = clusters(known)
        order = np.argsort(label, kind="stable")[int((label < 0).sum()) :]
        self.points, self.label = known[order], label[order]
        first = np.unique(self.label, return_index=True)[1]
        self.centre: Array = np.empty((0, known.shape[1]))
        self.radius: Array = np.empty(0)
        if len(first):
            low, high = np.minimum.reduceat(self.points, first), np.maximum.reduceat(self.points, first)
            # The middle of the box is where it is whatever part of an island has been sampled most, unlike the mean.
            self.centre, self.radius = (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2

    def copies(self, count: int, rng: np.random.Generator) -> Array:
        """Return up to `count` points ``(n, d)`` of islands that are moved to where none is known.

        Each island moves by the way from one centre to another: where islands repeat, it comes to lie on the next one,
        and its points are valid there as they were before.
        """
        n = len(self.points)
        if len(self.centre) < 2:
            return np.empty((0, self.points.shape[1]))
        # Large islands are drawn more often: the centres of fragments are nowhere in particular.
        start, b, c = rng.integers(n, size=(3, count))
        way = self.centre[self.label[b]] - self.centre[self.label[c]]
        trial, middle = self.points[start] + way, self.centre[self.label[start]] + way
        inside = ((trial >= 0) & (trial <= 1)).all(axis=1)
        free = KDTree(self.centre).query(middle)[0] > self.radius[self.label[start]]
        copies: Array = trial[inside & free]
        return copies
