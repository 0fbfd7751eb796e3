"""The population where points are believed to be valid, and which of the places that it visits are proposed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from rayscan.learn.coverage.belief import Belief
from rayscan.learn.coverage.candidates import Candidates
from rayscan.learn.data import NEAR, Array, Origin
from rayscan.learn.moves.climbs import climbed
from rayscan.learn.moves.spread import sparse_points
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.population.population import Population
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.replay import Replay
from rayscan.problem.domain import Domain

PLACED, FEW = 1000, 500
"""With labels alone, particles that are placed, and those that come from the prior."""
RESTARTED = 300
"""Particles put where known points are sparse."""
SURE = 0.95
STRICTNESS = 4.0
"""How fast the share of candidates that are kept falls where a second look is less sure."""
LOOKS, LOOKS_EACH = 1600, 6
"""Candidates that are looked at twice: at least, and for each point taken."""
APART = 0.7
"""With labels alone, the least distance of a point to others, in units of what is usual in an even sample.

Points where a classifier is sure lie close to those that it knows: left to itself, it digs where it began.
"""
CLIMB, BELIEVED = 0.5, 0.9
"""With labels alone, how far places are moved to be surer, in the same units, and the probability that is enough."""
CHOICE, WIDE_CHOICE = 4, 20
"""Candidates for each point taken: with observables, and with labels alone."""
NEIGHBOURS = 5
"""Known points around a candidate that have a say in how sure it is."""


class Sought:
    """What the population samples: how probable places are, flat where they are equally good.

    Parameters
    ----------
    belief : Belief
    sure : float
        ``ln p`` above which places are equally good.
    """

    def __init__(self, belief: Belief, sure: float) -> None:
        self.belief, self.sure = belief, sure

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        """Return what the surrogates say of places ``(n, d)``."""
        return self.belief.answer(u, before, moved)

    def log(self, answer: Tensor) -> Tensor:
        """Return the logarithm of the density ``(n,)`` that follows from answers ``(n, k)``."""
        return (self.belief.judge(answer) - self.sure).clamp(max=0.0)


class Sampler:
    """A population on what is believed, and the candidates that it leaves.

    Parameters
    ----------
    domain : Domain
        Where points may be.
    belief : Belief
    fast : bool
        Take the surest candidates rather than even ones.
    """

    def __init__(self, domain: Domain, belief: Belief, *, fast: bool) -> None:
        self.d = d = domain.d
        self.domain, self.belief, self.fast = domain, belief, fast
        self.population = Population(domain, belief.device)
        self._blocks = Blocks.whole(d)
        self.candidates = Candidates(d)
        self._known: Array = np.empty((0, d))
        self._believed, self._sought = Sought(belief, math.log(SURE)), Sought(belief, 0.0)

    @property
    def started(self) -> bool:
        """Whether there is a population."""
        return self.population.ready and self.belief.ready

    @torch.no_grad()
    def restart(self, known: Array, acceptance: float, rng: np.random.Generator) -> None:
        """Carry a new population from the prior, after the surrogates have learned.

        Parameters
        ----------
        known : ndarray, shape (n, d)
            Points at the current level.
        acceptance : float
            Of what particles have proposed lately.
        rng : numpy Generator
        """
        self._known = known
        self.candidates.clear()
        if self.belief.jury:
            self._restart_on_valid(self.belief.jury, acceptance, rng)
            return
        places = self.population.u if self.population.ready else known
        self._blocks = self.belief.blocks(places[rng.permutation(len(places))[:256]])
        self.population.descend(self._believed, self._blocks, _seed(rng))
        assert self.population.level is not None
        reached = float(self.belief.judge(self.population.level.particles.answer).quantile(0.9))
        self._sought = Sought(self.belief, _surely(reached))
        self.population.sharpen(self._sought, self.belief.contest.sharpness, self._blocks, _seed(rng))
        if self.d <= NEAR:
            sparse = known[sparse_points(known, RESTARTED, rng)]
            self.population.settle(sparse, self._sought, self._blocks, _seed(rng))

    def _restart_on_valid(self, jury: Jury, acceptance: float, rng: np.random.Generator) -> None:
        """Start the particles at known valid points, and where some should be.

        Labels give no slope that leads particles back from where all is equally improbable.
        """
        self.population.descend(self._believed, self._blocks, _seed(rng), FEW)
        assert self.population.level is not None
        sure = min(_surely(np.median(self.belief.log_p(self._known))), math.log(jury.level(acceptance)))
        self._sought = Sought(self.belief, sure)
        believed = self.population.level.particles
        chance = torch.exp(jury.sharpness * self._sought.log(believed.answer)).cpu().numpy()
        hits = believed.u.cpu().numpy()[rng.random(len(chance)) < chance][: PLACED // 5]
        sparse = self._known[sparse_points(self._known, PLACED - len(hits), rng)]
        self.population.place(np.concatenate([hits, sparse]), self._sought, jury.sharpness)

    def propose(self, n: int, replay: Replay, taken: Array, rng: np.random.Generator) -> Array:
        """Return places ``(n, d)``, fewer if particles are stuck.

        Parameters
        ----------
        n : int
        replay : Replay
            What is known.
        taken : ndarray, shape (k, d)
            Other places to keep away from.
        rng : numpy Generator
        """
        if not n:
            return np.empty((0, self.d))
        if len(self.candidates) < 3 * n:
            self._refill(n, replay, rng)
        self.candidates.keep_away(taken)
        if self.fast:
            chosen = self._surest(n, replay)
        elif self.belief.jury:
            chosen = self.candidates.apart(n, APART * self._spacing(n, replay), rng)
        else:
            chosen = self.candidates.filling(n, rng)
        return self.candidates.take(chosen, rng)

    @torch.no_grad()
    def probes(self, n_uniform: int, n_probes: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.int8], Array]:
        """Draw a stratified batch: exactly so many uniform points and so many of the population, in random order.

        Parameters
        ----------
        n_uniform, n_probes : int
        rng : numpy Generator

        Returns
        -------
        u : ndarray, shape (n, d)
        origin : ndarray of int8, shape (n,)
            `Origin.UNIFORM` or `Origin.PROBE`.
        density : ndarray, shape (n,)
            Of the mixture of both in the batch's shares, at every point, whichever of the two it was drawn from (the
            balance heuristic [1]_). As the order is random, each position has exactly this density, so that the mean of
            ``valid / density`` is unbiased for any part of the batch that is evaluated.

        References
        ----------
        .. [1] E. Veach and L. Guibas, "Optimally combining sampling techniques for Monte Carlo rendering", SIGGRAPH 95.
        """
        n = n_uniform + n_probes
        origin, u = np.full(n, Origin.UNIFORM, dtype=np.int8), self.domain.draw(n, rng)
        if not n_probes:
            return u, origin, np.ones(n)
        origin[rng.permutation(n)[:n_probes]] = Origin.PROBE
        u[origin == Origin.PROBE] = self.population.draw(n_probes, rng)
        share = n_probes / n
        return u, origin, 1.0 - share + share * self.population.density(u, self._believed)

    def _spacing(self, n: int, replay: Replay) -> float:
        """Return the edge of the cube that each point would have to itself, were `n` more points and all so far even.

        What they share is the valid volume, which blind points tell.
        """
        blind, valid = np.isin(replay.rows.origin, (Origin.INITIAL, Origin.UNIFORM)), replay.valid
        volume = self.domain.share * (valid[blind].sum() + 1) / (blind.sum() + 100)
        return float((volume / (valid.sum() + n)) ** (1 / self.d))

    def _surest(self, n: int, replay: Replay) -> NDArray[np.int64]:
        """Choose the candidates that are most probably valid, by the surrogate's word and by that of known points.

        The surest of thousands of candidates are often those about which the surrogate is mistaken.
        """
        u = self.candidates.u
        near = KDTree(replay.u).query(u, k=range(1, min(NEIGHBOURS, len(replay)) + 1))[1]
        share = (replay.valid[near].sum(axis=1) + 1) / (near.shape[1] + 2)
        return np.argsort(-self.belief.log_p(u, goal=True) - np.log(share), kind="stable")[:n]

    def _refill(self, n: int, replay: Replay, rng: np.random.Generator) -> None:
        wanted = n * (WIDE_CHOICE if self.belief.jury else CHOICE if self.d <= NEAR else 1)
        self.candidates.clear()
        for _ in range(3):
            self.candidates.add(self._worth(self.visit(wanted, rng), n, replay, rng), replay.u, self._known)
            if len(self.candidates) >= n:
                break

    @torch.no_grad()
    def visit(self, n: int, rng: np.random.Generator) -> Array:
        """Move the population on, and return at least `n` of the places ``(k, d)`` that it comes to."""
        return self.population.visit(n, self._sought, self._blocks, _seed(rng))

    def _worth(self, visited: Array, n: int, replay: Replay, rng: np.random.Generator) -> Array:
        """Return places ``(k, d)`` that particles visited, or others close by that are surer."""
        if not self.belief.jury:
            return self._looked_at_twice(visited, n, rng)
        some = visited[rng.permutation(len(visited))[: n * WIDE_CHOICE]]
        reach = CLIMB * self._spacing(n, replay)
        return climbed(some, self.belief.log_p, math.log(BELIEVED), reach, rng, self.domain.inside)

    def _looked_at_twice(self, visited: Array, n: int, rng: np.random.Generator) -> Array:
        """Return some of the places ``(k, d)`` that particles visited, those more seldom that are less sure."""
        second_look = self.belief.second_look
        if not (second_look and second_look.ready):
            return visited
        some = visited[rng.permutation(len(visited))[: max(LOOKS, LOOKS_EACH * n)]]
        log_p = second_look.log_p(some)
        doubt = np.minimum(log_p - _surely(np.quantile(log_p, 0.9)), 0.0)
        left: Array = some[np.log(rng.random(len(some))) < STRICTNESS * doubt]
        return left

    def state_dict(self) -> dict[str, Any]:
        """Return where the particles are, and their candidates."""
        return {
            "population": self.population.state_dict(),
            "blocks": self._blocks.state_dict(),
            "candidates": self.candidates.state_dict(),
            "known": self._known,
            "sure": self._sought.sure,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.population.load_state_dict(state["population"])
        self._blocks = Blocks.from_state(state["blocks"])
        self.candidates.load_state_dict(state["candidates"])
        self._known, self._sought = np.array(state["known"]), Sought(self.belief, float(state["sure"]))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))


def _surely(log_p: float) -> float:
    """Return the probability above which places count as equally good, given what the best of them have."""
    return float(min(np.log(SURE), log_p + np.log(SURE)))
