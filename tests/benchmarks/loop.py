"""The loop without an engine: ask, evaluate, tell, refit; every evaluation counts and nothing else does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.coverage.method import CoverageProposer
from rayscan.learn.data import Array, Origin, Proposals, Rows
from rayscan.learn.surrogates.contest import Contest
from tests.benchmarks.problem import Problem


class Asked(Protocol):
    """What the loop needs of a method."""

    def tell(self, rows: Rows) -> None: ...
    def refit(self) -> None: ...
    def ask(self, n: int, pending: Array) -> Proposals: ...


@dataclass
class Trace:
    """What a method evaluated, in order.

    Attributes
    ----------
    d : int
    batches : list of ndarray (n, d)
        Points in the unit cube.
    verdicts : list of ndarray of bool (n,)
        Whether they are valid.
    seconds : list of float
        CPU time of proposing each batch: tell, refit and ask.
    ended : str
        Why it stopped before goal and budget; empty if it did not.
    """

    d: int
    batches: list[Array] = field(default_factory=list)
    verdicts: list[NDArray[np.bool_]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    ended: str = ""
    total: int = 0
    found: int = 0

    def add(self, u: Array, valid: NDArray[np.bool_], seconds: float) -> None:
        """Append one batch."""
        self.batches.append(u)
        self.verdicts.append(valid)
        self.seconds.append(seconds)
        self.total += len(u)
        self.found += int(valid.sum())

    @property
    def u(self) -> Array:
        """All points ``(n, d)``."""
        return np.concatenate([np.empty((0, self.d)), *self.batches])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """All verdicts ``(n,)``."""
        return np.concatenate([np.empty(0, dtype=bool), *self.verdicts])


def evaluate(problem: Problem, proposals: Proposals, first: int) -> Rows:
    """Return the proposals as rows, numbered from `first`."""
    values = problem.evaluate(proposals.u)
    judged = problem.target.judge({name: values[:, j] for j, name in enumerate(problem.observables)})
    n = len(proposals)
    status = np.where(np.isfinite(values).all(axis=1), 0, 1).astype(np.int8)
    return Rows(
        np.arange(first, first + n), proposals.u, status, values, judged.valid, judged.likelihood, judged.penalty,
        proposals.origin, proposals.density, proposals.score,
        np.full(n, proposals.generation, dtype=np.int32),
    )  # fmt: skip


def rounds(problem: Problem, proposer: Asked, batch: int, start: int | None = None) -> Iterator[tuple[Rows, float]]:
    """Yield evaluated batches for ever, with the CPU seconds that proposing each of them took.

    Parameters
    ----------
    problem : Problem
    proposer : Asked
    batch : int
    start : int, optional
        Size of the first batch where it is another, as in a scan with another number of initial points.
    """
    issued = 0
    while True:
        begun = time.process_time()
        proposals = proposer.ask(batch if issued or not start else start, np.empty((0, problem.d)))
        spent = time.process_time() - begun
        rows = evaluate(problem, proposals, issued)
        issued += len(rows)
        begun = time.process_time()
        proposer.tell(rows)
        proposer.refit()
        yield rows, spent + time.process_time() - begun


def follow(
    problem: Problem, proposer: Asked, budget: int, goal: int, batch: int, start: int | None = None, *, verbose: bool
) -> Trace:
    """Run until `goal` valid points, or until another batch would exceed `budget` evaluations."""
    trace = Trace(problem.d)
    for rows, seconds in rounds(problem, proposer, batch, start):
        trace.add(rows.u, rows.valid, seconds)
        if verbose:
            print(f"{trace.total:6d} {trace.found:6d} {seconds:5.2f} s  {progress(proposer, rows)}", flush=True)
        if trace.found >= goal or trace.total + batch > budget:
            break
    return trace


def progress(proposer: Asked, rows: Rows) -> str:
    """Return the valid share of each origin in a batch, and what the default method thinks of its own state."""
    origins = [(origin, rows.valid[rows.origin == origin]) for origin in Origin]
    text = " ".join(f"{origin.label} {valid.sum()}/{len(valid)}" for origin, valid in origins if len(valid))
    contest = proposer.belief.contest if isinstance(proposer, CoverageProposer) else None
    if isinstance(contest, Contest) and contest.ready:
        errors = [float(np.median(error, axis=0).sum()) if len(error) else np.nan for error in contest.errors]
        level = proposer.sampler.population.probes
        volume = f"{np.exp(level.log_z):.2g}" if level else "-"
        text += f"  believed volume {volume} width {np.round(contest.width, 3)} errors {np.round(errors, 3)}"
    return text
