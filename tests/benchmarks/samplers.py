"""Other people's samplers and optimisers on the same problems, where they are installed.

Each gets a log-likelihood that is flat in the target and falls with the distance from it; DLScanner gets the label,
which is what it takes, and optimisers begin anew where they have converged. Every call of the function counts, whatever
is done with the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rayscan.learn.data import Array
from tests.benchmarks.loop import Trace
from tests.benchmarks.problem import Problem

STEEPNESS = 10.0
"""Of the fall outside the target: at one unit of the target's own scale the likelihood is e⁻⁵⁰."""
NOWHERE = -1e12
"""Log-likelihood of points without observables and outside the cube."""


class EnoughError(Exception):
    """Goal or budget reached: ends a sampler from inside the function that it calls."""


class Function:
    """A problem as a function that keeps what it was asked.

    Parameters
    ----------
    problem : Problem
    budget, goal : int
        Evaluations and valid points at which it raises `EnoughError`.
    batch : int
        Points to one entry of `Trace.seconds`.
    seconds : float
        CPU time after which it raises `EnoughError` as well.
    """

    def __init__(self, problem: Problem, budget: int, goal: int, batch: int, seconds: float = math.inf) -> None:
        self.problem, self.budget, self.goal, self.batch = problem, budget, goal, batch
        self.late = time.process_time() + seconds
        self.trace = Trace(problem.d)
        self._begun, self._counted = time.process_time(), 0

    def likelihood(self, u: Array) -> Array:
        """Return the log-likelihood ``(n,)`` of points ``(n, d)``."""
        u = np.atleast_2d(u)
        answer = np.full(len(u), NOWHERE)
        inside = np.flatnonzero(((u >= 0) & (u <= 1)).all(axis=1))
        if not len(inside):
            return answer
        penalty, _ = self._ask(u[inside])
        answer[inside] = np.where(np.isnan(penalty), NOWHERE, np.maximum(-((STEEPNESS * penalty) ** 2) / 2, NOWHERE))
        return answer

    def label(self, u: Array) -> Array:
        """Return 1 for valid points and 0 for others ``(n,)``."""
        return self._ask(np.atleast_2d(u))[1].astype(np.float64)

    def _ask(self, u: Array) -> tuple[Array, Any]:
        u = np.array(u[: self.budget - self.trace.total])
        values = self.problem.evaluate(u)
        judged = self.problem.target.judge({name: values[:, j] for j, name in enumerate(self.problem.observables)})
        self._record(u, judged.valid)
        if self.trace.found >= self.goal or self.trace.total >= self.budget:
            raise EnoughError
        if time.process_time() > self.late:
            self.trace.ended = "out of time"
            raise EnoughError
        return np.where(np.isfinite(values).all(axis=1), judged.penalty, np.nan), judged.valid

    def _record(self, u: Array, valid: Any) -> None:
        self.trace.add(u, valid, 0.0)
        if self.trace.total - self._counted >= self.batch:
            now = time.process_time()
            # Spread evenly over the batches that went by, so that seconds are those of one batch as elsewhere.
            self.trace.seconds[-1] = (now - self._begun) * self.batch / (self.trace.total - self._counted)
            self._begun, self._counted = now, self.trace.total


def emcee(function: Function, seed: int) -> None:
    """Run emcee with differential-evolution moves from uniform places."""
    import emcee as package

    rng = np.random.default_rng(seed)
    np.random.seed(seed)  # noqa: NPY002 - what emcee draws from
    d, walkers = function.problem.d, max(100, 4 * function.problem.d)
    moves = [(package.moves.DEMove(), 0.8), (package.moves.DESnookerMove(), 0.2)]
    sampler = package.EnsembleSampler(walkers, d, function.likelihood, moves=moves, vectorize=True)
    sampler.run_mcmc(rng.random((walkers, d)), 10**9, store=False)


def nautilus(function: Function, seed: int) -> None:
    """Run nautilus until it has as many effective points as are wanted."""
    from nautilus import Sampler

    sampler = Sampler(lambda u: u, function.likelihood, n_dim=function.problem.d, vectorized=True, seed=seed)
    sampler.run(n_eff=10 * function.goal, verbose=False)


def dynesty(function: Function, seed: int) -> None:
    """Run dynesty's dynamic nested sampling with as many effective points as are wanted."""
    from dynesty import DynamicNestedSampler

    rng = np.random.default_rng(seed)
    sampler = DynamicNestedSampler(
        lambda u: float(function.likelihood(u)[0]), lambda u: u, function.problem.d, rstate=rng, nlive=500
    )
    sampler.run_nested(n_effective=10 * function.goal, print_progress=False)


def dlscanner(function: Function, seed: int) -> None:
    """Run DLScanner's classifier with the map: K = 300, L = 50,000, as many epochs as it comes with."""
    import tensorflow as tf
    from DLScanner.gen_scanner import sampler

    tf.keras.utils.set_random_seed(seed)
    d = function.problem.d
    scanner = sampler(
        function.label, d, [[0.0, 1.0]] * d, method="Classifier", K=function.batch, L=50_000, vegas_frac=0.5,
        verbose=0, seed=seed,
    )  # fmt: skip
    # Its own equalising of classes is left out when it is silent, so it must not be.
    scanner.verbose = 1
    scanner.advance(10**6, verbose=1)


def cma(function: Function, seed: int) -> None:
    """Run CMA-ES from random places, again where it has converged."""
    import cma as package

    rng = np.random.default_rng(seed)
    for again in itertools.count():
        options = {"bounds": [0, 1], "verbose": -9, "seed": 1000 * seed + again + 1}
        search = package.CMAEvolutionStrategy(rng.random(function.problem.d), 0.3, options)
        while not search.stop():
            asked = search.ask()
            search.tell(asked, (-function.likelihood(np.array(asked))).tolist())


def de(function: Function, seed: int) -> None:
    """Run SciPy's differential evolution, again where it has converged."""
    from scipy.optimize import differential_evolution

    bounds = [(0.0, 1.0)] * function.problem.d
    for again in itertools.count():
        differential_evolution(
            lambda u: -function.likelihood(np.atleast_2d(u.T)), bounds, maxiter=10**6, polish=False,
            seed=1000 * seed + again, vectorized=True, updating="deferred",
        )  # fmt: skip


SAMPLERS: dict[str, Callable[[Function, int], None]] = {
    "emcee": emcee, "nautilus": nautilus, "dynesty": dynesty, "dlscanner": dlscanner, "cma": cma, "de": de,
}  # fmt: skip
NEEDS = {name: (name,) for name in SAMPLERS} | {"dlscanner": ("DLScanner", "tensorflow"), "de": ("scipy",)}


def missing(peer: str) -> str:
    """Return why a peer cannot run here, or nothing."""
    for package in NEEDS[peer]:
        try:
            importlib.import_module(package)
        except ImportError as error:
            return f"{package} cannot be imported ({error})"
    return ""


def trace(
    problem: Problem, peer: str, seed: int, budget: int, goal: int, batch: int, seconds: float = math.inf
) -> Trace:
    """Run a peer until `goal` valid points, `budget` evaluations or `seconds` of CPU time, or until it is done."""
    function = Function(problem, budget, goal, batch, seconds)
    try:
        # Some print the exception that ends them.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            SAMPLERS[peer](function, seed)
        function.trace.ended = "stopped by itself"
    except EnoughError:
        pass
    except (RuntimeError, ValueError, UnboundLocalError) as error:
        function.trace.ended = f"failed: {error}"
    return function.trace
