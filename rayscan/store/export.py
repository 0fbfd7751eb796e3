"""A table of points as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from rayscan.errors import ConfigError
from rayscan.store.files import make_way, replace_atomically

KINDS = (".parquet", ".csv", ".arrow")


def export_table(table: pa.Table, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a table as Parquet, CSV or an Arrow file, told by the ending of its name.

    Parameters
    ----------
    table : pyarrow.Table
        From `read_table`. A CSV file has ``u`` as columns ``u_0``, ``u_1``, … and no ``stages`` and ``kept``.
    path : Path or str
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    ConfigError
        For another ending.
    StoreError
        If the file exists, or cannot be written.
    """
    where = Path(path).expanduser()
    if where.suffix not in KINDS:
        msg = f"{where}: expected a name that ends in {', '.join(KINDS)}; got {where.suffix or 'no ending'}"
        raise ConfigError(msg)
    make_way(where, overwrite=overwrite)
    if where.suffix == ".parquet":
        replace_atomically(where, lambda part: pa.parquet.write_table(table, part))
    elif where.suffix == ".arrow":
        replace_atomically(where, lambda part: pa.feather.write_feather(table, part, compression="zstd"))
    else:
        replace_atomically(where, lambda part: pa.csv.write_csv(_flat(table), part))
    return where


def _flat(table: pa.Table) -> pa.Table:
    """Leave out and spread what a text table cannot hold."""
    columns: dict[str, pa.ChunkedArray[Any]] = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_fixed_size_list(field.type):
            width = field.type.list_size
            values = np.asarray(pa.compute.list_flatten(column)).reshape(-1, width)
            columns |= {f"{field.name}_{axis}": pa.chunked_array([values[:, axis]]) for axis in range(width)}
        elif pa.types.is_dictionary(field.type):
            columns[field.name] = column.cast(field.type.value_type)
        elif not pa.types.is_nested(field.type):
            columns[field.name] = column
    return pa.table(columns)
