"""What Gaussian processes make of the points nearest the target: the best guess while there are few of them."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.data import Array
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import GaussianProcess

MOST, LEAST, ALL = 1600, 600, 4000
"""Points that each observable is interpolated through at most, at least, and those of all observables together."""
FEW, MANY = 300, 3000
"""Points of an observable that is always predicted well enough, and of one that alone of several is not."""
NEAREST = 0.75
"""The share of them that lies nearest the target; the others are any."""
FIRST_SEARCH, SEARCH, SEARCH_AGAIN = 20, 5, 1.2
"""Iterations of the search for lengths and noise, and the growth of the sample after which there is another."""
MIXING, MIXING_AGAIN, GOOD = 50, 15, 0.01
"""Iterations of the search for a linear map, and the error, in units of the scatter, above which there is one."""
FEWEST = 20
WIDE, STRAIGHT = 0.9, 10.0
"""Quantile of the points' distances from the target that is their scale where they are bent, and in units of the
largest where they are not."""


class Interpolator:
    """A Gaussian process for each observable, with lengths of its own: in many dimensions, what each depends on.

    Each observable is seen as ``asinh((O - c) / s)`` with ``s`` a large distance among the interpolated points:
    wider than the networks' scale, because a tight one bends a smooth function into steps, which cost an interpolation
    more than they gain.

    Parameters
    ----------
    features : Features
    outputs : int

    Attributes
    ----------
    trained_on : ndarray of int, shape (outputs,)
        How many points were known when each process learned, 0 where it has not.
    """

    def __init__(self, features: Features, outputs: int) -> None:
        self.features, self.d = features, features.d
        self.processes = [GaussianProcess(features.k, self.d) for _ in range(outputs)]
        self.ratio: Array = np.ones(outputs)
        self.trained_on = np.zeros(outputs, dtype=np.int64)
        self._searched = np.zeros(outputs, dtype=np.int64)

    @staticmethod
    def shared(need: Array) -> NDArray[np.int64]:
        """Return how many points each observable is interpolated through at most.

        Parameters
        ----------
        need : ndarray, shape (outputs,)
            How badly each wants points, in any unit.

        Returns
        -------
        ndarray of int, shape (outputs,)
        """
        usual = int(np.clip(ALL // max(len(need), 1), LEAST, MOST))
        most = MANY if len(need) > 1 else usual
        return np.asarray(np.clip(usual * need / need.mean(), min(FEW, usual), most), dtype=np.int64)

    def train(
        self, u: Array, t: Array, near: NDArray[np.int64], which: NDArray[np.int64], counts: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Array:  # fmt: skip
        """Interpolate the near points, or a sample of them, and, while there is room, others.

        Parameters
        ----------
        u : ndarray, shape (n, d)
        t : ndarray, shape (n, outputs)
            Scaled observables, NaN where missing.
        near : ndarray of int
            The points nearest the target.
        which : ndarray of int
            The observables to learn anew.
        counts : ndarray of int, shape (outputs,)
            Points at most, of each.
        rng : numpy Generator

        Returns
        -------
        ndarray, shape (n, outputs)
            Errors of predicting each interpolated value from all others, in the scale of `t`; NaN elsewhere.
        """
        errors = np.full(t.shape, np.nan)
        for j in which:
            chosen = self._sample(np.isfinite(t[:, j]), near, int(counts[j]), rng)
            if len(chosen) >= FEWEST:
                seen = self.features(torch.from_numpy(u[chosen])).numpy()
                errors[chosen, j] = self._interpolate(int(j), seen, t[chosen, j], len(u), rng)
                self.trained_on[j] = len(u)
        return errors

    @staticmethod
    def _sample(
        known: NDArray[np.bool_], near: NDArray[np.int64], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the points to interpolate: known ones, most of them near."""
        near = rng.permutation(near[known[near]])[: int(NEAREST * count)]
        others = known.copy()
        others[near] = False
        rest = np.flatnonzero(others)
        return np.concatenate([near, rng.choice(rest, min(count - len(near), len(rest)), replace=False)])

    def _interpolate(self, j: int, seen: Array, t: Array, known: int, rng: np.random.Generator) -> Array:
        """Return how far off each interpolated value ``(n,)`` would be without itself."""
        distance = np.sinh(np.clip(t, -40, 40))
        process = self.processes[j]
        if known < SEARCH_AGAIN * self._searched[j]:
            _, error = self._fitted(process, seen, distance, self.ratio[j], 0, rng)
            return error
        self._searched[j] = known
        size, tried = np.abs(distance), []
        # What spans orders of magnitude is bent, what does not is left as it is: whichever interpolates better.
        for ratio in (np.quantile(size, WIDE), STRAIGHT * size.max()):
            process, scale = copy.deepcopy(process), max(float(ratio), 1e-12)
            iterations = SEARCH if process.learned else FIRST_SEARCH
            tried.append((scale, process, *self._fitted(process, seen, distance, scale, iterations, rng)))
        scale, process, least, _ = min(tried, key=lambda each: each[2])
        if self.d > 1 and least > GOOD * np.std(np.arcsinh(distance)):
            iterations = MIXING_AGAIN if len(process.map) else MIXING
            process = copy.deepcopy(process)
            tried.append((scale, process, *self._fitted(process, seen, distance, scale, iterations, rng, mixing=True)))
        self.ratio[j], self.processes[j], _, error = min(tried, key=lambda each: each[2])
        return error

    @staticmethod
    def _fitted(
        process: GaussianProcess, seen: Array, distance: Array, ratio: float, iterations: int,
        rng: np.random.Generator, *, mixing: bool = False,
    ) -> tuple[float, Array]:  # fmt: skip
        """Fit a process to observables bent at a distance `ratio`; return its usual error and all ``(n,)``."""
        own = np.arcsinh(distance / ratio)
        missed = process.fit(seen, own[:, None], iterations, rng, mixing=mixing)[:, 0]
        error = np.abs(np.arcsinh(ratio * np.sinh(np.clip(own - missed, -40, 40))) - np.arcsinh(distance))
        return float(np.median(error)), error

    def metric(self) -> tuple[Array, float]:
        """Return the metric ``(r, k)`` of all processes together, on `Features`, and their noise."""
        parts = []
        for process in self.processes:
            part = np.zeros((len(process.weights), self.features.k))
            part[:, process.inputs] = process.weights
            parts.append(part)
        noise = float(np.exp(np.mean([np.log(process.noise) for process in self.processes])))
        return np.concatenate(parts) / np.sqrt(len(parts)), noise

    def depends(self, j: int, moved: Tensor) -> Tensor:
        """Return which points ``(n,)`` the interpolation of an observable sees move with the parameters ``(n, d)``."""
        return moved[:, np.unique(self.features.axes[self.processes[j].inputs])].any(1)

    def predict(self, u: Tensor, outputs: list[int]) -> Tensor:
        """Return some of the observables ``(n, len(outputs))`` in the scale of the last training or `rescale`."""
        see = functools.partial(self.features, u)
        own = torch.cat([self.processes[j].predict(see, u.device) for j in outputs], dim=1)
        ratio = torch.as_tensor(self.ratio[outputs], device=u.device)
        return torch.asinh(ratio * torch.sinh(own.clamp(-40, 40)))

    def rescale(self, factor: Array) -> None:
        """Predict in a new scale, old over new ``(outputs,)``, until the next training."""
        self.ratio = self.ratio * factor

    def state_dict(self) -> dict[str, Any]:
        """Return the interpolation."""
        return {
            "processes": [process.state_dict() for process in self.processes],
            "ratio": self.ratio,
            "trained_on": self.trained_on,
            "searched": self._searched,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        for process, saved in zip(self.processes, state["processes"], strict=True):
            process.load_state_dict(saved)
        self.ratio = np.array(state["ratio"], dtype=np.float64)
        self.trained_on = np.array(state["trained_on"], dtype=np.int64)
        self._searched = np.array(state["searched"], dtype=np.int64)
