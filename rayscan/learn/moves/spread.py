"""How densely a region has been sampled, and which candidates fill its largest holes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import Array

SMALLEST = 1e-6
"""Distance below which points are as good as equal."""


def nearest_distance(points: Array, known: Array) -> Array:
    """Return the distance ``(n,)`` of each of the points ``(n, d)`` to the nearest known one, infinite if none is."""
    if not len(known) or not len(points):
        return np.full(len(points), np.inf)
    distance, _ = KDTree(known).query(points)
    return np.asarray(distance, dtype=np.float64)


def farthest_points(candidates: Array, distance: Array, count: int) -> NDArray[np.int64]:
    """Choose candidates one by one, each as far as possible from what is known and from those chosen before.

    Parameters
    ----------
    candidates : ndarray, shape (n, d)
    distance : ndarray, shape (n,)
        To the nearest known point.
    count : int

    Returns
    -------
    ndarray of int, shape (min(count, n),)
    """
    left = np.where(np.isfinite(distance), distance, np.sqrt(candidates.shape[1]) if len(candidates) else 0.0)
    chosen = np.empty(min(count, len(candidates)), dtype=np.int64)
    for k in range(len(chosen)):
        best = int(np.argmax(left))
        chosen[k] = best
        left = _without(best, candidates, left)
    return chosen


def apart_points(
    candidates: Array, distance: Array, apart: float, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose candidates at random that keep a distance from what is known and from each other.

    Parameters
    ----------
    candidates : ndarray, shape (n, d)
    distance : ndarray, shape (n,)
        To the nearest known point.
    apart : float
        The distance to keep; where too few candidates do, the others keep half of it, and so on.
    count : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (min(count, n),)
    """
    left = distance.copy()
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        for k in rng.permutation(np.flatnonzero(left >= apart)):
            if left[k] >= apart and len(chosen) < count:
                chosen.append(int(k))
                left = _without(k, candidates, left)
        apart = apart / 2 if apart > SMALLEST else 0.0
    return np.array(chosen, dtype=np.int64)


def sparse_points(known: Array, count: int, rng: np.random.Generator, neighbours: int = 5) -> NDArray[np.int64]:
    """Draw indices of known points ``(n, d)`` with probability inverse to the local density of known points."""
    n = len(known)
    if n <= neighbours + 1:
        return rng.integers(n, size=count) if n else np.empty(0, dtype=np.int64)
    reach, _ = KDTree(known).query(known, k=[neighbours + 1])
    log_volume = known.shape[1] * np.log(np.maximum(reach[:, 0], 1e-12))
    # Ranks below the 90th percentile keep outliers of a heavy-tailed volume from taking every draw.
    log_volume = np.minimum(log_volume, np.quantile(log_volume, 0.9))
    weight = np.exp(log_volume - log_volume.max())
    return rng.choice(n, count, p=weight / weight.sum())


def _without(k: int, candidates: Array, left: Array) -> Array:
    """Return the room ``(n,)`` that is left around candidates once one of them is taken; itself has none."""
    gap = candidates - candidates[k]
    left = np.minimum(left, np.sqrt(np.einsum("ij,ij->i", gap, gap)))
    left[k] = -1.0
    return left
