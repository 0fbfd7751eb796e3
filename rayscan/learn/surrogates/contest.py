"""Several surrogates of the same observables, and which of them is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.learn.data import Array, Origin, Rows
from rayscan.learn.surrogates.interpolator import NEAREST, Interpolator
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import BATCH, Replay

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.learner import Learner

PLAIN, WAVES, POINTS = range(3)
"""Two networks, without and with plane waves as inputs, and an interpolation."""
STEPS, LOSER_STEPS, FIRST_STEPS = 300, 60, 300
CLEAR = 1.5
"""A surrogate that errs so many times more than the best is behind."""
MORE = 1.25
"""An interpolation that is behind is made anew when there are this many times more points."""
RECENT, ENOUGH = 300, 50
CORE = 0.68
"""The share of the errors within one standard deviation."""
NARROWEST, NEUTRAL = 1e-3, 0.5
"""The smallest width, and the one before anything is known of it."""


class Contest:
    """Surrogates that learn the same; the one with the smaller errors on points that it had not seen drives.

    Parameters
    ----------
    d : int
    ladder : Ladder
        What is to be predicted, and how it is scaled.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    driver : int
        `PLAIN`, `WAVES` or `POINTS`.
    width : ndarray, shape (q,)
        What the driver's predictions are off by, as a standard deviation.
    errors : list of ndarray, shape (n, q)
        Of each surrogate, of predictions made before the points were evaluated; the recent ones.
    """

    sharpness = 10.0
    """How fast the density of walkers should fall where the driver is less sure."""

    def __init__(self, d: int, ladder: Ladder, options: LearnOptions, seed: int) -> None:
        self.d, self.ladder, self.options, self.seed = d, ladder, options, seed
        self.networks: list[Learner] = []
        self.points = Interpolator(d, ladder.outputs)
        self.driver = POINTS
        self.width: Array = np.full(len(ladder.goal), NEUTRAL)
        self.errors = [np.empty((0, len(ladder.goal))) for _ in (PLAIN, WAVES, POINTS)]
        self._guessed = self.errors[PLAIN]
        self._u, self._truth = np.empty((0, d)), self.errors[PLAIN]

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.networks)

    def tell(self, rows: Rows, quantities: Array) -> None:
        """Note how far off the predictions are for those of the newly evaluated points that chains proposed.

        Parameters
        ----------
        rows : Rows, length n
        quantities : ndarray, shape (n, q)
            Rows with a NaN are skipped.
        """
        known = (rows.origin == Origin.CHAIN) & np.isfinite(quantities).all(axis=1)
        u, truth = rows.u[known], quantities[known]
        if not self.ready or not len(u):
            return
        for k in range(len(self.errors)):
            if k != POINTS or self.points.trained_on:
                self.errors[k] = np.concatenate([self.errors[k], self._error(k, u, truth)])[-RECENT:]
        self._u = np.concatenate([self._u, u])[-RECENT:]
        self._truth = np.concatenate([self._truth, truth])[-RECENT:]

    def _error(self, k: int, u: Array, truth: Array) -> Array:
        """Return the errors ``(n, q)`` of a surrogate as it is now."""
        t = self.points.predict(u) if k == POINTS else self.networks[k].predict(u)[0]
        return np.abs(self.ladder.predicted(t) - self.ladder.scaled(truth))

    def rescale(self, factor: Array) -> None:
        """Take over a new scale of the quantities, old over new ``(q,)``."""
        self.errors, self._guessed = [error * factor for error in self.errors], self._guessed * factor
        self.points.rescale(factor[: self.ladder.outputs])

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far, those behind less than the others; then choose the driver."""
        from rayscan.learn.surrogates.learner import make_learners

        u, t, ok = replay.lesson()
        behind = self._behind()
        first = not self.networks
        if first:
            self.networks = make_learners(self.d, self.ladder.outputs, self.options, self.seed)
        for k, network in enumerate(self.networks):
            steps = FIRST_STEPS if first else LOSER_STEPS if behind[k] else STEPS // (1 if behind[1 - k] else 2)
            network.train(u, t, ok, replay.batches(steps, BATCH, rng))
        if not (behind[POINTS] and len(u) < MORE * self.points.trained_on):
            self._guessed = self._joint(self.points.train(u, t, replay.near(NEAREST), rng)[replay.near()])
        self._judge()

    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return the driver's scaled quantities ``(n, q)`` and a logit of validity ``(n,)`` at points ``(n, d)``."""
        if self.driver == POINTS:
            # Whether there will be observables at all is for the better network to say.
            better = WAVES if self._size(WAVES) < self._size(PLAIN) else PLAIN
            return self.ladder.predicted(self.points.predict(u)), self.networks[better].predict(u)[1]
        t, logit = self.networks[self.driver].predict(u)
        return self.ladder.predicted(t), logit

    def _joint(self, guessed: Array) -> Array:
        """Return errors ``(n, q)`` from those of the observables alone ``(n, outputs)``."""
        missing = len(self.ladder.goal) - guessed.shape[1]
        return np.column_stack([guessed, np.repeat(guessed.max(axis=1, keepdims=True), missing, axis=1)])

    def _size(self, k: int) -> float:
        """Return how much a surrogate errs."""
        error = self.errors[k]
        if len(error) < ENOUGH or (k == POINTS and not self.points.trained_on):
            return np.inf
        # Medians forget what happens far from the target.
        return float(np.median(error, axis=0).sum())

    def _behind(self) -> list[bool]:
        sizes = [self._size(k) for k in range(len(self.errors))]
        return [CLEAR * min(sizes) < size < np.inf for size in sizes]

    def _judge(self) -> None:
        """Let the surrogate with the smallest errors drive, and take the width of its predictions from them."""
        sizes = [self._size(k) for k in range(len(self.errors))]
        if min(sizes) < np.inf:
            self.driver = int(np.argmin(sizes))
        elif self.driver == POINTS and not self.points.trained_on:
            self.driver = PLAIN
        if len(self._guessed if self.driver == POINTS else self.errors[self.driver]):
            self.width = np.maximum(self._uncertainty(), NARROWEST)

    def _uncertainty(self) -> Array:
        """Return how far off the driver is now, not when it last spoke."""
        if self.driver == POINTS:
            columns = [column[np.isfinite(column)] for column in self._guessed.T]
            sizes = [np.quantile(column, CORE) if len(column) else NEUTRAL for column in columns]
            return np.array(sizes)
        # The truth lies between the errors before and after the network learned these very points.
        before, after = self.errors[self.driver], self._error(self.driver, self._u, self._truth)
        return np.asarray(np.sqrt(np.quantile(before, CORE, axis=0) * np.quantile(after, CORE, axis=0)))

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "networks": [network.state_dict() for network in self.networks],
            "points": self.points.state_dict(),
            "errors": self.errors,
            "guessed": self._guessed,
            "recent": [self._u, self._truth],
            "width": self.width,
            "driver": self.driver,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        from rayscan.learn.surrogates.learner import make_learners

        if state["networks"]:
            self.networks = make_learners(self.d, self.ladder.outputs, self.options, self.seed)
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        self.points.load_state_dict(state["points"])
        self.errors, self._guessed = [np.array(error) for error in state["errors"]], np.array(state["guessed"])
        self._u, self._truth = (np.array(values) for values in state["recent"])
        self.width, self.driver = np.array(state["width"]), int(state["driver"])
