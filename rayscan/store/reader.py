"""Reading a run, also while it is being written."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rayscan.errors import StoreError, did_you_mean
from rayscan.learn.data import Origin, Rows
from rayscan.store.run_directory import RunDirectory
from rayscan.store.schema import Schema
from rayscan.store.segments import iterate
from rayscan.tools.base import Status

STATUS_CODES = {status.label: int(status) for status in Status}
ORIGIN_CODES = {origin.label: int(origin) for origin in Origin}


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
    parts = []
    for part in iterate(run.path, "points", needed):
        if part.schema != selected:
            msg = f"{run.path}: a file of points has other columns than run.json says; restore it from a copy"
            raise StoreError(errno.EINVAL, msg)
        parts.append(part)
    table = pa.concat_tables([part.replace_schema_metadata(schema.metadata) for part in parts]) if parts else None
    if table is None:
        return selected.empty_table().select(wanted)
    return _one_row_per_point(table.unify_dictionaries()).select(wanted).combine_chunks()


def as_rows(table: pa.Table, schema: Schema) -> Rows:
    """Return the learner's view of a table: plain arrays, in the order of ``point_id``.

    Parameters
    ----------
    table : pyarrow.Table
        From `read_table`, with ``n`` rows.
    schema : Schema
        Of the run.

    Returns
    -------
    Rows
        ``observables`` of shape ``(n, m)``, ``u`` of shape ``(n, d)``.
    """
    n = table.num_rows
    observables = [column(table, name) for name in schema.observables]
    return Rows(
        point_id=column(table, "point_id"),
        u=unit_points(table, schema.d),
        status=codes(table, "status", STATUS_CODES),
        observables=np.column_stack(observables) if observables else np.empty((n, 0)),
        valid=column(table, "valid").astype(bool),
        likelihood=column(table, "likelihood"),
        penalty=column(table, "penalty"),
        origin=codes(table, "origin", ORIGIN_CODES),
        density=column(table, "density"),
        score=column(table, "score"),
    )


def column(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    """Return a column of numbers as an array of shape ``(n,)``."""
    values: np.ndarray[Any, Any] = table.column(name).to_numpy()
    return values


def unit_points(table: pa.Table, d: int) -> np.ndarray[Any, Any]:
    """Return the column ``u`` as an array of shape ``(n, d)``."""
    lists: Any = table.column("u").combine_chunks()
    points: np.ndarray[Any, Any] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, d)
    return points


def codes(table: pa.Table, name: str, code_of: dict[str, int]) -> np.ndarray[Any, Any]:
    """Return a column of labels as integer codes, shape ``(n,)``."""
    labels: Any = table.column(name).combine_chunks()
    lookup: np.ndarray[Any, Any] = np.array(
        [code_of[label] for label in labels.dictionary.to_pylist()] or [0], dtype=np.int8
    )
    coded: np.ndarray[Any, Any] = lookup[labels.indices.to_numpy(zero_copy_only=False)]
    return coded


def _one_row_per_point(table: pa.Table) -> pa.Table:
    ids = column(table, "point_id")
    if (np.diff(ids) > 0).all():
        return table
    # The answer that came first counts: later ones were dropped when they came, so a second row is a copy of a file.
    _, first = np.unique(ids, return_index=True)
    return table.take(first)
