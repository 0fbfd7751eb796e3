"""Moments are timestamps in every table program, seconds inside, and numbers in runs of earlier versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from rayscan.store import Store, read_table, schema
from rayscan.store.arrays import column
from rayscan.store.export import export_table
from rayscan.store.follow import Follower
from rayscan.store.times import as_seconds, as_times

NAMES = ("issued", "started", "ended")


def test_a_moment_is_the_same_in_and_out():
    """To the microsecond, which the double of a Unix time just holds; what is no moment is empty."""
    seconds = np.array([0.0, -1.5, 1795769174.968038, np.nan, np.inf, 1e300])
    times = as_times(seconds)
    assert times.null_count == 3
    assert str(times[2].as_py()) == "2026-11-27 08:46:14.968038+00:00"
    assert np.array_equal(as_seconds(times), [*seconds[:3], np.nan, np.nan, np.nan], equal_nan=True)
    assert len(as_times(np.empty(0))) == 0


def test_tables_hold_times(new_store, rows):
    """In the table, in Parquet and in CSV; where a point was not timed there is nothing."""
    with new_store() as store:
        store.append({**rows(range(3)), "ended": [1e9, np.nan, 1e9 + 0.25]})
    table = read_table(store.path)
    assert [table.schema.field(name).type for name in NAMES] == [pa.timestamp("us", "UTC")] * 3
    assert table["ended"].to_pylist()[1] is None
    assert np.array_equal(column(table, "ended"), [1e9, np.nan, 1e9 + 0.25], equal_nan=True)
    assert pa.parquet.read_table(next(store.path.glob("points-*.parquet"))).schema.field("ended").type.tz == "UTC"
    text = export_table(table, store.path.parent / "points.csv").read_text()
    assert "2001-09-09 01:46:40.250000Z" in text


@pytest.fixture
def old_run(new_store, rows, monkeypatch) -> Path:
    """A run of a version that wrote moments as numbers: a compacted segment, an open one, and a point under way."""
    with monkeypatch.context() as then:
        then.setattr(schema, "TIME", pa.float64())
        then.setattr(schema, "as_times", pa.array)
        store: Store = new_store()
        store.append(rows(range(5)))
        store.close()
        store = Store.open(store.path)
        store.append(rows(range(5, 9)))
        store.journal([9], np.full((1, 2), 0.5), [0], [1.0], [0.0], 0)
        store.sync()
        store.abandon()
    old = pa.parquet.read_table(next(store.path.glob("points-*.parquet")))
    assert old.schema.field("ended").type == pa.float64()
    return store.path


def test_older_runs_open_and_go_on(old_run, rows):
    """Both forms of an old segment are read with times; new rows follow them, and nothing is asked for twice."""
    assert np.array_equal(column(read_table(old_run), "ended"), 1e9 + 3 + np.arange(9))
    with Store.open(old_run) as store:
        pending = store.issued()
        assert pending.point_id.tolist() == [9]
        assert pending.issued[0] > 1e9
        store.append(rows(range(9, 12)))
    table = read_table(old_run)
    assert table.schema.field("ended").type == pa.timestamp("us", "UTC")
    assert np.array_equal(column(table, "ended"), 1e9 + 3 + np.arange(12))


def test_older_runs_can_be_followed(old_run):
    """What watches a run sees seconds, whichever version wrote it."""
    from rayscan.store import RunDirectory

    news = Follower(RunDirectory(old_run), "points", ("point_id", "ended")).news()
    assert np.array_equal(column(news, "ended"), 1e9 + 3 + np.arange(9))
