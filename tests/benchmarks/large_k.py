"""Large steps: seconds to ask, tell and refit, and peak memory, beside what the device could do.

``python -m tests.benchmarks.large_k`` runs the default method on the stop sector (d = 5) and on ``arms`` families for a
few steps of each size, on the CPU or, with ``--device cuda``, on a GPU.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch

from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.data import Rows
from rayscan.learn.options import LearnOptions
from rayscan.learn.proposer import make_proposer
from rayscan.learn.surrogates.contest import Contest
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.gaussian_process import distance, matern
from tests.benchmarks.loop import evaluate
from tests.benchmarks.many import arms
from tests.benchmarks.problem import Problem
from tests.benchmarks.problems import PROBLEMS

SIZES = ((5, 300), (5, 10_000), (20, 10_000), (40, 10_000), (40, 50_000), (20, 100_000))


@dataclass
class Step:
    """What one step took, in seconds."""

    ask: float
    tell: float
    refit: float
    valid: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.ask + self.tell + self.refit


def problem_of(d: int) -> Problem:
    """Return the stop sector in 5 dimensions, arms in any multiple of 4."""
    return PROBLEMS["mhiggs5"]() if d == 5 else arms(f"arms{d}", d // 4)


def steps(d: int, batch: int, count: int, device: str) -> list[Step]:
    """Run a scan of `count` steps after a start of 1,500 points."""
    problem = problem_of(d)
    options = LearnOptions(K=batch, initial=1500, device=device)
    proposer = make_proposer(d, problem.target, problem.observables, options, 0)
    issued, answer = 0, []
    for k in range(count + 1):
        begun = time.perf_counter()
        proposals = proposer.ask(batch if k else 1500, np.empty((0, d)))
        asked = time.perf_counter()
        rows: Rows = evaluate(problem, proposals, issued)
        issued += len(rows)
        evaluated = time.perf_counter()
        proposer.tell(rows)
        told = time.perf_counter()
        proposer.refit()
        if device == "cuda":
            torch.cuda.synchronize()
        done = time.perf_counter()
        answer.append(Step(asked - begun, told - evaluated, done - told, float(rows.valid.mean())))
    return answer[1:]


def agreement(d: int, device: str) -> float:
    """Return the largest difference of predicted observables, in widths, between a device and double precision."""
    problem = problem_of(d)
    options = LearnOptions(K=300, initial=1500, device=device)
    proposer = CoverageProposer(d, problem.target, problem.observables, options, 0)
    rows = evaluate(problem, proposer.ask(1500, np.empty((0, d))), 0)
    proposer.tell(rows)
    proposer.refit()
    contest, u = proposer.belief.contest, np.random.default_rng(1).random((10_000, d))
    assert isinstance(contest, Contest)
    there = contest.points.predict(torch.from_numpy(u).to(device), list(range(len(contest.driver)))).cpu().numpy()
    seen = Features(d)(torch.from_numpy(u)).numpy()
    off = 0.0
    for j, process in enumerate(contest.points.processes):
        scaled = seen[:, process.inputs] @ process.weights.T
        exact = process.mean + matern(distance(scaled, process.x)) @ process.coefficients
        bent = np.arcsinh(contest.points.ratio[j] * np.sinh(exact[:, 0]))
        off = max(off, float(np.quantile(np.abs(bent - there[:, j]), 0.99) / contest.width[j]))
    return off


def peak(device: str) -> float:
    """Return the most memory that was in use so far, in GB."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main(argv: list[str] | None = None) -> int:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=[f"{d}:{k}" for d, k in SIZES], metavar="D:K")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    print("   d        K   ask s  tell s  refit s   step s  us/point  valid  peak GB")
    for size in options.sizes:
        d, batch = map(int, size.split(":"))
        if options.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        last = steps(d, batch, options.steps, options.device)[-1]
        print(
            f"{d:4d} {batch:8,d} {last.ask:7.2f} {last.tell:7.2f} {last.refit:8.2f} {last.total:8.2f} "
            f"{1e6 * last.total / batch:9.0f}  {last.valid:5.2f} {peak(options.device):8.2f}",
            flush=True,
        )
    for d in sorted({int(size.split(":")[0]) for size in options.sizes}):
        if d > 5:
            off = agreement(d, options.device)
            print(
                f"d = {d}: 99 % of predictions agree with double precision within {off:.2g} of their width", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
