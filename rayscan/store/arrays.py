"""Columns of a table as NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rayscan.learn.data import Origin, Rows
from rayscan.store.schema import Schema
from rayscan.store.times import as_seconds
from rayscan.tools.base import Status

STATUS_CODES = {status.label: int(status) for status in Status}
ORIGIN_CODES = {
    **{origin.label: int(origin) for origin in Origin},
    "chain": int(Origin.POPULATION), "audit": int(Origin.PROBE),
}  # fmt: skip
"""By the names in tables, those in older runs included."""


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
        generation=column(table, "generation").astype(np.int32),
    )


def column(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    """Return a column of numbers as an array of shape ``(n,)``; of times as Unix time in seconds, NaN where unknown."""
    chosen = table.column(name)
    values: np.ndarray[Any, Any] = as_seconds(chosen) if pa.types.is_timestamp(chosen.type) else chosen.to_numpy()
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


def labels(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    """Return a column of labels or texts as an array of str objects, shape ``(n,)``; empty where there is none.

    Equal texts are one object: a million rows with a few different ones take little time and memory.
    """
    texts: Any = table.column(name).combine_chunks()
    encoded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    different: np.ndarray[Any, Any] = np.array([*encoded.dictionary.to_pylist(), ""], dtype=np.object_)
    different[different == None] = ""  # noqa: E711 - elementwise
    chosen: np.ndarray[Any, Any] = encoded.indices.fill_null(len(different) - 1).to_numpy(zero_copy_only=False)
    rows: np.ndarray[Any, Any] = different[chosen]
    return rows


def names_of(table: pa.Table, kind: str) -> list[str]:
    """Return the columns of a kind, ``"parameter"`` or ``"observable"``, in order."""
    return [field.name for field in table.schema if (field.metadata or {}).get(b"kind") == kind.encode()]


def scanned_in_log(table: pa.Table, name: str) -> bool:
    """Return whether a parameter was scanned in its logarithm: an axis of the unit cube is linear in it."""
    values = column(table, name) if name in names_of(table, "parameter") else np.empty(0)
    if len(values) < 3 or not (values > 0).all() or np.ptp(np.log(values)) < 1e-9:
        return False
    some = slice(None, 1000)
    axes = unit_points(table, table.schema.field("u").type.list_size)[some].T
    logarithm = np.log(values[some])
    moving = [axis for axis in axes if np.ptp(axis) > 0]
    return bool(np.ptp(logarithm) > 0) and any(abs(np.corrcoef(axis, logarithm)[0, 1]) > 1 - 1e-9 for axis in moving)


def unit_of(table: pa.Table, name: str) -> str:
    """Return a column's unit, or an empty text."""
    metadata: dict[bytes, bytes] = table.schema.field(name).metadata or {}
    return metadata.get(b"unit", b"").decode()


def label_of(table: pa.Table, name: str) -> str:
    """Return how a column is called in figures, or an empty text."""
    metadata: dict[bytes, bytes] = table.schema.field(name).metadata or {}
    return metadata.get(b"label", b"").decode()


def stage_seconds(table: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return the run times of each program of the chain, in seconds, without the skipped ones."""
    lists: Any = table.column("stages").combine_chunks()
    stages = lists.flatten()
    names, seconds = stages.field("name").to_numpy(zero_copy_only=False), stages.field("seconds").to_numpy()
    ran = stages.field("status").is_valid().to_numpy(zero_copy_only=False)
    return {str(name): seconds[ran & (names == name)] for name in dict.fromkeys(names)}
