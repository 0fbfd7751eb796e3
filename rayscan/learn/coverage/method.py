"""The default method: fill the whole valid region with points, from as few evaluations as possible."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import log_expit

from rayscan.learn.coverage.audit import Audit
from rayscan.learn.coverage.candidates import Candidates
from rayscan.learn.coverage.exploration import Exploration
from rayscan.learn.data import Array, Origin, Proposals, Rows
from rayscan.learn.initial import InitialDesign
from rayscan.learn.islands import Islands
from rayscan.learn.moves.chains import Chains
from rayscan.learn.moves.growth import Growth
from rayscan.learn.moves.hops import Hops
from rayscan.learn.moves.spread import sparse_points
from rayscan.learn.moves.transplants import Transplants
from rayscan.learn.surrogates.contest import Contest
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.ladder import Ladder
from rayscan.learn.surrogates.replay import Replay
from rayscan.learn.surrogates.second_look import SecondLook
from rayscan.learn.threads import serial_algebra
from rayscan.target import Target

if TYPE_CHECKING:
    from rayscan.learn.options import LearnOptions

WALKERS = 1000
SURE = 0.95
STRICTNESS = 4.0
"""How fast the share of candidates that are kept falls where a second look is less sure."""
LOOKS, LOOKS_EACH = 1600, 6
"""Candidates that are looked at twice: at least, and for each point taken."""
APART = 0.7
"""With labels alone, the least distance of a point to others, in units of what is usual in an even sample.

Points where a classifier is sure lie close to those that it knows: left to itself, it digs where it began.
"""
CHOICE, WIDE_CHOICE = 4, 20
"""Candidates for each point taken: with observables, and with labels alone."""
ENOUGH, LABELS_ENOUGH = 0.35, 0.7
"""Acceptance of the chains above which growth is not needed: with observables, and with labels alone.

