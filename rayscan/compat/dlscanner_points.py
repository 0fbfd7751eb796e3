"""The valid points in the form of DLScanner's ``Accumulated_points.txt``, for scripts that were written for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rayscan.store.arrays import column
from rayscan.store.files import make_way, write_atomically

if TYPE_CHECKING:
    from rayscan.results.result import ScanResult


def write_points(result: ScanResult, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a line of names with tabs between them, then the scanned parameters of each valid point with commas.

    The first line begins with ``#``, so that ``numpy.loadtxt(path, delimiter=",")`` reads the file.

    Raises
    ------
    StoreError
        The file exists, or cannot be written.
    """
    from rayscan.results.described import scanned

    where = Path(path).expanduser()
    make_way(where, overwrite=overwrite)
    names = [name for name in scanned(result.description) if name in result.parameters]
    points = np.column_stack([column(result.valid, name) for name in names])
    rows = "".join(",".join(f"{value:.17g}" for value in row) + "\n" for row in points.tolist())
    write_atomically(where, ("# " + "\t".join(names) + "\n" + rows).encode())
    return where
