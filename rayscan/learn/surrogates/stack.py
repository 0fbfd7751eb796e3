"""Several opinions on whether points are valid, each heard by its record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rayscan.learn.data import Array

SUREST = 8.0
"""Logit at which all certainty is the same."""
TINY = 1e-12
"""Least difference of a probability from 0 and 1."""
RECENT = 1500
"""Points whose labels opinions are judged by."""
TRUST, DOUBT = 15.0, 0.5
"""How firmly weights are held at equal ones, and the offset at none, in units of log-likelihood."""
HEAVIEST = 2.0


class Stack:
    """Weighs logits by a logistic regression on what was said of recent points before they were evaluated.

    Parameters
    ----------
    opinions : int

    Attributes
    ----------
    weight : ndarray, shape (opinions,)
    offset : float
        Of the logit; negative where too much was promised.

    References
    ----------
    .. [1] D. H. Wolpert, Neural Networks 5 (1992) 241: stacked generalisation.
    """

    def __init__(self, opinions: int) -> None:
        self.opinions = opinions
        self.weight, self.offset = np.full(opinions, 1 / opinions), 0.0
        self._said, self._valid = np.empty((0, opinions)), np.empty(0, dtype=np.bool_)

    def learn(self, said: Array, valid: NDArray[np.bool_]) -> None:
        """Note the logits ``(n, opinions)`` that were given to points, and whether they are valid."""
        self._said = np.concatenate([self._said, said])[-RECENT:]
        self._valid = np.concatenate([self._valid, valid])[-RECENT:]

    def logit(self, said: Array) -> Array:
        """Return the joint logit ``(n,)`` of logits ``(n, opinions)``."""
        joint: Array = self.offset + said @ self.weight
        return joint

    def weigh(self) -> None:
        """Choose the weights and the offset that make the record most likely."""
        equal = np.full(self.opinions, 1 / self.opinions)
        sign = 2.0 * self._valid - 1

        def loss(parameters: Array) -> tuple[float, Array]:
            offset, weight = parameters[0], parameters[1:]
            margin = sign * (offset + self._said @ weight)
            slope = -sign / (1 + np.exp(margin))
            penalty = TRUST * ((weight - equal) ** 2).sum() + DOUBT * offset**2
            gradient = np.concatenate([[slope.sum()], slope @ self._said])
            held = 2 * np.concatenate([[DOUBT * offset], TRUST * (weight - equal)])
            return float(np.logaddexp(0, -margin).sum() + penalty), gradient + held

        bounds = [(-SUREST, SUREST), *[(0.0, HEAVIEST)] * self.opinions]
        best = minimize(loss, np.concatenate([[0.0], equal]), jac=True, method="L-BFGS-B", bounds=bounds).x
        self.offset, self.weight = float(best[0]), best[1:]

    def state_dict(self) -> dict[str, Any]:
        """Return the weights and the record."""
        return {"weight": self.weight, "offset": self.offset, "record": [self._said, self._valid]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.weight, self.offset = np.array(state["weight"], dtype=np.float64), float(state["offset"])
        said, valid = state["record"]
        self._said, self._valid = np.array(said, dtype=np.float64), np.array(valid, dtype=np.bool_)


def logit_of(log_p: Array) -> Array:
    """Return finite logits of probabilities, given their logarithms."""
    return np.asarray(log_p - np.log(-np.expm1(np.minimum(log_p, -TINY))))


def bounded(logit: Array) -> Array:
    """Return logits within what can be told apart."""
    return np.clip(logit, -SUREST, SUREST)
