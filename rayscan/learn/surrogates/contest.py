"""Several surrogates of the same observables, and which of them is believed of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.data import GUIDED, Array, Rows
from rayscan.learn.device import pick_device
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.interpolator import Interpolator
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import BATCH, Replay
from rayscan.learn.surrogates.response_surface import ResponseSurface

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.learner import Learner

PLAIN, WAVES, POINTS, SURFACE = range(4)
"""Two networks, without and with plane waves as inputs, an interpolation, and a quadratic surface."""
STEPS, LOSER_STEPS, FIRST_STEPS = 300, 60, 300
CLEAR = 1.5
"""A surrogate that errs so many times more than the best is behind."""
MORE = 1.25
"""An interpolation that is behind is made anew when there are this many times more points."""
RECENT, ENOUGH = 300, 50
CORE = 0.68
"""The share of the errors within one standard deviation."""
UNKNOWN = 1e9
"""An error larger than any."""
SURE = 30.0
"""Logit of validity where no point has failed yet."""
NARROWEST, NEUTRAL = 1e-3, 0.5
"""The smallest width, and the one before anything is known of it."""


class Contest:
    """Surrogates that learn the same; of each observable, that one is believed that errs least on new points.

    Parameters
    ----------
    features : Features
    ladder : Ladder
        What is to be predicted, and how it is scaled.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    driver : ndarray of int, shape (outputs,)
        `PLAIN`, `WAVES`, `POINTS` or `SURFACE`, for each observable.
    width : ndarray, shape (q,)
        What the predictions are off by, as a standard deviation.
    errors : list of ndarray, shape (n, q)
        Of each surrogate, of predictions made before the points were evaluated; the recent ones.
    """

    def __init__(self, features: Features, ladder: Ladder, options: LearnOptions, seed: int) -> None:
        self.features, self.ladder, self.options, self.seed = features, ladder, options, seed
        self.device = pick_device(options)
        self.networks: list[Learner] = []
        self.points = Interpolator(features, ladder.outputs)
        self.surface = ResponseSurface(features.d, ladder.outputs)
        self.driver = np.full(ladder.outputs, POINTS)
        self.width: Array = np.full(len(ladder.goal), NEUTRAL)
        self.errors = [np.empty((0, len(ladder.goal))) for _ in (PLAIN, WAVES, POINTS, SURFACE)]
        self._guessed: Array = np.full(len(ladder.goal), NEUTRAL)
        self.failures = False
        self._validity = PLAIN
        self._misjudged = np.zeros((0, ladder.outputs), dtype=bool)
        self._u, self._truth = np.empty((0, features.d)), self.errors[PLAIN]

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return bool(self.networks)

    @property
    def sharpness(self) -> float:
        """How fast the density of the population should fall where the surrogates are less sure.

        Each of many constraints has a rim where it is not sure, and all of them together nearly no inside.
        """
        return max(10.0 / max(self.ladder.outputs, 1), 2.0)

    @property
    def surprise(self) -> Array:
        """How far off the believed predictions were ``(q,)`` for points not seen before, as a standard deviation."""
        answer = self.width.copy()
        for j, k in enumerate(self.driver):
            if len(self.errors[k]) >= ENOUGH:
                answer[j] = max(answer[j], float(np.quantile(self.errors[k][:, j], CORE)))
        return answer

    @property
    def _need(self) -> Array:
        """How badly each observable wants points: how often it turned out on the wrong side of its interval's ends."""
        return np.asarray((self._misjudged.sum(axis=0) + 1) / RECENT)

    def tell(self, rows: Rows, quantities: Array) -> None:
        """Note how far off the predictions are for those of the newly evaluated points that the population proposed.

        Parameters
        ----------
        rows : Rows, length n
        quantities : ndarray, shape (n, q)
            Rows with a NaN are skipped.
        """
        known = np.isin(rows.origin, GUIDED) & np.isfinite(quantities).all(axis=1)
        u, truth = rows.u[known][-RECENT:], quantities[known][-RECENT:]
        if not self.ready or not len(u):
            return
        said = self.predict(torch.from_numpy(u).to(self.device))[0]
        wrong = self.ladder.misjudged(said, truth)[:, : self.ladder.outputs]
        self._misjudged = np.concatenate([self._misjudged, wrong])[-RECENT:]
        for k in range(len(self.errors)):
            self.errors[k] = np.concatenate([self.errors[k], self._error(k, u, truth)])[-RECENT:]
        self._u = np.concatenate([self._u, u])[-RECENT:]
        self._truth = np.concatenate([self._truth, truth])[-RECENT:]
        self._hear_on_validity()

    @torch.no_grad()
    def _error(self, k: int, u: Array, truth: Array) -> Array:
        """Return the errors ``(n, q)`` of a surrogate as it is now; `UNKNOWN` where it has learned nothing."""
        at = torch.from_numpy(u).to(self.device)
        if k in (PLAIN, WAVES):
            t = self.networks[k].answer(at)[:, :-1]
        else:
            t = torch.full((len(u), self.ladder.outputs), UNKNOWN, dtype=torch.float64, device=at.device)
            one = self.points if k == POINTS else self.surface
            learned = np.flatnonzero(one.trained_on).tolist()
            if learned:
                t[:, learned] = one.predict(at, learned)
        return np.abs(self.ladder.predicted(t).cpu().numpy() - self.ladder.scaled(truth))

    def rescale(self, factor: Array) -> None:
        """Take over a new scale of the quantities, old over new ``(q,)``."""
        self.errors, self._guessed = [error * factor for error in self.errors], self._guessed * factor
        self.points.rescale(factor[: self.ladder.outputs])
        self.surface.rescale(factor[: self.ladder.outputs])
        self._hear_on_validity()

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all points so far, those behind less than the others; then choose whom to believe."""
        from rayscan.learn.surrogates.learner import make_learners

        u, t, ok = replay.lesson()
        self.failures = bool((ok == 0).any())
        behind = self._behind()
        first = not self.networks
        if first:
            self.networks = make_learners(self.features, self.ladder.outputs, self.options, self.seed)
        for k, network in enumerate(self.networks):
            other = behind[1 - k].all()
            steps = FIRST_STEPS if first else LOSER_STEPS if behind[k].all() else STEPS // (1 if other else 2)
            network.train(u, t, ok, replay.batches(steps, BATCH, rng))
        again = np.flatnonzero(~behind[POINTS] | (len(u) >= MORE * self.points.trained_on))
        if len(again):
            counts = self.points.shared(self._need)
            near = replay.near(int(counts.max()))
            guessed = self.points.train(u, t, near, again, counts, rng)[replay.near()]
            self._guess(guessed, again)
        again = np.flatnonzero(~behind[SURFACE] | (len(u) >= MORE * self.surface.trained_on))
        self.surface.train(u, t, replay.near(), again, rng)
        self._judge()

    def _guess(self, guessed: Array, which: NDArray[np.int64]) -> None:
        """Note the errors ``(n, outputs)`` of interpolating points near the target, for `which` observables."""
        sizes = self._guessed.copy()
        for j in which:
            known = guessed[np.isfinite(guessed[:, j]), j]
            sizes[j] = np.quantile(known, CORE) if len(known) else NEUTRAL
        sizes[self.ladder.outputs :] = sizes[: self.ladder.outputs].max(initial=NARROWEST)
        self._guessed = sizes

    @torch.no_grad()
    def predict(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scaled quantities ``(n, q)`` and a logit of validity ``(n,)`` at points ``(n, d)``."""
        answer = self.answer(u)
        return self.ladder.predicted(answer[:, :-1]), answer[:, -1]

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        """Return scaled observables and the logit of validity ``(n, outputs + 1)`` at points ``(n, d)``.

        Parameters
        ----------
        u : Tensor, shape (n, d)
        before : Tensor, shape (n, outputs + 1), optional
            The answers where all but the parameters that `moved` are the same.
        moved : Tensor of bool, shape (n, d), optional
        """
        outputs = self.ladder.outputs
        answer = torch.full((len(u), outputs + 1), SURE, dtype=u.dtype, device=u.device)
        for k in (PLAIN, WAVES):
            own = np.flatnonzero(self.driver == k).tolist()
            if self.failures and k == self._validity:
                own.append(outputs)
            if own:
                answer[:, own] = self.networks[k].answer(u)[:, own].to(u.dtype)
        own = np.flatnonzero(self.driver == SURFACE).tolist()
        if own:
            answer[:, own] = self.surface.predict(u, own)
        for j in np.flatnonzero(self.driver == POINTS).tolist():
            if before is None or moved is None:
                answer[:, j] = self.points.predict(u, [j])[:, 0]
                continue
            rows = torch.nonzero(self.points.depends(j, moved))[:, 0]
            answer[:, j] = before[:, j]
            answer[rows, j] = self.points.predict(u[rows], [j])[:, 0]
        return answer

    def _hear_on_validity(self) -> None:
        """Note the better network, whose word it is whether there will be observables at all."""
        size = np.nan_to_num(self._sizes()[:POINTS].sum(axis=1), posinf=1e300)
        self._validity = int(np.argmin(size))

    def blocks(self, u: Tensor) -> Blocks:
        """Return what each observable depends on, judged by its slopes at places ``(n, d)``."""
        at = u.clone().requires_grad_()
        with torch.enable_grad():
            t = self.answer(at)[:, :-1]
            slopes = [torch.autograd.grad(t[:, j].sum(), at, retain_graph=True)[0] for j in range(t.shape[1])]
        return Blocks.of_slopes(torch.stack(slopes))

    def _sizes(self) -> Array:
        """Return how much each surrogate errs in each observable ``(4, outputs)``; infinite where that is unknown."""
        outputs = self.ladder.outputs
        sizes = np.full((len(self.errors), outputs), np.inf)
        for k, error in enumerate(self.errors):
            if len(error) >= ENOUGH:
                # Medians forget what happens far from the target.
                sizes[k] = np.median(error[:, :outputs], axis=0)
        sizes[POINTS, self.points.trained_on == 0] = np.inf
        sizes[SURFACE, self.surface.trained_on == 0] = np.inf
        return sizes

    def _behind(self) -> NDArray[np.bool_]:
        sizes = self._sizes()
        return np.asarray((CLEAR * sizes.min(axis=0) < sizes) & np.isfinite(sizes))

    def _judge(self) -> None:
        """Believe the surrogate with the smallest errors, and take the width of its predictions from them."""
        sizes = self._sizes()
        told = np.isfinite(sizes).any(axis=0)
        self.driver[told] = np.argmin(sizes[:, told], axis=0)
        self.driver[(self.driver == POINTS) & (self.points.trained_on == 0)] = PLAIN
        width = np.full(len(self.ladder.goal), NEUTRAL)
        for k in np.unique(self.driver):
            if k == POINTS or len(self.errors[k]):
                own = np.append(self.driver == k, np.zeros(len(width) - len(self.driver), dtype=bool))
                if self.ladder.joint and (self.driver == k).sum() * 2 >= len(self.driver):
                    own[len(self.driver) :] = True
                width[own] = self._uncertainty(int(k))[own]
        self.width = np.maximum(width, NARROWEST)

    def _uncertainty(self, k: int) -> Array:
        """Return how far off a surrogate is now ``(q,)``, not when it last spoke."""
        if k == POINTS and len(self.errors[k]) < ENOUGH:
            return self._guessed
        # The truth lies between the errors before and after the surrogate learned these very points. The population
        # goes where points seem to be in target, and among those are all that only seem so.
        before = np.quantile(self.errors[k], CORE, axis=0)
        after = self._guessed if k == POINTS else np.quantile(self._error(k, self._u, self._truth), CORE, axis=0)
        return np.asarray(np.where(before < UNKNOWN, np.sqrt(before * after), after))

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "networks": [network.state_dict() for network in self.networks],
            "points": self.points.state_dict(),
            "surface": self.surface.state_dict(),
            "errors": self.errors,
            "guessed": self._guessed,
            "recent": [self._u, self._truth],
            "misjudged": self._misjudged,
            "width": self.width,
            "driver": self.driver,
            "failures": self.failures,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        from rayscan.learn.surrogates.learner import make_learners

        if state["networks"]:
            self.networks = make_learners(self.features, self.ladder.outputs, self.options, self.seed)
        for network, saved in zip(self.networks, state["networks"], strict=True):
            network.load_state_dict(saved)
        self.points.load_state_dict(state["points"])
        self.errors = [np.array(error) for error in state["errors"]]
        if "surface" in state:
            self.surface.load_state_dict(state["surface"])
        else:
            # Saved by a version that had none: it has not been right about anything yet.
            self.errors.append(np.full_like(self.errors[POINTS], UNKNOWN))
        # Earlier versions saved one row, or none where nothing had been interpolated.
        guessed = np.array(state["guessed"]).ravel()
        if len(guessed):
            self._guessed = guessed
        self._u, self._truth = (np.array(values) for values in state["recent"])
        self._misjudged = np.array(state.get("misjudged", self._misjudged))
        self.failures = bool(state["failures"])
        self.width, self.driver = np.array(state["width"]), np.array(state["driver"], dtype=np.int64)
        self._hear_on_validity()