A classifier leads the chains where points are valid already, and the better that goes, the more it leaves out.
"""
BURN_IN, SNAPSHOTS, THINNING = 10, 4, 5
AUDIT_FROM, AUDIT_SHARE = 50, 0.015
NEIGHBOURS = 5
"""Known points around a candidate that have a say in how sure it is."""


class CoverageProposer:
    """Learn the observables, walk where they should be in target, and propose where points are missing.

    Parameters
    ----------
    d : int
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
    1. `Contest`: two networks and a Gaussian process learn the scaled constrained observables, and the networks the
       logit of validity. The one with the smallest errors on points that it had not seen drives. Where there are
       labels alone, such surrogates sit in a `Jury`, each heard by its record.
    2. `Ladder` says what to hit: the target, or a wider provisional one.
    3. `Chains` sample the probability of hitting it, given how far off the driver is.
    4. A `SecondLook` at places that the chains visited says where that is far off, from what is left over nearby.
    5. `Hops` try places outside the known valid region on the true function, as often as that pays, and where the
       chains fail, `Growth` steps along the known region. With labels alone, `Transplants` test whether islands are
       alike.
    6. Of each batch, an exact share is uniform, and more of it while `Exploration` has evidence of missed volume; once
       there are `AUDIT_FROM` valid points, `AUDIT_SHARE` of the rest is drawn by `Audit` with a known density, for the
       volume; of the places that are left after the second look, `Candidates` picks some that fill the largest holes
       among the points known, and others as they come.
    """

    def __init__(self, d: int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int) -> None:
        self.d, self.target, self.options, self.seed = d, target, options, seed
        self.generation = 0
        self.fast = options.selection == "fast"
        self.ladder = Ladder(target, observables)
        self.replay = Replay(d, target, self.ladder)
        self.chains = Chains(d, WALKERS)
        self.candidates = Candidates(d)
        self.hops = Hops()
        self.growth = Growth(ENOUGH if self.ladder.outputs else LABELS_ENOUGH)
        self.transplants = Transplants()
        # A classifier cannot know of what it has not seen; observables point the way to it.
        self.exploration = Exploration(d, belief=0.0 if self.ladder.outputs else 1.0)
        self.audit = Audit(d)
        self._begin()
        self._sure = 0.0
        self._asked = self._draws = 0
        self.initial = InitialDesign(d, options, seed)
        self._known: Array = np.empty((0, d))
        self._islands = Islands(np.empty((0, d)))
        self._dead: Array = np.empty((0, d))

    # -- rows in ------------------------------------------------------------------------------------------------

    @serial_algebra()
    def tell(self, rows: Rows) -> None:
        """Take evaluated rows in issue order, and note how far off the predictions for them are."""
        if not len(rows):
            return
        hopped, proposed = rows.origin == Origin.LOCAL, rows.origin == Origin.CHAIN
        self.hops.learn(rows.u[hopped], rows.valid[hopped], self._islands)
        self.hops.compare(rows.u[proposed], rows.valid[proposed], self._islands)
        self.transplants.learn(rows.valid[rows.origin == Origin.TRANSPLANT])
        self.growth.learn(rows.valid[rows.origin == Origin.GROWTH], rows.valid[proposed])
        blind = (rows.origin == Origin.UNIFORM) & np.isfinite(rows.score)
        hits = blind & rows.valid
        outside = self.hops.outside(rows.u[hits], self._islands)
        self.exploration.learn(int(blind.sum()), rows.u[hits], rows.score[hits], outside)
        self.replay.add(rows)
        constrained = rows.observables[:, self.ladder.columns]
        if self.ladder.grade(constrained, rows.likelihood):
            # There is one more output to predict.
            self._begin()
        quantities = self.ladder.quantities(self.ladder.seen(constrained, rows.likelihood))
        self.contest.tell(rows, quantities)
        if self.second_look:
            self.second_look.learn(rows.u[proposed], rows.valid[proposed])

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

    @serial_algebra()
    def refit(self) -> None:
        """Train on what is known, choose the surrogate that drives, and set the chains going from sparse places."""
        if not len(self.replay):
            return
        self.generation += 1
        rng = self._rng()
        before = self.ladder.scale.copy()
        if self.ladder.update(self.replay.observables, self.replay.penalty, self.replay.valid):
            self.contest.rescale(before / self.ladder.scale)
        self._known = self.replay.best()
        if not len(self._known):
            # Nothing tells good from bad yet.
            return
        self.contest.train(self.replay, rng)
        if self.second_look and self.ladder.reached:
            self.second_look.survey(self.replay, rng)
        self._survey()
        self.hops.survey(self._islands)
        self.exploration.survey(self._islands)
        self._restart(rng)
        self.audit.fit(self._valid, rng)
        self.candidates.clear()

    def _survey(self) -> None:
        rows = self.replay.rows
        self._islands = self.replay.islands
        self._dead = rows.u[np.isin(rows.origin, (Origin.LOCAL, Origin.TRANSPLANT)) & ~rows.valid]

    @property
    def _valid(self) -> Array:
        """The known valid points ``(n, d)`` at the last refit."""
        return self._islands.u

    def _restart(self, rng: np.random.Generator) -> None:
        if self.jury:
            self._restart_on_valid(self.jury, rng)
            return
        count = WALKERS // 5
        if not self.chains.started:
            self.chains.start(self._known, rng)
        log_p = self._log_p(self.chains.u)
        sparse = self._known[sparse_points(self._known, count, rng)]
        uniform = rng.random((8192, self.d))
        hits = uniform[np.log(rng.random(len(uniform))) < self._log_p(uniform)][: count // 2]
        self._sure = _surely(np.quantile(log_p, 0.9))
        self.chains.restart(np.concatenate([sparse[: count - len(hits)], hits]), log_p, rng)

    def _restart_on_valid(self, jury: Jury, rng: np.random.Generator) -> None:
        """Start every walker at a known valid point, or where one should be.

        Labels give no slope that leads walkers back from where all is equally improbable.
        """
        self._sure = min(_surely(np.median(self._log_p(self._known))), math.log(jury.level(self.growth.walked)))
        uniform = rng.random((8192, self.d))
        hits = uniform[np.log(rng.random(len(uniform))) < self._walked(uniform)][: WALKERS // 5]
        sparse = self._known[sparse_points(self._known, WALKERS - len(hits), rng)]
        self.chains.start(np.concatenate([hits, sparse]), rng)

    def _log_p(self, u: Array, *, goal: bool = False) -> Array:
        t, logit = self.contest.predict(u)
        valid: Array = log_expit(logit)
        if not self.ladder.outputs:
            return valid
        return valid + self.ladder.log_probability(t, self.contest.width, goal=goal)

    def _walked(self, u: Array) -> Array:
        """Return the chains' log density: flat where places count as equally good, falling fast below."""
        return self.contest.sharpness * np.minimum(self._log_p(u) - self._sure, 0.0)

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
        audited = len(self._valid) >= AUDIT_FROM and self.audit.ready and not self.fast
        probes = ~blind & (rng.random(rest) < AUDIT_SHARE) if audited else np.zeros(rest, dtype=np.bool_)
        blind |= ~probes & (rng.random(rest) < self.exploration.share)
        guided = np.flatnonzero(~blind & ~probes)
        if len(guided) and self.chains.started and self.contest.ready:
            parts = self._all_guided(len(guided), np.concatenate([np.reshape(pending, (-1, self.d)), initial.u]), rng)
            found = np.concatenate(list(parts.values()))
            came = np.repeat(np.array(list(parts), dtype=np.int8), [len(part) for part in parts.values()])
            # Should the chains be stuck, uniform points take the places that are left.
            order = rng.permutation(len(found))
            u[guided[: len(order)]], origin[guided[: len(order)]] = found[order], came[order]
        free, density = np.flatnonzero(origin == Origin.UNIFORM), np.full(rest, np.nan)
        count = int(probes.sum())
        u[free], origin[free], density[free] = self.audit.batch(len(free) - count, count, rng)
        score = np.exp(self._log_p(u, goal=True)) if self.contest.ready else np.full(rest, np.nan)
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
        count = 0 if self.fast else rng.binomial(n, self.hops.share)
        hops = self.hops.propose(self._islands, self._dead, count, rng)
        moved = self._transplanted(n - len(hops), rng)
        steps = rng.binomial(n - len(hops) - len(moved), self.growth.share)
        grown = self.growth.propose(self._valid, self.replay.u[~self.replay.valid], steps, rng)
        placed = [hops, moved, grown]
        walked = self._guided(n - sum(map(len, placed)), np.concatenate([taken, *placed]), rng)
        return {Origin.LOCAL: hops, Origin.TRANSPLANT: moved, Origin.GROWTH: grown, Origin.CHAIN: walked}

    def _transplanted(self, n: int, rng: np.random.Generator) -> Array:
        """Return some of `n` points ``(k, d)`` by which the word of islands alike is tested."""
        if self.fast or self.jury is None:
            return np.empty((0, self.d))
        return self.transplants.propose(
            self._islands, self.jury.alike.middle, self._dead, self.hops.reach, self.jury.contested,
            rng.binomial(n, self.transplants.share), rng,
        )  # fmt: skip

    def _guided(self, n: int, taken: Array, rng: np.random.Generator) -> Array:
        if not n:
            return np.empty((0, self.d))
        if len(self.candidates) < 3 * n:
            self._refill(n, rng)
        self.candidates.keep_away(taken)
        if self.fast:
            chosen = self._surest(n)
        elif self.ladder.outputs:
            chosen = self.candidates.filling(n, rng)
        else:
            chosen = self.candidates.apart(n, APART * self._spacing(n), rng)
        return self.candidates.take(chosen, rng)

    def _spacing(self, n: int) -> float:
        """Return the edge of the cube that each point would have to itself, were `n` more points and all so far even.

        What they share is the valid volume, which blind points tell.
        """
        blind = np.isin(self.replay.rows.origin, (Origin.INITIAL, Origin.UNIFORM))
        volume = (self.replay.valid[blind].sum() + 1) / (blind.sum() + 100)
        return float((volume / (len(self._valid) + n)) ** (1 / self.d))

    def _surest(self, n: int) -> NDArray[np.int64]:
        """Choose the candidates that are most probably valid, by the surrogate's word and by that of known points.

        The surest of thousands of candidates are often those about which the surrogate is mistaken.
        """
        u = self.candidates.u
        near = KDTree(self.replay.u).query(u, k=range(1, min(NEIGHBOURS, len(self.replay)) + 1))[1]
        share = (self.replay.valid[near].sum(axis=1) + 1) / (near.shape[1] + 2)
        return np.argsort(-self._log_p(u, goal=True) - np.log(share), kind="stable")[:n]

    def _refill(self, n: int, rng: np.random.Generator) -> None:
        wanted = n * (CHOICE if self.ladder.outputs else WIDE_CHOICE)
        rounds = max(1, -(-wanted // (WALKERS * SNAPSHOTS)))
        self.candidates.clear()
        for _ in range(3):
            self.chains.walk(self._walked, BURN_IN, BURN_IN, rng)
            visited, _ = self.chains.walk(self._walked, rounds * SNAPSHOTS * THINNING, THINNING, rng)
            self.candidates.add(self._looked_at_twice(visited, n, rng), self.replay.u, self._known)
            if len(self.candidates) >= n:
                break

    def _looked_at_twice(self, visited: Array, n: int, rng: np.random.Generator) -> Array:
        """Return some of the places ``(k, d)`` that walkers visited, those more seldom that are less sure."""
        if not (self.second_look and self.second_look.ready):
            return visited
        some = visited[rng.permutation(len(visited))[: max(LOOKS, LOOKS_EACH * n)]]
        log_p = self.second_look.log_p(some)
        doubt = np.minimum(log_p - _surely(np.quantile(log_p, 0.9)), 0.0)
        left: Array = some[np.log(rng.random(len(some))) < STRICTNESS * doubt]
        return left

    def _rng(self) -> np.random.Generator:
        """Return a fresh stream: numbered, so that a resumed scan continues where it left off."""
        self._draws += 1
        return np.random.default_rng([self.seed, 1, self._draws])

    # -- state --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the rows."""
        return {
            "counters": [self.generation, self._asked, self.initial.issued, self._draws],
            "ladder": self.ladder.state_dict(),
            "contest": self.contest.state_dict(),
            "second_look": self.second_look.state_dict() if self.second_look else None,
            "chains": self.chains.state_dict(),
            "hops": self.hops.state_dict(),
            "growth": self.growth.state_dict(),
            "transplants": self.transplants.state_dict(),
            "exploration": self.exploration.state_dict(),
            "audit": self.audit.state_dict(),
            "sure": self._sure,
            "candidates": self.candidates.state_dict(),
            "known": self._known,
        }

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        """Return to a state, given the rows told until then in the same order."""
        self.generation, self._asked, self.initial.issued, self._draws = map(int, state["counters"])
        self.ladder.load_state_dict(state["ladder"])
        self._begin()
        self.contest.load_state_dict(state["contest"])
        if self.second_look:
            self.second_look.load_state_dict(state["second_look"])
        self.chains.load_state_dict(state["chains"])
        self.hops.load_state_dict(state["hops"])
        self.growth.load_state_dict(state["growth"])
        self.transplants.load_state_dict(state["transplants"])
        self.exploration.load_state_dict(state["exploration"])
        self.audit.load_state_dict(state["audit"])
        self.replay = Replay(self.d, self.target, self.ladder)
        self.replay.add(rows)
        self._survey()
        self._sure = float(state["sure"])
        self.candidates.load_state_dict(state["candidates"])
        self._known = np.array(state["known"])


def _surely(log_p: float) -> float:
    """Return the probability above which places count as equally good, given what the best of them have."""
    return float(min(np.log(SURE), log_p + np.log(SURE)))
