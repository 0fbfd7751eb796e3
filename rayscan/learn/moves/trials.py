"""Places that moves come up with, and which of them are worth an evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands
from rayscan.learn.moves.spread import nearest_distance


def in_cube(places: Array) -> NDArray[np.bool_]:
    """Return which of the places ``(n, d)`` lie in the unit cube ``(n,)``."""
    return np.asarray(((places >= 0) & (places <= 1)).all(axis=1))


def distinct(places: Array) -> Array:
    """Return the places ``(n, d)`` in their order, of those that are equal up to the last digit only the first.

    Few points give few different sums and differences, and ``a + b - c`` equals ``b + a - c`` up to the last digit.
    """
    first = np.unique(np.round(places, 9), axis=0, return_index=True)[1]
    different: Array = places[np.sort(first)]
    return different


def in_new_territory(places: Array, islands: Islands, dead: Array, reach: float) -> Array:
    """Return those of the places ``(n, d)`` that are farther than `reach` from known valid points, and worth a trial.

    Where a `dead` one is nearer than the valid points, as many trials have failed as there is reason for another.
    """
    gap = islands.gap(places)
    new: Array = places[(gap > reach) & (nearest_distance(places, dead) > np.minimum(gap, reach))]
    return new
