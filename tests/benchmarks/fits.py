"""Best fits: evaluations until the likelihood exceeds .5 and .9, ``python -m tests.benchmarks.fits``.

The default method beside CMA-ES (where `cma` is installed) and SciPy's differential evolution, from nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable

import numpy as np
from scipy.optimize import differential_evolution

from rayscan.learn.options import LearnOptions
from rayscan.learn.proposer import make_proposer
from rayscan.problem.constraints import Gaussian
from rayscan.problem.target import Target
from tests.benchmarks.loop import rounds
from tests.benchmarks.problem import Array, Problem, one_island

MARKS = (0.5, 0.9)


def fit(name: str, copies: int, noise: float = 0.0) -> Problem:
    """Return a bent valley of six parameters, or several beside each other: measurements of ± .01 on ranges of ± 2."""
    measured = np.tile([0.7, 0.0, 0.0, 0.0, -0.4, 0.0], copies)
    names = tuple(f"o{j}" for j in range(6 * copies))
    rng = np.random.default_rng(1)

    def evaluate(u: Array) -> Array:
        x = (4 * u - 2).reshape(len(u), copies, 6)
        o = np.stack(
            [x[..., 0], x[..., 1] - x[..., 0] ** 2, x[..., 2] - x[..., 1] ** 2, x[..., 3] - x[..., 0] * x[..., 1],
             x[..., 4], x[..., 5] - x[..., 4] ** 2], axis=-1,
        ).reshape(len(u), -1)  # fmt: skip
        return np.asarray(o + noise * rng.normal(size=o.shape))

    target = Target(**{n: Gaussian(float(v), 0.01) for n, v in zip(names, measured, strict=True)})
    return Problem(name, 6 * copies, names, target, np.nan, 1, evaluate, one_island, lambda n, rng: rng.random((n, 6)))


def twins() -> Problem:
    """Return two equal optima, at plus and minus the same first parameter, with a region of NaN between them."""

    def evaluate(u: Array) -> Array:
        x = 4 * u - 2
        o = np.stack([x[:, 0] ** 2 - 1, x[:, 1] - x[:, 0], x[:, 2] + x[:, 1] ** 2], axis=1)
        o[np.abs(x[:, 0]) < 0.2] = np.nan
        return o

    target = Target(o0=Gaussian(0.0, 0.01), o1=Gaussian(0.0, 0.01), o2=Gaussian(0.0, 0.01))
    return Problem(
        "twins3", 3, ("o0", "o1", "o2"), target, np.nan, 2, evaluate,
        lambda u: (u[:, 0] > 0.5).astype(np.int64), lambda n, rng: rng.random((n, 3)),
    )  # fmt: skip


def pinprick() -> Problem:
    """Return a ball of radius 1e-4 in four dimensions, seen as its distance."""
    centre = np.array([0.31, 0.62, 0.47, 0.81])
    return Problem(
        "pinprick4", 4, ("r",), Target(r=(-np.inf, 1e-4)), np.nan, 1,
        lambda u: np.linalg.norm(u - centre, axis=1, keepdims=True), one_island, lambda n, rng: rng.random((n, 4)),
    )  # fmt: skip


FITS: dict[str, Callable[[], Problem]] = {
    "fit6": lambda: fit("fit6", 1), "fit12": lambda: fit("fit12", 2), "noisy6": lambda: fit("noisy6", 1, 0.002),
    "twins3": twins, "pinprick4": pinprick,
}  # fmt: skip


def default(problem: Problem, seed: int, budget: int, batch: int) -> dict[float, int]:
    """Return the evaluations until the default method exceeds each mark, at every optimum."""
    proposer = make_proposer(problem.d, problem.target, problem.observables, LearnOptions(K=batch), seed)
    reached: dict[float, int] = {}
    done, best = 0, np.zeros(problem.islands)
    for rows, _ in rounds(problem, proposer, batch):
        island = problem.island(rows.u)
        for k in range(len(rows)):
            best[island[k]] = max(best[island[k]], rows.likelihood[k])
            for mark in MARKS:
                if best.min() > mark and mark not in reached:
                    reached[mark] = done + k + 1
        done += len(rows)
        if len(reached) == len(MARKS) or done >= budget:
            return reached
    return reached


def peer(problem: Problem, seed: int, budget: int, method: str) -> dict[float, int]:
    """Return the same for an optimiser of the likelihood, at any optimum."""
    reached: dict[float, int] = {}
    count = 0

    def loss(x: Array) -> float:
        nonlocal count
        count += 1
        values = problem.evaluate(np.asarray(x)[None])
        judged = problem.target.judge({n: values[:, j] for j, n in enumerate(problem.observables)})
        for mark in MARKS:
            if judged.likelihood[0] > mark:
                reached.setdefault(mark, count)
        penalty = float(judged.penalty[0])
        return penalty if np.isfinite(penalty) else 1e6

    if method == "cma":
        import cma

        search = cma.CMAEvolutionStrategy(np.random.default_rng(seed).random(problem.d), 0.3, {
            "bounds": [0, 1], "verbose": -9, "seed": seed + 1,
        })  # fmt: skip
        while count < budget and len(reached) < len(MARKS) and not search.stop():
            x = search.ask()
            search.tell(x, [loss(one) for one in x])
    else:
        generations = budget // (15 * problem.d)
        differential_evolution(loss, [(0, 1)] * problem.d, maxiter=generations, seed=seed, polish=False, tol=0)
    return reached


def main(argv: list[str] | None = None) -> int:
    """Print one line for each problem, method and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(FITS), metavar="PROBLEM")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--budget", type=int, default=3000)
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args(argv)
    methods = ["default"]
    if options.peers:
        methods += [name for name in ("cma", "de") if name == "de" or importlib.util.find_spec(name)]
    for name in options.problems:
        problem = FITS[name]()
        for method in methods:
            for seed in range(options.seeds):
                if method == "default":
                    reached = default(problem, seed, options.budget, options.batch)
                else:
                    reached = peer(problem, seed, options.budget, method)
                text = "  ".join(f"L > {mark:g} at {reached.get(mark, '-')}" for mark in MARKS)
                print(f"{name:10s} {method:8s} seed {seed}  {text}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
