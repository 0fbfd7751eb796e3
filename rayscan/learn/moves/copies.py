"""Points of whole islands, moved to where others like them would be."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.trials import distinct, in_cube

CROSSED = 0.1
"""Of the copies, those that go to where no known way leads: a pattern of islands may be part of a finer one."""


def copies(islands: Islands, count: int, rng: np.random.Generator) -> Array:
    """Return up to `count` points ``(n, d)`` of islands that are moved to where none is known.

    Most move by the way from one middle to another: where islands repeat, they come to lie on the next one, and their
    points are valid there as they were before. The others move to some coordinates of one middle and the rest of
    another, where there is an island as well if the parameters act each on its own.
    """
    middles, radius = islands.boxes()
    if len(middles) < 2:
        return np.empty((0, islands.u.shape[1]))
    on_one = np.flatnonzero(islands.label >= 0)
    # Large islands are drawn more often: the middles of fragments are nowhere in particular.
    start, b, c = on_one[rng.integers(len(on_one), size=(3, count))]
    here, there, beyond = (middles[islands.label[chosen]] for chosen in (start, b, c))
    middle = here + there - beyond
    crossed = rng.random(count) < CROSSED
    middle[crossed] = np.where(rng.random(here.shape) < 0.5, there, beyond)[crossed]
    trial = islands.u[start] + middle - here
    free = KDTree(middles).query(middle)[0] > radius[islands.label[start]]
    return distinct(trial[in_cube(trial) & free])
