"""How fast rows are stored and how large they are: ``python tests/benchmarks/store_rate.py [DIRECTORY]``.

A row has 5 parameters, 3 observables, one stage and a host; the journal is written, too. Rates are wall clock,
from the first append to the last byte on the disk (fsync).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.store import Schema, Store, read_table
from rayscan.tools.base import Stage, Status

PARAMETERS = tuple(f"x{axis}" for axis in range(5))
OBSERVABLES = ("mh", "omega", "xsec")


def block(start: int, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the columns of ``n`` rows."""
    u = rng.random((n, len(PARAMETERS)))
    now = time.time()
    return {
        "point_id": np.arange(start, start + n), "status": np.zeros(n, np.int8), "valid": rng.random(n) < 0.5, "u": u,
        "origin": np.full(n, 3, np.int8), "likelihood": rng.random(n), "penalty": rng.random(n),
        "density": rng.random(n), "score": rng.random(n), "generation": 3, "issued": now + rng.random(n),
        "started": now + rng.random(n), "ended": now + rng.random(n), "host": "node17", "worker": "worker-3",
        "stages": [(Stage("SPheno", Status.OK, 0.0123),)] * n, "message": "",
        **dict(zip(PARAMETERS, (u * 3000).T, strict=True)), **{name: rng.random(n) for name in OBSERVABLES},
    }  # fmt: skip


def measure(directory: Path, size: int, n: int) -> None:
    """Store ``n`` rows in blocks of `size` and print one line."""
    rng = np.random.default_rng(0)
    blocks = [block(start, size, rng) for start in range(0, n, size)]
    store = Store.create(directory, Schema(PARAMETERS, OBSERVABLES, len(PARAMETERS)), "", {})
    start = time.perf_counter()
    for columns in blocks:
        store.append(columns)
        store.flush_due()
    store.sync()
    appended = time.perf_counter() - start
    start = time.perf_counter()
    for columns in blocks:
        store.journal(*(columns[name] for name in ("point_id", "u", "origin", "density", "score", "generation")))
    store.sync()
    journalled = time.perf_counter() - start
    streams = sum(path.stat().st_size for path in directory.glob("points-*"))
    start = time.perf_counter()
    store.close()
    closed = time.perf_counter() - start
    compacted = sum(path.stat().st_size for path in directory.glob("points-*"))
    journal = sum(path.stat().st_size for path in directory.glob("issued-*"))
    start = time.perf_counter()
    rows = read_table(directory).num_rows
    read = time.perf_counter() - start
    print(
        f"{size:>7} {rows:>9} {n / appended:>12,.0f} {n / journalled:>12,.0f} {closed:>8.2f} {streams / n:>10.0f}"
        f" {compacted / n:>10.0f} {journal / n:>10.0f} {read:>8.2f}"
    )


def main() -> None:
    """Print the table."""
    print("  block      rows   appended/s  journalled/s  close s  stream B/p  parquet B/p  journal B/p  read s")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as root:
        for size, n in ((1, 10_000), (8, 40_000), (300, 300_000), (10_000, 1_000_000)):
            measure(Path(root) / f"blocks-of-{size}", size, n)


if __name__ == "__main__":
    main()
