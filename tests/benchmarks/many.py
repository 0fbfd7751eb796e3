"""Problems in tens of dimensions, with exact samplers: arms, their rotations and overlaps, islands, a ball.

Run ``python -m tests.benchmarks.many arms20 arms40 --seeds 3 --jobs 2``: evaluations to 1,000 and 10,000 valid points,
arms with a point and the share of the fullest, coverage block by block, AUC of the whole, and AUC between two seeds.
The volume is judged by `volume_pulls`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import gamma

from rayscan.learn.options import LearnOptions
from rayscan.learn.proposer import make_proposer
from rayscan.problem.target import Target
from tests.benchmarks.loop import follow
from tests.benchmarks.metrics import reached, separability
from tests.benchmarks.problem import Array, Integers, Problem

HALF_WIDTH = 0.05
SHARE = 0.079918
"""Of four parameters in [-1, 1], the part where one block's observable is in its window."""


def block(z: Array) -> Array:
    """Return the observable of a block ``(..., 4)``: two arms, told apart by the sign of the first parameter."""
    return z[..., 0] ** 2 - 0.4 + 0.3 * z[..., 1] * z[..., 2] - 0.2 * np.cos(2.5 * z[..., 3])


def block_sample(n: int, rng: np.random.Generator) -> Array:
    """Return `n` uniform points ``(n, 4)`` of one block's window."""
    found = np.empty((0, 4))
    while len(found) < n:
        z = rng.uniform(-1, 1, (100_000, 4))
        found = np.concatenate([found, z[np.abs(block(z)) < HALF_WIDTH]])
    return found[:n]


def arms(name: str, blocks: int) -> Problem:
    """Return blocks of four parameters with an observable each; ``2 ** blocks`` arms."""
    names = tuple(f"o{b}" for b in range(blocks))
    powers = 2 ** np.arange(blocks, dtype=np.int64)

    def z(u: Array) -> Array:
        return (2 * u - 1).reshape(len(u), blocks, 4)

    def draw(n: int, rng: np.random.Generator) -> Array:
        return (np.stack([block_sample(n, rng) for _ in range(blocks)], axis=1).reshape(n, -1) + 1) / 2

    def island(u: Array) -> Integers:
        return np.asarray((z(u)[:, :, 0] > 0) @ powers)

    target = Target(**dict.fromkeys(names, (-HALF_WIDTH, HALF_WIDTH)))
    return Problem(name, 4 * blocks, names, target, SHARE**blocks, 2**blocks, lambda u: block(z(u)), island, draw)


def arms20() -> Problem:
    """Return 32 arms in 20 dimensions."""
    return arms("arms20", 5)


def arms40() -> Problem:
    """Return 1,024 arms in 40 dimensions."""
    return arms("arms40", 10)


def mixed20() -> Problem:
    """Return 32 arms in 20 dimensions where every observable depends on all parameters of two blocks.

    The middle of each window is bent by the next block, which moves points within the cube and keeps their volume: the
    first parameter of a block is shifted by a function of the next one's second to fourth, and wrapped at the faces.
    """
    plain = arms("mixed20", 5)

    def shift(z: Array) -> Array:
        other = np.roll(z, -1, axis=1)
        return np.asarray(0.15 * np.sin(2 * other[..., 1] + other[..., 2] * other[..., 3]))

    def bent(u: Array, sign: float) -> Array:
        z = (2 * u - 1).reshape(len(u), 5, 4).copy()
        z[..., 0] = np.mod(z[..., 0] + sign * shift(z) + 1, 2) - 1
        return (z.reshape(len(u), -1) + 1) / 2

    return Problem(
        plain.name, plain.d, plain.observables, plain.target, plain.fraction, plain.islands,
        lambda u: plain.evaluate(bent(u, 1)), lambda u: plain.island(bent(u, 1)),
        lambda n, rng: bent(plain.draw(n, rng), -1),
    )  # fmt: skip


