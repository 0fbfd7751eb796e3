"""A trained network with the face that scripts for DLScanner expect, and how well it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rayscan.learn.data import Rows
    from rayscan.learn.paper.surrogate import Surrogate

Array = NDArray[np.float64]
_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1, that one sure mistake does not make the mean loss infinite."""


@dataclass(frozen=True)
class History:
    """What a training achieved.

    Attributes
    ----------
    history : dict
        ``"loss"``: on the points of that training, with the network of the training before, if any, and with the new.
    """

    history: dict[str, list[float]]


class Values(np.ndarray[Any, np.dtype[np.float64]]):
    """An array that also answers to ``numpy()``, as tensors do."""

    def numpy(self) -> Array:
        """Return a plain array."""
        return np.asarray(self)


class Model:
    """A network as a function of points ``(n, ndim)`` in the units of the limits.

    A classifier gives the probability of being in target, a regressor the function's value; both ``(n, 1)``.

    Parameters
    ----------
    surrogate : Surrogate
    limits : ndarray, shape (ndim, 2)
    """

    def __init__(self, surrogate: Surrogate, limits: Array) -> None:
        self.surrogate = surrogate
        self.limits = limits

    @property
    def ready(self) -> bool:
        """Whether there was anything to learn from yet: points in target and points out of it."""
        return self.surrogate.ready

    def __call__(self, x: Any) -> Values:
        """Return the network's answer at points."""
        points = np.asarray(x, dtype=np.float64).reshape(-1, len(self.limits))
        u = (points - self.limits[:, 0]) / np.ptp(self.limits, axis=1)
        values: Values = answers(self.surrogate, u)[:, None].view(Values)
        return values

    def predict(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Array:  # noqa: ARG002 - as expected
        """Return the same as a plain array."""
        return self(x).numpy()


def answers(surrogate: Surrogate, u: Array) -> Array:
    """Return probabilities, or a regressor's values, at points ``(n, d)`` of the unit cube."""
    from rayscan.learn.paper.networks import MLPRegressor

    if isinstance(surrogate, MLPRegressor):
        # The value itself: predict() would say how likely it is to be in target.
        scaled = np.clip(surrogate.outputs(u)[:, 0], -50.0, 50.0)
        return np.asarray(surrogate.centre[0] + surrogate.scale[0] * np.sinh(scaled), dtype=np.float64)
    return surrogate.predict(u).score


def losses(surrogate: Surrogate, rows: Rows) -> float:
    """Return the mean cross-entropy of a classifier, or the mean absolute error of a regressor, on evaluated points."""
    from rayscan.learn.paper.networks import MLPRegressor

    found = answers(surrogate, rows.u)
    if isinstance(surrogate, MLPRegressor):
        there = np.isfinite(rows.observables[:, 0])
        return float(np.abs(found - rows.observables[:, 0])[there].mean()) if there.any() else float("nan")
    p = np.clip(np.where(rows.valid, found, 1.0 - found), _LEAST, 1.0)
    return float(-np.log(p).mean()) if len(p) else float("nan")
