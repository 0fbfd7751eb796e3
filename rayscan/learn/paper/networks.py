"""The networks that stand in for the programs: MLP classifier and regressor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rayscan.learn.device import pick_device
from rayscan.learn.options import LearnOptions
from rayscan.learn.paper.lesson import Lesson, learned_observables
from rayscan.learn.paper.surrogate import Prediction
from rayscan.learn.paper.training import importance, seeded, split, step_budget, train
from rayscan.problem.target import Target

Array: TypeAlias = NDArray[np.float64]
CHUNK = 65_536
"""Points predicted at once: bounds the memory of a prediction of millions."""
UNIT_DEVIATION = 12**0.5
"""One over the standard deviation of a uniform number."""


def multilayer(d: int, hidden: Sequence[int], out: int) -> nn.Sequential:
    """Return ``d`` inputs, ReLU layers of `hidden` neurons, and `out` linear outputs."""
    widths = [d, *hidden]
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out))


class Network:
    """What all surrogates share: a module, where it lives, how it is asked and saved.

    Attributes
    ----------
    module : torch.nn.Module
    ready : bool
    seen : int
        Points in the last training.
    """

    def __init__(self, d: int, options: LearnOptions, module: nn.Module) -> None:
        self.d = d
        self.options = options
        self.device = pick_device(options)
        self.module = module.to(self.device).eval()
        self.ready = False
        self.seen = 0

    def outputs(self, u: Array) -> Array:
        """Return the module's raw outputs ``(n, c)`` for points ``(n, d)``, in chunks."""
        self.module.eval()
        with torch.no_grad():
            parts = [
                self.module(self.inputs(u[start : start + CHUNK])).reshape(len(u[start : start + CHUNK]), -1).cpu()
                for start in range(0, len(u), CHUNK)
            ]
        return torch.cat(parts).numpy().astype(np.float64) if parts else np.empty((0, 1))

    def inputs(self, u: Array) -> Tensor:
        """Return unit-cube points as standardised inputs.

        By the prior's mean and deviation, not the sample's: those move as the sample concentrates, and a warm start
        would begin from a network whose inputs mean something else.
        """
        return torch.from_numpy(((u - 0.5) * UNIT_DEVIATION).astype(np.float32)).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        module = {name: tensor.detach().cpu().clone() for name, tensor in self.module.state_dict().items()}
        return {"ready": self.ready, "seen": self.seen, "module": module}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.module.eval()
        self.ready, self.seen = bool(state["ready"]), int(state["seen"])


class MLPClassifier(Network):
    """Learns P(good): ReLU layers, one logit, binary cross-entropy.

    Parameters
    ----------
    d : int
    options : LearnOptions
        For `hidden` and the training.
    seed : int
        Of the first weights.
    module : torch.nn.Module, optional
        Takes the network's place: ``(n, d)`` to ``(n,)`` or ``(n, 1)`` logits.

    References
    ----------
    .. [1] A. Hammad et al., "DLScanner", arXiv:2412.19675, Eq. 9.
    """

    def __init__(self, d: int, options: LearnOptions, seed: int, module: nn.Module | None = None) -> None:
        with seeded(seed):
            super().__init__(d, options, module if module is not None else multilayer(d, options.hidden, 1))

    def fit(self, lesson: Lesson, seed: int) -> None:
        if not lesson.two_classes:
            return
        rng = np.random.default_rng(seed)
        weight = importance(lesson.good, self.predict(lesson.u).score if self.ready else None)
        with seeded(seed):
            self._learn(lesson, weight, step_budget(len(lesson), self.seen, self.options), rng)
        self.ready, self.seen = True, len(lesson)

    def predict(self, u: Array) -> Prediction:
        logit = self.outputs(u)[:, 0]
        score = sigmoid(logit)
        return Prediction(score, logit, score > self.options.confident)

    def _learn(self, lesson: Lesson, weight: Array, steps: int, rng: np.random.Generator) -> None:
        x = self.inputs(lesson.u)
        y = torch.from_numpy(lesson.good.astype(np.float32)).to(self.device)

        def loss(rows: Tensor) -> Tensor:
            return functional.binary_cross_entropy_with_logits(self.module(x[rows]).reshape(-1).float(), y[rows])

        train(self.module, loss, weight, split(lesson.good, self.options.holdout, rng), self.options, rng, steps)


