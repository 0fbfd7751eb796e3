"""Quadratic response surfaces: exact where an observable is a polynomial of second degree, however many dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from rayscan.learn.data import Array

ENOUGH, MOST = 1.2, 6
"""Points for each coefficient: fewer teach nothing, and more are not needed."""
RIDGE = 1e-8
"""Of the coefficients, in units of the mean square of their inputs."""


class ResponseSurface:
    """A polynomial of second degree for each observable, by least squares [1]_.

    Squared masses, rates and distances are often close to quadratic in couplings and masses. In many dimensions, a
    surface needs fewer points than a kernel or a network to know how its curvatures add up: d (d + 3) / 2 coefficients.

    Parameters
    ----------
    d, outputs : int

    Attributes
    ----------
    trained_on : ndarray of int, shape (outputs,)
        How many points were known when each surface learned, 0 where it has not.

    References
    ----------
    .. [1] G. E. P. Box, K. B. Wilson, J. R. Stat. Soc. B 13 (1951) 1.
    """

    def __init__(self, d: int, outputs: int) -> None:
        self.d = d
        self._rows, self._columns = np.triu_indices(d)
        self.coefficients: Array = np.zeros((1 + d + len(self._rows), outputs))
        self.trained_on = np.zeros(outputs, dtype=np.int64)

    def train(
        self, u: Array, t: Array, near: NDArray[np.int64], which: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        """Fit the surfaces of `which` observables, most of all where these are near the target.

        Parameters
        ----------
        u : ndarray, shape (n, d)
        t : ndarray, shape (n, outputs)
            Scaled observables, NaN where missing.
        near : ndarray of int
            The points nearest the target.
        which : ndarray of int
        rng : numpy Generator
        """
        p = len(self.coefficients)
        some = rng.permutation(len(u))[: MOST * p]
        some = np.unique(np.concatenate([some, rng.permutation(near)[: MOST * p // 2]]))
        x = self._inputs(torch.from_numpy(u[some])).numpy() if len(some) >= ENOUGH * p else None
        for j in which:
            known = np.isfinite(t[some, j])
            if x is None or known.sum() < ENOUGH * p:
                continue
            distance = np.sinh(np.clip(t[some, j][known], -40, 40))
            typical = max(float(np.median(np.abs(distance))), 1.0)
            weight = 1 / np.hypot(1.0, distance / typical)
            seen = x[known] * weight[:, None]
            gram = seen.T @ seen
            gram[np.diag_indices(p)] *= 1 + RIDGE
            gram[np.diag_indices(p)] += 1e-12 * np.trace(gram) / p
            self.coefficients[:, j] = cho_solve(cho_factor(gram), seen.T @ (weight * distance))
            self.trained_on[j] = len(u)

    def _inputs(self, u: Tensor) -> Tensor:
        x = 2 * u - 1
        return torch.cat([torch.ones_like(x[:, :1]), x, x[:, self._rows] * x[:, self._columns]], dim=1)

    def predict(self, u: Tensor, outputs: list[int]) -> Tensor:
        """Return some of the observables ``(n, len(outputs))`` in the scale of the last training or `rescale`."""
        coefficients = torch.as_tensor(self.coefficients[:, outputs], device=u.device)
        x, d = 2 * u - 1, self.d
        answer = coefficients[0] + x @ coefficients[1 : d + 1]
        form = torch.zeros((len(outputs), d, d), dtype=u.dtype, device=u.device)
        form[:, self._rows, self._columns] = coefficients[d + 1 :].T
        return torch.asinh(answer + torch.einsum("ni,kij,nj->nk", x, form, x))

    def rescale(self, factor: Array) -> None:
        """Predict in a new scale, old over new ``(outputs,)``, until the next training."""
        self.coefficients = self.coefficients * factor

    def state_dict(self) -> dict[str, Any]:
        """Return the surfaces."""
        return {"coefficients": self.coefficients, "trained_on": self.trained_on}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.coefficients = np.array(state["coefficients"], dtype=np.float64)
        self.trained_on = np.array(state["trained_on"], dtype=np.int64)
