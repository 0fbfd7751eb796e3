"""How much of the valid volume nobody knows of yet, as uniform points show."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array

MOST = 0.5
DOUBT = 3.0
"""Hits that what was believed before any of them counts for."""
FORGET = 0.9
"""What is left of all that was seen before, after one more hit: time alone says nothing of what is missed."""
UNSEEN = 0.1
"""Probability below which a point that turns out valid is a surprise."""
IGNORED = 0.3
"""The share of missed volume that asks for nothing."""
RARE = 2e-3
"""Rate of hits below which exploring pays less and less."""


class Exploration:
    """The share of points that should be drawn blindly, beyond what the user asked for.

    A uniform point that turns out valid where the surrogate gave it little chance is evidence of missed volume. As long
    as most hits come as a surprise, blind points find more of what is missing than guided ones do, most of all where
    only labels are known: a classifier knows nothing of an island in which it has seen no point.

    Parameters
    ----------
    belief : float
        The share of the valid volume that the surrogate is believed to miss before there is evidence.

    Attributes
    ----------
    drawn, hits, surprise : float
        Uniform points, valid ones among them, and those of these that came as a surprise; all fade with each hit.
    """

    def __init__(self, belief: float) -> None:
        self.belief = belief
        self.drawn = self.hits = self.surprise = 0.0

    @property
    def share(self) -> float:
        """Of the points that are not blind anyway."""
        missed = (self.surprise + DOUBT * self.belief) / (self.hits + DOUBT)
        rate = (self.hits + 0.5) / (self.drawn + 100.0)
        return float(MOST * np.clip((missed - IGNORED) / (1 - IGNORED), 0.0, 1.0) * min(1.0, rate / RARE))

    def learn(self, drawn: int, score: Array, outside: NDArray[np.bool_]) -> None:
        """Take a batch of uniform points.

        Parameters
        ----------
        drawn : int
            How many there were.
        score : ndarray, shape (k,)
            The probability that was given to each of those that turned out valid.
        outside : ndarray of bool, shape (k,)
            Whether it lies far from all known valid points. What is just beyond their rim is reached from there.
        """
        if drawn:
            fade = FORGET ** len(score)
            self.drawn = fade * self.drawn + drawn
            self.hits = fade * self.hits + len(score)
            self.surprise = fade * self.surprise + int((outside & (score < UNSEEN)).sum())

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"drawn": self.drawn, "hits": self.hits, "surprise": self.surprise}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.drawn, self.hits, self.surprise = (float(state[name]) for name in ("drawn", "hits", "surprise"))
