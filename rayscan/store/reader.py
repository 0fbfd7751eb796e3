"""Reading a run, also while it is being written."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from rayscan.errors import StoreError, did_you_mean
from rayscan.learn.data import Rows
from rayscan.store.arrays import as_rows, column
from rayscan.store.run_directory import RunDirectory
from rayscan.store.segments import iterate


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the evaluated points of a run directory.

    Works while a scan writes into it; what is read is what was on disk, without an unfinished batch.

    Parameters
    ----------
    path : Path or str
        A run directory.
    columns : sequence of str, optional
        Only these, in this order; all by default.

    Returns
    -------
    pyarrow.Table
        One row per point, sorted by ``point_id``. ``status`` and ``origin`` are dictionary strings. The schema's
        metadata has the configuration, fingerprint and versions; a field's has its unit.

    Raises
    ------
    StoreError
        Not a run directory, an unknown column, or a damaged file.
    """
    run = RunDirectory(path)
    schema = run.schema.arrow
    wanted = list(schema.names if columns is None else columns)
    for name in wanted:
        if name not in schema.names:
            msg = f"{run.path}: no column {name!r} in the table{did_you_mean(name, schema.names)}"
            raise StoreError(errno.EINVAL, msg)
    needed = wanted if "point_id" in wanted else ["point_id", *wanted]
    selected = pa.schema([schema.field(name) for name in needed]).with_metadata(schema.metadata)
    parts = list(iterate(run.path, "points", selected))
    table = pa.concat_tables(parts) if parts else None
    if table is None:
        return selected.empty_table().select(wanted)
    return _one_row_per_point(table.unify_dictionaries()).select(wanted)


def read_rows(path: Path | str) -> Rows:
    """Read the evaluated points of a run directory as a learner takes them.

    Takes no more memory than twice the result, which is a fraction of the table: segments are read one at a time, and
    of the columns only those that are needed.

    Returns
    -------
    Rows
        One row per point, in the order of ``point_id``.

    Raises
    ------
    StoreError
        As `read_table`.
    """
    run = RunDirectory(path)
    schema = run.schema
    plain = [name for name in Rows.__slots__ if name != "observables"]
    selected = pa.schema([schema.arrow.field(name) for name in (*plain, *schema.observables)])
    parts = [as_rows(part, schema) for part in iterate(run.path, "points", selected)]
    rows = Rows.concatenate([Rows.empty(schema.d, len(schema.observables)), *parts])
    if (np.diff(rows.point_id) > 0).all():
        return rows
    return rows[np.unique(rows.point_id, return_index=True)[1]]


def _one_row_per_point(table: pa.Table) -> pa.Table:
    ids = column(table, "point_id")
    if (np.diff(ids) > 0).all():
        return table
    # The answer that came first counts: later ones were dropped when they came, so a second row is a copy of a file.
    _, first = np.unique(ids, return_index=True)
    return table.take(first)
