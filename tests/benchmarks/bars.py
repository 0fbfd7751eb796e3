"""The bars: what the default method has to reach, median over seeds, nothing given, K = 300, a tenth uniform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.results import Result

COST = 2.0
"""CPU seconds a batch at most, at the end of a run as well."""


@dataclass(frozen=True)
class Bar:
    """The bars of one problem.

    Attributes
    ----------
    first, last : int
        Evaluations to 1,000 and to 10,000 valid points, at most.
    coverage : float
        Least coverage in units of a uniform sample's; 0 for no bar.
    islands : int
        Islands among the first 10,000 valid points, at least; 0 for no bar.
    auc : float
        At most; 1 for no bar.
    found : dict of int to int
        Evaluations → islands found until then, at least.
    """

    first: int
    last: int
    coverage: float = 0.0
    islands: int = 0
    auc: float = 1.0
    found: tuple[tuple[int, int], ...] = ()

    @property
    def goal(self) -> int:
        """Valid points at which a run may end: none where islands are counted at a number of evaluations."""
        return 10**9 if self.found else 10_000


BARS = {
    "cos3": Bar(2600, 12_500, 1.0, 13, 0.55),
    "mhiggs5": Bar(2400, 13_500, 1.0, 0, 0.56),
    "shell7": Bar(4000, 14_000, 0.98, 2, 0.56),
    "eggbox4": Bar(6000, 18_000, found=((10_000, 60), (20_000, 150))),
    "spheno5": Bar(1700, 12_000, 1.0, 0, 0.56),
}
BUDGET = 20_100
"""Whole batches, and no fewer evaluations than any bar names."""


@dataclass(frozen=True)
class Cell:
    """One figure beside its bar."""

    name: str
    value: float
    bar: float
    most: bool

    @property
    def passed(self) -> bool:
        """Whether it is on the right side; a goal that was not reached is not."""
        return bool(self.value <= self.bar if self.most else self.value >= self.bar)

    def __str__(self) -> str:
        value = f"{self.value:,.0f}" if self.bar > 20 or self.value != self.value // 1 > 20 else f"{self.value:.3g}"
        return f"{self.name} {value} ({'≤' if self.most else '≥'} {self.bar:,g}) {'PASS' if self.passed else 'MISS'}"


def median(values: Sequence[float]) -> float:
    """Return the median; infinite values stand for goals that were not reached."""
    return float(np.quantile(values, 0.5, method="higher")) if len(values) else float("nan")


def cells(problem: str, results: Sequence[Result]) -> list[Cell]:
    """Return what the runs of one method on one problem reached, each beside its bar."""
    bar = BARS[problem]
    last = [result.coverage.get(10_000) for result in results]
    row = [
        Cell(f"to {goal:,}", median([result.evaluations.get(goal, np.inf) for result in results]), most, True)
        for goal, most in ((1000, bar.first), (10_000, bar.last))
    ]
    if bar.coverage:
        share = median([c.share if c else -np.inf for c in last])
        uniform = median([c.uniform if c else 1.0 for c in last])
        row.append(Cell(f"cov {share:.3f}/{uniform:.3f}", share / uniform, bar.coverage, False))
    if bar.islands:
        row.append(Cell("islands", median([c.islands if c else 0 for c in last]), bar.islands, False))
    if bar.auc < 1:
        row.append(Cell("AUC", median([c.auc if c else 1.0 for c in last]), bar.auc, True))
    for mark, least in bar.found:
        row.append(Cell(f"islands@{mark:,}", median([r.islands.get(mark, 0) for r in results]), least, False))
    row.append(Cell("CPU s", median([result.cost for result in results]), COST, True))
    row.append(Cell("CPU s at the end", median([result.last_cost for result in results]), COST, True))
    return row
