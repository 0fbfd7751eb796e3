"""A Gaussian process through the few known points nearest each place: all that is known, where it matters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from scipy.spatial import KDTree

from rayscan.learn.data import Array
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import JITTER, distance, matern

BLOCK = 256
"""Places at a time."""
NEIGHBOURS = 40
COARSE = 1.0
"""A neighbour may lie farther off than one that is not taken, by this share: in many dimensions found several times
faster, and predictions are as good."""


class Nearby:
    """Interpolates functions at each place from its `NEIGHBOURS` nearest points alone.

    A process through all points would cost the cube of their number, one through a sample of them knows less the more
    there are. The amplitude is the neighbours' own, so that the width follows how rough the functions are there.

    Parameters
    ----------
    u : ndarray, shape (n, d)
        More than `NEIGHBOURS`.
    values : ndarray, shape (n, m)
        Finite.
    weights : ndarray, shape (r, k)
        The metric, on `Features`, as of a `GaussianProcess`.
    noise : float

    References
    ----------
    .. [1] R. B. Gramacy, D. W. Apley, J. Comput. Graph. Stat. 24 (2015) 561: local Gaussian processes, here through the
       nearest neighbours.
    """

    def __init__(self, features: Features, u: Array, values: Array, weights: Array, noise: float) -> None:
        self.features = features
        self.u, self.values, self.weights, self.noise = u, values, weights, noise
        self._tree = KDTree(self._inputs(u))

    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return means and standard deviations ``(n, m)`` at places ``(n, d)``."""
        blocks = [u[start : start + BLOCK] for start in range(0, len(u), BLOCK)] or [u]
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            answers = list(threads.map(self._block, blocks))
        mean, deviation = (np.concatenate(part) for part in zip(*answers, strict=True))
        return mean, deviation

    def _block(self, u: Array) -> tuple[Array, Array]:
        at = self._inputs(u)
        _, near = self._tree.query(at, k=NEIGHBOURS, eps=COARSE)
        known, z = self._tree.data[near], self.values[near]
        middle = z.mean(axis=1, keepdims=True)
        covariance = matern(distance(known, known))
        covariance[:, np.arange(NEIGHBOURS), np.arange(NEIGHBOURS)] += self.noise + 10 * JITTER
        to = matern(distance(at[:, None], known))[:, 0]
        solved = np.linalg.solve(covariance, np.concatenate([to[..., None], z - middle], axis=-1))
        weight, alpha = solved[..., 0], solved[..., 1:]
        mean = middle[:, 0] + np.einsum("nk,nkm->nm", weight, z - middle)
        unexplained = np.maximum(1 - (weight * to).sum(axis=1), 0.0)
        amplitude = np.maximum(((z - middle) * alpha).mean(axis=1), 0.0)
        return mean, np.sqrt(unexplained[:, None] * amplitude)

    def _inputs(self, u: Array) -> Array:
        seen: Array = self.features(torch.from_numpy(u)).numpy() @ self.weights.T
        return seen

    def state_dict(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {"u": self.u, "values": self.values, "weights": self.weights, "noise": self.noise}
