"""What a bare yes or no costs, beside observables: ``python -m tests.benchmarks.labels_only``.

The same problems with ``Target(labels="y")``, where a point says nothing but valid or not. ``found`` starts like any
scan and is counted from the first valid point that it finds, ``given`` starts from one valid point and is counted from
the start. The default with observables stands beside them; the ratios of evaluations should be at most 1.5. A scan
goes on until 1.5 times the evaluations that it took with observables, start included, and by then should cover as
much of the valid region, by the reach of as many points as those.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.problem.target import Target
from tests.benchmarks import methods, table
from tests.benchmarks.metrics import Coverage, measure
from tests.benchmarks.problem import Array, Problem
from tests.benchmarks.problems import PROBLEMS
from tests.benchmarks.results import GOALS, Result, assess

STARTS = ("observables", "found", "given")
BAR = 1.5
NOISE = 0.01
"""Two standard errors of a share of the reference points."""


@dataclass
class LabelsResult(Result):
    """One run, on labels or, to be compared with, on observables.

    Attributes
    ----------
    late : Coverage
        By all valid points after `BAR` times the evaluations that observables took, and by the uniform sample of the
        size of theirs.
    """

    late: Coverage | None = None


def labelled(problem: Problem) -> Problem:
    """Return a problem that answers 1 in target, 0 outside, and NaN still where there is no answer."""

    def evaluate(u: Array) -> Array:
        missing = np.isnan(problem.evaluate(u)).any(axis=1)
        return np.where(missing, np.nan, problem.valid(u))[:, None]

    return replace(problem, observables=("y",), target=Target(labels="y"), evaluate=evaluate)


def run(
    name: str, start: str, seed: int, budget: int, goal: int, *, beside: LabelsResult | None, verbose: bool
) -> LabelsResult:
    """Run the default from one kind of start, with the run on observables `beside`, if there was one."""
    problem = PROBLEMS[name]()
    changed: dict[str, Any] = {}
    if start != "observables":
        problem = labelled(problem)
    if start == "given":
        changed["initial"] = problem.draw(1, np.random.default_rng([seed, 31]))
    late = int(BAR * beside.evaluations[goal]) if beside and goal in beside.evaluations else 0
    # Beyond the goal, too, until it is late.
    wanted = budget if late else goal
    trace = methods.trace(problem, "default", seed, late + 300 if late else budget, wanted, verbose=verbose, **changed)
    result = LabelsResult(**vars(assess(problem, start, seed, trace)))
    if late:
        result.late = measure(problem, trace.u[:late][trace.valid[:late]], seed, size=goal)
    if start == "found":
        before = int(np.argmax(trace.valid)) if trace.found else 0
        result.evaluations = {reached: n - before for reached, n in result.evaluations.items()}
    return result


def ratios(results: list[LabelsResult]) -> list[str]:
    """Return, for each problem, seed and start, evaluations and coverage beside those with observables."""
    lines = []
    beside = {(r.problem, r.seed): r for r in results if r.method == "observables"}
    for result in results:
        whole = beside.get((result.problem, result.seed))
        if whole is None or result is whole:
            continue
        cells = []
        for goal in (1000, 10_000):
            here, there = result.evaluations.get(goal), whole.evaluations.get(goal)
            ratio = here / there if here and there else float("inf")
            cells.append(f"to {goal:,} x {ratio:.2f} {'PASS' if ratio <= BAR else 'MISS'}")
        islands = max((c.islands for c in result.coverage.values()), default=0)
        cells.append(f"islands {islands} of {PROBLEMS[result.problem]().islands}")
        before = max(whole.coverage, default=0)
        if result.late and before:
            share, bar = result.late.share, whole.coverage[before].share
            verdict = "PASS" if share >= bar - NOISE else "MISS"
            cells.append(f"coverage at x {BAR} {share:.3f}/{result.late.uniform:.3f}, observables {bar:.3f} {verdict}")
        lines.append(f"{result.problem:10} {result.method:12} seed {result.seed}  " + "  ".join(cells))
    return lines


def main(argv: list[str] | None = None) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(PROBLEMS), default=["cos3", "mhiggs5"])
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=25_000)
    parser.add_argument("--goal", type=int, default=max(GOALS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    print(table.HEAD)
    results: list[LabelsResult] = []
    for name in options.problems:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            beside = None
            for start in sorted(options.starts, key=STARTS.index):
                settings = (name, start, seed, options.budget, options.goal)
                results.append(run(*settings, beside=beside, verbose=options.verbose))
                beside = results[-1] if start == "observables" else beside
                print(table.line(results[-1]), flush=True)
    print(*ratios(results), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
