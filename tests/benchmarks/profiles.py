r"""Profile likelihoods against a dense reference: ``python -m tests.benchmarks.profiles``.

The default method scans, `rayscan.results.profile` bins what it found in two parameters, and each bin of the region of
:math:`\Delta\chi^2 < 6.18` (two sigma of two parameters) is compared with the minimum over that bin and all other
parameters, which the problems know.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rayscan.learn.options import LearnOptions
from rayscan.learn.proposer import make_proposer
from rayscan.problem.constraints import Gaussian
from rayscan.problem.target import Target
from rayscan.results.profile import profile_of
from tests.benchmarks.loop import rounds
from tests.benchmarks.problem import Array, Problem, one_island

REGION = 6.18
FINE = 41
"""Places along each side of a bin at which the reference is evaluated."""


@dataclass(frozen=True)
class Case:
    """A problem, and its chi-squared of the two parameters shown, minimised over the others: ``(n,), (n,) -> (n,)``."""

    problem: Problem
    chi2: Callable[[Array, Array], Array]
    window: tuple[tuple[float, float], tuple[float, float]]


def valley() -> Case:
    """Return a bent valley in six parameters; the four that are not shown can be chosen to fit whatever the two are."""
    names = tuple(f"o{j}" for j in range(6))

    def evaluate(u: Array) -> Array:
        x = 4 * u - 2
        return np.stack(
            [x[:, 0], x[:, 1] - x[:, 0] ** 2, x[:, 2] - x[:, 1] ** 2, x[:, 3] - x[:, 0] * x[:, 1], x[:, 4],
             x[:, 5] - x[:, 4] ** 2], axis=1,
        )  # fmt: skip

    measured = [0.7, 0.0, 0.0, 0.0, -0.4, 0.0]
    sigmas = [0.1, 0.05, 0.05, 0.05, 0.1, 0.05]
    target = _target(names, measured, sigmas)
    problem = Problem("valley6", 6, names, target, np.nan, 1, evaluate, one_island, lambda n, rng: rng.random((n, 6)))
    return Case(problem, lambda x, y: ((x - 0.7) / 0.1) ** 2 + ((y - x**2) / 0.05) ** 2, ((0.4, 1.0), (0.1, 1.0)))


def pair() -> Case:
    """Return two equal optima in four parameters, with a region of NaN between them."""
    names = ("o0", "o1", "o2", "o3")

    def evaluate(u: Array) -> Array:
        x = 4 * u - 2
        o = np.stack([x[:, 0] ** 2, x[:, 1] - x[:, 0], x[:, 2] + x[:, 1] ** 2, x[:, 3]], axis=1)
        o[np.abs(x[:, 0]) < 0.2] = np.nan
        return o

    target = _target(names, [1.0, 0.0, 0.0, 0.0], [0.1, 0.1, 0.1, 0.1])
    problem = Problem("pair4", 4, names, target, np.nan, 2, evaluate, one_island, lambda n, rng: rng.random((n, 4)))
    return Case(problem, lambda x, y: ((x**2 - 1) / 0.1) ** 2 + ((y - x) / 0.1) ** 2, ((-1.3, 1.3), (-1.4, 1.4)))


CASES = {"valley6": valley, "pair4": pair}


def _target(names: tuple[str, ...], measured: list[float], sigmas: list[float]) -> Target:
    # Every point of the region that is compared is valid.
    constraints = {n: Gaussian(v, s) for n, v, s in zip(names, measured, sigmas, strict=True)}
    return Target(threshold=float(np.exp(-REGION / 2)), **constraints)


def reference(case: Case, edges: tuple[Array, Array]) -> Array:
    """Return the least chi-squared within each bin ``(k, l)``."""
    low, high = edges[0][:-1], edges[0][1:]
    x = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, FINE)
    low, high = edges[1][:-1], edges[1][1:]
    y = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, FINE)
    every = case.chi2(x[:, None, :, None], y[None, :, None, :])
    return np.asarray(every.min(axis=(2, 3)))


def compare(case: Case, seed: int, budget: int, batch: int, bins: int) -> dict[int, tuple[float, ...]]:
    """Return after each doubling of evaluations the valid points, the best fit's excess, and the errors of the bins."""
    problem = case.problem
    proposer = make_proposer(problem.d, problem.target, problem.observables, LearnOptions(K=batch), seed)
    edges = tuple(np.linspace(*ends, bins + 1) for ends in case.window)
    truth = reference(case, (edges[0], edges[1]))
    region = truth < REGION
    x: list[Array] = []
    likelihood: list[Array] = []
    found: dict[int, tuple[float, ...]] = {}
    done, next_ = 0, 500
    for rows, _ in rounds(problem, proposer, batch):
        x.append(4 * rows.u[:, :2] - 2)
        likelihood.append(np.nan_to_num(rows.likelihood))
        done += len(rows)
        if done < next_:
            continue
        values, ell = np.concatenate(x), np.concatenate(likelihood)
        profile = profile_of(("x0", "x1"), edges, [values[:, 0], values[:, 1]], ell, np.arange(done))
        error = np.where(region, profile.delta_chi2 - truth, np.nan)[region]
        filled = np.isfinite(error)
        some = np.abs(error[filled])
        inside = (np.nan_to_num(profile.delta_chi2, nan=np.inf) < REGION)[region]
        found[done] = (
            float((ell > np.exp(-REGION / 2)).sum()), -2 * float(np.log(ell.max(initial=1e-300))),
            float(filled.mean()), float(inside.mean()),
            *(float(q) for q in (np.quantile(some, (0.5, 0.9)) if len(some) else (np.nan, np.nan))),
            float((some < 0.1).mean()) if len(some) else np.nan,
        )  # fmt: skip
        next_ *= 2
        if done >= budget:
            break
    return found


def main(argv: list[str] | None = None) -> int:
    """Print a line for each problem, seed and number of evaluations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(CASES), metavar="PROBLEM")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--budget", type=int, default=8000)
    parser.add_argument("--bins", type=int, default=20)
    options = parser.parse_args(argv)
    print("problem  seed  evaluations  valid  best -2lnL  bins seen  in region  |error| median  90 %  below .1")
    for name in options.problems:
        for seed in range(options.seeds):
            case = CASES[name]()
            for done, (valid, best, seen, inside, half, most, right) in compare(
                case, seed, options.budget, options.batch, options.bins
            ).items():
                print(
                    f"{name:8s} {seed:4d} {done:12,d} {valid:6.0f} {best:11.4f} {seen:10.1%} {inside:10.1%} "
                    f"{half:15.3f} {most:5.2f} {right:9.1%}", flush=True,
                )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
