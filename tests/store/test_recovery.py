"""Whatever moment the power goes: the run opens, loses at most the unflushed batch, and goes on."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rayscan.errors import StoreError
from rayscan.store import Store, read_table, segments
from rayscan.store.schema import LABEL
from rayscan.store.segments import Tail, read_stream


def ids(path: Path) -> list[int]:
    return read_table(path, ["point_id"])["point_id"].to_pylist()


@pytest.fixture
def interrupted(new_store, rows) -> tuple[Path, list[int]]:
    """A run that died with three batches of 5, 7 and 4 rows in its only segment; and where each batch ends."""
    store = new_store()
    store.journal(range(16), np.full((16, 2), 0.5), [3] * 16, [1.0] * 16, [0.5] * 16, 1)
    ends = []
    for batch in (range(5), range(5, 12), range(12, 16)):
        store.append(rows(batch))
        store.flush()
        ends.append((store.path / "points-000001.arrows").stat().st_size)
    store.abandon()
    return store.path, ends


def test_a_segment_torn_at_any_byte_gives_every_whole_batch(tmp_path):
    """At each length of the file the reader returns exactly the batches that are whole."""
    schema = pa.schema([("point_id", pa.int64()), ("status", LABEL), ("message", pa.string())])
    segment = tmp_path / "points-000001.arrows"
    writer = segments.SegmentWriter(segment, schema)
    ends, rows_by = [], [0]
    for n in (5, 7, 4):
        labels = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), pa.array(["ok"]))
        columns = [pa.array(range(n), pa.int64()), labels, pa.array(["text"] * n)]
        writer.encode(pa.RecordBatch.from_arrays(columns, schema=schema))
        writer.write()
        ends.append(segment.stat().st_size)
        rows_by.append(rows_by[-1] + n)
    writer.finish()
    for length in range(segment.stat().st_size, -1, -1):
        os.truncate(segment, length)
        _, batches, tail = read_stream(segment)
        assert sum(batch.num_rows for batch in batches) == rows_by[sum(length >= end for end in ends)], length
        assert tail is not Tail.DAMAGED, length


def test_a_run_torn_at_any_byte_goes_on(interrupted, rows, tmp_path):
    """After a tear, opening finds the whole batches, and the points of the rest are to be issued again."""
    path, ends = interrupted
    size = (path / "points-000001.arrows").stat().st_size
    rng = np.random.default_rng(3)
    for length in [0, 1, *ends, *rng.integers(0, size, 25)]:
        copy = tmp_path / "copy"
        shutil.copytree(path, copy)
        os.truncate(copy / "points-000001.arrows", length)
        there = [0, 5, 12, 16][sum(length >= end for end in ends)]
        with Store.open(copy) as store:
            assert store.rows == there
            assert store.issued().point_id.tolist() == list(range(there, 16))
            assert store.next_id == 16
            store.append(rows(range(there, 16)))
        assert ids(copy) == list(range(16))
        shutil.rmtree(copy)


def test_a_tail_of_zeros_is_no_row(interrupted):
    """Some file systems leave zeros where data was to come."""
    path, _ = interrupted
    with (path / "points-000001.arrows").open("ab") as file:
        file.write(bytes(4096))
    assert ids(path) == list(range(16))
    with Store.open(path) as store:
        assert store.rows == 16


def test_damage_in_the_middle_is_kept_for_a_human(interrupted):
    """A whole message that cannot be read stays on the disk, and what comes before and after it is used."""
    path, _ = interrupted
    segment = path / "points-000001.arrows"
    data = bytearray(segment.read_bytes())
    # The offsets of the text column of the second batch: they now point outside the buffer.
    start = data.index(b"tachyon 5")
    data[start - 40 : start] = b"\x7f" * 40
    segment.write_bytes(data)
    assert read_stream(segment)[2] is Tail.DAMAGED
    assert ids(path) == [*range(5), *range(12, 16)]
    with Store.open(path) as store:
        assert store.rows == 9
        assert store.issued().point_id.tolist() == list(range(5, 12))
    assert segment.read_bytes() == bytes(data)
    assert "a batch cannot be read; kept as it is" in (path / "log").read_text()


@pytest.mark.parametrize("step", ["before the rename", "after the rename"])
def test_a_crash_while_compacting_loses_nothing(interrupted, step, monkeypatch):
    """Between any two steps of a compaction the rows are there once, and the next opening finishes the work."""
    path, _ = interrupted

    class PowerCutError(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        if step == "before the rename":
            patch.setattr(Path, "replace", cut)
        else:
            patch.setattr(Path, "unlink", cut)
        with pytest.raises(PowerCutError):
            segments.compact(path / "points-000001.arrows", print)
    left = {entry.name for entry in path.glob("points-*")}
    expected = "points-000001.parquet.part" if step == "before the rename" else "points-000001.parquet"
    assert left == {"points-000001.arrows", expected}
    assert ids(path) == list(range(16))
    with Store.open(path) as store:
        assert store.rows == 16
    assert {entry.name for entry in path.glob("points-*")} == {"points-000001.parquet"}


def test_a_truncated_parquet_file_is_not_needed_while_the_stream_is_there(interrupted):
    """A Parquet file that a dying disk cut short is made again from the stream."""
    path, _ = interrupted
    stream = (path / "points-000001.arrows").read_bytes()
    Store.open(path).close()
    parquet = path / "points-000001.parquet"
    parquet.write_bytes(parquet.read_bytes()[:-100])
    (path / "points-000001.arrows").write_bytes(stream)
    assert ids(path) == list(range(16))
    Store.open(path).close()
    assert not (path / "points-000001.arrows").exists()
    assert ids(path) == list(range(16))


@pytest.mark.parametrize("keep", [0, 3, 500])
def test_a_truncated_parquet_file_alone_is_an_error_with_a_way_out(interrupted, keep):
    """It is named; moved away, its points are issued again with the same ids."""
    path, _ = interrupted
    Store.open(path).close()
    parquet = path / "points-000001.parquet"
    parquet.write_bytes(parquet.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"points-000001.parquet: expected a Parquet file of this run.*move it away"):
        read_table(path)
    with pytest.raises(StoreError, match=r"points-000001.parquet"):
        Store.open(path)
    parquet.rename(path.parent / "away.parquet")
    with Store.open(path) as store:
        assert store.issued().point_id.tolist() == list(range(16))


def test_the_journal_survives_a_tear_and_returns_what_it_was_told(new_store, rows):
    """Issued points without a row come back with all that their rows will need."""
    store = new_store()
    u = np.random.default_rng(0).random((6, 2))
    store.journal([0, 1, 2], u[:3], [2, 3, 4], [1.0, 1.5, np.nan], [np.nan, 0.5, 0.9], 0)
    first = (store.path / "issued-000001.arrows").stat().st_size
    store.journal([3, 4, 5], u[3:], [3, 3, 3], [2.0] * 3, [0.1] * 3, [7, 7, 8])
    store.append(rows([1, 4]))
    store.flush()
    store.abandon()
    with Store.open(store.path) as again:
        pending = again.issued()
        assert pending.point_id.tolist() == [0, 2, 3, 5]
        assert pending.u.tolist() == u[[0, 2, 3, 5]].tolist()
        assert pending.origin.tolist() == [2, 4, 3, 3]
        assert pending.generation.tolist() == [0, 0, 7, 8]
        np.testing.assert_array_equal(pending.density, [1.0, np.nan, 2.0, 2.0])
        np.testing.assert_array_equal(pending.score, [np.nan, 0.9, 0.1, 0.1])
        assert again.next_id == 6
        again.append(rows([0, 2, 3, 5]))
        assert len(again.issued()) == 0
    other = new_store("torn")
    other.journal([0, 1, 2], u[:3], 2, 1.0, 1.0, 0)
    other.journal([3, 4, 5], u[3:], 2, 1.0, 1.0, 0)
    other.abandon()
    os.truncate(other.path / "issued-000001.arrows", first + 30)
    with Store.open(other.path) as again:
        assert again.issued().point_id.tolist() == [0, 1, 2]
        assert again.next_id == 3


def test_a_point_issued_twice_is_pending_once(new_store):
    """A second journal entry of the same point does not make a second point."""
    with new_store() as store:
        store.journal([0, 1], np.full((2, 2), 0.25), 2, 1.0, 1.0, 0)
        store.journal([1], [[0.75, 0.75]], 2, 1.0, 1.0, 0)
        pending = store.issued()
    assert pending.point_id.tolist() == [0, 1]
    assert pending.u.tolist() == [[0.25, 0.25], [0.25, 0.25]]


def test_copies_of_a_live_directory_open(new_store, rows, tmp_path):
    """A copy taken at any moment of a scan opens, holds a whole prefix, and knows what is to be issued again."""
    store = new_store(segment_bytes=9_000)
    for start in range(0, 96, 6):
        store.journal(range(start, start + 6), np.full((6, 2), 0.5), 3, 1.0, 1.0, 1)
        store.append(rows(range(start, start + 6)))
        if start % 12 == 0:
            store.flush()
        flushed = start + 6 if start % 12 == 0 else start
        copy = tmp_path / f"copy-{start}"
        shutil.copytree(store.path, copy)
        (copy / "lock").unlink()
        with Store.open(copy) as again:
            assert ids(copy) == list(range(flushed))
            assert again.issued().point_id.tolist() == list(range(flushed, start + 6))
        shutil.rmtree(copy)
    store.close()


class Disk:
    """A disk with `room` bytes left for writes of ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.pwrite
        monkeypatch.setattr(os, "pwrite", self.write)

    def write(self, handle: int, data: memoryview, offset: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(handle, bytes(data)[: self.room], offset)
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 700, 3000])
def test_a_full_disk_loses_no_row(new_store, rows, monkeypatch, room):
    """The half-written batch is cut away, rows wait in memory, and are written once space returns."""
    store = new_store()
    store.append(rows(range(20)))
    store.flush()
    segment = store.path / "points-000001.arrows"
    size = segment.stat().st_size
    disk = Disk(monkeypatch, room)
    store.append(rows(range(20, 40)))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"No space left.*free some space") as caught:
            store.flush()
        assert caught.value.errno == errno.ENOSPC
        assert segment.stat().st_size == size
        assert ids(store.path) == list(range(20))
    with pytest.raises(StoreError) as caught:
        store.append(rows(range(40, 340)))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(StoreError):
        store.journal([900], [[0.5, 0.5]], 2, 1.0, 1.0, 0)
    with pytest.raises(StoreError):
        store.close()
    disk.room = 10**9
    store.append(rows(range(340, 345)))
    store.close()
    assert ids(store.path) == list(range(345))
    with Store.open(store.path) as again:
        assert again.issued().point_id.tolist() == [900]