def rotated20() -> Problem:
    """Return five rings of four directions each, none of which is an axis: ``|Q z|`` in windows, one per subspace."""
    d, blocks = 20, 5
    rotation = np.linalg.qr(np.random.default_rng(12).normal(size=(d, d)))[0]
    names = tuple(f"o{b}" for b in range(blocks))

    def observables(u: Array) -> Array:
        y = ((2 * u - 1) @ rotation).reshape(len(u), blocks, 4)
        return np.asarray(y[..., 0] ** 2 - 0.2 + 0.5 * y[..., 1] * y[..., 2] - 0.1 * np.cos(2.5 * y[..., 3]))

    target = Target(**dict.fromkeys(names, (-0.04, 0.04)))
    powers = 2 ** np.arange(blocks, dtype=np.int64)

    def island(u: Array) -> Integers:
        return np.asarray((((2 * u - 1) @ rotation).reshape(len(u), blocks, 4)[..., 0] > 0) @ powers)

    def draw(n: int, rng: np.random.Generator) -> Array:
        # Directions are drawn in a ball that holds the cube's projection, and kept where the whole lies in the cube.
        found = np.empty((0, d))
        while len(found) < n:
            parts = []
            for _ in range(blocks):
                part = np.empty((0, 4))
                while len(part) < 400_000:
                    y = rng.uniform(-1.8, 1.8, (2_000_000, 4))
                    o = y[:, 0] ** 2 - 0.2 + 0.5 * y[:, 1] * y[:, 2] - 0.1 * np.cos(2.5 * y[:, 3])
                    part = np.concatenate([part, y[np.abs(o) < 0.04]])
                parts.append(part[:400_000])
            z = np.concatenate(parts, axis=1) @ rotation.T
            found = np.concatenate([found, (z[(np.abs(z) <= 1).all(1)] + 1) / 2])
        return found[:n]

    return Problem("rotated20", d, names, target, np.nan, 2**blocks, observables, island, draw)


