"""The ledger: which points are under way, what came of the others, and what the learner has yet to hear."""

from __future__ import annotations

import collections
import heapq
import time
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.engine.survey import Survey
from rayscan.learn.data import Proposals, Rows
from rayscan.problem.statement import Problem
from rayscan.tools.base import Outcomes, Points, Status

RECENT = 1000
"""Rows that the live acceptance looks back on."""


@dataclass(frozen=True, slots=True)
class _Issued:
    """Where an open point came from."""

    batch: Proposals
    row: int
    issued: float


class Ledger:
    """Bookkeeping of every point of a scan. It alone gives out point ids, in order.

    Parameters
    ----------
    problem : Problem
    rows : Rows
        What earlier sessions evaluated, in the order of ids.
    told : int
        How many of those the learner knows.
    next_id : int
        The first id that was never given out.
    gaps : ndarray of int64, optional
        Smaller ids that a machine lost, with the points that had them: they are given out first.

    Attributes
    ----------
    next_id, evaluations, valid : int
    duplicates : int
        Outcomes of points that were not under way; dropped.
    statuses : Counter
        Rows by `Status`.
    survey : Survey or None
        What the rows say about the valid region; set by whoever has a goal that asks for it.
    """

    def __init__(
        self, problem: Problem, rows: Rows, *, told: int, next_id: int, gaps: NDArray[np.int64] | None = None
    ) -> None:
        self.problem = problem
        self.next_id = next_id
        self.duplicates = 0
        self._gaps = np.empty(0, dtype=np.int64) if gaps is None else gaps
        self.evaluations = len(rows)
        self.valid = int(rows.valid.sum())
        self.statuses = collections.Counter(rows.status.tolist())
        self._open: dict[int, _Issued] = {}
        self._oldest: list[int] = []
        """A heap of open ids; those that were closed since are skipped when they come to the top."""
        self._untold: list[Rows] = [rows[told:]] if len(rows) > told else []
        self._recent = collections.deque(rows.valid[-RECENT:].tolist(), maxlen=RECENT)
        self.survey: Survey | None = None

    # Issuing --------------------------------------------------------------------------------------------------------

    @property
    def under_way(self) -> int:
        """Points issued and not yet back."""
        return len(self._open)

    @property
    def issued(self) -> int:
        """Points that have an id: the rows to be, whatever happens."""
        return self.next_id - len(self._gaps)

    @property
    def acceptance(self) -> float:
        """Valid share of the last rows."""
        return sum(self._recent) / len(self._recent) if self._recent else 0.0

    def issue(self, proposals: Proposals, point_id: NDArray[np.int64] | None = None, attempt: int = 1) -> Points:
        """Open points, with new ids unless they had some.

        Parameters
        ----------
        proposals : Proposals, length n
        point_id : ndarray of int64, shape (n,), optional
            Ids given out by an earlier session.
        attempt : int

        Returns
        -------
        Points
        """
        if point_id is None:
            point_id = self._new_ids(len(proposals))
        if len(point_id):
            self.next_id = max(self.next_id, int(point_id.max()) + 1)
        now = time.time()
        for row, one in enumerate(point_id.tolist()):
            self._open[one] = _Issued(proposals, row, now)
            heapq.heappush(self._oldest, one)
        x = self.problem.space.to_physical(proposals.u)
        return Points(point_id, x, np.full(len(point_id), attempt, dtype=np.int32))

    def _new_ids(self, n: int) -> NDArray[np.int64]:
        lost, self._gaps = self._gaps[:n], self._gaps[n:]
        return np.concatenate([lost, np.arange(self.next_id, self.next_id + n - len(lost), dtype=np.int64)])

    def pending(self) -> NDArray[np.float64]:
        """Return the unit-cube places ``(k, d)`` of the points under way."""
        places = [issued.batch.u[issued.row] for issued in self._open.values()]
        return np.array(places).reshape(len(places), self.problem.space.d)

    def give_back(self, point_id: NDArray[np.int64] | None = None) -> list[tuple[Proposals, NDArray[np.int64]]]:
        """Forget points under way, all or some, and return them with their ids so that they can be issued again."""
        these = list(self._open) if point_id is None else [one for one in point_id.tolist() if one in self._open]
        given = [(one, self._open.pop(one)) for one in these]
        return [(issued.batch[np.array([issued.row])], np.array([one])) for one, issued in given]

    # Closing --------------------------------------------------------------------------------------------------------

    def close(self, outcomes: Outcomes) -> dict[str, Any]:
        """Turn outcomes into rows of the table, and remember them for the learner.

        Outcomes of points that are not under way are dropped.

        Returns
        -------
        dict
            One entry per column of the store, each of length n.
        """
        outcomes = self._expected(outcomes)
        known = [self._open.pop(one) for one in outcomes.point_id.tolist()]
        u = np.array([issued.batch.u[issued.row] for issued in known]).reshape(len(known), self.problem.space.d)
        origin = np.array([issued.batch.origin[issued.row] for issued in known], dtype=np.int8)
        density = np.array([issued.batch.density[issued.row] for issued in known])
        score = np.array([issued.batch.score[issued.row] for issued in known])
        x = self.problem.space.to_physical(u)
        observables = self.problem.complete(x, outcomes.observables)
        verdict = self.problem.judge(x, observables)
        ok = outcomes.status == Status.OK
        rows = Rows(
            point_id=outcomes.point_id, u=u, status=outcomes.status, observables=observables, valid=verdict.valid & ok,
            likelihood=np.where(ok, verdict.likelihood, 0.0), penalty=np.where(ok, verdict.penalty, np.nan),
            origin=origin, density=density, score=score,
            generation=np.array([issued.batch.generation for issued in known], dtype=np.int32),
        )  # fmt: skip
        self._remember(rows)
        return {
            **{name: x[:, column] for column, name in enumerate(self.problem.space.names)},
            **{name: observables[:, column] for column, name in enumerate(self.problem.observables)},
            "point_id": rows.point_id, "u": u, "status": rows.status, "valid": rows.valid,
            "likelihood": rows.likelihood, "penalty": rows.penalty, "origin": origin, "density": density,
            "score": score,
            "generation": rows.generation,
            "issued": np.array([issued.issued for issued in known]), "started": outcomes.started,
            "ended": outcomes.ended,
            "host": [outcomes.host] * len(known), "worker": [outcomes.worker] * len(known),
            "attempt": outcomes.attempt, "exit_code": outcomes.exit_code, "signal": outcomes.signal,
            "message": outcomes.message, "stages": outcomes.stages, "kept": outcomes.kept,
        }  # fmt: skip

    def _expected(self, outcomes: Outcomes) -> Outcomes:
        wanted = np.array([one in self._open for one in outcomes.point_id.tolist()], dtype=bool)
        if wanted.all():
            return outcomes
        self.duplicates += int((~wanted).sum())
        return chosen(outcomes, wanted)

    def _remember(self, rows: Rows) -> None:
        self.evaluations += len(rows)
        self.valid += int(rows.valid.sum())
        self.statuses.update(rows.status.tolist())
        self._recent.extend(rows.valid.tolist())
        self._untold.append(rows)
        if self.survey is not None:
            self.survey.add(rows)

    def adopt(self, rows: Rows) -> None:
        """Take rows of an earlier session in place of evaluating their points again."""
        self._untold.append(rows)
        if len(rows):
            self.next_id = max(self.next_id, int(rows.point_id[-1]) + 1)

    # Telling --------------------------------------------------------------------------------------------------------

    def tell(self, horizon: int) -> Rows:
        """Hand over the rows that the learner may hear of, in the order of ids.

        Failures come back sooner than successes, so rows newer than the oldest recent point under way wait: else the
        learner would see mostly failures among the latest points.

        Parameters
        ----------
        horizon : int
            How far back, in ids, a point under way may hold others up. A straggler beyond it does not.

        Returns
        -------
        Rows
        """
        rows = self._gather()
        rows = rows[np.argsort(rows.point_id, kind="stable")]
        heard = rows.point_id < self._watermark(horizon)
        self._untold = [rows[~heard]] if not heard.all() else []
        return rows[heard]

    @property
    def untold(self) -> int:
        """Rows that the learner has not heard of."""
        return sum(len(rows) for rows in self._untold)

    def tellable(self, horizon: int) -> int:
        """Return how many rows `tell` would hand over."""
        return int((self._gather().point_id < self._watermark(horizon)).sum())

    def nothing(self) -> Rows:
        """Return no rows, of the right shape."""
        return Rows.empty(self.problem.space.d, len(self.problem.observables))

    def _gather(self) -> Rows:
        if not self._untold:
            return self.nothing()
        if len(self._untold) > 1:
            self._untold = [Rows.concatenate(self._untold)]
        return self._untold[0]

    def _watermark(self, horizon: int) -> int:
        """Return the smallest id under way that is no further back than `horizon`."""
        oldest, bound = self._oldest, self.next_id - horizon
        # Ids only grow, so what lies behind the bound today never comes back into sight.
        while oldest and (oldest[0] < bound or oldest[0] not in self._open):
            heapq.heappop(oldest)
        return oldest[0] if oldest else self.next_id


def chosen(outcomes: Outcomes, wanted: NDArray[np.bool_]) -> Outcomes:
    """Return the wanted outcomes, ``wanted`` of shape (n,)."""
    per_point: dict[str, Any] = {}
    for one in fields(outcomes):
        values = getattr(outcomes, one.name)
        if isinstance(values, np.ndarray):
            per_point[one.name] = values[wanted]
        elif isinstance(values, list):
            per_point[one.name] = [value for value, keep in zip(values, wanted, strict=True) if keep]
    return replace(outcomes, **per_point)
