"""The methods that are compared, by name: chance, the paper's six, ours, and other people's samplers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rayscan import presets
from rayscan.learn.data import Array, Origin, Proposals, Rows
from rayscan.learn.options import SELECTIONS, LearnOptions
from rayscan.learn.proposer import make_proposer
from tests.benchmarks import samplers
from tests.benchmarks.loop import Asked, Trace, follow
from tests.benchmarks.problem import Problem

PAPER: Mapping[str, Mapping[str, Any]] = {
    "similarity+map": presets.paper_mssm,
    "classifier+map": presets.paper_mssm_mlp,
    "regressor+map": presets.paper_mssm_regressor,
    "similarity": presets.paper_mssm_random,
    "classifier": presets.paper_mssm_mlp_random,
    "regressor": presets.paper_mssm_regressor_random,
}
OURS: Mapping[str, Mapping[str, Any]] = {"default": {}, "fast": {"selection": "fast"}}
METHODS = ("uniform", *OURS, *PAPER, *samplers.SAMPLERS)


class UniformProposer:
    """Draw from the prior."""

    def __init__(self, d: int, seed: int) -> None:
        self.d, self.rng = d, np.random.default_rng(seed)

    def tell(self, rows: Rows) -> None:
        """Learn nothing."""

    def refit(self) -> None:
        """Learn nothing."""

    def ask(self, n: int, pending: Array) -> Proposals:
        """Return `n` uniform points."""
        origin = np.full(n, Origin.UNIFORM, dtype=np.int8)
        return Proposals(self.rng.random((n, self.d)), origin, np.ones(n), np.full(n, np.nan), 0)


def missing(method: str) -> str:
    """Return why a method cannot run here, or nothing."""
    if method == "fast" and "fast" not in SELECTIONS:
        return 'this rayscan has no selection="fast"'
    return samplers.missing(method) if method in samplers.SAMPLERS else ""


def options_of(method: str, batch: int, **changed: Any) -> LearnOptions:
    """Return the options of one of rayscan's methods at `batch` points a step, with some of them changed."""
    return LearnOptions(**{**OURS.get(method, {}), **PAPER.get(method, {}), "K": batch, **changed})


def proposer_of(method: str, problem: Problem, seed: int, batch: int, **changed: Any) -> tuple[Asked, int]:
    """Return a proposer and the size of its first batch."""
    if method == "uniform":
        return UniformProposer(problem.d, seed), batch
    options = options_of(method, batch, **changed)
    return make_proposer(problem.d, problem.target, problem.observables, options, seed), options.initial_count


def trace(
    problem: Problem, method: str, seed: int, budget: int, goal: int, batch: int = 300, *,
    verbose: bool = False, **changed: Any,
) -> Trace:  # fmt: skip
    """Run one method on one problem until `goal` valid points or `budget` evaluations."""
    if method in samplers.SAMPLERS:
        return samplers.trace(problem, method, seed, budget, goal, batch)
    proposer, start = proposer_of(method, problem, seed, batch, **changed)
    return follow(problem, proposer, budget, goal, batch, start, verbose=verbose)
