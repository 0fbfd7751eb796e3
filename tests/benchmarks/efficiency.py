"""Evaluations to a number of valid points, and coverage: ``python -m tests.benchmarks.efficiency``.

Runs the learning side in a plain loop, ask(K), evaluate, tell, refit, with no engine, so that every evaluation counts
and nothing else does. Prints one line per problem, method and seed, then the medians beside the bars, and writes the
runs as JSON. ``--bars`` runs the default over the whole table of bars and says PASS or MISS for each figure.

    python -m tests.benchmarks.efficiency --bars --seeds 5 --jobs 2 --json bars.json
    python -m tests.benchmarks.efficiency --problems cos3 mhiggs5 --methods default fast emcee nautilus --budget 25000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks import methods, programs, table
from tests.benchmarks.bars import BARS, BUDGET
from tests.benchmarks.problem import Problem
from tests.benchmarks.problems import PROBLEMS
from tests.benchmarks.results import Result, assess

ALL = {**PROBLEMS, **programs.PROGRAMS}


@dataclass(frozen=True)
class Job:
    """One run to do."""

    problem: str
    method: str
    seed: int
    budget: int
    goal: int
    batch: int
    threads: int
    verbose: bool

    def do(self) -> Result:
        """Run it in this process."""
        import torch

        torch.set_num_threads(self.threads)
        problem: Problem = ALL[self.problem]()
        trace = methods.trace(problem, self.method, self.seed, self.budget, self.goal, self.batch, verbose=self.verbose)
        return assess(problem, self.method, self.seed, trace)


def perform(jobs: Iterable[Job], processes: int) -> Iterator[Result]:
    """Do jobs, several at a time, and yield each result when it is there."""
    if processes <= 1:
        yield from map(Job.do, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for done in as_completed([pool.submit(job.do) for job in jobs]):
            yield done.result()


def planned(options: argparse.Namespace) -> list[Job]:
    """Return the jobs asked for, and say loudly which of them cannot be done here."""
    jobs = []
    why = {f"problem {name}": programs.missing(name) for name in options.problems}
    why |= {f"method {name}": methods.missing(name) for name in options.methods}
    for what, reason in why.items():
        if reason:
            print(f"SKIPPED, NOT MEASURED: {what}: {reason}", file=sys.stderr, flush=True)
    for name in options.problems:
        for method in options.methods:
            if why[f"problem {name}"] or why[f"method {method}"]:
                continue
            goal = BARS[name].goal if options.bars else options.goal
            budget = BUDGET if options.bars else options.budget
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            settings = (budget, goal, options.batch, options.threads, options.verbose)
            jobs += [Job(name, method, seed, *settings) for seed in seeds]
    return jobs


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", action="store_true", help="the whole table of bars; ends with 1 on any MISS")
    parser.add_argument("--problems", nargs="+", choices=list(ALL))
    parser.add_argument("--methods", nargs="+", choices=methods.METHODS, default=["default"])
    parser.add_argument("--seeds", type=int, help="how many seeds; 5 with --bars, else 1")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--budget", type=int, default=BUDGET, help="evaluations at most")
    parser.add_argument("--goal", type=int, default=10_000, help="valid points at most")
    parser.add_argument("--batch", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1, help="of torch, in each process")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--verbose", action="store_true", help="a line for every batch")
    options = parser.parse_args(argv)
    options.seeds = options.seeds or (5 if options.bars else 1)
    options.problems = options.problems or (list(BARS) if options.bars else list(PROBLEMS))
    if options.bars and (unknown := set(options.problems) - set(BARS)):
        parser.error(f"no bars for {', '.join(sorted(unknown))}")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the suite."""
    options = arguments(argv)
    # Read when numpy and torch start their threads: in the child processes, and in this one if nothing loaded them yet.
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    print(table.HEAD)
    results: list[Result] = []
    for result in perform(planned(options), options.jobs):
        results.append(result)
        print(table.line(result), flush=True)
        if options.json:
            options.json.write_text(json.dumps([asdict(each) for each in results], indent=1))
    print("\nmedians", *table.summary(results), sep="\n")
    if not options.bars:
        return 0
    lines, passed = table.verdict([result for result in results if result.method == "default"])
    print("\nbars", *lines, sep="\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