def test_a_disk_that_fails_at_the_end_of_a_segment_loses_no_row(new_store, rows, monkeypatch):
    """Rows that come while a full segment cannot be ended go to the next one."""
    store = new_store(segment_bytes=5_000)
    real = os.fsync
    broken = [True]

    def fsync(handle: int) -> None:
        if broken[0] and not Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    for start in range(0, 1536, 256):
        with pytest.raises(StoreError) as caught:
            store.append(rows(range(start, start + 256)))
        assert caught.value.errno == errno.EIO
    broken[0] = False
    store.close()
    assert ids(store.path) == list(range(1536))


def test_what_fsync_lost_is_written_again(new_store, rows, monkeypatch):
    """After a failed fsync the kernel may have dropped the data: it is written from memory."""
    store = new_store()
    store.append(rows(range(10)))
    store.flush()
    segment = store.path / "points-000001.arrows"
    real = os.fsync

    def lose(handle: int) -> None:
        if segment.samefile(f"/proc/self/fd/{handle}"):
            os.truncate(segment, 0)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lose)
        with pytest.raises(StoreError):
            store.sync()
    assert ids(store.path) == []
    store.sync()
    assert ids(store.path) == list(range(10))
    store.close()


def test_a_disk_too_full_to_compact_keeps_the_stream(new_store, rows, monkeypatch):
    """Compaction that fails is no error; the next opening does it."""
    store = new_store()
    store.append(rows(range(30)))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(segments.pq, "write_table", full)
        store.close()
    assert {entry.name for entry in store.path.glob("points-*")} == {"points-000001.arrows"}
    assert ids(store.path) == list(range(30))
    Store.open(store.path).close()
    assert {entry.name for entry in store.path.glob("points-*")} == {"points-000001.parquet"}
    assert ids(store.path) == list(range(30))


