"""How long evaluations took, and how busy the evaluators were."""

from __future__ import annotations

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
        From the first to the last issue, in seconds.
    """

    busy: float
    evaluators: int
    span: float


def utilisation(table: Any, evaluators: int | None = None) -> Utilisation | None:
    """Return the share of the evaluators' time spent evaluating, between the first and the last issue.

    Overlapping evaluations of one worker (a block evaluated at once) count once.

    Parameters
    ----------
    table : pyarrow.Table
    evaluators : int, optional
        By default the largest number of workers busy at once.

    Returns
    -------
    Utilisation or None
        None where there is no time between the first and the last issue.
    """
    issued, started, ended = (column(table, name) for name in ("issued", "started", "ended"))
    known = np.isfinite(issued) & np.isfinite(started) & np.isfinite(ended)
    if not known.any() or not (span := float(np.ptp(issued[known]))) > 0:
        return None
    first, last = issued[known].min(), issued[known].max()
    worker = (labels(table, "host") + "/" + labels(table, "worker"))[known]
    begins, ends = [], []
    names, number = np.unique(worker, return_inverse=True)
    for one in range(len(names)):
        here = number == one
        low, high = _union(started[known][here], ended[known][here])
        begins.append(np.clip(low, first, last))
        ends.append(np.clip(high, first, last))
    begin, end = np.concatenate(begins), np.concatenate(ends)
    times = np.concatenate([begin, end])
    change = np.concatenate([np.ones(len(begin), int), -np.ones(len(end), int)])
    # At equal times an end comes before a beginning: a worker that goes on at once is one worker.
    most = int(np.cumsum(change[np.lexsort((change, times))]).max())
    pool = evaluators or max(most, 1)
    return Utilisation(float((end - begin).sum()) / (pool * span), pool, span)


def _union(started: Array, ended: Array) -> tuple[Array, Array]:
    """Return the beginnings and ends of the stretches that the intervals cover together."""
    order = np.argsort(started, kind="stable")
    started, ended = started[order], np.maximum.accumulate(ended[order])
    fresh = np.concatenate([[True], started[1:] > ended[:-1]])
    return started[fresh], ended[np.concatenate([fresh[1:], [True]])]
