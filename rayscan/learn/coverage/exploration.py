"""How much of the valid volume nobody knows of yet, as uniform points show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.islands import Islands

MOST = 0.5
DOUBT = 3.0
"""Hits that what was believed before any of them counts for."""
UNSEEN = 0.1
"""Probability below which a point that turns out valid is a surprise."""
IGNORED = 0.3
"""The share of missed volume that asks for nothing."""
RARE = 2e-3
"""Rate of hits below which exploring pays less and less."""
RECENT = 1000
"""Hits by which missed volume is told."""


class Exploration:
    """The share of points that should be drawn blindly, beyond what the user asked for.

    A uniform point that turns out valid, far from all known valid points and where the surrogate gave it little chance,
    is a surprise, and tells of missed volume until another one hits the same island. As species that were seen once
    tell of those unseen [1]_, the share of the hits that remain surprises is about the share of the volume that nobody
    knows of yet. As long as that is most of it, blind points find more of it than guided ones do, above all where only
    labels are known: a classifier knows nothing of an island in which it has seen no point.

    Parameters
    ----------
    d : int
    belief : float
        The share of the valid volume that the surrogate is believed to miss before there is evidence.

    Attributes
    ----------
    drawn, hits : int
        Uniform points, and valid ones among them.
    surprises : int
        Of the latest hits, those that remain surprises.

    References
    ----------
    .. [1] I. J. Good, Biometrika 40 (1953) 237.
    """

    def __init__(self, d: int, belief: float) -> None:
        self.belief = belief
        self.drawn = self.hits = self.surprises = 0
        self._hit, self._surprising = np.empty((0, d)), np.empty(0, dtype=np.bool_)

    @property
    def share(self) -> float:
        """Of the points that are not blind anyway."""
        missed = (self.surprises + DOUBT * self.belief) / (len(self._hit) + DOUBT)
        rate = (self.hits + 0.5) / (self.drawn + 100.0)
        return float(MOST * np.clip((missed - IGNORED) / (1 - IGNORED), 0.0, 1.0) * min(1.0, rate / RARE))

    def learn(self, drawn: int, hit: Array, score: Array, outside: NDArray[np.bool_]) -> None:
        """Take a batch of uniform points.

        Parameters
        ----------
        drawn : int
            How many there were.
        hit : ndarray, shape (k, d)
            Those that turned out valid.
        score : ndarray, shape (k,)
            The probability that was given to each of them.
        outside : ndarray of bool, shape (k,)
            Whether it lies far from all known valid points. What is just beyond their rim is reached from there.
        """
        self.drawn += drawn
        self.hits += len(hit)
        surprising = outside & (score < UNSEEN)
        self.surprises += int(surprising.sum())
        self._hit = np.concatenate([self._hit, hit])[-RECENT:]
        self._surprising = np.concatenate([self._surprising, surprising])[-RECENT:]

    def survey(self, islands: Islands) -> None:
        """Count the surprises on islands that have been hit once."""
        self.surprises = 0
        if self._surprising.any():
            island = islands.of(self._hit)
            again = np.bincount(island + 1)[island + 1] > 1
            self.surprises = int((self._surprising & ~(again & (island >= 0))).sum())

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and the latest hits."""
        counts = [self.drawn, self.hits, self.surprises]
        return {"counts": counts, "hit": self._hit, "surprising": self._surprising}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.drawn, self.hits, self.surprises = map(int, state["counts"])
        self._hit = np.array(state["hit"], dtype=np.float64)
        self._surprising = np.array(state["surprising"], dtype=np.bool_)
