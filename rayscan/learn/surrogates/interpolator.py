"""What a Gaussian process makes of the points nearest the target: the best guess while there are few of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.surrogates.edges import edges
from rayscan.learn.surrogates.gaussian_process import GaussianProcess

MOST, NEAREST = 1600, 1200
"""Points that are interpolated, and how many of them at most lie nearest the target; the others are any."""
FIRST_SEARCH, SEARCH = 20, 5
"""Iterations of the search for lengths and noise."""
FEWEST = 20
WIDE = 0.9
"""Quantile of the points' distances from the target that is their scale."""


class Interpolator:
    """A Gaussian process through at most `MOST` points, on the observables as they are a little way off the target.

    Each observable is seen as ``asinh((O - c) / s)`` with ``s`` a large distance among the interpolated points:
    wider than the networks' scale, because a tight one bends a smooth function into steps, which cost an interpolation
    more than they gain.

    Parameters
    ----------
    d, outputs : int
    """

    def __init__(self, d: int, outputs: int) -> None:
        self.d = d
        self.groups: list[NDArray[np.int64]] = []
        self.processes: list[GaussianProcess] = []
        self.ratio: Array = np.ones(outputs)
        self.trained_on = 0

    def train(self, u: Array, t: Array, near: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Interpolate the near points, or a sample of them, and, while there is room, others.

        Observables that are missing at the same points, as those of one program are, share a process.

        Parameters
        ----------
        u : ndarray, shape (n, d)
        t : ndarray, shape (n, outputs)
            Scaled observables, NaN where missing.
        near : ndarray of int
            The points nearest the target.
        rng : numpy Generator

        Returns
        -------
        ndarray, shape (n, outputs)
            Errors of predicting each interpolated value from all others, in the scale of `t`; NaN elsewhere.
        """
        errors = np.full(t.shape, np.nan)
        known = np.isfinite(t)
        _, group = np.unique(known, axis=1, return_inverse=True)
        groups = [np.flatnonzero(group == g) for g in range(group.max(initial=-1) + 1)]
        if [list(g) for g in groups] != [list(g) for g in self.groups]:
            self.groups, self.processes = groups, [GaussianProcess(2 * self.d) for _ in groups]
            self.trained_on = 0
        search = SEARCH if self.trained_on else FIRST_SEARCH
        enough = True
        for outputs, process in zip(self.groups, self.processes, strict=True):
            chosen = _sample(known[:, outputs[0]], near, rng)
            enough &= len(chosen) >= FEWEST
            if len(chosen) >= FEWEST:
                errors[np.ix_(chosen, outputs)] = self._interpolate(process, u[chosen], t[chosen], outputs, search, rng)
        self.trained_on = len(u) if enough else 0
        return errors

    def _interpolate(
        self, process: GaussianProcess, u: Array, t: Array, outputs: NDArray[np.int64], search: int,
        rng: np.random.Generator,
    ) -> Array:  # fmt: skip
        distance = np.sinh(np.clip(t[:, outputs], -40, 40))
        self.ratio[outputs] = np.maximum(np.quantile(np.abs(distance), WIDE, axis=0), 1e-12)
        own = np.arcsinh(distance / self.ratio[outputs])
        missed = process.fit(edges(u), own, search, rng)
        return np.abs(self._scaled(own - missed, outputs) - t[:, outputs])

    def predict(self, u: Array) -> Array:
        """Return the observables ``(n, outputs)`` in the scale of the last training or `rescale`."""
        t = np.empty((len(u), len(self.ratio)))
        stretched = edges(u)
        for outputs, process in zip(self.groups, self.processes, strict=True):
            t[:, outputs] = self._scaled(process.predict(stretched), outputs)
        return t

    def rescale(self, factor: Array) -> None:
        """Predict in a new scale, old over new ``(outputs,)``, until the next training."""
        self.ratio = self.ratio * factor

    def _scaled(self, own: Array, outputs: NDArray[np.int64]) -> Array:
        return np.asarray(np.arcsinh(self.ratio[outputs] * np.sinh(np.clip(own, -40, 40))))

    def state_dict(self) -> dict[str, Any]:
        """Return the interpolation."""
        return {
            "groups": self.groups,
            "processes": [process.state_dict() for process in self.processes],
            "ratio": self.ratio,
            "trained_on": self.trained_on,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.groups = [np.array(group, dtype=np.int64) for group in state["groups"]]
        self.processes = [GaussianProcess(2 * self.d) for _ in self.groups]
        for process, saved in zip(self.processes, state["processes"], strict=True):
            process.load_state_dict(saved)
        self.ratio, self.trained_on = np.array(state["ratio"], dtype=np.float64), int(state["trained_on"])


def _sample(known: NDArray[np.bool_], near: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the points to interpolate: known ones, `NEAREST` near and others up to `MOST`."""
    near = rng.permutation(near[known[near]])[:NEAREST]
    others = np.setdiff1d(np.flatnonzero(known), near)
    return np.concatenate([near, rng.permutation(others)[: MOST - len(near)]])
