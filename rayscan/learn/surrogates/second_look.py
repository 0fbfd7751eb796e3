"""A second opinion on a place before an evaluation is spent on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit

from rayscan.learn.data import Array
from rayscan.learn.surrogates.contest import NARROWEST, POINTS, Contest
from rayscan.learn.surrogates.nearby import NEIGHBOURS, Nearby
from rayscan.learn.surrogates.stack import Stack, bounded, logit_of

if TYPE_CHECKING:
    from rayscan.learn.surrogates.replay import Replay

MOST = 8000
"""Known points at most among which neighbours are looked for."""


class SecondLook:
    """The driver's word on a place, and what is left of it where the driver errs.

    The surrogate that drives has one width for all places. But what it errs by is far from the same everywhere, and
    most points that turn out invalid lie where it errs most: it was sure of nearly all of them. What its predictions
    left over at the points around a place says what has to be added there, and how much is still unknown. Too dear for
    the population to be asked at each of its moves, this is asked of candidates alone.

    Parameters
    ----------
    contest : Contest
        Of which one surrogate drives.

    Attributes
    ----------
    stack : Stack
        Of the driver's logit and of that with the remainder added.
    """

    def __init__(self, contest: Contest) -> None:
        self.contest, self.ladder = contest, contest.ladder
        self.stack = Stack(2)
        self._left: Nearby | None = None

    @property
    def ready(self) -> bool:
        """Whether enough is known."""
        return self._left is not None

    def survey(self, replay: Replay, rng: np.random.Generator) -> None:
        """Note what the trained driver's predictions leave over near the target, and weigh the two opinions."""
        u, t, near = replay.u, self.ladder.scaled(replay.observables), replay.near()
        near = rng.permutation(near[np.isfinite(t[near]).all(axis=1)])[:MOST]
        self._left = None
        if len(near) > NEIGHBOURS and self.contest.points.trained_on.all():
            left = t[near] - self._expected(self._predict(u[near])[0])
            self._left = Nearby(self.contest.features, u[near], left, *self.contest.points.metric())
        self.stack.weigh()

    def learn(self, u: Array, valid: NDArray[np.bool_]) -> None:
        """Note what is said of newly evaluated points ``(n, d)``, and whether they are valid."""
        if self.ready and len(u):
            self.stack.learn(self._testimony(u), valid)

    def log_p(self, u: Array) -> Array:
        """Return ``ln p`` ``(n,)`` of lying in the target at places ``(n, d)``."""
        log_p: Array = log_expit(self.stack.logit(self._testimony(u)))
        return log_p

    def _predict(self, u: Array) -> tuple[Array, Array]:
        t, logit = self.contest.predict(torch.from_numpy(np.ascontiguousarray(u)).to(self.contest.device))
        return t.cpu().numpy(), logit.cpu().numpy()

    def _testimony(self, u: Array) -> Array:
        """Return the logits ``(n, 2)`` of the driver, and of the driver with what it leaves over."""
        assert self._left is not None
        quantities, logit = self._predict(u)
        left, width = self._left.predict(u)
        t = self._expected(quantities) + left
        mended, width = self._joint(t), self._widths(t, np.maximum(width, NARROWEST))
        said = [
            self.ladder.log_probability(torch.from_numpy(quantities), self.contest.width, goal=True).numpy(),
            self.ladder.log_probability(torch.from_numpy(mended), width, goal=True).numpy(),
        ]
        return bounded(logit_of(np.stack(said, axis=1) + log_expit(logit)[:, None]))

    def _expected(self, quantities: Array) -> Array:
        """Return the scaled observables ``(n, outputs)`` that the driver expects.

        From an interpolation nothing: it leaves nothing over at the points that it goes through.
        """
        expected = quantities[:, : self.ladder.outputs]
        return np.where(self.contest.driver == POINTS, 0.0, expected)

    def _joint(self, t: Array) -> Array:
        return self.ladder.predicted(torch.from_numpy(t)).numpy()

    def _widths(self, t: Array, width: Array) -> Array:
        """Return the deviations ``(n, q)`` of all quantities from those of the observables ``(n, outputs)``."""
        if not self.ladder.joint:
            return width
        base = self._joint(t)[:, -1]
        moved = [self._joint(t + width * one)[:, -1] - base for one in np.eye(t.shape[1])]
        joint = np.sqrt(np.square(moved).sum(axis=0))
        return np.column_stack([width, np.maximum(joint, NARROWEST)])

    def state_dict(self) -> dict[str, Any]:
        """Return the record and what is left over."""
        return {"stack": self.stack.state_dict(), "left": self._left.state_dict() if self._left else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.stack.load_state_dict(state["stack"])
        left = state["left"]
        if left:
            u, values, weights = (np.array(left[name]) for name in ("u", "values", "weights"))
            self._left = Nearby(self.contest.features, u, values, weights, float(left["noise"]))
        else:
            self._left = None
