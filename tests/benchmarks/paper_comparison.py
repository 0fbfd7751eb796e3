"""The paper's comparison, Fig. 5 and Table 2 of arXiv:2412.19675: ``python -m tests.benchmarks.paper_comparison``.

Five parameters of the MSSM, 124 < m_h < 126 GeV, K = 300, L = 50,000, a tenth at random, until 10,000 valid points:
the six methods of the paper (three networks, with and without the map) beside the default and ``fast``. The paper
counts iterations after its start of 100 points; evaluations here include the start. Coverage, which the paper does not
give, is that of all points collected, at most 10,000.

Each run is written to a file of its own in ``--out``, and runs that have one are not repeated, so that the comparison
can be made piece by piece; ``--again`` repeats those asked for. The table shows every run in the directory.

    python -m tests.benchmarks.paper_comparison --problems mhiggs5 demo5 --out paper
    python -m tests.benchmarks.paper_comparison --methods default fast --again --out paper
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks import methods, programs
from tests.benchmarks.efficiency import ALL
from tests.benchmarks.results import assess

PROBLEMS = ("mhiggs5", *programs.PROGRAMS)
METHODS = (*methods.OURS, *methods.PAPER)
PAPER = {
    "similarity+map": "53", "classifier+map": "57", "similarity": "214", "classifier": "316", "regressor+map": "417",
    "regressor": "1580",
}  # fmt: skip
"""Iterations to 10,000 valid in the paper, with SPheno."""
GOAL, K = 10_000, 300


def run(name: str, method: str, seed: int, steps: int, *, verbose: bool) -> dict[str, Any]:
    """Run one method until the goal, or for so many steps after the start, and describe what came of it."""
    problem = ALL[name]()
    start = methods.options_of(method, K).initial_count
    trace = methods.trace(problem, method, seed, start + steps * K, GOAL, K, verbose=verbose)
    result = assess(problem, method, seed, trace, at_end=True)
    return {**asdict(result), "iterations": len(trace.batches) - 1, "cost": result.cost, "spent": sum(trace.seconds)}


def line(found: dict[str, Any]) -> str:
    """Return one run as a row of a Markdown table."""
    reached = found["evaluations"].get(str(GOAL))
    iterations = f"{found['iterations']}" if reached else f"> {found['iterations']}"
    evaluations = f"{reached:,}" if reached else f"{found['valid']:,} valid at {found['total']:,}"
    last = max(found["coverage"], key=int, default=None)
    quality = "|  |  | "
    if last:
        c = found["coverage"][last]
        quality = f"| {c['share']:.3f}/{c['uniform']:.3f} | {c['auc']:.3f} | {c['islands']} "
    share = sum(found["acceptance"][-5:]) / max(len(found["acceptance"][-5:]), 1)
    return (
        f"| {found['problem']} | {found['method']} | {PAPER.get(found['method'], '')} | {iterations} | {evaluations} "
        f"{quality}| {share:.2f} | {found['cost']:.1f} |"
    )


def table(folder: Path) -> list[str]:
    """Return all runs in a directory as a Markdown table."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    found.sort(key=lambda run: (PROBLEMS.index(run["problem"]), METHODS.index(run["method"]), run["seed"]))
    columns = (
        "problem", "method", "paper's iterations", "iterations", "evaluations, start included", "cov a/b", "AUC",
        "islands", "acceptance at the end", "CPU s a step",
    )  # fmt: skip
    return [
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *map(line, found),
    ]


def main(argv: list[str] | None = None) -> int:
    """Make the comparison, or part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=100, help="at most, after the start")
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs")
    parser.add_argument("--again", action="store_true", help="repeat runs that are there")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.problems:
        for method in options.methods:
            if reason := programs.missing(name) or methods.missing(method):
                print(f"SKIPPED, NOT MEASURED: {method} on {name}: {reason}", file=sys.stderr, flush=True)
                continue
            for seed in options.seeds:
                path = options.out / f"{name}-{method}-{seed}.json"
                if options.again or not path.exists():
                    found = run(name, method, seed, options.steps, verbose=options.verbose)
                    path.write_text(json.dumps(found, indent=1))
    print(*table(options.out), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
