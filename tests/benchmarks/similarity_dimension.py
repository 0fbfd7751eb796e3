"""Similarity classifier against MLP classifier as dimensions grow: ``python -m tests.benchmarks.similarity_dimension``.

One family of problems, `ring`, in d = 5, 10, 20 and 40 dimensions with the same valid fraction of 1e-2; the same K, the
same number of evaluations, the same gradient steps at most for both networks. The label alone is learned.

Each run is written to a file of its own in ``--out``; runs that have one are not repeated. The table shows medians of
all runs in the directory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ortho_group

from rayscan.problem.constraints import Window
from rayscan.problem.target import Target
from tests.benchmarks import methods
from tests.benchmarks.problem import Array, Problem, one_island, rejection
from tests.benchmarks.results import assess

FRACTION = 0.01
RADIUS, TILT = 1.5, 0.3
NETWORKS, SELECTIONS, PROPOSALS = ("classifier", "similarity"), ("paper", "default"), ("random", "vegas")


def features(u: Array) -> Array:
    """Return the two observables ``(n, 2)`` of points ``(n, d)``.

    With p = √3 A (2u - 1) for three orthonormal directions A that mix all coordinates, so that each p has mean 0 and
    variance 1 at any d: the radius √(p₁² + (p₂ + sin(2 p₁)/2)²) of a bent ring, and its tilt p₃ - p₁/2.
    """
    d = u.shape[1]
    p = math.sqrt(3) * (2 * u - 1) @ directions(d)
    return np.column_stack([np.hypot(p[:, 0], p[:, 1] + np.sin(2 * p[:, 0]) / 2), p[:, 2] - p[:, 0] / 2])


@cache
def directions(d: int) -> Array:
    """Return three orthonormal columns ``(d, 3)``."""
    frame: Array = ortho_group.rvs(d, random_state=np.random.default_rng(d))
    return frame[:, :3]


@cache
def half_width(d: int) -> float:
    """Return the half-width in radius at which `FRACTION` of the cube is valid, within a percent of itself."""
    rng = np.random.default_rng([d, 1])
    parts = [features(rng.random((100_000, d))) for _ in range(20)]
    radius, tilt = np.concatenate(parts).T
    away = np.where(np.abs(tilt) < TILT, np.abs(radius - RADIUS), np.inf)
    return float(np.quantile(away, FRACTION))


def ring(d: int) -> Problem:
    """Return a thin bent ring in three of `d` dimensions, none of which is an axis."""
    half = half_width(d)
    target = Target(radius=Window(RADIUS - half, RADIUS + half), tilt=Window(-TILT, TILT))
    draw = rejection(d, features, target, ("radius", "tilt"), 100_000)
    return Problem(f"ring{d}", d, ("radius", "tilt"), target, FRACTION, 1, features, one_island, draw)


def run(d: int, network: str, selection: str, proposal: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run one configuration for a fixed number of steps and describe what came of it."""
    problem = ring(d)
    settings = {"surrogate": network, "selection": selection, "proposal": proposal, "steps": options.training}
    trace = methods.trace(
        problem, "similarity+map", seed, options.steps * options.K, 10**9, options.K, **settings, initial=options.K
    )
    result = assess(problem, network, seed, trace, at_end=True)
    return {
        **asdict(result), **settings, "d": d, "cost": result.cost, "last": result.last_acceptance,
        "K": options.K, "batches": options.steps,
    }  # fmt: skip


def table(folder: Path) -> list[str]:
    """Return the medians over the seeds of all runs in a directory as a Markdown table."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    lines = [
        "| d | selection | map | network | seeds | acceptance, last 5 steps | valid | cov a/b | AUC | CPU s a step |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    axes = (sorted({run["d"] for run in found}), SELECTIONS, PROPOSALS, NETWORKS)
    for d, selection, proposal, network in itertools.product(*axes):
        wanted = {"d": d, "selection": selection, "proposal": proposal, "surrogate": network}
        runs = [run for run in found if all(run[name] == value for name, value in wanted.items())]
        if runs:
            quality = [run["coverage"][max(run["coverage"], key=int)] for run in runs if run["coverage"]]
            numbers = [
                float(np.median(column))
                for column in zip(*[(c["share"], c["uniform"], c["auc"]) for c in quality], strict=True)
            ] or [math.nan] * 3
            lines.append(
                f"| {d} | {selection} | {'on' if proposal == 'vegas' else 'off'} | {network} | {len(runs)} "
                f"| {np.median([run['last'] for run in runs]):.3f} | {np.median([run['valid'] for run in runs]):.0f} "
                f"| {numbers[0]:.2f}/{numbers[1]:.2f} | {numbers[2]:.2f} "
                f"| {np.median([run['cost'] for run in runs]):.1f} |"
            )
    return lines


def main(argv: list[str] | None = None) -> int:
    """Make the comparison, or part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--selections", nargs="+", choices=SELECTIONS, default=list(SELECTIONS))
    parser.add_argument("--proposals", nargs="+", choices=PROPOSALS, default=list(PROPOSALS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=20, help="of K evaluations each, the start included")
    parser.add_argument("--K", type=int, default=300)
    parser.add_argument("--training", type=int, default=6000, help="gradient steps of one training at most")
    parser.add_argument("--out", type=Path, required=True, help="directory of the runs")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    axes = (options.seeds, options.d, options.selections, options.proposals, options.networks)
    for seed, d, selection, proposal, network in itertools.product(*axes):
        path = options.out / f"{d}-{selection}-{proposal}-{network}-{seed}.json"
        if not path.exists():
            path.write_text(json.dumps(run(d, network, selection, proposal, seed, options), indent=1))
    print(*table(options.out), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
