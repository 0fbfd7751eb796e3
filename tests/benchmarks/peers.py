"""What users of other scanners ask for: the same budget for everybody, ``python -m tests.benchmarks.peers``.

Five problems (thirteen shells, two regions of the MSSM, 313 islands, a best fit of six measurements, 32 arms in 20
dimensions) and one real program (``RAYSCAN_SPHENO``) are given to rayscan and to every peer that is installed, with the
same evaluations and the same CPU time at most: evaluations until 1, 100, 1,000 and 10,000 valid points, coverage of the
valid region by what was collected, CPU seconds of the method itself. Then each gets a function that hangs, dies or has
no answer at one point. What is not installed is named, never guessed. Prints the tables of ``docs/method.md``:

    python -m tests.benchmarks.peers --json peers.json
    python -m docs.tables peers peers.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks import bsmart, fits, many, methods, programs, samplers
from tests.benchmarks.loop import Trace, rounds
from tests.benchmarks.problem import Problem
from tests.benchmarks.problems import PROBLEMS
from tests.benchmarks.results import assess
from tests.benchmarks.trouble import TROUBLES, in_trouble

GOALS = (1, 100, 1000, 10_000)
BUDGETS = {"cos3": 12_000, "mhiggs5": 6_000, "eggbox4": 6_000, "fit6": 2_000, "arms20": 4_000, "spheno5": 600}
"""Evaluations that everybody gets."""
MADE: dict[str, Callable[[], Problem]] = {
    **PROBLEMS,
    **programs.PROGRAMS,
    "fit6": fits.FITS["fit6"],
    "arms20": many.arms20,
}
PEERS = ("uniform", *samplers.SAMPLERS, *bsmart.SCANS)
OURS = "rayscan"
ALL = (OURS, *PEERS)


@dataclass
class Row:
    """What one method made of one problem.

    Attributes
    ----------
    problem, method : str
    budget, total, valid : int
        Evaluations allowed and used, valid points found.
    evaluations : dict of int to int
        Evaluations until so many valid points.
    share, uniform : float or None
        Coverage of the valid region by the points found, and by as many uniform ones, where there are 50.
    islands : int
        Parts of the valid region that were found.
    seconds : float
        CPU time of the method, evaluations excluded as far as they are in other processes.
    ended : str
        Why it stopped before goal and budget.
    """

    problem: str
    method: str
    budget: int
    total: int = 0
    valid: int = 0
    evaluations: dict[int, int] = field(default_factory=dict)
    share: float | None = None
    uniform: float | None = None
    islands: int = 0
    seconds: float = 0.0
    ended: str = ""


def missing(method: str) -> str:
    """Return why a method cannot run here, or nothing."""
    if method in bsmart.SCANS:
        return bsmart.missing(method)
    return samplers.missing(method) if method in samplers.SAMPLERS else ""


def traced(problem: Problem, method: str, budget: int, goal: int, seconds: float) -> Trace:
    """Run a method for a number of evaluations, valid points or CPU seconds, whatever comes first."""
    if method in bsmart.SCANS:
        return bsmart.trace(problem, method, budget, goal, seconds)
    batch = 50 if problem.name in fits.FITS else 300
    if method in samplers.SAMPLERS:
        return samplers.trace(problem, method, 0, budget, goal, batch, seconds)
    proposer, start = methods.proposer_of("default" if method == OURS else method, problem, 0, batch)
    trace, begun = Trace(problem.d), time.process_time()
    for rows, spent in rounds(problem, proposer, batch, min(start, budget)):
        trace.add(rows.u, rows.valid, spent)
        if trace.found >= goal or trace.total + batch > budget:
            break
        if time.process_time() - begun > seconds:
            trace.ended = "out of time"
            break
    return trace


def row(name: str, method: str, budget: int, seconds: float) -> Row:
    """Return what one method makes of one problem; run in a process of its own."""
    import torch

    torch.set_num_threads(1)
    problem = MADE[name]()
    fit = name in fits.FITS
    trace = traced(problem, method, budget, 1 if fit else GOALS[-1], seconds)
    result = assess(problem, method, 0, trace, goals=() if fit else GOALS, at_end=not fit)
    reached = dict(result.evaluations)
    if trace.found:
        reached[1] = int(trace.valid.argmax()) + 1
    covered = result.coverage.get(min(result.valid, GOALS[-1]))
    islands = len(set(problem.island(trace.u[trace.valid]).tolist())) if trace.found else 0
    shares = (covered.share, covered.uniform) if covered else (None, None)
    return Row(
        name, method, budget, result.total, result.valid, reached, *shares, islands, sum(trace.seconds), trace.ended,
    )  # fmt: skip


def apart(call: Callable[..., Any], *arguments: Any, patience: float) -> Any:
    """Return what a function returns in a fresh process, or why it did not."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(call, arguments).get(patience)
        except multiprocessing.TimeoutError:
            return f"still at it after {patience:g} s"
        except Exception as error:  # noqa: BLE001 - a peer's failure is its result
            return f"failed: {type(error).__name__}: {error}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    head = "| problem (evaluations) | method | to 1 | 100 | 1,000 | 10,000 | valid | coverage | islands | CPU s | |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|---|---|"]
    for one in rows:
        reached = {int(goal): count for goal, count in one["evaluations"].items()}
        counts = " | ".join(f"{reached[goal]:,}" if goal in reached else "-" for goal in GOALS)
        covered = "" if one["share"] is None else f"{one['share']:.2f} ({one['uniform']:.2f})"
        lines.append(
            f"| {one['problem']} ({one['budget']:,}) | {one['method']} | {counts} | {one['valid']:,} | {covered} | "
            f"{one['islands'] or ''} | {one['seconds']:.0f} | {one['ended']} |"
        )
    return "\n".join(lines)


