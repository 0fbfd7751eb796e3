"""Several surrogates of bare labels, each heard by its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array, Rows
from rayscan.learn.surrogates.contest import MORE
from rayscan.learn.surrogates.labels.alike import Alike
from rayscan.learn.surrogates.labels.ensemble import Ensemble
from rayscan.learn.surrogates.labels.label_process import LabelProcess
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.surrogates.stack import Stack, bounded

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.features import Features

PLAIN, WAVES, ALIKE, POINTS = range(4)
"""Ensembles without and with plane waves as inputs, a network of islands that are alike, and an interpolation."""
EVERYONE = np.ones(POINTS + 1, dtype=np.bool_)
MEMBERS = 3
"""Networks of an ensemble."""
FIRST_STEPS, STEPS, LEAST_STEPS = 900, 400, 40
"""Of each ensemble at first, of all networks together afterwards, and of those that are not heard."""
BANDWIDTH = 6.0
"""Of the plane waves. Labels say too little to learn fast oscillations by."""
DOING_WELL, LEVEL = (0.75, 0.9), (0.2, 0.05)
"""Acceptance of what particles propose, and the probability above which they take all places for equally good.

Where the valid region is thin, or little is known of it yet, no place is improbable enough to be left out: what is not
looked at because it is doubted stays doubted. The better the particles do, the more of such places they can afford.
"""
CONTESTED = 1.0
"""Logit above which a place that the others deny is worth a test."""
UNHEARD = 0.1
"""A Gaussian process with less than this share of the weight is made anew as one that is behind in a `Contest` is."""


class Jury:
    """Ensembles of networks and a Gaussian process that learn yes and no, and what their words have been worth.

    Of surrogates that learn bare labels none can be left to drive: the places it is sure of are where it is mistaken,
    each proposal there tells against it, another takes over, and its own mistakes come next. And all are too sure of
    themselves, because they know the labels of all points by heart. So a `Stack` weighs their logits. Networks with
    plane waves learn well or badly from labels by which waves they were born with, another reason to have several. One
    more takes all islands for one (`Alike`). The jury has the face of a `Contest`.

    Parameters
    ----------
    features : Features
    options : LearnOptions
    seed : int

    Attributes
    ----------
    stack : Stack
        Of the logits of `PLAIN`, `WAVES`, `ALIKE` and `POINTS`.
    width : ndarray, shape (0,)
        There are no observables that could be off.
    """

    sharpness = 4.0
    """How fast the density of particles should fall below `level`."""

    def __init__(self, features: Features, options: LearnOptions, seed: int) -> None:
        self.features, self.options, self.seed = features, options, seed
        self.ensembles: list[Ensemble] = []
        self.alike = Alike(features, options, seed)
        self.points = LabelProcess(features)
        self.stack = Stack(POINTS + 1)
        self.width: Array = np.empty(0)

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.ensembles)

    @property
    def whole(self) -> bool:
        """Whether islands are known whole: what says so is that all are alike, and that is heard the most."""
        return self.alike.speaks and int(np.argmax(self.stack.weight)) == ALIKE

    def level(self, acceptance: float) -> float:
        """Return the probability above which particles should take all places for equally good.

        Parameters
        ----------
        acceptance : float
            Of what particles have proposed lately.
        """
        if self.whole:
            return 1.0
        return float(np.exp(np.interp(acceptance, DOING_WELL, np.log(LEVEL))))

    def tell(self, rows: Rows, _: Array) -> None:
        """Note what each says of newly evaluated points, and whether they are valid."""
        if self.ready:
            self.stack.learn(self._testimony(rows.u), rows.valid)

    def rescale(self, factor: Array) -> None:
        """Do nothing: labels have no scale."""

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far, and weigh the jurors."""
        lesson = u, _, ok = replay.lesson()
        first = not self.ensembles
        self.ensembles = self.ensembles or self._untrained()
        *steps, alike = self._steps()
        for ensemble, count in zip(self.ensembles, steps, strict=True):
            ensemble.train(lesson, replay, FIRST_STEPS if first else count, rng)
        self.alike.train(replay, alike, rng, heard=self.whole)
        heard = self.stack.weight[POINTS] > UNHEARD * self.stack.weight.sum()
        if heard or len(u) >= MORE * self.points.trained_on:
            self.points.train(u, ok, rng)
        self.stack.weigh()

    def _steps(self) -> NDArray[np.int64]:
        """Return how many gradient steps ensembles and the network of islands get: more, the more each is heard."""
        # It may be that none is heard.
        weight = self.stack.weight[:POINTS] + 1e-12
        weight[ALIKE] *= self.alike.speaks
        spare = STEPS - LEAST_STEPS * len(weight)
        return np.asarray(LEAST_STEPS + spare * weight / weight.sum(), dtype=np.int64)

    def _untrained(self) -> list[Ensemble]:
        from rayscan.learn.surrogates.learner import make_learners

        seeds = [[self.seed, member] for member in range(MEMBERS)]
        members = [make_learners(self.features, 0, self.options, seed, bandwidth=BANDWIDTH) for seed in seeds]
        return [Ensemble(list(learners)) for learners in zip(*members, strict=True)]

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
        """Return the logit ``(n, 4)`` that each juror gives to points ``(n, d)``, none where it has nothing to say."""
        said = np.zeros((len(u), POINTS + 1))
        for k, ensemble in enumerate(self.ensembles):
            if asked[k]:
                said[:, k] = ensemble.logit(u)
        if asked[ALIKE]:
            said[:, ALIKE] = self.alike.logit(u)
        if asked[POINTS] and self.points.trained_on:
            said[:, POINTS] = self.points.logit(u)
        return bounded(said)

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "ensembles": [ensemble.state_dict() for ensemble in self.ensembles],
            "alike": self.alike.state_dict(),
            "points": self.points.state_dict(),
            "stack": self.stack.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        if state["ensembles"]:
            self.ensembles = self._untrained()
        for ensemble, saved in zip(self.ensembles, state["ensembles"], strict=True):
            ensemble.load_state_dict(saved)
        self.alike.load_state_dict(state["alike"])
        self.points.load_state_dict(state["points"])
        self.stack.load_state_dict(state["stack"])
