"""The paper's method: draw L candidates from the map and the prior, score them, choose K."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rayscan.learn.data import Array, History, Origin, Proposals, Rows
from rayscan.learn.initial import InitialDesign
from rayscan.learn.options import LearnOptions
from rayscan.learn.paper import selection
from rayscan.learn.paper.lesson import make_lesson, map_weights
from rayscan.learn.paper.networks import MLPClassifier, MLPRegressor
from rayscan.learn.paper.selection import Candidates, Indices
from rayscan.learn.paper.similarity import SimilarityClassifier
from rayscan.learn.paper.surrogate import Prediction, Surrogate
from rayscan.learn.paper.vegas_map import VegasMap
from rayscan.problem.domain import Domain
from rayscan.problem.target import Target

COLUMNS = ("u", "origin", "density", "score")
POOL, CHOICE, TRAINING, WEIGHTS = 1, 2, 3, 4
"""Streams of random numbers, so that none depends on how often another was used. 0 is the initial design's."""
MOST_TRIED = 10
"""Draws from the map, for each that is wanted, of which most may violate the conditions."""


@dataclass(frozen=True, slots=True)
class Pool:
    """L candidates and what the surrogate thinks of them.

    Attributes
    ----------
    u : ndarray, shape (L, d)
    origin : ndarray of int8, shape (L,)
    density : ndarray, shape (L,)
        Of the draw that each came from.
    mixture : ndarray, shape (L,)
        Of all draws together.
    prediction : Prediction
        Zeros without a surrogate.
    """

    u: Array
    origin: np.ndarray[Any, np.dtype[np.int8]]
    density: Array
    mixture: Array
    prediction: Prediction


