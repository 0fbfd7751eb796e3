"""Evaluations to a number of valid points, and coverage: ``python -m tests.benchmarks.efficiency``.

Runs the learning side in a plain loop, ask(K), evaluate, tell, refit, with no engine, so that every evaluation counts
and nothing else does. Prints one line per problem, method and seed, and writes the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.coverage import CoverageProposer
from rayscan.learn.data import Origin, Proposals, Rows
from rayscan.learn.options import LearnOptions
from tests.benchmarks.metrics import Coverage, measure
from tests.benchmarks.problems import PROBLEMS, Problem

Array = NDArray[np.float64]
GOALS = (10, 100, 1000, 10_000)
METHODS = ("default", "uniform")


class Asked(Protocol):
    """What the loop needs of a method."""

    def tell(self, rows: Rows) -> None: ...
    def refit(self) -> None: ...
    def ask(self, n: int, pending: Array) -> Proposals: ...


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


@dataclass
class Result:
    """One run.

    Attributes
    ----------
    evaluations : dict
        Goal → evaluations until that many valid points; the goals reached.
    coverage : dict
        Goal → `Coverage` of that many first valid points.
    islands : dict
        Evaluations → islands found until then.
    acceptance : list of float
        Valid share of each batch.
    seconds : list of float
        CPU time of tell, refit and ask of each batch.
    """

    problem: str
    method: str
    seed: int
    total: int = 0
    valid: int = 0
    evaluations: dict[int, int] = field(default_factory=dict)
    coverage: dict[int, Coverage] = field(default_factory=dict)
    islands: dict[int, int] = field(default_factory=dict)
    acceptance: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def evaluate(problem: Problem, proposals: Proposals, first: int) -> Rows:
    """Return the proposals as rows, numbered from `first`."""
    values = problem.evaluate(proposals.u)
    judged = problem.target.judge({name: values[:, j] for j, name in enumerate(problem.observables)})
    n = len(proposals)
    status = np.where(np.isfinite(values).all(axis=1), 0, 1).astype(np.int8)
    return Rows(
        np.arange(first, first + n), proposals.u, status, values, judged.valid, judged.likelihood, judged.penalty,
        proposals.origin, proposals.density, proposals.score,
    )  # fmt: skip


def make(method: str, problem: Problem, seed: int, **options: Any) -> Asked:
    """Return a proposer by name."""
    if method == "uniform":
        return UniformProposer(problem.d, seed)
    return CoverageProposer(problem.d, problem.target, problem.observables, LearnOptions(**options), seed)


def rounds(problem: Problem, proposer: Asked, batch: int) -> Iterator[tuple[Rows, float]]:
    """Yield evaluated batches for ever, with the CPU seconds that proposing each of them took."""
    issued = 0
    while True:
        start = time.process_time()
        proposals = proposer.ask(batch, np.empty((0, problem.d)))
        spent = time.process_time() - start
        rows = evaluate(problem, proposals, issued)
        issued += len(rows)
        start = time.process_time()
        proposer.tell(rows)
        proposer.refit()
        yield rows, spent + time.process_time() - start


def run(
    problem: Problem, method: str, seed: int, budget: int, goal: int, batch: int = 300, *, verbose: bool = False
) -> Result:
    """Run one method on one problem until `goal` valid points or `budget` evaluations."""
    result = Result(problem.name, method, seed)
    proposer = make(method, problem, seed, K=batch)
    collected: list[Array] = []
    for rows, seconds in rounds(problem, proposer, batch):
        order = result.valid + np.cumsum(rows.valid)
        for wanted in GOALS:
            if result.valid < wanted <= order[-1]:
                result.evaluations[wanted] = result.total + int(np.searchsorted(order, wanted)) + 1
        collected.append(rows.u[rows.valid])
        result.valid, result.total = int(order[-1]), result.total + len(rows)
        result.acceptance.append(round(float(rows.valid.mean()), 4))
        result.seconds.append(round(seconds, 3))
        if result.total % (10 * batch) < batch:
            found = np.concatenate(collected)
            result.islands[result.total] = len(np.unique(problem.island(found))) if len(found) else 0
        if verbose:
            chain = rows.origin == Origin.CHAIN
            share = rows.valid[chain].mean() if chain.any() else 0.0
            state = ""
            if isinstance(proposer, CoverageProposer):
                errors = [float(np.median(e, axis=0).sum()) if len(e) else 9.0 for e in proposer.errors]
                local = rows.origin == Origin.LOCAL
                state = f"hops {rows.valid[local].sum()}/{local.sum()} "
                state += f"driver {proposer.driver} width {proposer.width} errors {np.round(errors, 3)}"
            print(f"{result.total:6d} {result.valid:6d} chain {share:.3f} {seconds:5.2f} s {state}", flush=True)
        if result.valid >= goal or result.total >= budget:
            break
    sample = np.concatenate(collected)
    for wanted in GOALS:
        if 100 <= wanted <= len(sample):
            result.coverage[wanted] = measure(problem, sample[:wanted], seed)
    return result


def line(result: Result) -> str:
    """Return a run as one line of the table."""
    reached = "  ".join(f"{result.evaluations.get(goal, 0) or '-':>6}" for goal in GOALS)
    last = max(result.coverage, default=0)
    each = [
        f"{goal}: {c.share:.3f}/{c.uniform:.3f} isl {c.islands} AUC {c.auc:.3f}"
        for goal, c in result.coverage.items()
        if goal in (1000, last)
    ]
    cost = np.median(result.seconds[1:]) if len(result.seconds) > 1 else 0.0
    tail = f"{result.valid}@{result.total}"
    return (
        f"{result.problem:12} {result.method:8} {result.seed:3d}  {reached}  {tail:>12}  "
        f"{cost:5.2f} s (last {np.mean(result.seconds[-3:]):.2f})  {'; '.join(each)}"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["default"])
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0 to n-1")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=20_000, help="evaluations at most")
    parser.add_argument("--goal", type=int, default=10_000, help="valid points at most")
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(options.threads)
    print(f"{'problem':12} {'method':8} seed  " + "  ".join(f"{goal:>6}" for goal in GOALS) + "  valid@evaluations")
    results = []
    for name in options.problems:
        for method in options.methods:
            for seed in range(options.first_seed, options.first_seed + options.seeds):
                result = run(
                    PROBLEMS[name](), method, seed, options.budget, options.goal, options.batch, verbose=options.verbose
                )
                print(line(result), flush=True)
                print(f"{'':12} islands at evaluations: {result.islands}", flush=True)
                results.append(asdict(result))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