class MLPRegressor(Network):
    """Learns the constrained observables, from which the target gives the likelihood, or the likelihood itself.

    Values are centred on those of good points and scaled by their spread with a logarithmic tail, so that the network
    resolves the neighbourhood of the target whatever the observable does far away. One more output learns which points
    fail; it is used only once some have.

    Parameters
    ----------
    d : int
    target : Target
    observables : sequence of str, length m
        Names of the observables in the rows.
    options : LearnOptions
    seed : int

    References
    ----------
    .. [1] A. Hammad et al., "DLScanner", arXiv:2412.19675, Eq. 5 and 8.
    """

    def __init__(self, d: int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int) -> None:
        self.target = target
        self.learned = learned_observables(target, observables)
        width = max(1, len(self.learned))
        with seeded(seed):
            super().__init__(d, options, multilayer(d, options.hidden, width + 1))
        self.centre, self.scale = np.zeros(width), np.ones(width)
        self.failures = False

    def fit(self, lesson: Lesson, seed: int) -> None:
        known_values = lesson.values[lesson.known]
        if not len(known_values) or (lesson.known.all() and not (np.ptp(known_values, axis=0) > 0).any()):
            return
        rng = np.random.default_rng(seed)
        weight = importance(
            lesson.good, self.predict(lesson.u).score if self.ready and not lesson.provisional else None
        )
        self._set_scale(lesson)
        self.failures = not lesson.known.all()
        known = torch.from_numpy(lesson.known.astype(np.float32)).to(self.device)
        z = np.where(lesson.known[:, None], np.arcsinh((lesson.values - self.centre) / self.scale), 0.0)
        wanted = torch.from_numpy(z.astype(np.float32)).to(self.device)
        x = self.inputs(lesson.u)

        def loss(rows: Tensor) -> Tensor:
            out = self.module(x[rows]).float()
            there = known[rows]
            error = ((out[:, :-1] - wanted[rows]) ** 2).mean(dim=1)
            value: Tensor = (error * there).sum() / there.sum().clamp(min=1.0)
            if self.failures:
                value = value + functional.binary_cross_entropy_with_logits(out[:, -1], there)
            return value

        steps = step_budget(len(lesson), self.seen, self.options)
        with seeded(seed):
            train(self.module, loss, weight, split(lesson.good, self.options.holdout, rng), self.options, rng, steps)
        self.ready, self.seen = True, len(lesson)

    def predict(self, u: Array) -> Prediction:
        out = self.outputs(u)
        # The tail is exponential: without a bound a wild output would overflow.
        values = self.centre + self.scale * np.sinh(np.clip(out[:, :-1], -50.0, 50.0))
        works = sigmoid(out[:, -1]) if self.failures else np.ones(len(u))
        if not self.learned:
            score = np.clip(values[:, 0], 0.0, 1.0) * works
            return Prediction(score, values[:, 0] * works, score > self.options.threshold)
        judged = self.target.judge(dict(zip(self.learned, values.T, strict=True)))
        merit = np.log(works + 1e-12) - judged.penalty
        return Prediction(judged.likelihood * works, merit, judged.valid & (works > 0.5))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "centre": self.centre, "scale": self.scale, "failures": self.failures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.centre, self.scale = np.asarray(state["centre"]), np.asarray(state["scale"])
        self.failures = bool(state["failures"])

    def _set_scale(self, lesson: Lesson) -> None:
        values = lesson.values[lesson.known]
        near = lesson.values[lesson.known & lesson.good]
        centre = np.median(near if len(near) else values, axis=0)
        scale = np.median(np.abs(values - centre), axis=0)
        scale = np.where(scale > 0, scale, np.abs(values - centre).max(axis=0))
        scale = np.where(scale > 0, scale, 1.0)
        # Kept while it fits, so that the outputs of a warm start still mean the same.
        fits = (np.abs(centre - self.centre) < 0.5 * self.scale) & (scale < 3 * self.scale) & (scale > self.scale / 3)
        if not (self.ready and fits.all()):
            self.centre, self.scale = centre, scale


def sigmoid(logit: Array) -> Array:
    """Return ``1 / (1 + exp(-logit))`` without overflow."""
    return np.exp(-np.logaddexp(0.0, -logit))
