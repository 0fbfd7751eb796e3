"""The columns of a scan: their types, and how the driver's arrays become Arrow batches."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rayscan.errors import StoreError, did_you_mean
from rayscan.learn.data import Origin
from rayscan.store.times import TIME, as_times
from rayscan.tools.base import Stage, Status

FORMAT = "1"
PREFIX = "rayscan."
LABEL = pa.dictionary(pa.int32(), pa.string())
STAGE = pa.struct([("name", pa.string()), ("status", pa.string()), ("seconds", pa.float64())])
STATUSES = [status.label for status in Status]
ORIGINS = [origin.label for origin in Origin]

Columns = Mapping[str, Any]
"""Column name → array or list of ``n`` values, or one value for all of them."""

_NUMBERS: dict[str, Any] = {
    "valid": np.bool_, "likelihood": np.float64, "penalty": np.float64, "density": np.float64, "score": np.float64,
    "generation": np.int32, "issued": np.float64, "started": np.float64, "ended": np.float64, "attempt": np.int32,
    "exit_code": np.int32, "signal": np.int32,
}  # fmt: skip
_LABELS: dict[str, list[str]] = {"status": STATUSES, "origin": ORIGINS}
_OPTIONAL: dict[str, Any] = {
    "likelihood": np.nan, "penalty": np.nan, "density": np.nan, "score": np.nan, "generation": 0, "attempt": 1,
    "exit_code": -1, "signal": -1, "host": "", "worker": "", "message": "",
}  # fmt: skip
_NULLABLE = ("exit_code", "signal")


@dataclass(frozen=True)
class Schema:
    """What a run stores for each point.

    Parameters
    ----------
    parameters : tuple of str, length p
        Every parameter of the space, fixed and derived ones included.
    observables : tuple of str, length m
    d : int
        The number of scanned parameters: the length of ``u``.
    metadata : mapping of str to str
        Kept in every file: versions, configuration, fingerprint.
    units : mapping of str to str
        Unit of a parameter or observable, kept with its column.
    labels : mapping of str to str
        What it is called in figures, kept likewise.
    """

    parameters: tuple[str, ...]
    observables: tuple[str, ...]
    d: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [*self.parameters, *self.observables]
        for name in names:
            if names.count(name) > 1 or name in _RESERVED:
                taken = "is a column of the store itself" if name in _RESERVED else "names two columns"
                msg = f"column {name!r} {taken}; rename the parameter or observable"
                raise StoreError(errno.EINVAL, msg)
        if not 1 <= self.d <= len(self.parameters):
            msg = f"a schema of d = {self.d} scanned parameters; expected 1 to {len(self.parameters)}, those there are"
            raise StoreError(errno.EINVAL, msg)

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of the rows."""
        return pa.schema(
            [
                pa.field("point_id", pa.int64(), nullable=False),
                pa.field("status", LABEL),
                pa.field("valid", pa.bool_()),
                pa.field("likelihood", pa.float64()),
                pa.field("penalty", pa.float64()),
                *(self._value_field(name) for name in (*self.parameters, *self.observables)),
                pa.field("u", pa.list_(pa.float64(), self.d)),
                pa.field("origin", LABEL),
                pa.field("density", pa.float64()),
                pa.field("score", pa.float64()),
                pa.field("generation", pa.int32()),
                *(pa.field(name, TIME) for name in ("issued", "started", "ended")),
                pa.field("host", pa.string()),
                pa.field("worker", pa.string()),
                pa.field("attempt", pa.int32()),
                pa.field("exit_code", pa.int32()),
                pa.field("signal", pa.int32()),
                pa.field("message", pa.string()),
                pa.field("stages", pa.list_(STAGE)),
                pa.field("kept", pa.list_(pa.string())),
            ],
            metadata=self._metadata("points"),
        )

    @property
    def journal(self) -> pa.Schema:
        """The Arrow schema of the journal of issued points."""
        rows = self.arrow
        names = ("point_id", "u", "origin", "density", "score", "generation", "issued")
        return pa.schema([rows.field(name) for name in names], metadata=self._metadata("issued"))

    def to_dict(self) -> dict[str, Any]:
        """Describe the schema in plain types."""
        return {
            "parameters": list(self.parameters), "observables": list(self.observables), "d": self.d,
            "metadata": dict(self.metadata), "units": dict(self.units), "labels": dict(self.labels),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Schema:
        """Rebuild a schema from `to_dict`."""
        try:
            return cls(
                tuple(map(str, described["parameters"])), tuple(map(str, described["observables"])),
                int(described["d"]), {str(k): str(v) for k, v in described["metadata"].items()},
                {str(k): str(v) for k, v in described["units"].items()},
                # Runs of earlier versions have none.
                {str(k): str(v) for k, v in described.get("labels", {}).items()},
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"the schema in run.json is damaged ({error!r}); restore the file from a copy"
            raise StoreError(errno.EINVAL, msg) from error

    def take(self, columns: Columns) -> dict[str, Any]:
        """Check and copy one batch of rows, so that the caller may reuse its arrays.

        Returns
        -------
        dict
            Every column: arrays of shape ``(n,)`` (``u``: ``(n, d)``), lists for text, stages and kept files.

        Raises
        ------
        StoreError
            A column is missing, unknown or of the wrong shape or kind. Nothing was taken.
        """
        if "point_id" not in columns:
            _refuse("column 'point_id' is missing; every row needs the id its point was issued with")
        taken: dict[str, Any] = {"point_id": _numbers("point_id", columns["point_id"], np.int64, None)}
        n = len(taken["point_id"])
        for name, kind in _NUMBERS.items():
            taken[name] = _numbers(name, _given(columns, name), kind, n)
        for name in _LABELS:
            taken[name] = _codes(name, _given(columns, name), n)
        for name in (*self.parameters, *self.observables):
            taken[name] = _numbers(name, _given(columns, name), np.float64, n)
        for name in ("host", "worker", "message"):
            given = _given(columns, name)
            taken[name] = [given] * n if isinstance(given, str) else _as_list(name, given, n)
        taken["stages"] = _as_list("stages", columns.get("stages", ((),) * n), n)
        taken["kept"] = _as_list("kept", columns.get("kept", ({},) * n), n)
        taken["u"] = self._matrix(_given(columns, "u"), n)
        unknown = sorted(set(columns) - set(taken))
        if unknown:
            _refuse(f"unknown column {unknown[0]!r}{did_you_mean(unknown[0], taken)}")
        return taken

    def batch(self, chunks: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        """Join what `take` returned into one Arrow batch (``kept`` becomes the names of the files)."""
        joined: dict[str, Any] = {}
        for name in self.arrow.names:
            parts = [chunk[name] for chunk in chunks]
            joined[name] = np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [v for p in parts for v in p]
        for name in _NULLABLE:
            joined[name] = pa.array(joined[name], mask=joined[name] < 0)
        joined["stages"] = _stages(joined["stages"])
        joined["kept"] = pa.array([list(names) for names in joined["kept"]], pa.list_(pa.string()))
        return _record_batch(joined, self.arrow, self.d)

    def journal_batch(self, columns: Columns) -> pa.RecordBatch:
        """Encode issued points: ``point_id``, ``u``, ``origin``, ``density``, ``score``, ``generation``, ``issued``."""
        taken: dict[str, Any] = {"point_id": _numbers("point_id", columns["point_id"], np.int64, None)}
        n = len(taken["point_id"])
        taken["u"] = self._matrix(columns["u"], n)
        for name in ("density", "score", "generation", "issued"):
            taken[name] = _numbers(name, columns[name], _NUMBERS[name], n)
        taken["origin"] = _codes("origin", columns["origin"], n)
        return _record_batch(taken, self.journal, self.d)

    def _value_field(self, name: str) -> pa.Field[Any]:
        known = {"unit": self.units.get(name), "label": self.labels.get(name)}
        kind = "parameter" if name in self.parameters else "observable"
        return pa.field(
            name, pa.float64(), metadata={"kind": kind, **{key: said for key, said in known.items() if said}}
        )

    def _metadata(self, table: str) -> dict[str | bytes, str | bytes]:
        own = {"format": FORMAT, "table": table, "d": str(self.d)}
        return {PREFIX + key: value for key, value in {**self.metadata, **own}.items()}

    def _matrix(self, u: Any, n: int) -> NDArray[np.float64]:
        array = np.array(u, dtype=np.float64)
        if array.shape != (n, self.d):
            _refuse(f"column 'u': expected shape ({n}, {self.d}), got {array.shape}")
        return array


_RESERVED = frozenset({*_NUMBERS, *_LABELS, "point_id", "u", "host", "worker", "message", "stages", "kept"})


def _refuse(msg: str, cause: Exception | None = None) -> NoReturn:
    msg = f"rows cannot be stored: {msg}"
    raise StoreError(errno.EINVAL, msg) from cause


def _given(columns: Columns, name: str) -> Any:
    if name in columns:
        return columns[name]
    if name in _OPTIONAL:
        return _OPTIONAL[name]
    _refuse(f"column {name!r} is missing")


def _numbers(name: str, values: Any, kind: Any, n: int | None) -> NDArray[Any]:
    try:
        array = np.array(values, dtype=kind)
    except (TypeError, ValueError, OverflowError) as error:
        _refuse(f"column {name!r}: expected {np.dtype(kind).name} values ({error})", error)
    if array.ndim == 0:
        array = np.full(1 if n is None else n, array)
    if array.ndim != 1 or (n is not None and len(array) != n):
        _refuse(f"column {name!r}: expected shape ({'n' if n is None else n},), got {array.shape}")
    return array


def _codes(name: str, values: Any, n: int) -> NDArray[Any]:
    codes = _numbers(name, values, np.int32, n)
    top = len(_LABELS[name]) - 1
    if n and (codes.min() < 0 or codes.max() > top):
        _refuse(f"column {name!r}: expected codes 0 to {top}, got {codes.min()} to {codes.max()}")
    return codes


def _as_list(name: str, values: Iterable[Any], n: int) -> list[Any]:
    array = list(values)
    if len(array) != n:
        _refuse(f"column {name!r}: expected {n} entries, got {len(array)}")
    return array


def _stages(rows: Sequence[Sequence[Stage]]) -> pa.Array[Any]:
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int32, count=len(rows))
    flat = [stage for row in rows for stage in row]
    values = pa.StructArray.from_arrays(
        [
            pa.array([stage.name for stage in flat], pa.string()),
            pa.array([None if stage.status is None else stage.status.label for stage in flat], pa.string()),
            pa.array([stage.seconds for stage in flat], pa.float64()),
        ],
        fields=list(STAGE),
    )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    lists: Any = pa.ListArray
    rows_of_stages: pa.Array[Any] = lists.from_arrays(offsets, values)
    return rows_of_stages


def _record_batch(columns: Mapping[str, Any], schema: pa.Schema, d: int) -> pa.RecordBatch:
    arrays: list[Any] = []
    for arrow_field in schema:
        values = columns[arrow_field.name]
        if arrow_field.name in _LABELS:
            arrays.append(pa.DictionaryArray.from_arrays(pa.array(values), pa.array(_LABELS[arrow_field.name])))
        elif arrow_field.name == "u":
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), d))
        elif arrow_field.type == TIME:
            arrays.append(as_times(values))
        else:
            arrays.append(values if isinstance(values, pa.Array) else pa.array(values, arrow_field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
