"""Pulls of the estimated volume on targets of known volume: ``python -m tests.benchmarks.volume_pulls``.

A plain loop instead of a scan: a Sobol start of K points, then rounds of K with a tenth of them blind, half uniform and
half from the audit once there are 50 valid points. In place of what the chains would find, each round brings points of
the valid region, more and more of it as the scan grows, and denser at one end: the audit must cope with a sample whose
density nobody knows. Prints mean and width of (estimate - truth) / error over the seeds, which should be 0 ± 0.3 and
0.7 to 1.4, the mean of estimate / truth, and the relative error claimed. The mean over 40 seeds is itself uncertain by
0.14, over 20 by 0.2, and lies about 0.1 below 0 because few and uneven points make skewed estimates.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma
from scipy.stats import qmc

from rayscan.learn.coverage.audit import Audit
from rayscan.learn.data import Origin
from rayscan.results.volume import Volume, estimate_volume
from tests.benchmarks import problems

Array = NDArray[np.float64]
K, BLIND, ENOUGH = 300, 30, 50


@dataclass(frozen=True)
class Known:
    """A region of known volume: `valid` says which points are in it, `draw` gives ``(n, rng)`` uniform points of it."""

    name: str
    d: int
    fraction: float
    valid: Callable[[Array], NDArray[np.bool_]]
    draw: Callable[[int, np.random.Generator], Array]


def box() -> Known:
    """Return a box in the corner of a cube in four dimensions."""
    side = np.array([0.1, 0.5, 0.2, 0.3])
    return Known("box4", 4, float(side.prod()), lambda u: (u < side).all(1), lambda n, rng: rng.random((n, 4)) * side)


def balls() -> Known:
    """Return two balls of different size in six dimensions: where either of two Gaussians is above its level."""
    centres, radii = np.array([[0.3] * 6, [0.72] * 6]), np.array([0.14, 0.2])
    volumes = math.pi**3 / gamma(4) * radii**6

    def draw(n: int, rng: np.random.Generator) -> Array:
        which = rng.choice(2, n, p=volumes / volumes.sum())
        direction = rng.normal(size=(n, 6))
        direction /= np.linalg.norm(direction, axis=1)[:, None]
        return centres[which] + direction * (radii[which] * rng.random(n) ** (1 / 6))[:, None]

    def valid(u: Array) -> NDArray[np.bool_]:
        return (np.linalg.norm(u[:, None] - centres, axis=2) < radii).any(1)

    return Known("balls6", 6, float(volumes.sum()), valid, draw)


def of(name: str) -> Known:
    """Return a problem of the suite."""
    problem = problems.PROBLEMS[name]()
    return Known(name, problem.d, problem.fraction, problem.valid, problem.draw)


def estimates(target: Known, pool: Array, seed: int, rounds: Collection[int]) -> list[Volume]:
    """Return the estimates of one scan after each of so many rounds; what chains find is drawn from a valid `pool`."""
    rng = np.random.default_rng([seed, 5])
    pool = rng.permutation(pool)
    audit = Audit(target.d)
    start = qmc.Sobol(target.d, scramble=True, rng=rng).random_base2(9)[:K]
    batches = [(start, np.full(K, Origin.INITIAL, np.int8), np.ones(K))]
    found = [start[target.valid(start)]]
    seen = []
    for k in range(1, max(rounds)):
        known = np.concatenate(found)
        audited = BLIND // 2 if len(known) >= ENOUGH else 0
        if audited:
            audit.fit(known, rng)
        batch = audit.batch(BLIND - audited, audited, rng)
        walked, pool = np.split(pool, [min(20 * k, K - BLIND)])
        batches.append(batch)
        found += [batch[0][target.valid(batch[0])], walked]
        if k + 1 in rounds:
            u, origin, density = (np.concatenate(column) for column in zip(*batches, strict=True))
            seen.append(estimate_volume(origin, density, target.valid(u)))
    return seen


def biased_pool(target: Known) -> Array:
    """Return valid points, five times denser where the first coordinate is large."""
    rng = np.random.default_rng(55)
    u = target.draw(40_000, rng)
    return u[rng.random(len(u)) < 0.2 + 0.8 * (u[:, 0] - u[:, 0].min()) / np.ptp(u[:, 0])]


def main(argv: list[str] | None = None) -> int:
    """Print one line for each target and length; return 1 if a pull is out of bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--targets", nargs="+", default=["box4", "balls6", "cos3", "shell7"])
    parser.add_argument("--rounds", type=int, nargs="+", default=[40])
    options = parser.parse_args(argv)
    bad = 0
    print("target   rounds       pull mean  width  estimate/truth  claimed error")
    for name in options.targets:
        target = {"box4": box, "balls6": balls}.get(name, lambda name=name: of(name))()
        pool = biased_pool(target)
        scans = [estimates(target, pool, seed, sorted(options.rounds)) for seed in range(options.seeds)]
        for rounds, seen in zip(sorted(options.rounds), zip(*scans, strict=True), strict=True):
            pull = np.array([(v.value - target.fraction) / v.error for v in seen])
            ratio = np.array([v.value for v in seen]) / target.fraction
            relative = np.median([v.error for v in seen]) / target.fraction
            good = abs(pull.mean()) <= 0.3 and 0.7 <= pull.std(ddof=1) <= 1.4
            bad += not good
            print(
                f"{target.name:8s} {rounds:6d} {pull.mean():+8.2f} ± {pull.std(ddof=1) / math.sqrt(len(pull)):.2f}"
                f" {pull.std(ddof=1):6.2f}"
                f" {ratio.mean():10.3f} ± {ratio.std(ddof=1) / math.sqrt(len(ratio)):.3f} {relative:10.3f}"
                f" {'' if good else '  out of bounds'}",
                flush=True,
            )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
