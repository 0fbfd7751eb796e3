"""A run that a test writes, row by row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rayscan.progress import PROGRESS_FILE
from rayscan.store import Schema, Store

DESCRIPTION = {
    "space": {"tanb": {"prior": "uniform", "lo": 2.0, "hi": 50.0}, "mA": {"prior": "log", "lo": 100.0, "hi": 3000.0}},
    "target": {"mh": [124.0, 126.0]},
}
NOW = 1.0e9


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A scan under way: two parameters, the Higgs mass, segments of a few rows."""
    schema = Schema(("tanb", "mA"), ("mh",), 2, {}, {"mA": "GeV", "mh": "GeV"})
    return Store.create(tmp_path / "run", schema, "", DESCRIPTION, {}, segment_bytes=2**15)


@pytest.fixture
def answer(store: Store) -> Callable[..., None]:
    """Return what issues and answers points: every third is valid, every tenth a tachyon; one a second."""

    def write(ids: range, *, message: str = "tachyon of {0} GeV\nsecond line", host: str = "node1") -> None:
        i = np.asarray(ids, dtype=np.int64)
        n, bad = len(i), np.asarray(ids) % 10 == 9
        journal(store, ids)
        valid = (i % 3 == 0) & ~bad
        u = np.column_stack([i % 4 / 4, np.full(n, 0.99)])
        rows: dict[str, Any] = {
            "point_id": i, "status": np.where(bad, 1, 0), "valid": valid, "likelihood": 1.0 * valid,
            "penalty": np.zeros(n), "tanb": 2 + 48 * u[:, 0], "mA": 100 * 30 ** u[:, 1],
            "mh": np.where(bad, np.nan, np.where(valid, 124.5 + i % 2, 90.0)), "u": u, "origin": np.zeros(n, int),
            "density": np.ones(n), "score": np.zeros(n), "generation": np.zeros(n, int), "issued": NOW + i,
            "started": NOW + i, "ended": NOW + i + 0.5, "host": host,
            "worker": np.asarray([f"w{k % 2}" for k in ids], dtype=object), "attempt": np.ones(n, int),
            "exit_code": np.full(n, -1), "signal": np.full(n, -1),
            "message": [message.format(k) if failed else "" for k, failed in zip(ids, bad, strict=True)],
            "stages": [() for _ in ids], "kept": [{} for _ in ids],
        }  # fmt: skip
        store.append(rows)
        store.flush()

    return write


def journal(store: Store, ids: range) -> None:
    """Issue points."""
    n = len(ids)
    store.journal(list(ids), np.full((n, 2), 0.5), np.zeros(n, int), np.ones(n), np.zeros(n), 0)


def publish(run: Path, **progress: Any) -> None:
    """Say how the scan is getting on, as a scan does."""
    (run / PROGRESS_FILE).write_text(json.dumps({"state": "scanning", "time": NOW, **progress}))
