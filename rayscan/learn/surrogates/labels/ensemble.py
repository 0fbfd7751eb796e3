"""Networks that learn the same labels from different beginnings, heard as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.learn.data import Array
from rayscan.learn.surrogates.replay import BATCH, Replay
from rayscan.learn.surrogates.stack import bounded

if TYPE_CHECKING:
    from rayscan.learn.surrogates.learner import Learner


class Ensemble:
    """The mean of several networks' logits.

    A network that goes on learning the same labels comes to know them by heart, and is ever surer of places about which
    it has learned nothing new. Several networks that take fewer steps each are sure of different such places, and of
    the same ones only where the labels tell [1]_.

    Parameters
    ----------
    learners : list of Learner
        Untrained networks without observables.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell, NeurIPS 30 (2017): deep ensembles.
    """

    def __init__(self, learners: list[Learner]) -> None:
        self.learners = learners

    def train(self, lesson: tuple[Array, Array, Array], replay: Replay, steps: int, rng: np.random.Generator) -> None:
        """Share `steps` gradient steps on a replay's lesson among the networks, each with minibatches of its own."""
        for learner in self.learners:
            learner.train(*lesson, replay.batches(steps // len(self.learners), BATCH, rng))

    def logit(self, u: Array) -> Array:
        """Return the mean logit ``(n,)`` of validity at points ``(n, d)``."""
        said = [bounded(learner.predict(u)[1]) for learner in self.learners]
        return np.asarray(np.mean(said, axis=0))

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what the networks have learned."""
        return [learner.state_dict() for learner in self.learners]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Return to a state."""
        for learner, saved in zip(self.learners, state, strict=True):
            learner.load_state_dict(saved)
