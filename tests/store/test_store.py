"""What goes into a run directory comes out of it, once."""

from __future__ import annotations

import errno
import json
import math
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayscan.errors import StoreError
from rayscan.learn.data import Origin
from rayscan.store import Schema, Store, as_rows, read_table
from rayscan.store import writer as writer_module
from rayscan.tools.base import Status


def names(path: Path, pattern: str) -> list[str]:
    return sorted(entry.name for entry in path.glob(pattern))


def outside(run: Path) -> set[str]:
    return {str(p.relative_to(run.parent)) for p in run.parent.rglob("*") if p.parent != run / "kept"}


def test_every_column_survives(new_store, rows):
    """What was appended is read back with its types, labels, units and stages."""
    with new_store() as store:
        store.append(rows(range(100)))
    table = read_table(store.path)

    assert table.num_rows == 100
    assert table["point_id"].to_pylist() == list(range(100))
    assert table["status"].to_pylist() == [Status(i % 6).label for i in range(100)]
    assert table["origin"].to_pylist() == [Origin(i % 7).label for i in range(100)]
    assert pa.types.is_dictionary(table.schema.field("status").type)
    assert table["tanb"].to_pylist() == [i + 0.25 for i in range(100)]
    assert table["u"].to_pylist()[40] == [40 / 1e4, 1 - 40 / 1e4]
    assert table["exit_code"].to_pylist()[:3] == [None, None, 1]
    assert table["message"].to_pylist()[:2] == ["", "tachyon 1"]
    assert math.isnan(table["mh"].to_pylist()[1])
    assert table["stages"].to_pylist()[1] == [
        {"name": "SPheno", "status": "unphysical", "seconds": 1.5}, {"name": "higgs", "status": None, "seconds": 0.0},
    ]  # fmt: skip
    assert table["kept"].to_pylist()[:2] == [["0-spectrum.spc"], []]
    assert (store.path / "kept" / "50-spectrum.spc").read_bytes() == b"BLOCK MASS\n"
    assert table.schema.field("mh").metadata[b"unit"] == b"GeV"
    assert table.schema.metadata[b"rayscan.tool"] == b"fake 1.0"
    assert json.loads(table.schema.metadata[b"rayscan.configuration"])["space"]["tanb"]["hi"] == 50.0
    assert table.schema.metadata[b"rayscan.fingerprint"].decode() == store.run.fingerprint


def test_the_table_is_the_same_before_and_after_compaction(new_store, rows):
    """Streams and Parquet, alone or mixed, give equal tables."""
    store = new_store()
    store.append(rows(range(30)))
    as_stream = store.table()
    store.close(compact=False)
    assert names(store.path, "points-*") == ["points-000001.arrows"]
    with Store.open(store.path) as again:
        again.append(rows(range(30, 60)))
        mixed = again.table()

    assert names(store.path, "points-*") == ["points-000001.parquet", "points-000002.parquet"]
    compacted = read_table(store.path)
    assert mixed.schema.equals(compacted.schema, check_metadata=True)
    assert as_stream.schema.equals(compacted.schema, check_metadata=True)
    # By text, in which NaN equals NaN.
    assert repr(mixed.to_pylist()) == repr(compacted.to_pylist())
    assert repr(as_stream.to_pylist()) == repr(compacted.slice(0, 30).to_pylist())


def test_other_programs_open_the_parquet_files(new_store, rows):
    """The compacted file is plain Parquet."""
    with new_store() as store:
        store.append(rows(range(10)))
    frame = pq.read_table(store.path / "points-000001.parquet").to_pandas()
    assert frame["mA"].tolist() == [i * 10.0 for i in range(10)]
    assert set(frame["status"]) == {status.label for status in Status}


def test_rows_come_back_sorted_and_once(new_store, rows):
    """Rows that come in any order, or twice, are one row each, sorted; the first answer counts."""
    with new_store() as store:
        assert store.append(rows([5, 3, 9])) == 3
        late = rows([3, 4, 4])
        late["mA"] = [-1.0, -2.0, -3.0]
        assert store.append(late) == 1
        assert store.rows == 4
        assert store.duplicates == 2
    table = read_table(store.path)
    assert table["point_id"].to_pylist() == [3, 4, 5, 9]
    assert table["mA"].to_pylist() == [30.0, -2.0, 50.0, 90.0]


def test_a_file_copied_into_the_run_adds_no_rows(new_store, rows):
    """The reader itself drops second rows of a point."""
    with new_store() as store:
        store.append(rows(range(20)))
    first = store.path / "points-000001.parquet"
    (store.path / "points-000002.parquet").write_bytes(first.read_bytes())
    assert read_table(store.path)["point_id"].to_pylist() == list(range(20))
    with Store.open(store.path) as again:
        assert again.rows == 20


