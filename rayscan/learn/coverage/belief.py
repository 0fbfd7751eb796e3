"""How probable it is that places are in target, as far as surrogates know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rayscan.learn.data import NEAR, Array, Origin, Rows
from rayscan.learn.device import pick_device
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.surrogates.contest import Contest
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.surrogates.second_look import SecondLook

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions
    from rayscan.learn.surrogates.features import Features


class Belief:
    """Surrogates of the observables, or of bare labels, and what they say of the target.

    Parameters
    ----------
    features : Features
    ladder : Ladder
        What is to be hit.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    contest : Contest or Jury
    second_look : SecondLook or None
        With observables, in up to `NEAR` dimensions.
    jury : Jury or None
        The contest, where there are labels alone.
    """

    def __init__(self, features: Features, ladder: Ladder, options: LearnOptions, seed: int) -> None:
        self.features, self.ladder, self.options, self.seed = features, ladder, options, seed
        self.device = pick_device(options)
        self._begin()

    def _begin(self) -> None:
        """Start with surrogates that have learned nothing."""
        self.contest: Contest | Jury
        self.second_look: SecondLook | None = None
        self.jury: Jury | None = None
        if self.ladder.outputs:
            self.contest = Contest(self.features, self.ladder, self.options, self.seed)
            if self.features.d <= NEAR:
                self.second_look = SecondLook(self.contest)
        else:
            self.contest = self.jury = Jury(self.features, self.options, self.seed)

    @property
    def ready(self) -> bool:
        """Whether anything has been learned."""
        return self.contest.ready

    def tell(self, rows: Rows) -> None:
        """Take evaluated rows, and note how far off the predictions for them are."""
        constrained = rows.observables[:, self.ladder.columns]
        if self.ladder.grade(constrained, rows.likelihood):
            # There is one more output to predict.
            self._begin()
        quantities = self.ladder.quantities(self.ladder.seen(constrained, rows.likelihood))
        self.contest.tell(rows, quantities)
        if self.second_look:
            proposed = rows.origin == Origin.POPULATION
            self.second_look.learn(rows.u[proposed], rows.valid[proposed])

    def aim(self, replay: Replay) -> None:
        """Set level and scale of what is to be hit by all that is known."""
        before = self.ladder.scale.copy()
        if self.ladder.update(replay.observables, replay.penalty, replay.valid):
            self.contest.rescale(before / self.ladder.scale)

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all that is known."""
        self.contest.train(replay, rng)
        if isinstance(self.contest, Contest):
            self.ladder.leap(self.contest.surprise)
        if self.second_look and self.ladder.reached:
            self.second_look.survey(replay, rng)

    @torch.no_grad()
    def log_p(self, u: Array, *, goal: bool = False) -> Array:
        """Return ``ln p`` ``(n,)`` of places ``(n, d)`` being at the current level, or in the target (`goal`)."""
        at = torch.from_numpy(np.ascontiguousarray(u)).to(self.device)
        answer: Array = self.judge(self.answer(at), goal=goal).cpu().numpy()
        return answer

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        """Return what the surrogates say of places ``(n, d)``; parameters as those of a `Density`."""
        if isinstance(self.contest, Jury):
            return torch.from_numpy(self.contest.predict(u.cpu().numpy())[1])[:, None].to(self.device)
        return self.contest.answer(u, before, moved)

    def judge(self, answer: Tensor, *, goal: bool = False) -> Tensor:
        """Return ``ln p`` ``(n,)`` that follows from the surrogates' answers ``(n, outputs + 1)``."""
        valid = torch.nn.functional.logsigmoid(answer[:, -1])
        if not self.ladder.outputs:
            return valid
        t = self.ladder.predicted(answer[:, :-1])
        return valid + self.ladder.log_probability(t, self.contest.width, goal=goal)

    def blocks(self, u: Array) -> Blocks:
        """Return what each observable depends on, around places ``(n, d)``."""
        assert isinstance(self.contest, Contest)
        return self.contest.blocks(torch.from_numpy(u).to(self.device))

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
            "zeros": self.features.zeros,
            "ladder": self.ladder.state_dict(),
            "contest": self.contest.state_dict(),
            "second_look": self.second_look.state_dict() if self.second_look else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.ladder.load_state_dict(state["ladder"])
        self._begin()
        self.contest.load_state_dict(state["contest"])
        if self.second_look:
            self.second_look.load_state_dict(state["second_look"])
