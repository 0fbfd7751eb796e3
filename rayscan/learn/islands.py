"""The islands on which known valid points lie."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.clusters import boxes, islands
from rayscan.learn.data import Array


class Islands:
    """Known valid points, told apart by island.

    Parameters
    ----------
    u : ndarray, shape (n, d)
        The points.
    """

    def __init__(self, u: Array) -> None:
        self.u = u

    @functools.cached_property
    def label(self) -> NDArray[np.int64]:
        """The island of each point ``(n,)``, -1 for one that is on none."""
        return islands(self.u)

    @functools.cached_property
    def tree(self) -> KDTree:
        """The points, as they lie to each other."""
        return KDTree(self.u)

    def gap(self, u: Array) -> Array:
        """Return the distance ``(k,)`` of places ``(k, d)`` to the nearest known point, infinite if there is none."""
        if not len(self.u):
            return np.full(len(u), np.inf)
        return np.asarray(self.tree.query(u)[0], dtype=np.float64)

    def boxes(self, least: int = 1) -> tuple[Array, Array]:
        """Return the middles ``(m, d)`` of the boxes around islands of `least` points, and half the diagonals ``(m,)``.

        Without `least`, these are in the order of the labels.
        """
        return boxes(self.u, self.label, least)

    def of(self, u: Array) -> NDArray[np.int64]:
        """Return on which island ``(k,)`` the known point is that is nearest to each place ``(k, d)``."""
        if not len(self.u):
            return np.full(len(u), -1, dtype=np.int64)
        return np.asarray(self.label[self.tree.query(u)[1]])
