"""What stands in for the programs: learns from evaluated points which others are good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.paper.lesson import Lesson


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a surrogate thinks of ``n`` points.

    Attributes
    ----------
    score : ndarray, shape (n,)
        Probability of being good (classifiers) or predicted likelihood (regressors), in [0, 1].
    merit : ndarray, shape (n,)
        Orders points from worst to best also where the score is 0 or 1 to the last digit.
    sure : ndarray of bool, shape (n,)
        Taken for good: a probability above `LearnOptions.confident`, or predicted observables that are in target.
    """

    score: Array
    merit: Array
    sure: NDArray[np.bool_]


class Surrogate(Protocol):
    """A network that learns from evaluated points which others are good."""

    @property
    def ready(self) -> bool:
        """Whether it has learnt anything yet."""

    def fit(self, lesson: Lesson, seed: int) -> None:
        """Learn, starting from what is already known. A lesson with nothing to tell apart changes nothing."""

    def predict(self, u: Array) -> Prediction:
        """Predict points ``(n, d)`` of the unit cube."""

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain types."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
