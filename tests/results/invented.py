"""Invented scans of any size, with labels in TeX, logarithms, failures and a likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rayscan.learn.data import Origin
from rayscan.results.plot import Plots
from rayscan.store import Schema
from rayscan.store.schema import ORIGINS, STATUSES
from rayscan.store.times import as_times

NAMES = (
    "M1", "M2", "M3", "mu", "MA", "tanb", "At", "Ab", "Atau", "mqL3", "mtR", "mbR", "mlL3", "mtauR", "mqL1", "muR",
    "mdR", "mlL1", "meR", "m32",
)  # fmt: skip
LABELS = {
    "M1": "$M_1$", "M2": "$M_2$", "M3": "$M_3$", "mu": r"$\mu$", "MA": "$m_A$", "tanb": r"$\tan\beta$", "At": "$A_t$",
    "Ab": "$A_b$", "Atau": r"$A_\tau$", "mqL3": r"$m_{\tilde{q}_{L3}}$", "mtR": r"$m_{\tilde{t}_R}$",
    "mbR": r"$m_{\tilde{b}_R}$", "mlL3": r"$m_{\tilde{\ell}_{L3}}$", "mtauR": r"$m_{\tilde{\tau}_R}$",
    "mqL1": r"$m_{\tilde{q}_{L1}}$", "muR": r"$m_{\tilde{u}_R}$", "mdR": r"$m_{\tilde{d}_R}$",
    "mlL1": r"$m_{\tilde{\ell}_{L1}}$", "meR": r"$m_{\tilde{e}_R}$", "m32": "$m_{3/2}$", "mh": "$m_h$",
    "omega": r"$\Omega h^2$",
}  # fmt: skip
SIGNED = ("mu", "At", "Ab", "Atau")
START = 1_790_000_000.0


def invented(d: int, n: int, *, graded: bool = False, seed: int = 0) -> pa.Table:
    """Return a table of ``n`` points of ``d <= 20`` parameters, about a third of them valid, two in five at the end.

    With ``graded`` valid points differ in their likelihood, else windows alone make them valid.
    """
    rng = np.random.default_rng(seed)
    names = NAMES[:d]
    units = {name: "GeV" for name in names if name != "tanb"} | {"mh": "GeV"}
    schema = Schema(names, ("mh", "omega"), d, {}, units, {name: LABELS[name] for name in (*names, "mh", "omega")})
    u = rng.random((n, d))
    late = np.arange(n) > n / 4
    # Most of the later points were chosen: a curved band in the first two directions, which the others narrow a little.
    near = late & (rng.random(n) < 0.7)
    u[near, 1] = np.clip(0.2 + 0.6 * (u[near, 0] - 0.3) ** 2 + 0.08 * rng.standard_normal(near.sum()), 0, 1)
    off = (u[:, 1] - 0.2 - 0.6 * (u[:, 0] - 0.3) ** 2) / 0.1 + 0.5 * (u[:, 2:] - 0.5).sum(axis=1) / max(d - 2, 1) ** 0.5
    status = np.select([u[:, 0] > 0.93, u[:, 1] > 0.97, rng.random(n) < 0.003], [2, 1, 3], 0).astype(np.int8)
    mh, omega = 125 + 2 * off, 0.12 * np.exp(0.3 * off + 0.3 * rng.standard_normal(n))
    valid = (np.abs(off) < 1) & (status == 0)
    likelihood = np.exp(-0.5 * (2 * off) ** 2 - 2 * (u[:, 0] - 0.4) ** 2) if graded else np.where(valid, 1.0, 0.1)
    origin = np.where(late, rng.choice([5, 6, 7, 2], n, p=[0.6, 0.2, 0.1, 0.1]), int(Origin.INITIAL))
    origin = np.where(late & ~near, int(Origin.UNIFORM), origin)
    begun = START + np.arange(n) * 0.05 + 0.01 * rng.random(n)
    values = {
        name: (axis - 0.5) * 8000 if name in SIGNED else 2 + 58 * axis if name == "tanb" else 100 * 40**axis
        for name, axis in zip(names, u.T, strict=True)
    }  # fmt: skip
    failed = status != 0
    columns: dict[str, Any] = {
        "point_id": np.arange(n), "status": pa.DictionaryArray.from_arrays(status.astype(np.int32), STATUSES),
        "valid": valid, "likelihood": np.where(failed, 0.0, likelihood),
        "penalty": np.where(failed, np.nan, np.maximum(np.abs(off) - 1, 0)), **values,
        "mh": np.where(failed, np.nan, mh), "omega": np.where(failed, np.nan, omega),
        "u": pa.FixedSizeListArray.from_arrays(u.ravel(), d),
        "origin": pa.DictionaryArray.from_arrays(origin.astype(np.int32), ORIGINS),
        "density": np.where(np.isin(origin, [1, 2]), 1.0, np.where(origin == 7, 3.0, np.nan)),
        "score": np.where(late, np.clip(np.exp(-(off**2)) + 0.1 * rng.standard_normal(n), 0, 1), np.nan),
        "generation": np.arange(n) // max(n // 40, 10), "issued": as_times(begun - 0.1), "started": as_times(begun),
        "ended": as_times(begun + 0.3 * rng.random(n)), "host": pa.array(["node01"]).take(np.zeros(n, int)),
        "worker": pa.array([f"worker-{k}" for k in range(8)]).take(np.arange(n) % 8), "attempt": np.ones(n),
        "exit_code": pa.nulls(n), "signal": pa.nulls(n),
        "message": pa.array(["", "tachyon in the spectrum", "exit code 1", "no answer"]).take(np.minimum(status, 3)),
        "stages": pa.nulls(n), "kept": pa.nulls(n),
    }  # fmt: skip
    return pa.table(
        [column if isinstance(column := columns[field.name], pa.Array) and column.type == field.type
         else pa.array(column).cast(field.type) for field in schema.arrow],
        schema=schema.arrow,
    )  # fmt: skip


def figures(d: int, n: int, *, graded: bool = False) -> Plots:
    """Return figures of such a scan, with the observables that its target constrains."""
    table = invented(d, n, graded=graded)
    return Plots(table, NAMES[:d], ["mh", "omega"])


FAMILIES: dict[str, dict[str, Any]] = {
    "corner": {}, "contours": {"contours": True}, "scatter": {"x": "M1", "y": "M2", "colour": "mh"},
    "histogram": {"x": "M1", "everything": True}, "histograms": {}, "density": {"x": "M1", "y": "M2"},
    "profile": {"x": "M1", "y": "M2"}, "region": {"x": "M1", "y": "M2"}, "line": {"x": "M1"},
    "parallel": {"colour": "mh"}, "progress": {}, "acceptance": {}, "evenness": {}, "failures": {}, "calibration": {},
    "training": {}, "timeline": {},
}  # fmt: skip
"""Every family of figures that a table alone is enough for, and what it is asked for."""
KIND = {"contours": "corner", "region": "profile", "line": "profile"}
GRADED = ("profile", "line")


def drawn(plots: Plots, family: str, **options: Any) -> Any:
    """Return a figure of an invented scan."""
    return getattr(plots, KIND.get(family, family))(**FAMILIES[family], **options)
