"""A Gaussian process: what interpolates a smooth function best while there are few points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dtrtri
from scipy.optimize import minimize
from torch import Tensor

from rayscan.learn.data import Array

JITTER = 1e-7
LENGTHS = (0.02, 100.0)
NOISE = (1e-6, 1.0)
USUAL_NOISE = math.log(1e-4)
SPREAD_LENGTH, SPREAD_NOISE, SPREAD_MAP = 1.7, 3.0, 0.5
"""Standard deviations of the priors: of lengths and noise in natural logarithms, and of a linear map's entries."""
IDLE = 20.0
"""An input whose length is so many times its half range or more has no say, and is left out."""
FLAT = 0.02
"""A direction of a linear map that stretches its half range to less has none either."""
UNLEARNED = 0.3
"""Error, in units of the values' scatter, above which another search starts from the prior."""
CACHE, ROOM = 200_000, 1 << 26
"""Covariances at a time: as many as fit a processor's cache, for half the time, and a GPU's memory."""
Loss = Callable[[Array, Array, Array], tuple[float, Array]]


class GaussianProcess:
    """Regression of ``m`` functions that share metric and noise, each with its own mean and amplitude.

    Parameters
    ----------
    k : int
        Inputs, in [-1, 1].
    plain : int
        The first inputs of these, which a linear map mixes; all by default.
    sample : int
        Points at most from which metric and noise are learned.

    Attributes
    ----------
    inputs : ndarray of int, shape (i,)
        Those that have a say.
    weights : ndarray, shape (r, i)
        The metric: distances are those of ``weights @ inputs``.
    learned : bool
        Whether leave-one-out errors are small beside the scatter of the values.

    Notes
    -----
    The kernel is Matérn 5/2. Its metric is either one length an input, or a linear map of the plain inputs [3]_: a
    function of few directions, of which none need be an axis, looks like one of all inputs to the first, and the second
    finds the directions. The amplitudes are integrated out where the marginal likelihood is largest, so that only
    metric and noise are searched for. The prior of the lengths is log-normal, wide, and centred on lengths that grow
    with the root of the number of inputs [2]_; that of a map's entries is normal around 0: of tens of inputs, a
    function is believed to depend on few until the points say otherwise.

    References
    ----------
    .. [1] C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press 2006: the marginal
       likelihood and its gradient, Eqs. 5.8 and 5.9; leave-one-out errors, Eq. 5.12.
    .. [2] C. Hvarfner, E. O. Hellsten, L. Nardi, "Vanilla Bayesian optimization performs great in high dimensions",
       ICML 2024, arXiv:2402.02229.
    .. [3] R. Garnett, M. A. Osborne, P. Hennig, "Active learning of linear embeddings for Gaussian processes",
       UAI 2014, arXiv:1310.6740.
    """

    def __init__(self, k: int, plain: int | None = None, sample: int = 400) -> None:
        self.k, self.plain, self.sample = k, plain or k, sample
        self._prior = 0.5 * math.log(k)
        self.theta: Array = np.append(np.full(k, self._prior), USUAL_NOISE)
        self.map: Array = np.empty(0)
        self.x: Array = np.empty((0, k))
        self.mean: Array = np.zeros(0)
        self.coefficients: Array = np.empty((0, 0))
        self.inputs: NDArray[np.int64] = np.arange(k)
        self.weights: Array = np.eye(k)
        self.noise = math.exp(USUAL_NOISE)
        self.learned = False
        self._prepared: dict[torch.device, tuple[Tensor, ...]] = {}

    def fit(self, x: Array, y: Array, iterations: int, rng: np.random.Generator, *, mixing: bool = False) -> Array:
        """Learn metric and noise from a sample of the points, then interpolate all of them.

        Parameters
        ----------
        x : ndarray, shape (n, k)
        y : ndarray, shape (n, m)
            Finite.
        iterations : int
            Of the search, which starts from the last result; 0 keeps the metric as it is.
        rng : numpy Generator
        mixing : bool
            Learn a linear map rather than lengths.

        Returns
        -------
        ndarray, shape (n, m)
            Errors of predicting each point from all others.
        """
        self.mean = y.mean(axis=0)
        scale = np.maximum(y.std(axis=0), 1e-12)
        z = (y - self.mean) / scale
        if iterations:
            chosen = rng.permutation(len(x))[: self.sample]
            if mixing:
                self._search_map(x[chosen, : self.plain], z[chosen], iterations)
            else:
                self._search_lengths(x[chosen], z[chosen], iterations)
        self.x = x[:, self.inputs] @ self.weights.T
        covariance = matern(distance(self.x, self.x))
        covariance[np.diag_indices_from(covariance)] += self.noise + JITTER
        factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, z, check_finite=False)
        self.coefficients = solved * scale
        half, _ = dtrtri(factor[0], lower=1)
        # What stands above the diagonal is left over from the covariance.
        precision = (np.tril(half) ** 2).sum(axis=0)
        missed: Array = solved / precision[:, None]
        self.learned = bool(np.median(np.abs(missed)) < UNLEARNED)
        self._prepared.clear()
        errors: Array = scale * missed
        return errors

    def predict(self, see: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
        """Return the means ``(n, m)`` at points, worked out in single precision: enough here.

        Parameters
        ----------
        see : callable
            From the inputs that have a say ``(i,)`` to their values at the points ``(n, i)``.
        device : torch.device
            Of the points.
        """
        inputs, weights, known, square, coefficients, mean = self._on(device)
        at = see(inputs).float() @ weights.T
        block = max(1, (CACHE if device.type == "cpu" else ROOM) // max(len(known), 1))
        parts = []
        for part in torch.split(at, block):
            r = torch.addmm(square + (part * part).sum(1, keepdim=True), part, known.T, alpha=-2.0)
            r = r.clamp_(min=1e-12).sqrt_()
            if r.requires_grad:
                parts.append(((1 + r + r * r / 3) * torch.exp(-r)) @ coefficients)
                continue
            # In place: for the many points of a walk, memory is what costs.
            rise = torch.mul(r, 1 / 3).add_(1).mul_(r).add_(1)
            parts.append(rise.mul_(r.neg_().exp_()) @ coefficients)
        return mean + torch.cat(parts).double() if parts else mean.expand(0, len(self.mean))

    def _on(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return what predictions need, where they are made."""
        if device not in self._prepared:
            root = math.sqrt(5)
            known = self.x * root
            arrays = (self.weights * root, known, (known**2).sum(axis=1), self.coefficients)
            tensors = [torch.from_numpy(np.ascontiguousarray(each, dtype=np.float32)).to(device) for each in arrays]
            mean = torch.from_numpy(np.asarray(self.mean)).to(device)
            self._prepared[device] = (torch.from_numpy(self.inputs).to(device), *tensors, mean)
        return self._prepared[device]

    def _search_lengths(self, x: Array, z: Array, iterations: int) -> None:
        bounds = [tuple(np.log(LENGTHS))] * self.k + [tuple(np.log(NOISE))]
        starts = [self.theta]
        if not self.learned:
            # What looks like noise may be a search that went astray among many inputs.
            starts.append(np.append(np.full(self.k, self._prior + math.log(4)), USUAL_NOISE))
        self.theta = _best(self._loss_of_lengths, starts, bounds, (x, z), iterations)
        order = np.argsort(self.theta[:-1], kind="stable")
        heard = order[np.exp(self.theta[order]) < IDLE]
        self.inputs = heard if len(heard) else order[:1]
        self.weights, self.noise = np.diag(np.exp(-self.theta[self.inputs])), math.exp(self.theta[-1])

    def _search_map(self, x: Array, z: Array, iterations: int) -> None:
        if not len(self.map):
            self.map = np.append(np.diag(np.exp(-np.minimum(self.theta[: self.plain], 3.0))).ravel(), self.theta[-1])
        bounds = [(-1 / LENGTHS[0], 1 / LENGTHS[0])] * (len(self.map) - 1) + [tuple(np.log(NOISE))]
        self.map = _best(self._loss_of_map, [self.map], bounds, (x, z), iterations)
        _, stretch, directions = np.linalg.svd(self.map[:-1].reshape(self.plain, self.plain))
        kept = max(int((stretch > FLAT).sum()), 1)
        self.inputs = np.arange(self.plain)
        self.weights, self.noise = stretch[:kept, None] * directions[:kept], math.exp(self.map[-1])

    def _loss_of_lengths(self, theta: Array, x: Array, z: Array) -> tuple[float, Array]:
        """Return minus the logarithm of marginal likelihood and prior, and its gradient."""
        scaled = x / np.exp(theta[:-1])
        loss, slope, of_noise = _evidence(scaled, z, math.exp(theta[-1]))
        offset = np.append((theta[:-1] - self._prior) / SPREAD_LENGTH, (theta[-1] - USUAL_NOISE) / SPREAD_NOISE)
        gradient = np.empty_like(theta)
        # Σ w_ij (x_i - x_j)² without a matrix of differences for each input.
        gradient[:-1] = slope.sum(axis=1) @ scaled**2 - np.einsum("ik,ik->k", scaled, slope @ scaled)
        gradient[-1] = of_noise
        gradient += offset / np.append(np.full(self.k, SPREAD_LENGTH), SPREAD_NOISE)
        return loss + 0.5 * float((offset**2).sum()), gradient

    def _loss_of_map(self, parameters: Array, x: Array, z: Array) -> tuple[float, Array]:
        mixed = parameters[:-1].reshape(self.plain, self.plain)
        loss, slope, of_noise = _evidence(x @ mixed.T, z, math.exp(parameters[-1]))
        scatter = (x * slope.sum(axis=1)[:, None]).T @ x - x.T @ (slope @ x)
        off = (parameters[-1] - USUAL_NOISE) / SPREAD_NOISE
        gradient = np.append((mixed / SPREAD_MAP**2 - mixed @ scatter).ravel(), of_noise + off / SPREAD_NOISE)
        return loss + 0.5 * float((mixed**2).sum() / SPREAD_MAP**2 + off**2), gradient

    def state_dict(self) -> dict[str, Any]:
        """Return metric, noise and the interpolation."""
        arrays = {name: getattr(self, name) for name in ("theta", "map", "x", "mean", "coefficients", "weights")}
        return {**arrays, "inputs": self.inputs, "noise": self.noise, "learned": self.learned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        for name in ("theta", "map", "x", "mean", "coefficients", "weights"):
            setattr(self, name, np.array(state[name], dtype=np.float64))
        self.inputs = np.array(state["inputs"], dtype=np.int64)
        self.noise, self.learned = float(state["noise"]), bool(state["learned"])
        self._prepared.clear()


def _best(loss: Loss, starts: list[Array], bounds: list[Any], data: tuple[Array, Array], iterations: int) -> Array:
    """Return the parameters with the least loss that searches from some starts find."""
    found = [
        minimize(loss, start, data, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": iterations})
        for start in starts
    ]
    return np.asarray(min(found, key=lambda each: float(each.fun)).x)


def _evidence(scaled: Array, z: Array, noise: float) -> tuple[float, Array, float]:
    """Return minus the log marginal likelihood of points ``(n, r)``, its slopes ``(n, n)``, and that of the log noise.

    A slope is that along half a squared distance, with the opposite sign: half the trace of it with dA, Eq. 5.9.
    """
    n, m = z.shape
    r = distance(scaled, scaled)
    decay = np.exp(-r)
    a = (1 + r + r * r / 3) * decay
    a[np.diag_indices(n)] += noise + JITTER
    try:
        factor = cho_factor(a, lower=True, check_finite=False)
    except LinAlgError:
        return 1e10, np.zeros((n, n)), 0.0
    solved = cho_solve(factor, z, check_finite=False)
    inverse = cho_solve(factor, np.eye(n), check_finite=False)
    variance = np.maximum((z * solved).mean(axis=0), 1e-12)
    loss = n / 2 * np.log(variance).sum() + m * np.log(np.diagonal(factor[0])).sum()
    weight = m * inverse - (solved / variance) @ solved.T
    return float(loss), weight * (5 / 3 * (1 + r) * decay), 0.5 * noise * float(np.trace(weight))


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
