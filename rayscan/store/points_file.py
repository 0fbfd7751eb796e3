"""Points in a file of somebody else's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.store.export import KINDS


def read_points(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of numbers of a table.

    Parameters
    ----------
    path : str or Path
        A file that ends in .parquet, .csv (with a line of names) or .arrow.

    Returns
    -------
    dict
        Name → values ``(n,)``, NaN where there is none.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    where = Path(path).expanduser()
    try:
        if where.suffix == ".csv":
            table = pa.csv.read_csv(where)
        elif where.suffix == ".parquet":
            table = pa.parquet.read_table(where, use_threads=False)
        elif where.suffix == ".arrow":
            table = pa.feather.read_table(where)
        else:
            msg = f"{where}: expected a file that ends in {', '.join(KINDS)}; got {where.suffix or 'no ending'}"
            raise ConfigError(msg)
    except (OSError, pa.ArrowException) as error:
        msg = f"{where}: cannot be read as a table of points: {error}"
        raise ConfigError(msg) from None
    return {
        field.name: table[field.name].to_numpy().astype(np.float64)
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    }