def test_columns_can_be_chosen(new_store, rows):
    """Only the columns asked for are returned, and an unknown one is named."""
    with new_store() as store:
        store.append(rows([2, 1]))
    assert read_table(store.path, ["mh", "tanb"]).column_names == ["mh", "tanb"]
    assert read_table(store.path, ["tanb"])["tanb"].to_pylist() == [1.25, 2.25]
    with pytest.raises(StoreError, match=r"no column 'tan_b'.*did you mean 'tanb'"):
        read_table(store.path, ["tan_b"])


def test_an_empty_run_has_an_empty_table(new_store, schema):
    """A run without rows has all columns and no rows, for the learner, too."""
    with new_store() as store:
        table = store.table()
    assert table.num_rows == 0
    assert table.schema.names == schema.arrow.names
    rows = as_rows(read_table(store.path), schema)
    assert len(rows) == 0
    assert rows.u.shape == (0, 2)
    assert rows.observables.shape == (0, 1)


def test_the_learner_gets_arrays_in_the_order_of_issue(new_store, rows):
    """Codes, matrices and flags have the shapes and types that learning expects."""
    with new_store() as store:
        store.append(rows([7, 6, 12]))
        got = store.learner_rows()
    assert got.point_id.tolist() == [6, 7, 12]
    assert got.status.tolist() == [0, 1, 0]
    assert got.origin.tolist() == [6, 0, 5]
    assert got.status.dtype == got.origin.dtype == np.int8
    assert got.u.shape == (3, 2)
    assert got.observables[:, 0].tolist()[0] == 125.0
    assert got.valid.tolist() == [True, False, True]


def test_rows_wait_until_there_are_enough_or_a_second_has_passed(new_store, rows, monkeypatch):
    """A few rows are buffered; 256 rows, or the age of the first, sends them to the disk."""
    now = [1000.0]
    monkeypatch.setattr(writer_module.time, "monotonic", lambda: now[0])
    store = new_store()
    store.append(rows(range(10)))
    assert not store.flush_due()
    assert read_table(store.path).num_rows == 0
    now[0] += 1.1
    assert store.flush_due()
    assert read_table(store.path).num_rows == 10
    store.append(rows(range(10, 266)))
    assert read_table(store.path).num_rows == 266
    assert store.buffered == 0
    store.abandon()


def test_segments_turn_over_and_are_compacted_on_the_way(new_store, rows):
    """A segment that has grown beyond its size is closed and compacted while the scan goes on."""
    store = new_store(segment_bytes=100_000)
    for start in range(0, 3000, 300):
        store.append(rows(range(start, start + 300)))
    assert "points-000001.parquet" in names(store.path, "points-*")
    assert len(names(store.path, "points-*")) >= 4
    assert store.table()["point_id"].to_pylist() == list(range(3000))
    store.close()
    assert not names(store.path, "points-*.arrows")
    assert read_table(store.path)["point_id"].to_pylist() == list(range(3000))


def test_reading_while_writing_sees_a_growing_whole(new_store, rows):
    """A reader beside the writer sees only whole rows, never fewer than before, across compactions."""
    store = new_store(segment_bytes=60_000)
    seen: list[int] = []
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            table = read_table(store.path, ["point_id", "tanb"])
            ids, tanb = table["point_id"].to_numpy(), table["tanb"].to_numpy()
            if not (np.diff(ids) == 1).all() or not (tanb == ids + 0.25).all():
                problems.append(f"torn rows among {len(ids)}")
            seen.append(len(ids))

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(0, 6000, 100):
        store.append(rows(range(start, start + 100)))
        store.flush()
        time.sleep(0.002)
    store.close()
    done.set()
    reader.join()
    assert not problems
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert read_table(store.path).num_rows == 6000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mh": None}, "column 'mh' is missing"),
        ({"point_id": None}, "column 'point_id' is missing"),
        ({"mhh": [1.0, 2.0]}, "unknown column 'mhh'; did you mean 'mh'"),
        ({"tanb": [1.0]}, r"column 'tanb': expected shape \(2,\), got \(1,\)"),
        ({"tanb": ["a", "b"]}, "column 'tanb': expected float64 values"),
        ({"u": [[0.1], [0.2]]}, r"column 'u': expected shape \(2, 2\), got \(2, 1\)"),
        ({"status": [0, 9]}, "column 'status': expected codes 0 to 5, got 0 to 9"),
        ({"message": ["one"]}, "column 'message': expected 2 entries, got 1"),
        ({"point_id": [-1, 0]}, "point_id: expected 0 to"),
        ({"point_id": [0, 2**40]}, "point_id: expected 0 to"),
    ],
)
def test_wrong_columns_are_refused_and_nothing_is_taken(new_store, rows, change, message):
    """A batch with a wrong column is named, and leaves no trace."""
    columns = {**rows(range(2)), **change}
    columns = {name: value for name, value in columns.items() if value is not None}
    with new_store() as store:
        with pytest.raises(StoreError, match=message) as caught:
            store.append(columns)
        assert caught.value.errno == errno.EINVAL
        assert store.rows == store.buffered == 0