def trouble_table(found: dict[str, dict[str, str]]) -> str:
    """Return what became of each method where a point hangs, dies or has no answer."""
    lines = ["| method | " + " | ".join(TROUBLES) + " |", "|---" * (len(TROUBLES) + 1) + "|"]
    lines += [f"| {method} | " + " | ".join(said[kind] for kind in TROUBLES) + " |" for method, said in found.items()]
    return "\n".join(lines)


def page(paths: Sequence[Path]) -> str:
    """Return both tables of what one or several calls wrote, with what was not measured."""
    answers = [json.loads(path.read_text()) for path in paths]
    known = list(BUDGETS)
    rows = [one for answer in answers for one in answer["rows"]]
    rows.sort(key=lambda one: (known.index(one["problem"]), ALL.index(one["method"])))
    trouble = {method: said for answer in answers for method, said in answer["trouble"].items()}
    trouble = {method: trouble[method] for method in ALL if method in trouble}
    absent = {method: why for answer in answers for method, why in {**answer["absent"], **answer["left out"]}.items()}
    said = [f"Not measured: {method} ({why})." for method, why in absent.items()]
    return "\n".join([table(rows), "", trouble_table(trouble), *(["", *said] if said else [])])


def keep(answer: dict[str, Any], path: Path | None) -> None:
    """Write what there is so far: the whole takes a while."""
    if path is not None:
        path.write_text(json.dumps(answer, indent=1))


def main(argv: list[str] | None = None) -> int:
    """Run everything that can be run here, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="*", choices=list(BUDGETS), default=list(BUDGETS))
    parser.add_argument("--methods", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--share", type=float, default=1.0, help="of the usual evaluations")
    parser.add_argument("--seconds", type=float, default=60.0, help="of CPU time at most, for each run")
    parser.add_argument("--no-trouble", action="store_true", help="leave the hanging and dying points out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    absent = {method: why for method in options.methods if (why := missing(method))}
    for method, why in absent.items():
        print(f"NOT INSTALLED, NOT MEASURED: {method}: {why}", file=sys.stderr, flush=True)
    chosen = [method for method in options.methods if method not in absent]
    answer: dict[str, Any] = {"rows": [], "trouble": {}, "absent": absent, "left out": {}}
    for name in options.problems:
        if why := programs.missing(name):
            print(f"SKIPPED, NOT MEASURED: {name}: {why}", file=sys.stderr, flush=True)
            answer["left out"][name] = why
            continue
        for method in chosen:
            budget = int(options.share * BUDGETS[name])
            found = apart(row, name, method, budget, options.seconds, patience=10 * options.seconds + 60)
            found = Row(name, method, budget, ended=found) if isinstance(found, str) else found
            answer["rows"].append(asdict(found))
            print(table(answer["rows"]).splitlines()[-1], flush=True)
            keep(answer, options.json)
    if not options.no_trouble:
        for method in chosen:
            answer["trouble"][method] = {kind: in_trouble(method, kind) for kind in TROUBLES}
            print(trouble_table(answer["trouble"]).splitlines()[-1], flush=True)
            keep(answer, options.json)
    print("\n".join(["", table(answer["rows"]), "", trouble_table(answer["trouble"])]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
