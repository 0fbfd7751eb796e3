"""Runs as text: one line each, and their medians beside the bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from tests.benchmarks.bars import BARS, cells, median
from tests.benchmarks.metrics import Coverage
from tests.benchmarks.results import GOALS, Result

HEAD = (
    f"{'problem':12} {'method':15} seed  " + "  ".join(f"{goal:>7,}" for goal in GOALS) + "    valid@evaluations  CPU s"
)


def line(result: Result) -> str:
    """Return a run as one line."""
    reached = "  ".join(_count(result.evaluations.get(goal, np.inf)) for goal in GOALS)
    ended = f"  {result.ended}" if result.ended else ""
    return (
        f"{result.problem:12} {result.method:15} {result.seed:4d}  {reached}  {result.valid:>8,}@{result.total:<9,}"
        f" {result.cost:6.2f}  {'; '.join(f'{goal:,}: {_quality(c)}' for goal, c in result.coverage.items())}"
        f"  islands {result.islands}{ended}"
    )


def summary(results: Iterable[Result]) -> list[str]:
    """Return a line for each problem and method: medians over the seeds, with the bars where there are some."""
    lines = [
        f"{'problem':12} {'method':15} seeds " + "  ".join(f"{goal:>7,}" for goal in GOALS) + "    CPU s  coverage"
    ]
    ordered = sorted(results, key=lambda result: (result.problem, result.method))
    for (problem, method), group in groupby(ordered, key=lambda result: (result.problem, result.method)):
        runs = list(group)
        reached = "  ".join(_count(median([r.evaluations.get(goal, np.inf) for r in runs])) for goal in GOALS)
        quality = [
            f"{goal:,}: {_quality(_middle([r.coverage[goal] for r in runs if goal in r.coverage]))}"
            for goal in GOALS
            if sum(goal in r.coverage for r in runs) > len(runs) / 2
        ]
        cost = median([r.cost for r in runs])
        lines.append(f"{problem:12} {method:15} {len(runs):5d} {reached}  {cost:7.2f}  {'; '.join(quality)}")
        if problem in BARS:
            bar = BARS[problem]
            lines.append(f"{'':12} {'bar':15}       {'':7}  {'':7}  {bar.first:>7,}  {bar.last:>7,}  ≤ 2.00")
    return lines


def verdict(results: Sequence[Result]) -> tuple[list[str], bool]:
    """Return every cell of the bars table with PASS or MISS, and whether all that ran passed."""
    lines, passed = [], bool(results)
    for problem in BARS:
        runs = [result for result in results if result.problem == problem]
        if not runs:
            lines.append(f"{problem:10} not run")
            continue
        row = cells(problem, runs)
        passed &= all(cell.passed for cell in row)
        lines.append(f"{problem:10} {len(runs)} seeds  " + "  |  ".join(map(str, row)))
    return lines, passed


def _count(value: float) -> str:
    return f"{value:>7,.0f}" if np.isfinite(value) else f"{'-':>7}"


def _quality(c: Coverage) -> str:
    return f"cov {c.share:.3f}/{c.uniform:.3f} isl {c.islands} AUC {c.auc:.3f}"


def _middle(each: Sequence[Coverage]) -> Coverage:
    columns = np.median([[c.share, c.uniform, c.islands, c.auc] for c in each], axis=0)
    return Coverage(float(columns[0]), float(columns[1]), int(columns[2]), float(columns[3]))
