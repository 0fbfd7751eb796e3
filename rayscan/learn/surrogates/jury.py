"""Several surrogates of bare labels, each heard by its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array, Rows
from rayscan.learn.surrogates.alike import Alike
from rayscan.learn.surrogates.contest import MORE
from rayscan.learn.surrogates.label_process import LabelProcess
from rayscan.learn.surrogates.replay import BATCH, Replay
from rayscan.learn.surrogates.stack import Stack, bounded

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.learner import Learner

PLAIN, WAVES, OTHER_WAVES, ALIKE, POINTS = range(5)
"""Three networks, two of them with plane waves as inputs, one of islands that are alike, and an interpolation."""
EVERYONE = np.ones(POINTS + 1, dtype=np.bool_)
FIRST_STEPS, STEPS, LEAST_STEPS = 300, 400, 40
"""Of each network at first, of all together afterwards, and of one that is not heard."""
BANDWIDTH = 6.0
"""Of the plane waves. Labels say too little to learn fast oscillations by."""
BLUNT, EDGED = 2.0, 4.0
"""How fast the density of walkers falls where the jury is less sure, and where islands are known whole.

A probability that was learned from labels has its own slope at the rim. Made too steep, it would empty the rim, and the
walkers would dig in the parts of islands that are known instead of following these on.
"""
CONTESTED = 1.0
"""Logit above which a place that the others deny is worth a test."""
UNHEARD = 0.1
"""A Gaussian process with less than this share of the weight is made anew as one that is behind in a `Contest` is."""


class Jury:
    """Four networks and a Gaussian process that learn yes and no, and what their words have been worth.

    Of surrogates that learn bare labels none can be left to drive: the places it is sure of are where it is mistaken,
    each proposal there tells against it, another takes over, and its own mistakes come next. And all are too sure of
    themselves, because they know the labels of all points by heart. So a `Stack` weighs their logits. Two of the
    networks have plane waves, different ones: how well such a network learns from labels depends on which it was born
    with. Another takes all islands for one (`Alike`). The jury has the face of a `Contest`.

    Parameters
    ----------
    d : int
    options : LearnOptions
    seed : int

    Attributes
    ----------
    stack : Stack
        Of the logits of `PLAIN`, `WAVES`, `OTHER_WAVES`, `ALIKE` and `POINTS`.
    width : ndarray, shape (0,)
        There are no observables that could be off.
    """

    def __init__(self, d: int, options: LearnOptions, seed: int) -> None:
        self.d, self.options, self.seed = d, options, seed
        self.networks: list[Learner] = []
        self.alike = Alike(d, options, seed)
        self.points = LabelProcess(d)
        self.stack = Stack(POINTS + 1)
        self.width: Array = np.empty(0)

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.networks)

    @property
    def sharpness(self) -> float:
        """How fast the density of walkers should fall where the jury is less sure."""
        return EDGED if self.whole else BLUNT

    @property
    def whole(self) -> bool:
        """Whether islands are known whole: what says so is that all are alike, and that is heard the most."""
        return int(np.argmax(self.stack.weight)) == ALIKE

    def tell(self, rows: Rows, _: Array) -> None:
        """Note what each says of newly evaluated points, and whether they are valid."""
        if self.ready:
            self.stack.learn(self._testimony(rows.u), rows.valid)

    def rescale(self, factor: Array) -> None:
        """Do nothing: labels have no scale."""

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far, and weigh the jurors."""
        u, t, ok = replay.lesson()
        first = not self.networks
        self.networks = self.networks or self._untrained()
        *steps, alike = self._steps()
        for network, count in zip(self.networks, steps, strict=True):
            network.train(u, t, ok, replay.batches(FIRST_STEPS if first else count, BATCH, rng))
        self.alike.train(replay, alike, rng, heard=self.whole)
        if self.stack.weight[POINTS] > UNHEARD * self.stack.weight.sum() or len(u) >= MORE * self.points.trained_on:
            self.points.train(u, ok, rng)
        self.stack.weigh()

    def _steps(self) -> NDArray[np.int64]:
        """Return how many gradient steps each network gets: more, the more it is heard."""
        # It may be that none is heard.
        weight = self.stack.weight[:POINTS] + 1e-12
        spare = STEPS - LEAST_STEPS * len(weight)
        return np.asarray(LEAST_STEPS + spare * weight / weight.sum(), dtype=np.int64)

    def _untrained(self) -> list[Learner]:
        from rayscan.learn.surrogates.learner import WAVES, make_learners

        both = make_learners(self.d, 0, self.options, self.seed, bandwidth=BANDWIDTH)
        other = make_learners(self.d, 0, self.options, [self.seed, 1], waves=WAVES[1:], bandwidth=BANDWIDTH)
        return [*both, *other]

    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return no quantities ``(n, 0)`` and the logit of validity ``(n,)`` at points ``(n, d)``."""
        return np.empty((len(u), 0)), self.stack.logit(self._testimony(u, self.stack.weight > 0))

    def contested(self, u: Array) -> NDArray[np.bool_]:
        """Return at which places ``(n, d)`` islands alike say what the jury as a whole denies ``(n,)``."""
        if not len(u):
            return np.zeros(len(u), dtype=np.bool_)
        said = self._testimony(u)
        return np.asarray((said[:, ALIKE] > CONTESTED) & (self.stack.logit(said) < 0))

    def _testimony(self, u: Array, asked: NDArray[np.bool_] = EVERYONE) -> Array:
        """Return the logit ``(n, 5)`` that each juror gives to points ``(n, d)``, none where it has nothing to say."""
        said = np.zeros((len(u), POINTS + 1))
        for k, network in enumerate(self.networks):
            if asked[k]:
                said[:, k] = network.predict(u)[1]
        if asked[ALIKE]:
            said[:, ALIKE] = self.alike.logit(u)
        if asked[POINTS] and self.points.trained_on:
            said[:, POINTS] = self.points.logit(u)
        return bounded(said)

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "networks": [network.state_dict() for network in self.networks],
            "alike": self.alike.state_dict(),
            "points": self.points.state_dict(),
            "stack": self.stack.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        if state["networks"]:
            self.networks = self._untrained()
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        self.alike.load_state_dict(state["alike"])
        self.points.load_state_dict(state["points"])
        self.stack.load_state_dict(state["stack"])
