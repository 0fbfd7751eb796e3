"""What one run achieved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.benchmarks.loop import Trace
from tests.benchmarks.metrics import Coverage, measure
from tests.benchmarks.problem import Problem

GOALS = (10, 100, 1000, 10_000)
MARKS = (1000, 2000, 5000, 10_000, 15_000, 20_000, 50_000, 100_000)


@dataclass
class Result:
    """One run.

    Attributes
    ----------
    problem, method : str
    seed : int
    total, valid, steps : int
        Evaluations, valid points and batches, the start included.
    evaluations : dict
        Goal → evaluations until that many valid points; the goals reached.
    coverage : dict
        Goal, or the number of valid points at the end → `Coverage` of that many first valid points.
    islands : dict
        Evaluations → islands found until then.
    acceptance : list of float
        Valid share of each batch.
    seconds : list of float
        CPU time of tell, refit and ask of each batch.
    ended : str
        Why the method stopped by itself.
    """

    problem: str
    method: str
    seed: int
    total: int = 0
    valid: int = 0
    steps: int = 0
    evaluations: dict[int, int] = field(default_factory=dict)
    coverage: dict[int, Coverage] = field(default_factory=dict)
    islands: dict[int, int] = field(default_factory=dict)
    acceptance: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ended: str = ""

    @property
    def cost(self) -> float:
        """CPU seconds of a usual batch."""
        return float(np.median(self.seconds[1:])) if len(self.seconds) > 1 else float("nan")

    @property
    def last_cost(self) -> float:
        """CPU seconds of a batch at the end."""
        return float(np.median(self.seconds[-5:])) if len(self.seconds) > 5 else float("nan")

    @property
    def last_acceptance(self) -> float:
        """Valid share of the last five batches."""
        return float(np.mean(self.acceptance[-5:])) if self.acceptance else float("nan")


def assess(
    problem: Problem, method: str, seed: int, trace: Trace, *, goals: Sequence[int] = GOALS, at_end: bool = False
) -> Result:
    """Measure what a run collected.

    Parameters
    ----------
    problem : Problem
    method : str
    seed : int
    trace : Trace
    goals : sequence of int
        Numbers of valid points.
    at_end : bool
        Measure coverage of all that was collected, too, when it is no goal.
    """
    u, valid = trace.u, trace.valid
    order = np.cumsum(valid)
    sample = u[valid]
    result = Result(problem.name, method, seed, len(u), len(sample), len(trace.batches), ended=trace.ended)
    reached = [goal for goal in goals if goal <= len(sample)]
    result.evaluations = {goal: int(np.searchsorted(order, goal)) + 1 for goal in reached}
    measured = {goal for goal in reached if goal >= 100} | ({len(sample)} if at_end and len(sample) >= 50 else set())
    result.coverage = {goal: measure(problem, sample[:goal], seed) for goal in sorted(measured)}
    for mark in MARKS:
        if mark <= len(u) and order[mark - 1]:
            result.islands[mark] = len(np.unique(problem.island(sample[: order[mark - 1]])))
    result.acceptance = [round(float(verdict.mean()), 4) for verdict in trace.verdicts]
    result.seconds = [round(spent, 3) for spent in trace.seconds if spent]
    return result
