"""Which points hang together: the clusters of a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

Array = NDArray[np.float64]
LINKS, SCALE, LINK = 10, 5, 1.5
"""Two points are linked if one is among the nearest `LINKS` of the other and nearer than `LINK` times the distances of
both to their neighbours number `SCALE`."""
ISLAND = 3
"""Points that make a cluster; fewer are loners."""


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
    size = np.bincount(label)
    name = np.where(size >= ISLAND, np.cumsum(size >= ISLAND) - 1, -1)
    return np.asarray(name[label], dtype=np.int64)
