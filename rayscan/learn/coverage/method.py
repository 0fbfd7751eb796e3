"""The default method: fill the whole valid region with points, from as few evaluations as possible."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.coverage.belief import Belief
from rayscan.learn.coverage.exploration import Exploration
from rayscan.learn.coverage.sampler import Sampler
from rayscan.learn.data import NEAR, Array, Origin, Proposals, Rows
from rayscan.learn.initial import InitialDesign
from rayscan.learn.islands import Islands
from rayscan.learn.moves.growth import Growth
from rayscan.learn.moves.hops import Hops
from rayscan.learn.moves.transplants import Transplants
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.threads import serial_algebra
from rayscan.problem.domain import Domain
from rayscan.problem.target import Target

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions

ENOUGH, LABELS_ENOUGH = 0.35, 0.7
"""Acceptance of the population above which growth is not needed: with observables, and with labels alone.

A classifier leads the population where points are valid already, and the better that goes, the more it leaves out.
"""
PROBES_FROM, PROBE_SHARE, MOST_PROBES = 200, 0.03, 400
"""Known valid points from which there are probes, their share of a batch, and about how many it has at most."""


class CoverageProposer:
    """Learn the observables, sample where they should be in target, and propose where points are missing.

    Parameters
    ----------
    domain : Domain or int
        Where points may be; a number of dimensions stands for all of the unit cube.
    target : Target
    observables : sequence of str
        Names of the columns of `Rows.observables`.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    generation : int
        Refits so far.

    Notes
    -----
    1. `Ladder` says what to hit: the target, or a wider provisional one until points come near or predictions are
       precise.
    2. `Belief` says how probable places are to hit it. It is a `Contest`: two networks, and a Gaussian process for each
       scaled constrained observable; of each the one is believed with the smallest errors on points that it had not
       seen. Where there are labels alone, such surrogates sit in a `Jury`, each heard by its record.
    3. `Sampler` carries a `Population` from the prior to this probability by tempering. In up to `NEAR` dimensions, a
       `SecondLook` at places that it visits says where predictions are off, from what is left over nearby, and of the
       rest, `Candidates` picks some that fill the largest holes among the points known, and others as they come.
    4. In up to `NEAR` dimensions, `Hops` try places outside the known valid region on the true function, as often as
       that pays, and where the population fails, `Growth` steps along the known region. With labels alone,
       `Transplants` test whether islands are alike.
    5. Of each batch, an exact share is uniform, and more of it while `Exploration` has evidence of missed volume; once
       there are `PROBES_FROM` valid points, `PROBE_SHARE` of the rest are draws of the population with known density,
       for the volume.
    """

    def __init__(
        self, domain: Domain | int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int
    ) -> None:
        self.domain = Domain.of(domain)
        d = self.domain.d
        self.d, self.target, self.options, self.seed = d, target, options, seed
        self.generation = 0
        self.fast = options.selection == "fast"
        self.ladder = Ladder(target, observables)
        self.replay = Replay(d, target, self.ladder)
        self.belief = Belief(Features(d, self.domain.zeros), self.ladder, options, seed)
        self.sampler = Sampler(self.domain, self.belief, fast=self.fast)
        self.hops = Hops()
        self.growth = Growth(ENOUGH if self.ladder.outputs else LABELS_ENOUGH)
        self.transplants = Transplants()
        # A classifier cannot know of what it has not seen; observables point the way to it.
        self.exploration = Exploration(d, belief=0.0 if self.ladder.outputs else 1.0)
        self._asked = self._draws = 0
        self.initial = InitialDesign(self.domain, options, seed)
        self._islands = Islands(np.empty((0, d)))
        self._dead: Array = np.empty((0, d))

    # -- rows in ------------------------------------------------------------------------------------------------

    @serial_algebra()
    def tell(self, rows: Rows) -> None:
        """Take evaluated rows in issue order, and note how far off the predictions for them are."""
        if not len(rows):
            return
        hopped, proposed = rows.origin == Origin.LOCAL, rows.origin == Origin.POPULATION
        if self.d <= NEAR:
            self.hops.learn(rows.u[hopped], rows.valid[hopped], self._islands)
            self.hops.compare(rows.u[proposed], rows.valid[proposed], self._islands)
        self.transplants.learn(rows.valid[rows.origin == Origin.TRANSPLANT])
        self.growth.learn(rows.valid[rows.origin == Origin.GROWTH], rows.valid[proposed])
        blind = (rows.origin == Origin.UNIFORM) & np.isfinite(rows.score)
        hits = blind & rows.valid
        outside = self.hops.outside(rows.u[hits], self._islands) if self.d <= NEAR else np.ones(hits.sum(), dtype=bool)
        self.exploration.learn(int(blind.sum()), rows.u[hits], rows.score[hits], outside)
        self.replay.add(rows)
        self.belief.tell(rows)

    @serial_algebra()
    def refit(self) -> None:
        """Train on what is known, choose whom to believe, and carry a new population from the prior."""
        if not len(self.replay):
            return
        self.generation += 1
        rng = self._rng()
        self.belief.aim(self.replay)
        known = self.replay.best()
        if not len(known):
            # Nothing tells good from bad yet.
            return
        self.belief.train(self.replay, rng)
        self._survey()
        if self.d <= NEAR:
            self.hops.survey(self._islands)
            self.exploration.survey(self._islands)
        self.sampler.restart(known, self.growth.walked, rng)

    def _survey(self) -> None:
        rows = self.replay.rows
        self._islands = self.replay.islands
        self._dead = rows.u[np.isin(rows.origin, (Origin.LOCAL, Origin.TRANSPLANT)) & ~rows.valid]

    @property
    def _valid(self) -> Array:
        """The known valid points ``(n, d)`` at the last refit."""
        return self._islands.u

    # -- points out ---------------------------------------------------------------------------------------------

    @serial_algebra()
    def ask(self, n: int, pending: Array) -> Proposals:
        """Return `n` points, mixed such that any prefix keeps the shares.

        Parameters
        ----------
        n : int
        pending : ndarray, shape (k, d)
            Issued but not back; new points keep away from them.
        """
        initial = dataclasses.replace(self.initial.take(n), generation=self.generation)
        rest = n - len(initial)
        if not rest:
            return initial
        u, origin = np.empty((rest, self.d)), np.full(rest, Origin.UNIFORM, dtype=np.int8)
        blind = self._blind(rest)
        rng = self._rng()
        probed = len(self._valid) >= PROBES_FROM and self.sampler.population.ready and not self.fast
        share = min(PROBE_SHARE, MOST_PROBES / rest) if probed else 0.0
        probes = ~blind & (rng.random(rest) < share)
        blind |= ~probes & (rng.random(rest) < self.exploration.share)
        guided = np.flatnonzero(~blind & ~probes)
        if len(guided) and self.sampler.started:
            parts = self._all_guided(len(guided), np.concatenate([np.reshape(pending, (-1, self.d)), initial.u]), rng)
            found = np.concatenate(list(parts.values()))
            came = np.repeat(np.array(list(parts), dtype=np.int8), [len(part) for part in parts.values()])
            # Should the population be stuck, uniform points take the places that are left.
            order = rng.permutation(len(found))
            u[guided[: len(order)]], origin[guided[: len(order)]] = found[order], came[order]
        free, density = np.flatnonzero(origin == Origin.UNIFORM), np.full(rest, np.nan)
        count = int(probes.sum())
        u[free], origin[free], density[free] = self.sampler.probes(len(free) - count, count, rng)
        score = np.exp(self.belief.log_p(u, goal=True)) if self.belief.ready else np.full(rest, np.nan)
        return Proposals(
            np.concatenate([initial.u, u]), np.concatenate([initial.origin, origin]),
            np.concatenate([initial.density, density]), np.concatenate([initial.score, score]), self.generation,
        )  # fmt: skip

    def _blind(self, n: int) -> NDArray[np.bool_]:
        """Return which of the next `n` points are uniform: exactly `random_share` of them, evenly spaced."""
        share = self.options.random_share
        k = np.arange(self._asked, self._asked + n + 1, dtype=np.float64)
        self._asked += n
        steps = np.floor(k * share + 1e-9)
        return np.diff(steps) > 0

    def _all_guided(self, n: int, taken: Array, rng: np.random.Generator) -> dict[Origin, Array]:
        """Return `n` points by what proposed them."""
        if self.d > NEAR:
            return {Origin.POPULATION: self.sampler.propose(n, self.replay, taken, rng)}
        count = 0 if self.fast else rng.binomial(n, self.hops.share)
        hops = self._allowed(self.hops.propose(self._islands, self._dead, count, rng))
        moved = self._allowed(self._transplanted(n - len(hops), rng))
        steps = rng.binomial(n - len(hops) - len(moved), self.growth.share)
        grown = self._allowed(self.growth.propose(self._valid, self.replay.u[~self.replay.valid], steps, rng))
        placed = [hops, moved, grown]
        left, taken = n - sum(map(len, placed)), np.concatenate([taken, *placed])
        walked = self.sampler.propose(left, self.replay, taken, rng)
        return {Origin.LOCAL: hops, Origin.TRANSPLANT: moved, Origin.GROWTH: grown, Origin.POPULATION: walked}

    def _allowed(self, u: Array) -> Array:
        return u if self.domain.whole else u[self.domain.inside(u)]

    def _transplanted(self, n: int, rng: np.random.Generator) -> Array:
        """Return some of `n` points ``(k, d)`` by which the word of islands alike is tested."""
        jury = self.belief.jury
        if self.fast or jury is None:
            return np.empty((0, self.d))
        return self.transplants.propose(
            self._islands, jury.alike.middle, self._dead, self.hops.reach, jury.contested,
            rng.binomial(n, self.transplants.share), rng,
        )  # fmt: skip

    def _rng(self) -> np.random.Generator:
        """Return a fresh stream: numbered, so that a resumed scan continues where it left off."""
        self._draws += 1
        return np.random.default_rng([self.seed, 1, self._draws])

    # -- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the rows."""
        return {
            "counters": [self.generation, self._asked, self.initial.issued, self._draws],
            "belief": self.belief.state_dict(),
            "sampler": self.sampler.state_dict(),
            "hops": self.hops.state_dict(),
            "growth": self.growth.state_dict(),
            "transplants": self.transplants.state_dict(),
            "exploration": self.exploration.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        """Return to a state, given the rows told until then in the same order."""
        self.generation, self._asked, self.initial.issued, self._draws = map(int, state["counters"])
        self.belief.load_state_dict(state["belief"])
        self.sampler.load_state_dict(state["sampler"])
        self.hops.load_state_dict(state["hops"])
        self.growth.load_state_dict(state["growth"])
        self.transplants.load_state_dict(state["transplants"])
        self.exploration.load_state_dict(state["exploration"])
        self.replay = Replay(self.d, self.target, self.ladder)
        self.replay.add(rows)
        self._survey()
