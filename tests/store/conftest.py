"""A small scan's worth of rows, and directories to put them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rayscan.store import Schema, Store
from rayscan.tools.base import Stage, Status

DESCRIPTION = {"space": {"tanb": {"prior": "uniform", "lo": 2.0, "hi": 50.0}}, "tool": {"card": {"sha256": "a" * 64}}}


@pytest.fixture
def schema() -> Schema:
    return Schema(("tanb", "mA", "Q"), ("mh",), 2, {"tool": "fake 1.0"}, {"mh": "GeV"})


@pytest.fixture
def rows() -> Callable[..., dict[str, Any]]:
    """Return a maker of ``n`` rows whose values follow from their ids."""

    def make(ids: range | list[int]) -> dict[str, Any]:
        i = np.asarray(list(ids), dtype=np.int64)
        n = len(i)
        return {
            "point_id": i, "status": i % 6, "valid": i % 6 == 0, "likelihood": 1 / (1 + i), "penalty": i * 0.5,
            "tanb": i + 0.25, "mA": i * 10.0, "Q": np.full(n, 1000.0), "mh": np.where(i % 6 == 0, 125.0, np.nan),
            "u": np.column_stack([i / 1e4, 1 - i / 1e4]), "origin": i % 7, "density": np.full(n, 2.0),
            "score": np.full(n, 0.5), "generation": i // 10, "issued": 1.0e9 + i, "started": 1.0e9 + i + 1,
            "ended": 1.0e9 + i + 3, "host": "node1", "worker": "w3", "attempt": np.full(n, 1),
            "exit_code": np.where(i % 6 == 2, 1, -1), "signal": np.full(n, -1),
            "message": ["" if k % 6 == 0 else f"tachyon {k}" for k in i],
            "stages": [(Stage("SPheno", Status(k % 6), 1.5), Stage("higgs", None, 0.0)) for k in i],
            "kept": [{"spectrum.spc": b"BLOCK MASS\n"} if k % 50 == 0 else {} for k in i],
        }  # fmt: skip

    return make


@pytest.fixture
def new_store(tmp_path: Path, schema: Schema) -> Callable[..., Store]:
    """Return a maker of run directories."""

    def make(name: str = "run", **options: Any) -> Store:
        return Store.create(tmp_path / name, schema, "K = 300\n", DESCRIPTION, {"seed": 7}, **options)

    return make
