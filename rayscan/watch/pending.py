"""Points that were issued and have no row yet."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from rayscan.store.ledger import Ledger
from rayscan.watch.view import UnderWay


class Pending:
    """The difference between the journal and the rows, which are read one after the other and may overlap."""

    def __init__(self) -> None:
        self._answered = Ledger()
        self._open: dict[int, tuple[float, str]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def issue(self, ids: NDArray[np.int64], origin: NDArray[np.object_], issued: NDArray[np.float64]) -> None:
        """Note points of the journal, each of shape ``(n,)``; one that is issued again is under way since then."""
        new = ~self._answered.known(ids)
        for point_id, name, when in zip(ids[new].tolist(), origin[new], issued[new].tolist(), strict=True):
            self._open[point_id] = (when, str(name))

    def answer(self, ids: NDArray[np.int64]) -> None:
        """Note points that have a row, shape ``(n,)``."""
        self._answered.mark(ids[self._answered.new(ids)])
        for point_id in ids.tolist():
            self._open.pop(point_id, None)

    def oldest(self, n: int, now: float) -> tuple[UnderWay, ...]:
        """Return the `n` that have waited longest, by the Unix time `now`."""
        oldest = heapq.nsmallest(n, self._open.items(), key=lambda entry: entry[1][0])
        return tuple(UnderWay(point_id, max(0.0, now - when), origin) for point_id, (when, origin) in oldest)
