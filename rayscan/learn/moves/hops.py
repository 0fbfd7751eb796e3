"""Jumps between and beyond known valid points, tested on the true function rather than on the surrogate's word."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.copies import copies
from rayscan.learn.moves.record import Record
from rayscan.learn.moves.spread import sparse_points
from rayscan.learn.moves.trials import distinct, in_cube, in_new_territory

LEAST, MOST = 0.005, 0.4
TRIPLES = 4000
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
        where the population opens up more of it.
    record : Record
        Of hops, and those that found new territory.
    opened, walked : Record
        Of hops and of the population's points, with what each opened up: the volume that the valid ones have to
        themselves, in units of a known point's.
    """

    def __init__(self) -> None:
        self.record = Record(10.0, 0.5, prior=(2.0, 0.2))
        self.opened, self.walked = Record(10.0, 10.0), Record(1.0, 0.0)
        self.reach = 0.0

    @property
    def share(self) -> float:
        """Of the guided points, between fixed bounds."""
        population = self.walked.rate
        worth = min(1.0, self.opened.rate / population) if population else 1.0
        return float(np.clip(worth * self.record.rate, LEAST, MOST))

    def survey(self, islands: Islands) -> None:
        """Measure how far known valid points lie apart, and let old trials fade."""
        if len(islands.u) > 2:
            apart, _ = islands.tree.query(islands.u, k=[2])
            self.reach = float(np.quantile(apart[:, 0], 0.9))
        self.record.fade()

    def learn(self, u: Array, valid: NDArray[np.bool_], islands: Islands) -> None:
        """Count which of the hops ``(n, d)`` were valid and outside the known valid points."""
        gap = islands.gap(u)
        self.record.add(len(u), float((valid & (gap > self.reach)).sum()))
        self._count(self.opened, gap, valid, u.shape[1])

    def compare(self, u: Array, valid: NDArray[np.bool_], islands: Islands) -> None:
        """Count what the population opened up with its points ``(n, d)``."""
        self._count(self.walked, islands.gap(u), valid, u.shape[1])

    def _count(self, opened: Record, gap: Array, valid: NDArray[np.bool_], d: int) -> None:
        if len(gap) and self.reach:
            room = np.minimum(gap / self.reach, FAR) ** d
            opened.fade()
            opened.add(len(gap), float(room[valid].sum()))

    def outside(self, u: Array, islands: Islands) -> NDArray[np.bool_]:
        """Return which of the points ``(n, d)`` lie in other territory than the known valid points."""
        return islands.gap(u) > FAR * self.reach

    def propose(self, islands: Islands, dead: Array, count: int, rng: np.random.Generator) -> Array:
        """Return up to `count` hops ``(n, d)`` from known valid points, away from places known to be `dead`."""
        known = islands.u
        if len(known) < 4 or not count:
            return np.empty((0, known.shape[1]))
        copied = in_new_territory(copies(islands, TRIPLES, rng), islands, dead, self.reach)
        copied = copied[rng.permutation(len(copied))[: (count + 1) // 2]]
        steps = in_new_territory(_triples(islands, rng), islands, dead, self.reach)
        steps = steps[rng.permutation(len(steps))[: count - len(copied)]]
        return np.concatenate([copied, steps])

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "record": self.record.state_dict(),
            "reach": self.reach,
            "opened": self.opened.state_dict(),
            "walked": self.walked.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.reach = float(state["reach"])
        self.record.load_state_dict(state["record"])
        self.opened.load_state_dict(state["opened"])
        self.walked.load_state_dict(state["walked"])


def _triples(islands: Islands, rng: np.random.Generator) -> Array:
    """Return places ``a + b - c`` in the cube ``(n, d)``: half of them with `b` and `c` far apart, half close by."""
    known = islands.u
    n, near = len(known), min(8, len(known))
    start = known[sparse_points(known, TRIPLES, rng)]
    b, c = rng.integers(n, size=(2, TRIPLES))
    _, close = islands.tree.query(known[b], k=near)
    beside = close[np.arange(TRIPLES), rng.integers(1, near, TRIPLES)]
    trial = start + known[b] - known[np.where(rng.random(TRIPLES) < 0.5, c, beside)]
    return distinct(trial[in_cube(trial)])