def test_one_value_stands_for_all_rows(new_store, rows):
    """A scalar column is the same for every row, and optional ones have defaults."""
    columns = {**rows(range(3)), "generation": 4, "host": "node9"}
    for name in ("density", "score", "attempt", "message", "stages", "kept", "signal", "exit_code"):
        del columns[name]
    with new_store() as store:
        store.append(columns)
        table = store.table()
    assert table["generation"].to_pylist() == [4] * 3
    assert table["host"].to_pylist() == ["node9"] * 3
    assert table["attempt"].to_pylist() == [1] * 3
    assert table["message"].to_pylist() == [""] * 3
    assert table["signal"].to_pylist() == [None] * 3
    assert np.isnan(table["density"].to_numpy()).all()


def test_the_caller_may_reuse_its_arrays(new_store, rows):
    """Rows are copied when they are appended."""
    columns = rows(range(3))
    with new_store() as store:
        store.append(columns)
        columns["tanb"][:] = -1
        columns["message"][0] = "changed"
        table = store.table()
    assert table["tanb"].to_pylist() == [0.25, 1.25, 2.25]
    assert table["message"].to_pylist()[0] == ""


@pytest.mark.parametrize("name", ["status", "u", "kept", "mh"])
def test_a_name_that_the_store_needs_is_refused(name):
    """Parameters cannot take the store's columns, nor one another's."""
    with pytest.raises(StoreError, match=f"column '{name}'"):
        Schema((name, "mh"), ("mh",) if name == "mh" else (), 1)


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/passwd", "..", "a/b\n;rm -rf .spc", "", ".hidden", "x" * 300, "ä Ω.spc"]
)
def test_names_of_kept_files_cannot_leave_their_folder(new_store, rows, name):
    """Whatever a program calls its output, the copy lies in kept/ under the point's id."""
    columns = {**rows([8]), "kept": [{name: b"data"}]}
    with new_store() as store:
        store.append(columns)
        before = outside(store.path)
        store.flush()
        assert outside(store.path) - before == {"run/points-000001.arrows"}
    (kept,) = (store.path / "kept").iterdir()
    assert kept.name.startswith("8-")
    assert kept.read_bytes() == b"data"
    assert read_table(store.path)["kept"].to_pylist() == [[kept.name]]


doubles = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_numbers_and_texts_survive_any_interruption_of_the_writer(tmp_path_factory, data):
    """Random batches, flushes, reopenings and crashes after a flush: the table is exactly what was flushed."""
    path = tmp_path_factory.mktemp("roundtrip") / "run"
    store = Store.create(path, Schema(("a",), ("b",), 1), "", {})
    expected: dict[int, tuple[float, float, str]] = {}
    for step in data.draw(st.lists(st.sampled_from(["append", "append", "reopen", "crash"]), max_size=6)):
        if step == "append":
            ids = data.draw(st.lists(st.integers(0, 60), max_size=8))
            values = data.draw(st.lists(st.tuples(doubles, doubles, st.text(max_size=5)),
                                        min_size=len(ids), max_size=len(ids)))  # fmt: skip
            store.append({
                "point_id": np.array(ids, dtype=np.int64), "status": 0, "valid": True, "u": np.zeros((len(ids), 1)),
                "origin": 2, "a": [v[0] for v in values], "b": [v[1] for v in values], "issued": 1.0, "started": 1.0,
                "ended": 2.0, "message": [v[2] for v in values],
            })  # fmt: skip
            for point, value in zip(ids, values, strict=True):
                expected.setdefault(point, value)
        else:
            store.flush()
            store.close() if step == "reopen" else store.abandon()
            store = Store.open(path)
    table = store.table()
    store.close()
    assert table["point_id"].to_pylist() == sorted(expected)
    np.testing.assert_array_equal(table["a"].to_numpy(), [expected[i][0] for i in sorted(expected)])
    np.testing.assert_array_equal(table["b"].to_numpy(), [expected[i][1] for i in sorted(expected)])
    assert table["message"].to_pylist() == [expected[i][2] for i in sorted(expected)]
