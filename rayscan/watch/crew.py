"""The evaluators of a run, by what they have answered."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from rayscan.watch.view import Worker

MINUTE = 60.0
FORGOTTEN = 600.0
"""Seconds before the last answer of all: an evaluator that was silent since counts as one of an earlier session."""
MOST = 64
"""Evaluators that are shown."""

Array = NDArray[np.float64]


class Crew:
    """Who answered how much, and when last."""

    def __init__(self) -> None:
        self.latest = 0.0
        self._points: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        self._names: NDArray[np.object_] = np.empty(0, dtype=np.object_)
        self._spans: Array = np.empty((0, 2))

    def saw(self, names: NDArray[np.object_], started: Array, ended: Array) -> None:
        """Take in ``n`` answers: by whom, and their Unix times."""
        known = np.isfinite(started) & np.isfinite(ended)
        names, started, ended = names[known], started[known], ended[known]
        if not len(names):
            return
        self._points.update(names.tolist())
        # In the order of time, so that the last one counts.
        order = np.argsort(ended, kind="stable")
        self._last |= dict(zip(names[order].tolist(), ended[order].tolist(), strict=True))
        self.latest = max(self.latest, float(ended.max()))
        self._names = np.concatenate([self._names, names])
        self._spans = np.concatenate([self._spans, np.column_stack([started, ended])])
        recent = self._spans[:, 1] > self.latest - MINUTE
        self._names, self._spans = self._names[recent], self._spans[recent]

    def workers(self, now: float) -> tuple[Worker, ...]:
        """Return the evaluators of the present, by the Unix time `now`, the longest quiet first."""
        since = self.latest - FORGOTTEN
        present = sorted((last, name) for name, last in self._last.items() if last >= since)[:MOST]
        return tuple(
            Worker(name, self._points[name], self._busy(name, now), max(0.0, now - last)) for last, name in present
        )

    def _busy(self, name: str, now: float) -> float:
        # Points that were evaluated as one block have the same times.
        spans = np.unique(self._spans[self._names == name], axis=0)
        inside = np.clip(spans, now - MINUTE, now)
        span = min(MINUTE, max(now - float(self._spans[:, 0].min()), 1e-9)) if len(self._spans) else MINUTE
        return float(min(1.0, (inside[:, 1] - inside[:, 0]).sum() / span))
