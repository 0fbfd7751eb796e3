"""Chains for GetDist: ``root.txt``, ``root.paramnames`` and ``root.ranges``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rayscan.results.samples import Samples
from rayscan.store.files import make_way, write_atomically

ENDINGS = (".txt", ".paramnames", ".ranges")


def write_getdist(samples: Samples, root: Path | str, *, overwrite: bool = False) -> Path:
    """Write a sample as a chain that ``getdist.loadMCSamples(root)`` reads.

    Parameters
    ----------
    samples : Samples
        From `rayscan.results.samples.samples_of`.
    root : Path or str
        The files' name without their endings; an ending ``.txt`` is taken off.
    overwrite : bool
        Whether files that are there may be replaced.

    Returns
    -------
    Path
        The root.

    Raises
    ------
    StoreError
        A file exists, or cannot be written.

    Notes
    -----
    The first two columns are the weight and minus the logarithm of the likelihood. Names of derived columns end in
    ``*``; limits that a prior does not have are ``N``.
    """
    where = Path(root).expanduser()
    where = where.with_suffix("") if where.suffix == ".txt" else where
    files = [where.with_name(where.name + ending) for ending in ENDINGS]
    for file in files:
        make_way(file, overwrite=overwrite)
    names = [*samples.parameters, *samples.derived]
    columns = [samples.weight, 0.0 - samples.log_likelihood, *(samples.values[name] for name in names)]
    rows = "\n".join(" ".join(f"{value:.12g}" for value in row) for row in np.column_stack(columns).tolist())
    labels = "\n".join(
        f"{name}{'*' if name in samples.derived else ''} {samples.labels[name].strip('$') or name}" for name in names
    )
    ranges = "\n".join(f"{name} {' '.join(map(_limit, samples.limits[name]))}" for name in samples.parameters)
    for file, text in zip(files, (rows, labels, ranges), strict=True):
        write_atomically(file, f"{text}\n".encode())
    return where


def _limit(value: float) -> str:
    return f"{value:.12g}" if math.isfinite(value) else "N"
