"""What kinds of moves have been worth lately."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FORGET = 0.7
"""What an earlier trial still counts for after each later batch of them."""


class Record:
    """How many trials there were lately, and how many of them found something.

    Parameters
    ----------
    tried, found : float
        To begin with.
    prior : tuple of float
        Trials and finds that never fade.
    """

    def __init__(self, tried: float, found: float, prior: tuple[float, float] = (0.0, 0.0)) -> None:
        self.tried, self.found, self._prior = tried, found, prior

    @property
    def rate(self) -> float:
        """Finds per trial."""
        return self.found / self.tried

    def learn(self, found: NDArray[np.bool_]) -> None:
        """Let old trials fade and count a batch of new ones by whether they found something; do nothing for none."""
        if len(found):
            self.fade()
            self.add(len(found), float(found.sum()))

    def fade(self) -> None:
        """Count for less what there was so far."""
        tried, found = self._prior
        self.tried, self.found = tried + FORGET * (self.tried - tried), found + FORGET * (self.found - found)

    def add(self, tried: float, found: float) -> None:
        """Count new trials."""
        self.tried, self.found = self.tried + tried, self.found + found

    def state_dict(self) -> list[float]:
        """Return the counts."""
        return [self.tried, self.found]

    def load_state_dict(self, state: list[float]) -> None:
        """Return to a state."""
        self.tried, self.found = map(float, state)