class CandidateProposer:
    """Draw L candidates from the map and the prior, score them with a network, choose K of them.

    Parameters
    ----------
    domain : Domain or int
        Where points may be; a number of dimensions stands for all of the unit cube.
    target : Target
    observables : sequence of str, length m
        Names of the columns of ``Rows.observables``.
    options : LearnOptions
    seed : int

    Attributes
    ----------
    generation : int
        Refits so far.
    surrogate : Surrogate
    map : VegasMap

    Notes
    -----
    One pool serves all calls between two refits: points are chosen K at a time, so that the shares of the selection are
    exact whatever the size of a call, and never twice. A new pool is drawn when half of one is used up.

    References
    ----------
    .. [1] A. Hammad et al., "DLScanner", arXiv:2412.19675, §2 and §6.1.
    """

    def __init__(
        self, domain: Domain | int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int
    ) -> None:
        self.domain = Domain.of(domain)
        d = self.domain.d
        self.d, self.target, self.observables, self.options, self.seed = d, target, tuple(observables), options, seed
        self.generation = 0
        self.initial = InitialDesign(self.domain, options, seed)
        self.map = VegasMap(d, options.ninc, options.nitn, options.alpha, options.nproc)
        self.surrogate: Surrogate = make_surrogate(d, target, observables, options, self._number(WEIGHTS))
        self._history = History(d, len(self.observables))
        self._provisional = False
        self._pool: Pool | None = None
        self._pools = self._choices = 0
        self._taken: Indices = np.empty(0, dtype=np.int64)
        self._queue = self._nothing()

    def tell(self, rows: Rows) -> None:
        """Take evaluated rows, in issue order."""
        self._history.add(rows)

    def refit(self) -> None:
        """Train the network and the map on what is remembered. Without rows nothing changes."""
        rows = self._history.rows
        if not len(rows):
            return
        lesson = make_lesson(rows, self.target, self.observables)
        self.surrogate.fit(lesson, self._number(TRAINING))
        self._provisional = lesson.provisional
        if self.options.proposal == "vegas":
            self.map.fit(rows.u, map_weights(lesson))
        self.generation += 1
        self._pools = self._choices = 0
        self._pool, self._taken, self._queue = None, self._taken[:0], self._nothing()

    def ask(self, n: int, pending: Array) -> Proposals:
        """Return `n` points to evaluate next; parameters and result as `Proposer.ask`."""
        start = self.initial.take(n)
        n -= len(start)
        if not n:
            return start
        while len(self._queue) < n:
            batch = self._choose(np.concatenate([np.reshape(pending, (-1, self.d)), start.u, self._queue.u]))
            self._queue = _join(self._queue, batch)
        chosen, self._queue = self._queue[:n], self._queue[n:]
        return _join(start, chosen)

    def state_dict(self) -> dict[str, Any]:
        return {
            "generation": self.generation,
            "initial": self.initial.issued,
            "provisional": self._provisional,
            "pools": self._pools,
            "choices": self._choices,
            "taken": self._taken,
            "queue": {name: getattr(self._queue, name) for name in COLUMNS},
            "map": self.map.state_dict(),
            "surrogate": self.surrogate.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], rows: Rows) -> None:
        self.generation, self.initial.issued = int(state["generation"]), int(state["initial"])
        self._provisional = bool(state["provisional"])
        self._pools, self._choices = int(state["pools"]), int(state["choices"])
        self._taken = np.asarray(state["taken"], np.int64)
        queue = {name: np.asarray(state["queue"][name]) for name in COLUMNS}
        self._queue = Proposals(**queue, generation=self.generation)
        self.map.load_state_dict(state["map"])
        self.surrogate.load_state_dict(state["surrogate"])
        self._history = History(self.d, len(self.observables))
        self._history.add(rows)
        self._pool = None

    def _choose(self, pending: Array) -> Proposals:
        """Return the next K points, or a few less where the pool holds repetitions."""
        if len(self._taken) and len(self._taken) + self.options.K > self._pool_size() // 2:
            self._pools += 1
            self._pool, self._taken = None, self._taken[:0]
        pool, chosen = self._current_pool(), self._select(self.options.K, pending)
        self._taken = np.concatenate([self._taken, chosen])
        # A provisional score says "among the best so far", not "valid": no use to anyone who reads the table.
        told = self.surrogate.ready and not self._provisional
        score = pool.prediction.score[chosen] if told else np.full(len(chosen), np.nan)
        # Chosen by score, a point no longer has the density of the draw that it came from.
        density = np.full(len(chosen), np.nan) if self.surrogate.ready else pool.density[chosen]
        return Proposals(pool.u[chosen], pool.origin[chosen], density, score, self.generation)

    def _select(self, n: int, pending: Array) -> Indices:
        options, pool = self.options, self._current_pool()
        rng = self._rng(CHOICE, self._choices)
        self._choices += 1
        free = ~selection.repeated(pool.u, pending)
        free[self._taken] = False
        crowd = selection.crowding(pool.u, pending, n)
        seen, uniform = pool.prediction, pool.origin == Origin.UNIFORM
        weight = 1.0 / (pool.mixture * (1.0 + crowd))
        candidates = Candidates(seen.score, seen.merit, seen.sure, uniform, weight, free)
        if not self.surrogate.ready:
            return selection.select_blindly(candidates, n, rng)
        if options.selection == "default":
            return selection.select_default(candidates, n, options.random_share, rng)
        if options.surrogate == "regressor":
            return selection.select_paper_regressor(candidates, n, options.random_share, options.threshold, rng)
        return selection.select_paper_classifier(candidates, n, options.random_share, options.confident, rng)

    def _pool_size(self) -> int:
        # Without a surrogate nothing tells candidates apart, and a few batches are enough to choose from.
        return self.options.candidates if self.surrogate.ready else 8 * self.options.K

    def _current_pool(self) -> Pool:
        if self._pool is None:
            self._pool = self._draw_pool()
        return self._pool

    def _draw_pool(self) -> Pool:
        size, rng = self._pool_size(), self._rng(POOL, self._pools)
        mapped = round(self.options.map_share * size) if self.map.trained else 0
        uniform = self.domain.draw(size - mapped, rng)
        u, jacobian, scale = self._mapped(mapped, rng)
        mapped = len(u)
        # Where the map hardly meets the conditions, uniform points take the places that are left.
        more = self.domain.draw(size - len(uniform) - mapped, rng)
        u = np.concatenate([uniform, more, u])
        origin = np.repeat(np.array([Origin.UNIFORM, Origin.MAP], dtype=np.int8), [size - mapped, mapped])
        density = np.concatenate([np.ones(size - mapped), scale / jacobian])
        share = mapped / size
        mixture = 1.0 - share + share * scale * self.map.density(u) if mapped else np.ones(size)
        nothing = Prediction(np.zeros(size), np.zeros(size), np.zeros(size, dtype=bool))
        prediction = self.surrogate.predict(u) if self.surrogate.ready else nothing
        return Pool(u, origin, density, mixture, prediction)

    def _mapped(self, n: int, rng: np.random.Generator) -> tuple[Array, Array, float]:
        """Draw points from the map, `n` of them unless it hardly meets the conditions.

        Returns
        -------
        u : ndarray, shape (k, d)
        jacobian : ndarray, shape (k,)
        scale : float
            The density is ``scale / jacobian``: what the map has where the conditions hold is that much denser than all
            that it has, and densities refer to the prior where they hold.
        """
        places, jacobians, found, tried = [np.empty((0, self.d))], [np.empty(0)], 0, 0
        while found < n and tried < MOST_TRIED * n:
            u, jacobian = self.map.sample(n, rng)
            inside = self.domain.inside(u)
            places.append(u[inside])
            jacobians.append(jacobian[inside])
            found, tried = found + int(inside.sum()), tried + n
        scale = self.domain.share * tried / found if found else 1.0
        return np.concatenate(places)[:n], np.concatenate(jacobians)[:n], scale

    def _nothing(self) -> Proposals:
        none = np.empty(0)
        return Proposals(np.empty((0, self.d)), none.astype(np.int8), none, none, self.generation)

    def _rng(self, stream: int, count: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, self.generation, count])

    def _number(self, stream: int) -> int:
        return int(self._rng(stream, 0).integers(2**31))


def _join(first: Proposals, second: Proposals) -> Proposals:
    columns = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS}
    return Proposals(**columns, generation=second.generation)


def make_surrogate(d: int, target: Target, observables: Sequence[str], options: LearnOptions, seed: int) -> Surrogate:
    """Return the surrogate that the options name; ``"auto"`` is the classifier."""
    if options.surrogate == "regressor":
        return MLPRegressor(d, target, observables, options, seed)
    if options.surrogate == "similarity":
        return SimilarityClassifier(d, options, seed)
    if not isinstance(options.surrogate, str):
        return MLPClassifier(d, options, seed, module=copy.deepcopy(options.surrogate).float().cpu())
    return MLPClassifier(d, options, seed)
