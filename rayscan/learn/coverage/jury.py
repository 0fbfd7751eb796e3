"""Several surrogates of bare labels, and what they agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.learn.coverage.label_process import LabelProcess
from rayscan.learn.coverage.replay import Replay
from rayscan.learn.data import Array

if TYPE_CHECKING:
    from rayscan.learn.coverage.observable_net import Learner
    from rayscan.learn.options import LearnOptions

STEPS, FIRST_STEPS = 150, 300
BATCH = 256


class Jury:
    """Two networks and a Gaussian process that learn yes and no; the mean of their logits counts.

    Of surrogates that learn bare labels none can be left to drive: the places it is sure of are where it is mistaken,
    each proposal there tells against it, another takes over, and its own mistakes come next. Where several agree,
    mistakes are rare. It has the face of a `Contest`.

    Parameters
    ----------
    d : int
    options : LearnOptions
    seed : int

    Attributes
    ----------
    width : ndarray, shape (0,)
        There are no observables that could be off.
    """

    def __init__(self, d: int, options: LearnOptions, seed: int) -> None:
        self.d, self.options, self.seed = d, options, seed
        self.networks: list[Learner] = []
        self.points = LabelProcess(d)
        self.width: Array = np.empty(0)

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.networks)

    def tell(self, u: Array, quantities: Array) -> None:
        """Do nothing: all have the same say, however right they were."""

    def rescale(self, factor: Array) -> None:
        """Do nothing: labels have no scale."""

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far."""
        from rayscan.learn.coverage.observable_net import make_learners

        u, t, ok = replay.lesson()
        steps = STEPS if self.networks else FIRST_STEPS
        self.networks = self.networks or make_learners(self.d, 0, self.options, self.seed)
        for network in self.networks:
            network.train(u, t, ok, replay.batches(steps, BATCH, rng))
        self.points.train(u, ok, rng)

    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return no quantities ``(n, 0)`` and the logit of validity ``(n,)`` at points ``(n, d)``."""
        logits = [network.predict(u)[1] for network in self.networks]
        if self.points.trained_on:
            logits.append(self.points.logit(u))
        return np.empty((len(u), 0)), np.mean(logits, axis=0)

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {"networks": [network.state_dict() for network in self.networks], "points": self.points.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        from rayscan.learn.coverage.observable_net import make_learners

        if state["networks"]:
            self.networks = make_learners(self.d, 0, self.options, self.seed)
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        self.points.load_state_dict(state["points"])
