"""How long evaluations took, and how busy the evaluators were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.store.arrays import column, labels

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How busy the evaluators were.

    Attributes
    ----------
    busy : float
        Evaluation time over evaluators times span, in [0, 1].
    evaluators : int
    span : float
        From the first to the last issue of each session, in seconds.
    """

    busy: float
    evaluators: int
    span: float


def utilisation(table: Any, evaluators: int | None = None, openings: Sequence[float] = ()) -> Utilisation | None:
    """Return the share of the evaluators' time spent evaluating, between the first and the last issue of each session.

    Overlapping evaluations of one worker (a block evaluated at once) count once.

    Parameters
    ----------
    table : pyarrow.Table
    evaluators : int, optional
        By default the largest number of workers busy at once.
    openings : sequence of float
        When sessions began, as Unix times: while a scan is closed nobody is idle.

    Returns
    -------
    Utilisation or None
        None where there is no time between the first and the last issue of any session.
    """
    issued, started, ended = (column(table, name) for name in ("issued", "started", "ended"))
    known = np.isfinite(issued) & np.isfinite(started) & np.isfinite(ended)
    spans = sessions(issued[known], openings)
    if not (span := sum(last - first for first, last in spans)) > 0:
        return None
    worker = (labels(table, "host") + "/" + labels(table, "worker"))[known]
    begins, ends = [], []
    names, number = np.unique(worker, return_inverse=True)
    for one in range(len(names)):
        here = number == one
        low, high = _union(started[known][here], ended[known][here])
        for first, last in spans:
            begins.append(np.clip(low, first, last))
            ends.append(np.clip(high, first, last))
    begin, end = np.concatenate(begins), np.concatenate(ends)
    times = np.concatenate([begin, end])
    change = np.concatenate([np.ones(len(begin), int), -np.ones(len(end), int)])
    # At equal times an end comes before a beginning: a worker that goes on at once is one worker.
    most = int(np.cumsum(change[np.lexsort((change, times))]).max())
    pool = evaluators or max(most, 1)
    return Utilisation(float((end - begin).sum()) / (pool * span), pool, span)


def sessions(times: Array, openings: Sequence[float] = ()) -> list[tuple[float, float]]:
    """Return the first and the last of the times in each session that has any."""
    edges = np.array(sorted(openings))
    session = np.searchsorted(edges, times, side="right")
    found = [times[session == one] for one in np.unique(session)]
    return [(float(some.min()), float(some.max())) for some in found]


def _union(started: Array, ended: Array) -> tuple[Array, Array]:
    """Return the beginnings and ends of the stretches that the intervals cover together."""
    order = np.argsort(started, kind="stable")
    started, ended = started[order], np.maximum.accumulate(ended[order])
    fresh = np.concatenate([[True], started[1:] > ended[:-1]])
    return started[fresh], ended[np.concatenate([fresh[1:], [True]])]
