"""A Gaussian process: what interpolates a smooth function best while there are few points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dtrtri
from scipy.optimize import minimize

from rayscan.learn.data import Array

JITTER = 1e-7
LENGTHS = (0.02, 20.0)
NOISE = (1e-6, 1.0)
STATE = ("theta", "x", "mean", "coefficients")
SPREAD_LENGTH, SPREAD_NOISE = 1.0, 3.0
"""Standard deviations of the priors, in natural logarithms."""
BLOCK = 256
"""Places at a time: their covariances with a few thousand points fit a processor's cache, for half the time."""


class GaussianProcess:
    """Regression of ``m`` functions that share lengths and noise, each with its own mean and amplitude.

    Parameters
    ----------
    k : int
        Inputs.
    sample : int
        Points at most from which lengths and noise are learned.

    Notes
    -----
    The kernel is Matérn 5/2 with one length an input. The amplitudes are integrated out where the marginal likelihood
    is largest, so that only lengths and noise are searched for, with log-normal priors that keep an input without
    influence from drifting off.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006: the marginal
       likelihood and its gradient, Eqs. 5.8 and 5.9; leave-one-out errors, Eq. 5.12.
    """

    def __init__(self, k: int, sample: int = 400) -> None:
        self.k, self.sample = k, sample
        self._prior = math.log(0.2 * math.sqrt(k))
        self.theta: Array = np.append(np.full(k, self._prior), math.log(1e-4))
        self.x: Array = np.empty((0, k))
        self.mean: Array = np.zeros(0)
        self.coefficients: Array = np.empty((0, 0))

    def fit(self, x: Array, y: Array, iterations: int, rng: np.random.Generator) -> Array:
        """Learn lengths and noise from a sample of the points, then interpolate all of them.

        Parameters
        ----------
        x : ndarray, shape (n, k)
        y : ndarray, shape (n, m)
            Finite.
        iterations : int
            Of the search, which starts from the last result.
        rng : numpy Generator

        Returns
        -------
        ndarray, shape (n, m)
            Errors of predicting each point from all others.
        """
        self.mean = y.mean(axis=0)
        scale = np.maximum(y.std(axis=0), 1e-12)
        z = (y - self.mean) / scale
        chosen = rng.permutation(len(x))[: self.sample]
        self._search(x[chosen], z[chosen], iterations)
        self.x = x
        factor = cho_factor(self._covariance(x), lower=True, overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, z, check_finite=False)
        self.coefficients = solved * scale
        half, _ = dtrtri(factor[0], lower=1)
        # What stands above the diagonal is left over from the covariance.
        precision = (np.tril(half) ** 2).sum(axis=0)
        return np.asarray(scale * solved / precision[:, None])

    def predict(self, x: Array) -> Array:
        """Return the means ``(n, m)`` at points ``(n, k)``, in single precision: four times faster, and enough here."""
        lengths = np.exp(self.theta[:-1])
        known, at = (self.x / lengths).astype(np.float32), (x / lengths).astype(np.float32)
        weight = self.coefficients.astype(np.float32)
        parts = [matern(distance(at[start : start + BLOCK], known)) @ weight for start in range(0, len(x), BLOCK)]
        return np.asarray(self.mean + np.concatenate([np.empty((0, len(self.mean))), *parts]))

    def _covariance(self, x: Array) -> Array:
        covariance = matern(distance(x / np.exp(self.theta[:-1]), x / np.exp(self.theta[:-1])))
        covariance[np.diag_indices_from(covariance)] += math.exp(self.theta[-1]) + JITTER
        return covariance

    def _search(self, x: Array, z: Array, iterations: int) -> None:
        bounds = [tuple(np.log(LENGTHS))] * self.k + [tuple(np.log(NOISE))]
        found = minimize(
            self._loss, self.theta, (x, z), method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": iterations}
        )
        self.theta = np.asarray(found.x)

    def _loss(self, theta: Array, x: Array, z: Array) -> tuple[float, Array]:
        """Return minus the logarithm of marginal likelihood and prior, and its gradient."""
        n, m = z.shape
        scaled = x / np.exp(theta[:-1])
        r = distance(scaled, scaled)
        decay = np.exp(-r)
        noise = math.exp(theta[-1])
        a = (1 + r + r * r / 3) * decay
        a[np.diag_indices(n)] += noise + JITTER
        try:
            factor = cho_factor(a, lower=True, check_finite=False)
        except LinAlgError:
            return 1e10, np.zeros_like(theta)
        solved = cho_solve(factor, z, check_finite=False)
        inverse = cho_solve(factor, np.eye(n), check_finite=False)
        variance = np.maximum((z * solved).mean(axis=0), 1e-12)
        offset = np.append((theta[:-1] - self._prior) / SPREAD_LENGTH, (theta[-1] - math.log(1e-4)) / SPREAD_NOISE)
        loss = n / 2 * np.log(variance).sum() + m * np.log(np.diagonal(factor[0])).sum() + 0.5 * (offset**2).sum()
        # Half the trace of this with dA is the slope along each parameter (Eq. 5.9).
        weight = m * inverse - (solved / variance) @ solved.T
        slope = weight * (5 / 3 * (1 + r) * decay)
        rows = slope.sum(axis=1)
        gradient = np.empty_like(theta)
        # Σ w_ij (x_i - x_j)² without a matrix of differences for each input.
        gradient[:-1] = rows @ scaled**2 - np.einsum("ik,ik->k", scaled, slope @ scaled)
        gradient[-1] = 0.5 * noise * np.trace(weight)
        gradient += offset / np.append(np.full(self.k, SPREAD_LENGTH), SPREAD_NOISE)
        return float(loss), gradient

    def state_dict(self) -> dict[str, Any]:
        """Return lengths, noise and the interpolation."""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        for name in STATE:
            setattr(self, name, np.array(state[name], dtype=np.float64))


def distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return √5 times the distances ``(..., n, p)`` of scaled points ``(..., n, k)`` and ``(..., p, k)``."""
    squared = (a * a).sum(axis=-1)[..., None] + (b * b).sum(axis=-1)[..., None, :] - 2 * a @ b.swapaxes(-1, -2)
    np.maximum(squared, 0, out=squared)
    squared *= 5
    return np.asarray(np.sqrt(squared, out=squared))


def matern(r: NDArray[Any]) -> NDArray[Any]:
    """Turn distances into covariances, in place: for the many points of a walk, memory is what costs."""
    decay = np.exp(-r)
    r *= 1 + r / 3
    r += 1
    r *= decay
    return r