def test_files_with_other_columns_are_refused(new_store, rows):
    """A file from another run is named, not mixed in."""
    with new_store() as store:
        store.append(rows(range(3)))
    pq.write_table(pa.table({"point_id": [9]}), store.path / "points-000002.parquet")
    with pytest.raises(StoreError, match=r"points-000002: other columns than run.json says"):
        read_table(store.path)


def test_outputs_of_a_lost_row_do_not_pass_for_another(new_store, rows):
    """A point whose row was lost is evaluated again: what the lost evaluation kept is gone by then, the rest stays."""
    with new_store() as store:
        store.append(rows(range(3)))
    for name in ("1-spectrum.spc", "5-spectrum.spc", "5-log.txt", "6-spectrum.spc", "notes.txt", "7"):
        (store.path / "kept" / name).write_text("from before")
    with Store.open(store.path) as again:
        again.append({**rows([5]), "kept": [{"spectrum.spc": b"new"}]})
        again.append(rows([7]))
    left = {path.name: path.read_text() for path in (store.path / "kept").iterdir() if path.name != "0-spectrum.spc"}
    assert left == {
        "1-spectrum.spc": "from before", "5-spectrum.spc": "new", "6-spectrum.spc": "from before",
        "notes.txt": "from before",
    }  # fmt: skip


def test_kept_outputs_are_durable_with_their_rows(new_store, rows, monkeypatch):
    """Each is synced once, before the rows that name it; one that the disk lost is written again from memory."""
    store = new_store()
    synced: list[str] = []
    real = os.fsync
    fail = [True]

    def fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").resolve()
        if fail[0] and path.name == "50-spectrum.spc":
            path.write_bytes(b"")
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        synced.append(path.name)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    store.append(rows(range(60)))
    with pytest.raises(StoreError, match="keep outputs"):
        store.sync()
    fail[0] = False
    store.sync()
    assert (store.path / "kept" / "50-spectrum.spc").read_bytes() == b"BLOCK MASS\n"
    assert synced.index("50-spectrum.spc") < synced.index("points-000001.arrows")
    before = synced.count("0-spectrum.spc")
    store.append(rows(range(60, 70)))
    store.sync()
    assert synced.count("0-spectrum.spc") == before
    store.close()
