"""Scans with conditions and with fractions, of known volume: ``python -m tests.benchmarks.conditions``.

Scans by the default method through the engine, over some seeds. Printed are how many rows of all tables violate the
condition, which must be none, and mean and width of (estimate - truth) / error of the volume, which should be 0 ± 0.3
and 0.7 to 1.4 (over ten seeds the mean is itself uncertain by 0.3).

* ``where3``, ``where11``, ``where22``: the first 2, 6 and 6 of so many parameters lie in a ball and two others are in
  order, which leaves 39, 4 and 4 % of a box. The target is a shell at the border of the ball, so that most of what
  would be valid violates the condition, and windows on sums and on the radius of other parameters.
* ``joint11``, ``joint22``: the same with `Ball` and `Ordered` in place of the conditions.
* ``simplex3``, ``simplex11``, ``simplex22``: so many fractions that sum to 1. The target are windows on the sum of the
  first half and on fractions within both halves, which are independent of each other with beta distributions.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

import rayscan as rs
from rayscan.results.volume import Volume

Array = NDArray[np.float64]
MOST = 1.2
"""The shell would reach this far, were it not for the condition: the ball has a radius of 1."""


@dataclass(frozen=True)
class Constrained:
    """One problem.

    Attributes
    ----------
    space : Space
    target : Target
    evaluate : callable
        ``(n, p)`` physical points to ``(n, m)`` observables.
    outputs : list of str
        Their names.
    volume : float
        The valid share of the prior where the condition holds.
    violates : callable
        Which physical points ``(n, p)`` violate what every point must satisfy ``(n,)``.
    budget : int
        Evaluations.
    """

    space: rs.Space
    target: rs.Target
    evaluate: Callable[[Array], Array]
    outputs: list[str]
    volume: float
    violates: Callable[[Array], NDArray[np.bool_]]
    budget: int


def ball_and_order(d: int, *, joint: bool = False) -> Constrained:
    """A ball of `k` of `d` parameters, two others in order, and a shell at the ball's border.

    They are conditions on a box, or `joint` priors.
    """
    k, rest, widths, inner, budget = {
        3: (2, 0, [0.02], 0.9, 2400),
        11: (6, 3, [0.1, 0.1], 0.9, 3000),
        22: (6, 4, [0.1, 0.1, 0.2], 0.9, 3600),
    }[d]
    names = [f"x{i}" for i in range(1, d + 1)]
    # The order is one of parameters that the target treats alike.
    first, second = ("x1", "x2") if d == 3 else (names[k + len(widths)], names[k + len(widths) + 1])
    where = f"{' + '.join(f'{name}**2' for name in names[:k])} < 1 and {first} < {second}"
    tail = slice(k + len(widths), k + len(widths) + rest)
    radius = {0: 1.0, 3: 0.5, 4: 0.7}[rest]

    def evaluate(x: Array) -> Array:
        tilted = [x[:, k + i] - x[:, i] / 2 for i in range(len(widths))]
        return np.column_stack([np.linalg.norm(x[:, :k], axis=1), *tilted, np.linalg.norm(x[:, tail], axis=1)])

    windows = {f"s{i}": (-width, width) for i, width in enumerate(widths)}
    # Within a ball of less than 1 by x1 / 2 a window of ± width is that share of x's range of ± 1, wherever it lies.
    shell = 1 - inner**k
    ball = math.pi ** (rest / 2) / math.gamma(rest / 2 + 1) * (radius / 2) ** rest if rest else 1.0
    i, j = names.index(first), names.index(second)
    space = rs.Space(dict.fromkeys(names, (-1, 1)), where=where)
    if joint:
        between, after = (dict.fromkeys(part, (-1, 1)) for part in (names[k:i], names[j + 1 :]))
        space = rs.Space(rs.Ball(*names[:k]), between, rs.Ordered(first, second, of=(-1, 1)), after)
    return Constrained(
        space,
        rs.Target(r=(inner, MOST), **windows, **({"t": (-1, radius)} if rest else {})),
        evaluate, ["r", *windows, "t"], shell * math.prod(widths) * ball,
        lambda x: ((x[:, :k] ** 2).sum(axis=1) >= 1) | (x[:, i] >= x[:, j]), budget,
    )  # fmt: skip


def fractions(n: int) -> Constrained:
    """`n` fractions, of which the first half has a given sum, and parts of both halves given shares of theirs."""
    half, budget = {3: (2, 2400), 11: (5, 3000), 22: (11, 3600)}[n]
    names = [f"f{i}" for i in range(1, n + 1)]
    inner = half // 2 if n > 3 else 1
    outer = (n - half) // 2

    def evaluate(x: Array) -> Array:
        sums = [x[:, :half].sum(axis=1), x[:, half:].sum(axis=1)]
        parts = [x[:, :inner].sum(axis=1) / sums[0]]
        if outer:
            parts.append(x[:, half : half + outer].sum(axis=1) / sums[1])
        return np.column_stack([sums[0], *parts])

    laws = [beta(half, n - half), beta(inner, half - inner), *([beta(outer, n - half - outer)] if outer else [])]
    windows = {}
    volume = 1.0
    for name, law, share in zip(("s", "a", "b"), laws, (0.05, 0.05, 0.1), strict=False):
        # Off the middle, where the density is steep.
        low, high = law.ppf([0.8, 0.8 + share])
        windows[name] = (float(low), float(high))
        volume *= share
    return Constrained(
        rs.Space(rs.Simplex(*names)), rs.Target(**windows), evaluate, list(windows), volume,
        lambda x: (abs(x.sum(axis=1) - 1) > 1e-9) | (x < 0).any(axis=1), budget,
    )  # fmt: skip


PROBLEMS: dict[str, Callable[[], Constrained]] = {
    **{f"where{d}": lambda d=d: ball_and_order(d) for d in (3, 11, 22)},  # type: ignore[misc]
    **{f"joint{d}": lambda d=d: ball_and_order(d, joint=True) for d in (11, 22)},  # type: ignore[misc]
    **{f"simplex{n}": lambda n=n: fractions(n) for n in (3, 11, 22)},  # type: ignore[misc]
}


def scan(name: str, seed: int, budget: int | None) -> tuple[Volume, int, int, int, float]:
    """Return the volume that a scan estimates, rows, valid rows, violating rows, and seconds."""
    import torch

    torch.set_num_threads(1)
    problem = PROBLEMS[name]()
    tool = rs.Function(problem.evaluate, outputs=problem.outputs, vectorized=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = rs.Scan(problem.space, tool, problem.target, out=f"{folder}/run", evaluators=0, seed=seed)
        result = run.run(evaluations=budget or problem.budget, progress=None)
        x = np.column_stack([result.table[column].to_numpy() for column in problem.space.names])
        return (
            result.volume(), len(x), len(result.valid), int(problem.violates(x).sum()), time.perf_counter() - start,
        )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Print one line for each problem; return 1 if a row violates a condition or a pull is out of bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"of {', '.join(PROBLEMS)}; all by default")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    bad = 0
    print(
        "problem      volume   left  violating  valid  known of  pull mean      width  estimate/truth  claimed  s/scan"
    )
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for name in options.problems or PROBLEMS:
            problem = PROBLEMS[name]()
            seeds = range(options.seeds)
            every = list(pool.map(scan, [name] * len(seeds), seeds, [options.budget] * len(seeds)))
            known = [volume for volume, *_ in every if volume.known]
            violating, rows = sum(one[3] for one in every), sum(one[1] for one in every)
            valid, seconds = sum(one[2] for one in every) / rows, np.mean([one[4] for one in every])
            line = f"{name:10s} {problem.volume:8.2g} {problem.space.domain.share:6.3f} {violating:4d} of {rows:,}"
            line += f" {valid:6.1%} {len(known):5d} of {len(every):2d}"
            bad += violating > 0
            if len(known) >= 3:
                pull = np.array([(volume.value - problem.volume) / volume.error for volume in known])
                ratio = np.array([volume.value for volume in known]) / problem.volume
                claimed = np.median([volume.error for volume in known]) / problem.volume
                good = abs(pull.mean()) <= 0.3 + 1 / math.sqrt(len(pull)) and pull.std(ddof=1) <= 1.4
                bad += not good
                line += f"  {pull.mean():+5.2f} ± {pull.std(ddof=1) / math.sqrt(len(pull)):.2f} {pull.std(ddof=1):6.2f}"
                line += f" {ratio.mean():8.3f} ± {ratio.std(ddof=1) / math.sqrt(len(ratio)):.3f} {claimed:8.3f}"
                line += f" {seconds:7.0f}{'' if good else '  out of bounds'}"
            print(line, flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
