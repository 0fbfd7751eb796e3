"""How probable it is that places are in target, as far as surrogates know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_expit

from rayscan.learn.data import Array, Origin, Rows
from rayscan.learn.surrogates.contest import Contest
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.surrogates.second_look import SecondLook

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions


class Belief:
    """Surrogates of the observables, or of bare labels, and what they say of the target.

    Parameters
    ----------
    d : int
    ladder : Ladder
        What is to be hit.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    contest : Contest or Jury
    second_look : SecondLook or None
        With observables.
    jury : Jury or None
        The contest, where there are labels alone.
    """

    def __init__(self, d: int, ladder: Ladder, options: LearnOptions, seed: int) -> None:
        self.d, self.ladder, self.options, self.seed = d, ladder, options, seed
        self._begin()

    def _begin(self) -> None:
        """Start with surrogates that have learned nothing."""
        self.contest: Contest | Jury
        self.second_look: SecondLook | None = None
        self.jury: Jury | None = None
        if self.ladder.outputs:
            self.contest = Contest(self.d, self.ladder, self.options, self.seed)
            self.second_look = SecondLook(self.contest)
        else:
            self.contest = self.jury = Jury(self.d, self.options, self.seed)

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
            proposed = rows.origin == Origin.CHAIN
            self.second_look.learn(rows.u[proposed], rows.valid[proposed])

    def aim(self, replay: Replay) -> None:
        """Set level and scale of what is to be hit by all that is known."""
        before = self.ladder.scale.copy()
        if self.ladder.update(replay.observables, replay.penalty, replay.valid):
            self.contest.rescale(before / self.ladder.scale)

    def train(self, replay: Replay, rng: np.random.Generator) -> None:
        """Learn from all that is known."""
        self.contest.train(replay, rng)
        if self.second_look and self.ladder.reached:
            self.second_look.survey(replay, rng)

    def log_p(self, u: Array, *, goal: bool = False) -> Array:
        """Return ``ln p`` ``(n,)`` of places ``(n, d)`` being at the current level, or in the target (`goal`)."""
        t, logit = self.contest.predict(u)
        valid: Array = log_expit(logit)
        if not self.ladder.outputs:
            return valid
        return valid + self.ladder.log_probability(t, self.contest.width, goal=goal)

    def state_dict(self) -> dict[str, Any]:
        """Return everything learned."""
        return {
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
