"""What a Gaussian process makes of bare labels: the best guess while there are few points."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import KDTree
from torch import Tensor

from rayscan.learn.data import Array
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import GaussianProcess

INSIDE, RIM, OTHERS = 550, 500, 200
"""Points that are interpolated at most: valid ones, those out of target nearest to them, and any others."""
FIRST_SEARCH, SEARCH = 20, 5
"""Iterations of the search for lengths and noise."""
FEWEST = 20
STEEPEST, FLATTEST = 20.0, 0.5
"""Bounds of the sigmoid's slope."""


class LabelProcess:
    """Least-squares classification by a Gaussian process, calibrated on its own leave-one-out predictions.

    Parameters
    ----------
    features : Features

    Attributes
    ----------
    trained_on : int
        Points known at the last training; 0 while labels of both kinds are missing.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, section 6.5:
       least-squares classification, and a sigmoid of leave-one-out predictions.
    """

    def __init__(self, features: Features) -> None:
        self.features = features
        self._process = GaussianProcess(features.k)
        self._sigmoid = np.array([0.0, 4.0])
        self.trained_on = 0

    def train(self, u: Array, label: Array, rng: np.random.Generator) -> None:
        """Interpolate the labels ``(n,)`` of points ``(n, d)``: 1 valid, 0 not, NaN unknown."""
        chosen = _sample(u, label, rng)
        if len(chosen) < FEWEST:
            self.trained_on = 0
            return
        sign = 2 * label[chosen] - 1
        search = SEARCH if self.trained_on else FIRST_SEARCH
        missed = self._process.fit(self.features(torch.from_numpy(u[chosen])).numpy(), sign[:, None], search, rng)
        self._sigmoid = _calibrated(self._sigmoid, sign - missed[:, 0], sign)
        self.trained_on = len(u)

    def logit(self, u: Array) -> Array:
        """Return the logit ``(n,)`` of the probability that points ``(n, d)`` are valid."""
        offset, slope = self._sigmoid
        return np.asarray(offset + slope * self._predict(torch.from_numpy(u)))

    def _predict(self, u: Tensor) -> Array:
        return self._process.predict(functools.partial(self.features, u), u.device)[:, 0].numpy()

    def state_dict(self) -> dict[str, Any]:
        """Return the interpolation."""
        return {"process": self._process.state_dict(), "sigmoid": self._sigmoid, "trained_on": self.trained_on}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self._process.load_state_dict(state["process"])
        self._sigmoid, self.trained_on = np.array(state["sigmoid"], dtype=np.float64), int(state["trained_on"])


def _sample(u: Array, label: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the points to interpolate; none unless there are labels of both kinds."""
    inside, outside = rng.permutation(np.flatnonzero(label == 1))[:INSIDE], np.flatnonzero(label == 0)
    if not len(inside) or not len(outside):
        return np.empty(0, dtype=np.int64)
    gap, _ = KDTree(u[inside]).query(u[outside])
    nearest_first = outside[np.argsort(gap, kind="stable")]
    room = INSIDE + RIM + OTHERS - len(inside) - len(nearest_first[:RIM])
    return np.concatenate([inside, nearest_first[:RIM], rng.permutation(nearest_first[RIM:])[:room]])


def _calibrated(start: Array, predicted: Array, sign: Array) -> Array:
    """Return offset and slope of the sigmoid that makes predictions ``(n,)`` probabilities of the signs ``(n,)``."""

    def loss(sigmoid: Array) -> float:
        return float(np.logaddexp(0, -sign * (sigmoid[0] + sigmoid[1] * predicted)).mean() + 1e-4 * (sigmoid**2).sum())

    bounds = [(-STEEPEST, STEEPEST), (FLATTEST, STEEPEST)]
    return np.asarray(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)
