"""Which points hang together: the clusters of a sample, and the islands that it lies on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

Array = NDArray[np.float64]
LINKS, SCALE, LINK = 10, 5, 1.5
"""Two points are linked if one is among the nearest `LINKS` of the other and nearer than `LINK` times the distances of
both to their neighbours number `SCALE`."""
STOPS, PASSABLE = 5, math.log(0.03)
"""Places that are looked at between two points, and how probable the least probable of them must be."""
ISLAND = 3
"""Points that make a cluster; fewer are loners."""
LINKED = 2000
"""Points at most by which islands are told apart; the time that takes grows as their square."""


def clusters(u: Array) -> NDArray[np.int64]:
    """Return the cluster ``(n,)`` of each point ``(n, d)``, -1 for one that is in none."""
    n = len(u)
    if n < ISLAND:
        return np.full(n, -1, dtype=np.int64)
    links = min(LINKS, n - 1)
    apart, near = KDTree(u).query(u, k=links + 1)
    apart, near = apart[:, 1:], near[:, 1:]
    scale = apart[:, min(SCALE, links) - 1]
    close = apart <= LINK * np.minimum(scale[:, None], scale[near])
    start = np.repeat(np.arange(n), links).reshape(n, links)[close]
    graph = coo_matrix((np.ones(len(start), dtype=np.int8), (start, near[close])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    return _without_loners(label)


def connected(u: Array, log_p: Callable[[Array], Array]) -> NDArray[np.int64]:
    """Return the cluster ``(n,)`` of each point ``(n, d)``, -1 for one that is in none, by the region between points.

    Two near points are linked if every place on the straight way between them is probably valid, however far apart they
    are; so islands close to each other are told apart, and a sparse one is not torn.

    Parameters
    ----------
    u : ndarray, shape (n, d)
        Valid points.
    log_p : callable
        ``ln p`` ``(k,)`` of places ``(k, d)`` being valid.
    """
    n = len(u)
    if n < ISLAND:
        return np.full(n, -1, dtype=np.int64)
    links = min(LINKS, n - 1)
    near = KDTree(u).query(u, k=links + 1)[1][:, 1:]
    pairs = np.unique(np.sort(np.column_stack([np.repeat(np.arange(n), links), near.ravel()]), axis=1), axis=0)
    start, end = pairs[:, 0], pairs[:, 1]
    way = np.linspace(0, 1, STOPS + 2)[1:-1, None, None]
    open_way = log_p((u[start] + way * (u[end] - u[start])).reshape(-1, u.shape[1])).reshape(STOPS, -1).min(axis=0)
    start, end = start[open_way > PASSABLE], end[open_way > PASSABLE]
    graph = coo_matrix((np.ones(len(start), dtype=np.int8), (start, end)), shape=(n, n))
    return _without_loners(connected_components(graph, directed=False)[1])


def islands(u: Array) -> NDArray[np.int64]:
    """Return the island ``(n,)`` of each point ``(n, d)``, -1 for one that is on none.

    One length tells islands apart, that of the widest gap between the distances at which they merge one by one. So few
    points, and uneven ones, are enough where `clusters`, which follows the density, would see fragments; where islands
    are as close to each other as the points of another one are, it sees one.
    """
    if len(u) < 2 * ISLAND:
        return np.full(len(u), -1, dtype=np.int64)
    some = u[np.linspace(0, len(u) - 1, min(len(u), LINKED)).astype(np.int64)]
    tree = linkage(some, "single")
    merged = np.log(np.maximum(tree[len(tree) // 2 :, 2], 1e-12))
    widest = int(np.argmax(np.diff(merged)))
    cut = float(np.exp((merged[widest] + merged[widest + 1]) / 2))
    gap, near = KDTree(some).query(u)
    label = fcluster(tree, cut, "distance")[near]
    # What was not linked and is far from all that was may be anywhere: each for itself.
    far = np.flatnonzero(gap > cut)
    label[far] = label.max() + 1 + np.arange(len(far))
    return _without_loners(label)


def boxes(u: Array, label: NDArray[np.int64], least: int = 1) -> tuple[Array, Array]:
    """Return the middles ``(m, d)`` of the boxes around islands, and half their diagonals ``(m,)``.

    Parameters
    ----------
    u : ndarray, shape (n, d)
    label : ndarray of int, shape (n,)
        The island of each point, negative for one that is on none.
    least : int
        Points that an island has to have.

    Notes
    -----
    The middle of the box is where it is whatever part of an island has been sampled most, unlike the mean.
    """
    order = np.argsort(label, kind="stable")[int((label < 0).sum()) :]
    _, first, size = np.unique(label[order], return_index=True, return_counts=True)
    if not len(first):
        return np.empty((0, u.shape[1])), np.empty(0)
    low, high = (end.reduceat(u[order], first)[size >= least] for end in (np.minimum, np.maximum))
    return (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2


def _without_loners(label: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the labels that enough points share, numbered, and -1 for the others."""
    size = np.bincount(label)
    name = np.where(size >= ISLAND, np.cumsum(size >= ISLAND) - 1, -1)
    return np.asarray(name[label], dtype=np.int64)
