"""The journal: every point is written down before it is dispatched, so that none is forgotten whatever dies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rayscan.store.arrays import ORIGIN_CODES, codes, column, unit_points
from rayscan.store.ledger import Ledger
from rayscan.store.schema import Schema
from rayscan.store.segments import iterate

PREFIX = "issued"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Issued:
    """Points that were issued, by the journal.

    Attributes
    ----------
    point_id : ndarray of int64, shape (n,)
        Ascending.
    u : ndarray, shape (n, d)
    origin : ndarray of int8, shape (n,)
        `rayscan.learn.data.Origin` codes.
    density, score : ndarray, shape (n,)
    generation : ndarray of int32, shape (n,)
    issued : ndarray, shape (n,)
        Unix time of the first issue, in seconds.
    """

    point_id: NDArray[np.int64]
    u: Array
    origin: NDArray[np.int8]
    density: Array
    score: Array
    generation: NDArray[np.int32]
    issued: Array

    def __len__(self) -> int:
        return len(self.point_id)


def read_issued(directory: Path, schema: Schema, ledger: Ledger) -> Issued:
    """Return the journal's points without a row, and let the ledger see the ids of all.

    Raises
    ------
    StoreError
        A file of the journal is damaged.
    """
    names = schema.journal.names
    pending: list[pa.Table] = []
    for part in iterate(directory, PREFIX, schema.journal):
        ids = column(part, "point_id")
        ledger.see(ids)
        pending.append(part.filter(pa.array(~ledger.known(ids))))
    table = pa.concat_tables(pending) if pending else schema.journal.empty_table()
    # A point that was issued again, after its evaluator died, is in the journal twice.
    _, first = np.unique(column(table, "point_id"), return_index=True)
    table = table.unify_dictionaries().take(first)
    plain = {name: column(table, name) for name in names if name not in {"u", "origin"}}
    return Issued(u=unit_points(table, schema.d), origin=codes(table, "origin", ORIGIN_CODES), **plain)
