"""Moments: Unix time in seconds inside the program, timestamps in UTC in the files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TIME = pa.timestamp("us", "UTC")
"""What every table program reads as a time, by whatever clock it shows it."""
_MICRO = 1e6
_FARTHEST = 9e12
"""Seconds from 1970 that a timestamp can still hold."""


def as_times(seconds: NDArray[np.float64]) -> pa.Array[Any]:
    """Return moments in seconds as timestamps, shape (n,); null where there is none."""
    seconds = np.asarray(seconds, np.float64)
    known = np.abs(seconds) < _FARTHEST
    micro = np.rint(np.where(known, seconds, 0.0) * _MICRO).astype(np.int64)
    return pa.array(micro, mask=~known).view(TIME)


def as_seconds(times: Any) -> NDArray[np.float64]:
    """Return a column of timestamps as seconds, shape (n,); NaN where there is none."""
    moments = np.asarray(times).astype("datetime64[us]")
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / _MICRO)


def with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns and types of a schema; moments of earlier versions, numbers there, become times.

    Raises
    ------
    KeyError, ValueError, pyarrow.ArrowException
        It has other columns.
    """
    table = table.select(schema.names)
    for place, field in enumerate(schema):
        if field.type == TIME and pa.types.is_floating(table.schema.field(place).type):
            table = table.set_column(place, field, as_times(table.column(place).to_numpy()))
    # Parquet names the items of lists in its own way; the types are the same.
    return table.replace_schema_metadata(schema.metadata).cast(schema)
