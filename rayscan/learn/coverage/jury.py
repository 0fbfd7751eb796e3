"""Several surrogates of bare labels, each heard by its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rayscan.learn.coverage.contest import MORE
from rayscan.learn.coverage.label_process import LabelProcess
from rayscan.learn.coverage.replay import Replay
from rayscan.learn.data import Array, Rows

if TYPE_CHECKING:
    from rayscan.learn.coverage.observable_net import Learner
    from rayscan.learn.options import LearnOptions

JURORS = 4
FIRST_STEPS, STEPS, LEAST_STEPS = 300, 360, 60
"""Of each network at first, of all together afterwards, and of one that is not heard."""
BATCH = 256
BANDWIDTH = 6.0
"""Of the plane waves. Labels say too little to learn fast oscillations by."""
UNHEARD = 0.1
"""A Gaussian process with less than this share of the weight is made anew as one that is behind in a `Contest` is."""
SUREST = 8.0
"""Logit at which all certainty is the same."""
RECENT = 1500
"""Points whose labels the jurors are judged by."""
TRUST, DOUBT = 15.0, 0.5
"""How firmly weights are held at equal ones, and the offset at none, in units of log-likelihood."""
HEAVIEST = 2.0


class Jury:
    """Three networks and a Gaussian process that learn yes and no, and what their words have been worth.

    Of surrogates that learn bare labels none can be left to drive: the places it is sure of are where it is mistaken,
    each proposal there tells against it, another takes over, and its own mistakes come next. And all are too sure of
    themselves, because they know the labels of all points by heart. So a logistic regression on what each said of
    recent points before they were evaluated weighs their logits. Two of the networks have plane waves, different ones:
    how well such a network learns from labels depends on which it was born with. It has the face of a `Contest`.

    Parameters
    ----------
    d : int
    options : LearnOptions
    seed : int

    Attributes
    ----------
    weight : ndarray, shape (4,)
        Of the logits of the plain network, of the two with plane waves, and of the Gaussian process.
    offset : float
        Of the logit; negative where they promised too much.
    width : ndarray, shape (0,)
        There are no observables that could be off.

    References
    ----------
    .. [1] D. H. Wolpert, Neural Networks 5 (1992) 241: stacked generalisation.
    """

    def __init__(self, d: int, options: LearnOptions, seed: int) -> None:
        self.d, self.options, self.seed = d, options, seed
        self.networks: list[Learner] = []
        self.points = LabelProcess(d)
        self.weight, self.offset = np.full(JURORS, 1 / JURORS), 0.0
        self.width: Array = np.empty(0)
        self._said, self._valid = np.empty((0, JURORS)), np.empty(0, dtype=np.bool_)

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.networks)

    def tell(self, rows: Rows, _: Array) -> None:
        """Note what each says of newly evaluated points, and whether they are valid."""
        if self.ready:
            self._said = np.concatenate([self._said, self._testimony(rows.u)])[-RECENT:]
            self._valid = np.concatenate([self._valid, rows.valid])[-RECENT:]

    def rescale(self, factor: Array) -> None:
        """Do nothing: labels have no scale."""

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far, and weigh the jurors."""
        u, t, ok = replay.lesson()
        first = not self.networks
        self.networks = self.networks or self._untrained()
        for network, steps in zip(self.networks, self._steps(), strict=True):
            network.train(u, t, ok, replay.batches(FIRST_STEPS if first else steps, BATCH, rng))
        if self.weight[-1] > UNHEARD * self.weight.sum() or len(u) >= MORE * self.points.trained_on:
            self.points.train(u, ok, rng)
        self._weigh()

    def _steps(self) -> NDArray[np.int64]:
        """Return how many gradient steps each network gets: more, the more it is heard."""
        # It may be that none is heard.
        weight = self.weight[:-1] + 1e-12
        spare = STEPS - LEAST_STEPS * len(weight)
        return np.asarray(LEAST_STEPS + spare * weight / weight.sum(), dtype=np.int64)

    def _untrained(self) -> list[Learner]:
        from rayscan.learn.coverage.observable_net import WAVES, make_learners

        both = make_learners(self.d, 0, self.options, self.seed, bandwidth=BANDWIDTH)
        other = make_learners(self.d, 0, self.options, [self.seed, 1], waves=WAVES[1:], bandwidth=BANDWIDTH)
        return [*both, *other]

    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return no quantities ``(n, 0)`` and the logit of validity ``(n,)`` at points ``(n, d)``."""
        return np.empty((len(u), 0)), self.offset + self._testimony(u) @ self.weight

    def _testimony(self, u: Array) -> Array:
        """Return the logit ``(n, 4)`` that each juror gives to points ``(n, d)``, none where it has nothing to say."""
        logits = [network.predict(u)[1] for network in self.networks]
        logits.append(self.points.logit(u) if self.points.trained_on else np.zeros(len(u)))
        return np.clip(np.stack(logits, axis=1), -SUREST, SUREST)

    def _weigh(self) -> None:
        """Choose the weights and the offset that make the record most likely."""
        equal = np.full(JURORS, 1 / JURORS)
        sign = 2.0 * self._valid - 1

        def loss(parameters: Array) -> tuple[float, Array]:
            offset, weight = parameters[0], parameters[1:]
            margin = sign * (offset + self._said @ weight)
            slope = -sign / (1 + np.exp(margin))
            penalty = TRUST * ((weight - equal) ** 2).sum() + DOUBT * offset**2
            gradient = np.concatenate([[slope.sum()], slope @ self._said])
            held = 2 * np.concatenate([[DOUBT * offset], TRUST * (weight - equal)])
            return float(np.logaddexp(0, -margin).sum() + penalty), gradient + held

        bounds = [(-SUREST, SUREST), *[(0.0, HEAVIEST)] * JURORS]
        best = minimize(loss, np.concatenate([[0.0], equal]), jac=True, method="L-BFGS-B", bounds=bounds).x
        self.offset, self.weight = float(best[0]), best[1:]

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "networks": [network.state_dict() for network in self.networks],
            "points": self.points.state_dict(),
            "weight": self.weight,
            "offset": self.offset,
            "record": [self._said, self._valid],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        if state["networks"]:
            self.networks = self._untrained()
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        self.points.load_state_dict(state["points"])
        self.weight, self.offset = np.array(state["weight"], dtype=np.float64), float(state["offset"])
        said, valid = state["record"]
        self._said, self._valid = np.array(said, dtype=np.float64), np.array(valid, dtype=np.bool_)
