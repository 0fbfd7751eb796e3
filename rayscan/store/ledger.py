"""Which points have a row: the defence against a second answer to the same point."""

from __future__ import annotations

import errno

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import StoreError

MAX_POINT_ID = 2**31
"""More points than any scan evaluates; a larger id is damage, and would make the ledger take all memory."""


class Ledger:
    """The set of point ids that have a row. Ids are handed out consecutively, so one byte each is enough.

    Attributes
    ----------
    rows : int
        How many ids have a row.
    last_id : int
        The largest id ever seen, -1 at first.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.last_id = -1
        self._has_row = np.zeros(1024, dtype=np.bool_)

    def see(self, ids: NDArray[np.int64]) -> None:
        """Take note of ids that were issued, shape (n,).

        Raises
        ------
        StoreError
            An id is negative or absurdly large.
        """
        if not len(ids):
            return
        if ids.min() < 0 or ids.max() >= MAX_POINT_ID:
            msg = f"point_id: expected 0 to {MAX_POINT_ID - 1}, got {ids.min()} to {ids.max()}"
            raise StoreError(errno.EINVAL, msg)
        self.last_id = max(self.last_id, int(ids.max()))

    def known(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the ids have a row, shape (n,)."""
        inside = ids < len(self._has_row)
        known = np.zeros(len(ids), dtype=np.bool_)
        known[inside] = self._has_row[ids[inside]]
        return known

    def new(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the ids have no row yet, of equal ones only the first, shape (n,)."""
        self.see(ids)
        new = ~self.known(ids)
        if len(ids) > 1:
            first = np.zeros(len(ids), dtype=np.bool_)
            first[np.unique(ids, return_index=True)[1]] = True
            new &= first
        return new

    def mark(self, ids: NDArray[np.int64]) -> None:
        """Record rows for ids, each new and given once, shape (n,)."""
        last = int(ids.max(initial=-1))
        if last >= len(self._has_row):
            grown = np.zeros(max(last + 1, 2 * len(self._has_row)), dtype=np.bool_)
            grown[: len(self._has_row)] = self._has_row
            self._has_row = grown
        self._has_row[ids] = True
        self.rows += len(ids)
