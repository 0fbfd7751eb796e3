"""Walkers where points are believed to be valid, and which of the places that they visit are proposed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from rayscan.learn.coverage.belief import Belief
from rayscan.learn.coverage.candidates import Candidates
from rayscan.learn.data import Array, Origin
from rayscan.learn.moves.chains import Chains
from rayscan.learn.moves.climbs import climbed
from rayscan.learn.moves.spread import sparse_points
from rayscan.learn.surrogates.labels.jury import Jury
from rayscan.learn.surrogates.replay import Replay

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
CLIMB, BELIEVED = 0.5, 0.9
"""With labels alone, how far places are moved to be surer, in the same units, and the probability that is enough."""
CHOICE, WIDE_CHOICE = 4, 20
"""Candidates for each point taken: with observables, and with labels alone."""
BURN_IN, SNAPSHOTS, THINNING = 10, 4, 5
NEIGHBOURS = 5
"""Known points around a candidate that have a say in how sure it is."""
BLIND = 8192
"""Uniform places among which walkers find new ground to start from."""


class Walkers:
    """Chains on what is believed, and the candidates that they leave.

    Parameters
    ----------
    d : int
    belief : Belief
    fast : bool
        Take the surest candidates rather than even ones.
    """

    def __init__(self, d: int, belief: Belief, *, fast: bool) -> None:
        self.d, self.belief, self.fast = d, belief, fast
        self.chains = Chains(d, WALKERS)
        self.candidates = Candidates(d)
        self._known: Array = np.empty((0, d))
        self._sure = 0.0

    @property
    def started(self) -> bool:
        """Whether there is anything to walk on."""
        return self.chains.started and self.belief.ready

    def restart(self, known: Array, acceptance: float, rng: np.random.Generator) -> None:
        """Set some walkers going anew, after the surrogates have learned.

        Parameters
        ----------
        known : ndarray, shape (n, d)
            Points at the current level.
        acceptance : float
            Of what walkers have proposed lately.
        rng : numpy Generator
        """
        self._known = known
        self.candidates.clear()
        if self.belief.jury:
            self._restart_on_valid(self.belief.jury, acceptance, rng)
            return
        count = WALKERS // 5
        if not self.chains.started:
            self.chains.start(known, rng)
        log_p = self.belief.log_p(self.chains.u)
        sparse = known[sparse_points(known, count, rng)]
        uniform = rng.random((BLIND, self.d))
        hits = uniform[np.log(rng.random(len(uniform))) < self.belief.log_p(uniform)][: count // 2]
        self._sure = _surely(np.quantile(log_p, 0.9))
        self.chains.restart(np.concatenate([sparse[: count - len(hits)], hits]), log_p, rng)

    def _restart_on_valid(self, jury: Jury, acceptance: float, rng: np.random.Generator) -> None:
        """Start every walker at a known valid point, or where one should be.

        Labels give no slope that leads walkers back from where all is equally improbable.
        """
        self._sure = min(_surely(np.median(self.belief.log_p(self._known))), math.log(jury.level(acceptance)))
        uniform = rng.random((BLIND, self.d))
        hits = uniform[np.log(rng.random(len(uniform))) < self.log_density(uniform)][: WALKERS // 5]
        sparse = self._known[sparse_points(self._known, WALKERS - len(hits), rng)]
        self.chains.start(np.concatenate([hits, sparse]), rng)

    def log_density(self, u: Array) -> Array:
        """Return what walkers sample ``(n,)``: flat where places ``(n, d)`` are equally good, falling fast below."""
        return self.belief.contest.sharpness * np.minimum(self.belief.log_p(u) - self._sure, 0.0)

    def propose(self, n: int, replay: Replay, taken: Array, rng: np.random.Generator) -> Array:
        """Return places ``(n, d)``, fewer if walkers are stuck.

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

    def _spacing(self, n: int, replay: Replay) -> float:
        """Return the edge of the cube that each point would have to itself, were `n` more points and all so far even.

        What they share is the valid volume, which blind points tell.
        """
        blind, valid = np.isin(replay.rows.origin, (Origin.INITIAL, Origin.UNIFORM)), replay.valid
        volume = (valid[blind].sum() + 1) / (blind.sum() + 100)
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
        wanted = n * (WIDE_CHOICE if self.belief.jury else CHOICE)
        rounds = max(1, -(-wanted // (WALKERS * SNAPSHOTS)))
        self.candidates.clear()
        for _ in range(3):
            self.chains.walk(self.log_density, BURN_IN, BURN_IN, rng)
            visited, _ = self.chains.walk(self.log_density, rounds * SNAPSHOTS * THINNING, THINNING, rng)
            self.candidates.add(self._worth(visited, n, replay, rng), replay.u, self._known)
            if len(self.candidates) >= n:
                break

    def _worth(self, visited: Array, n: int, replay: Replay, rng: np.random.Generator) -> Array:
        """Return places ``(k, d)`` that walkers visited, or others close by that are surer."""
        if not self.belief.jury:
            return self._looked_at_twice(visited, n, rng)
        some = visited[rng.permutation(len(visited))[: n * WIDE_CHOICE]]
        return climbed(some, self.belief.log_p, math.log(BELIEVED), CLIMB * self._spacing(n, replay), rng)

    def _looked_at_twice(self, visited: Array, n: int, rng: np.random.Generator) -> Array:
        """Return some of the places ``(k, d)`` that walkers visited, those more seldom that are less sure."""
        second_look = self.belief.second_look
        if not (second_look and second_look.ready):
            return visited
        some = visited[rng.permutation(len(visited))[: max(LOOKS, LOOKS_EACH * n)]]
        log_p = second_look.log_p(some)
        doubt = np.minimum(log_p - _surely(np.quantile(log_p, 0.9)), 0.0)
        left: Array = some[np.log(rng.random(len(some))) < STRICTNESS * doubt]
        return left

    def state_dict(self) -> dict[str, Any]:
        """Return where the walkers are, and their candidates."""
        return {
            "chains": self.chains.state_dict(),
            "candidates": self.candidates.state_dict(),
            "known": self._known,
            "sure": self._sure,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.chains.load_state_dict(state["chains"])
        self.candidates.load_state_dict(state["candidates"])
        self._known, self._sure = np.array(state["known"]), float(state["sure"])


def _surely(log_p: float) -> float:
    """Return the probability above which places count as equally good, given what the best of them have."""
    return float(min(np.log(SURE), log_p + np.log(SURE)))