def islands20() -> Problem:
    """Return five balls of different radius in 20 dimensions, seen as one observable: the distance to the nearest."""
    d = 20
    rng = np.random.default_rng(8)
    centres, radii = rng.uniform(0.3, 0.7, (5, d)), np.array([0.56, 0.54, 0.52, 0.50, 0.48]) * 0.5
    volumes = np.pi ** (d / 2) / gamma(d / 2 + 1) * radii**d

    def evaluate(u: Array) -> Array:
        away = np.stack([np.linalg.norm(u - c, axis=1) / r for c, r in zip(centres, radii, strict=True)], axis=1)
        return away.min(axis=1, keepdims=True)

    def draw(n: int, rng: np.random.Generator) -> Array:
        which = rng.choice(5, n, p=volumes / volumes.sum())
        direction = rng.normal(size=(n, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        u = centres[which] + direction * (radii[which] * rng.random(n) ** (1 / d))[:, None]
        return np.asarray(u)

    def island(u: Array) -> Integers:
        away = np.stack([np.linalg.norm(u - c, axis=1) / r for c, r in zip(centres, radii, strict=True)], axis=1)
        return np.asarray(away.argmin(axis=1))

    return Problem("islands20", d, ("r",), Target(r=(-np.inf, 1.0)), float(volumes.sum()), 5, evaluate, island, draw)


def ball60() -> Problem:
    """Return a ball in 60 dimensions that sticks out of the cube's faces; its fraction is 1.198(6)e-6."""
    d = 60

    def evaluate(u: Array) -> Array:
        return ((u - 0.5) ** 2).sum(axis=1, keepdims=True)

    def draw(n: int, rng: np.random.Generator) -> Array:
        # A Markov chain of coordinate redraws, thinned far beyond its memory: the ball is convex and unimodal.
        u = np.full((n, d), 0.5)
        s = np.zeros(n)
        for _ in range(40 * d):
            j = rng.integers(d)
            new = rng.random(n)
            trial = s - (u[:, j] - 0.5) ** 2 + (new - 0.5) ** 2
            good = trial < 2.5
            u[good, j], s[good] = new[good], trial[good]
        return u

    return Problem(
        "ball60", d, ("s",), Target(s=(-np.inf, 2.5)), 1.198e-6, 1, evaluate,
        lambda u: np.zeros(len(u), dtype=np.int64), draw,
    )  # fmt: skip


MANY: dict[str, Callable[[], Problem]] = {
    make.__name__: make for make in (arms20, arms40, mixed20, rotated20, islands20, ball60)
}


@dataclass
class Judged:
    """One run in many dimensions."""

    problem: str
    seed: int
    total: int
    valid: int
    first: dict[int, int]
    arms: int
    fullest: float
    auc: float
    blocks: list[tuple[float, float]] = field(default_factory=list)
    cost: float = 0.0


def judge(problem: Problem, u: Array, valid: Array, seed: int, cost: float) -> Judged:
    """Compare what was collected with an exact uniform sample."""
    rng = np.random.default_rng([seed, 78])
    sample, order = u[valid][:10_000], np.cumsum(valid)
    part = sample[rng.permutation(len(sample))[:3000]]
    reference = problem.draw(max(len(part), 50), rng)
    counts = np.unique(problem.island(sample), return_counts=True)[1] if len(sample) else np.zeros(1)
    answer = Judged(
        problem.name, seed, len(u), int(valid.sum()),
        {goal: int(np.searchsorted(order, goal)) + 1 for goal in (1, 1000, 10_000) if goal <= order[-1]},
        len(counts), float(counts.max() / max(len(sample), 1)),
        separability(part, reference[: len(part)], seed) if len(part) >= 50 else np.nan, cost=cost,
    )  # fmt: skip
    if len(part) >= 50 and problem.name.startswith("arms"):
        for b in range(problem.d // 4):
            here = slice(4 * b, 4 * b + 4)
            uniform, points = (block_sample(len(sample), rng) + 1) / 2, (block_sample(3000, rng) + 1) / 2
            answer.blocks.append(reached(points, sample[:, here], uniform))
    return answer


def run(name: str, seed: int, budget: int, batch: int, verbose: bool) -> tuple[Judged, Array]:
    """Scan a problem until 10,000 valid points or the budget."""
    import torch

    torch.set_num_threads(1)
    problem = MANY[name]()
    options = LearnOptions(K=batch)
    proposer = make_proposer(problem.d, problem.target, problem.observables, options, seed)
    trace = follow(problem, proposer, budget, 10_000, batch, verbose=verbose)
    return judge(problem, trace.u, trace.valid, seed, float(np.median(trace.seconds))), trace.u[trace.valid]


def line(result: Judged) -> str:
    """Return a run as one line."""
    first = ", ".join(f"{goal:,} at {at:,}" for goal, at in result.first.items())
    worst = min((a / b for a, b in result.blocks), default=np.nan)
    return (
        f"{result.problem:10s} seed {result.seed}  {result.valid:,} of {result.total:,}  ({first})  arms {result.arms} "
        f"fullest {result.fullest:.4f}  AUC {result.auc:.3f}  worst block {worst:.3f} b  "
        f"{result.cost:.1f} CPU s a batch"
    )


def main(argv: list[str] | None = None) -> int:
    """Run problems and print a line for each seed, and the AUC between seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", nargs="*", default=list(MANY), metavar="PROBLEM", help=", ".join(MANY))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=20_100)
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for name in options.problems:
            jobs = [pool.submit(run, name, seed, options.budget, options.batch, options.verbose) for seed in seeds]
            samples = []
            for job in jobs:
                result, sample = job.result()
                samples.append(sample[-3000:])
                results.append(asdict(result))
                print(line(result), flush=True)
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1))
            if len(samples) > 1 and min(map(len, samples)) > 100:
                print(f"{name:10s} between two seeds: AUC {separability(samples[0], samples[1]):.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
