"""Jumps between and beyond known valid points, tested on the true function rather than on the surrogate's word."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.copies import copies
from rayscan.learn.moves.spread import distinct, in_new_territory, nearest_distance, sparse_points

LEAST, MOST = 0.005, 0.4
TRIPLES = 4000
FORGET = 0.7
FAR = 3.0
"""Distance, in units of what is usual between known points, beyond which all territory is equally new."""


class Hops:
    """Proposes places outside the known valid region, as often as that keeps paying.

    A surrogate that has seen nothing of an island gives it no probability, so walking on the surrogate alone digs
    where something was found already. Up to half of the hops are points of whole islands, moved by the way from one
    island to another to where none is known yet. Of the others, half are ``a + b - c`` of three known valid points,
    which carries a pattern on from few of them, and half are steps of ``a`` along the local shape, which grow an
    island; both start at places of low density. Only those are tried that end farther from every known valid point
    than these usually are from each other.

    Attributes
    ----------
    share : float
        Of the guided points that should be hops: the recent rate at which hops found new valid territory, and less
        where the walkers open up more of it.
    """

    def __init__(self) -> None:
        self.tried, self.found = 10.0, 0.5
        self.opened, self.walked = [10.0, 10.0], [1.0, 0.0]
        self.reach = 0.0

    @property
    def share(self) -> float:
        """Of the guided points, between fixed bounds."""
        own, walkers = (volume / points for points, volume in (self.opened, self.walked))
        worth = min(1.0, own / walkers) if walkers else 1.0
        return float(np.clip(worth * self.found / self.tried, LEAST, MOST))

    def survey(self, known: Array) -> None:
        """Measure how far known valid points ``(n, d)`` lie apart, and let old trials fade."""
        if len(known) > 2:
            apart, _ = KDTree(known).query(known, k=[2])
            self.reach = float(np.quantile(apart[:, 0], 0.9))
        self.tried, self.found = 2 + FORGET * (self.tried - 2), 0.2 + FORGET * (self.found - 0.2)

    def learn(self, u: Array, valid: NDArray[np.bool_], known: Array) -> None:
        """Count which of the hops ``(n, d)`` were valid and outside the `known` valid points."""
        gap = nearest_distance(u, known)
        self.tried += len(u)
        self.found += int((valid & (gap > self.reach)).sum())
        self._count(self.opened, gap, valid, u.shape[1])

    def compare(self, u: Array, valid: NDArray[np.bool_], known: Array) -> None:
        """Count what walkers opened up with their points ``(n, d)``."""
        self._count(self.walked, nearest_distance(u, known), valid, u.shape[1])

    def _count(self, counts: list[float], gap: Array, valid: NDArray[np.bool_], d: int) -> None:
        """Add points, and the volume that the valid ones have to themselves, in units of a known point's."""
        if len(gap) and self.reach:
            room = np.minimum(gap / self.reach, FAR) ** d
            counts[0] = FORGET * counts[0] + len(gap)
            counts[1] = FORGET * counts[1] + float(room[valid].sum())

    def outside(self, u: Array, known: Array) -> NDArray[np.bool_]:
        """Return which of the points ``(n, d)`` lie in other territory than the `known` valid points."""
        return nearest_distance(u, known) > FAR * self.reach

    def propose(self, islands: Islands, dead: Array, count: int, rng: np.random.Generator) -> Array:
        """Return up to `count` hops ``(n, d)`` from known valid points, away from places known to be `dead`."""
        known = islands.u
        if len(known) < 4 or not count:
            return np.empty((0, known.shape[1]))
        copied = in_new_territory(copies(islands, TRIPLES, rng), islands.tree, dead, self.reach)
        copied = copied[rng.permutation(len(copied))[: (count + 1) // 2]]
        steps = in_new_territory(_triples(known, islands.tree, rng), islands.tree, dead, self.reach)
        steps = steps[rng.permutation(len(steps))[: count - len(copied)]]
        return np.concatenate([copied, steps])

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "tried": self.tried,
            "found": self.found,
            "reach": self.reach,
            "opened": self.opened,
            "walked": self.walked,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.tried, self.found, self.reach = float(state["tried"]), float(state["found"]), float(state["reach"])
        self.opened, self.walked = list(state["opened"]), list(state["walked"])


def _triples(known: Array, tree: KDTree, rng: np.random.Generator) -> Array:
    """Return places ``a + b - c`` in the cube ``(n, d)``: half of them with `b` and `c` far apart, half close by."""
    n, near = len(known), min(8, len(known))
    start = known[sparse_points(known, TRIPLES, rng)]
    b, c = rng.integers(n, size=(2, TRIPLES))
    _, close = tree.query(known[b], k=near)
    beside = close[np.arange(TRIPLES), rng.integers(1, near, TRIPLES)]
    trial = start + known[b] - known[np.where(rng.random(TRIPLES) < 0.5, c, beside)]
    trial = trial[((trial >= 0) & (trial <= 1)).all(axis=1)]
    # a + b - c equals b + a - c up to the last digit, and few points give the same triple more than once.
    different: Array = trial[distinct(trial)]
    return different
