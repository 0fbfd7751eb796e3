"""Short climbs from where a place is doubted to where, close by, it is believed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.moves.trials import in_cube

LogDensity = Callable[[Array], Array]
Inside = Callable[[Array], NDArray[np.bool_]]

STEPS = 12
SHORTEST = 0.1
"""Of the lengths of steps, in units of the longest way."""


def climbed(
    places: Array,
    log_p: LogDensity,
    enough: float,
    reach: float,
    rng: np.random.Generator,
    inside: Inside = in_cube,
) -> Array:
    """Return places ``(n, d)``, each moved by steps at random that make it surer, until it is sure enough.

    What is learned from bare labels blurs a thin region: it is doubted all over, and believed nowhere near as much as
    it should be along its middle. Of two places that are doubted alike, the one that is surer than all around it is
    valid several times as often.

    Parameters
    ----------
    places : ndarray, shape (n, d)
    log_p : callable
        The logarithm of the probability of being valid.
    enough : float
        That from which on a place stays where it is.
    reach : float
        How far from where it was a place may end.
    rng : numpy Generator
    inside : callable
        Which places ``(n, d)`` may be taken ``(n,)``: all of the unit cube by default.
    """
    u, level = places.copy(), log_p(places)
    d = places.shape[1]
    for _ in range(STEPS):
        doubted = np.flatnonzero(level < enough)
        if not len(doubted):
            break
        length = reach * np.exp(rng.uniform(np.log(SHORTEST), 0.0, len(doubted)))
        trial = u[doubted] + rng.normal(size=(len(doubted), d)) * (length / np.sqrt(d))[:, None]
        allowed = inside(trial) & (np.linalg.norm(trial - places[doubted], axis=1) <= reach)
        doubted, trial = doubted[allowed], trial[allowed]
        if not len(trial):
            continue
        surer = log_p(trial)
        better = surer > level[doubted]
        u[doubted[better]], level[doubted[better]] = trial[better], surer[better]
    return u
