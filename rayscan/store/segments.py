"""Append-only Arrow IPC stream segments: written without ever losing a row, read up to the last whole batch.

A file goes through three states: ``points-000001.arrows`` while it is written and after a crash, then
``points-000001.parquet``. A torn stream gives back every whole batch; a torn IPC *file* would give back nothing.
"""

from __future__ import annotations

import contextlib
import enum
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rayscan.errors import StoreError
from rayscan.store.files import disk_error, replace_atomically, sync_directory

SEGMENT_BYTES = 64 * 2**20
UNSYNCED_BYTES = 16 * 2**20
BATCH_ROWS = 32_768
OPEN, CLOSED = ".arrows", ".parquet"


class Tail(enum.Enum):
    """How a stream ends."""

    WHOLE = "whole"
    TORN = "torn"
    """The last message is incomplete, as a crash leaves it. It never held a row that counted."""
    DAMAGED = "damaged"
    """A complete message cannot be read: rows after it may exist, so the file is kept as it is."""


class SegmentWriter:
    """Writes one ``.arrows`` file.

    Encoded bytes stay in memory until an ``fsync`` has succeeded: a write that the disk refuses is cut away and can be
    tried again, and so can one that the disk accepted and lost (which network file systems report at ``fsync``).

    Parameters
    ----------
    path : Path
        Must not exist. Created with the first write.
    schema : pyarrow.Schema
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._tray = io.BytesIO()
        self._stream = pa.ipc.new_stream(self._tray, schema)
        self._ended = False
        self._handle: int | None = None
        self._durable = 0
        self._unsynced = bytearray()
        self._pending = bytearray()

    @property
    def size(self) -> int:
        """Bytes encoded so far."""
        return self._durable + len(self._unsynced) + len(self._pending)

    def encode(self, batch: pa.RecordBatch) -> None:
        """Add a batch in memory."""
        for start in range(0, batch.num_rows, BATCH_ROWS):
            self._stream.write_batch(batch.slice(start, BATCH_ROWS))
        self._empty_tray()

    def write(self) -> None:
        """Hand everything encoded to the operating system.

        Raises
        ------
        StoreError
            With the ``errno``. The file ends with the last whole batch, the rest waits for the next call.
        """
        if not self._pending:
            return
        offset = self._durable + len(self._unsynced)
        try:
            if self._handle is None:
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                sync_directory(self.path.parent)
            view = memoryview(bytes(self._pending))
            done = 0
            while done < len(view):
                done += os.pwrite(self._handle, view[done:], offset + done)
        except OSError as error:
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, offset)
            raise disk_error(self.path, "write", error) from error
        self._unsynced += self._pending
        self._pending.clear()
        if len(self._unsynced) > UNSYNCED_BYTES:
            self.sync()

    def sync(self) -> None:
        """Write, and return only when the disk has everything."""
        self.write()
        if not self._unsynced or self._handle is None:
            return
        try:
            os.fsync(self._handle)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: write them again next time.
            self._pending[:0] = self._unsynced
            self._unsynced.clear()
            raise disk_error(self.path, "write", error) from error
        self._durable += len(self._unsynced)
        self._unsynced.clear()

    def finish(self) -> None:
        """End the stream, make it durable and close the file. May be called again after a `StoreError`."""
        if not self._ended:
            self._stream.close()
            self._ended = True
            if self._handle is not None or self._pending:
                self._empty_tray()
        self.sync()
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _empty_tray(self) -> None:
        self._pending += self._tray.getvalue()
        self._tray.seek(0)
        self._tray.truncate()


class SegmentLog:
    """A growing table in numbered segments of one directory.

    Parameters
    ----------
    directory : Path
    prefix : str
        ``"points"`` gives ``points-000001.arrows``.
    schema : pyarrow.Schema
    note : callable
        Takes a line for the run's log.
    segment_bytes : int
        A segment that has grown beyond this is closed and compacted.
    """

    def __init__(
        self, directory: Path, prefix: str, schema: pa.Schema, note: Callable[[str], None], segment_bytes: int
    ) -> None:
        self.directory = directory
        self.prefix = prefix
        self.schema = schema
        self._note = note
        self._segment_bytes = segment_bytes
        self._next = 1 + max((number for number, _ in segments(directory, prefix)), default=0)
        self._writer = self._new_writer()
        self._full: SegmentWriter | None = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Encode a batch; it is on its way to the disk only after `write`."""
        self._writer.encode(batch)

    def write(self) -> None:
        """Hand everything to the operating system, and begin a new segment when this one is full."""
        self._finish_full()
        self._writer.write()
        if self._writer.size > self._segment_bytes:
            self._turn_over()
            self._finish_full()

    def sync(self) -> None:
        """Return only when everything is on the disk."""
        self._finish_full()
        self._writer.sync()

    def close(self, *, compacted: bool) -> None:
        """End the last segment, and turn every ``.arrows`` of this table into Parquet if asked to."""
        self._finish_full()
        self._turn_over()
        self._finish_full(compacted=compacted)
        if compacted:
            self.compact_closed()

    def abandon(self) -> None:
        """Let go of the files without writing, as a crash would."""
        for writer in (self._full, self._writer):
            if writer is not None:
                writer.abandon()

    def compact_closed(self) -> None:
        """Compact every segment that nobody writes, such as those an interrupted scan left."""
        for _, stem in segments(self.directory, self.prefix):
            path = self.directory / (stem + OPEN)
            if path.exists():
                compact(path, self._note)

    def _turn_over(self) -> None:
        # Rows may come while the disk refuses the end of the full segment: they go to the next one.
        self._full, self._writer = self._writer, self._new_writer()

    def _finish_full(self, *, compacted: bool = True) -> None:
        if self._full is not None:
            self._full.finish()
            if compacted and self._full.path.exists():
                compact(self._full.path, self._note)
            self._full = None

    def _new_writer(self) -> SegmentWriter:
        writer = SegmentWriter(self.directory / f"{self.prefix}-{self._next:06d}{OPEN}", self.schema)
        self._next += 1
        return writer


def segments(directory: Path, prefix: str) -> list[tuple[int, str]]:
    """Return the number and the name without ending of every segment of a table, in order."""
    pattern = re.compile(rf"{re.escape(prefix)}-(\d{{6,9}})(?:{re.escape(OPEN)}|{re.escape(CLOSED)})")
    found = {match[1] for entry in directory.iterdir() if (match := pattern.fullmatch(entry.name))}
    return sorted((int(digits), f"{prefix}-{digits}") for digits in found)


def read_stream(path: Path) -> tuple[pa.Schema | None, list[pa.RecordBatch], Tail]:
    """Read every whole batch of a stream, also while it grows.

    The file is read into memory, not mapped: a writer that truncates a mapped file kills its readers.

    Returns
    -------
    schema : pyarrow.Schema or None
        None when not even the schema is whole.
    batches : list of pyarrow.RecordBatch
    tail : Tail

    Raises
    ------
    FileNotFoundError
    """
    source = pa.BufferReader(path.read_bytes())
    schema: pa.Schema | None = None
    batches: list[pa.RecordBatch] = []
    whole = 0
    try:
        stream = pa.ipc.open_stream(source)
        schema = stream.schema
        whole = source.tell()
        while True:
            batch = stream.read_next_batch()
            # Bytes from elsewhere may claim offsets outside their buffers; an unchecked one would crash the process.
            batch.validate(full=True)
            batches.append(batch)
            whole = source.tell()
    except StopIteration:
        return schema, batches, Tail.WHOLE
    except (pa.ArrowException, OSError, ValueError):
        source.seek(whole)
        return schema, batches, Tail.TORN if _is_torn(source) else Tail.DAMAGED


def _is_torn(source: pa.BufferReader) -> bool:
    """Return whether the stream ends in the middle of a message, from the current position on."""
    try:
        while True:
            message: Any = pa.ipc.read_message(source)
            if message.type == "record batch":
                return False
    except EOFError:
        return True
    except (pa.ArrowException, OSError, ValueError):
        return True


def read_segment(directory: Path, stem: str, columns: list[str]) -> pa.Table | None:
    """Read at least `columns` of a segment, from whichever of its two forms exists while it is being compacted.

    Returns
    -------
    pyarrow.Table or None
        None for a segment without a whole schema.

    Raises
    ------
    StoreError
        A Parquet file is damaged and there is no ``.arrows`` beside it.
    """
    damage: Exception | None = None
    for _ in range(3):
        try:
            with (directory / (stem + CLOSED)).open("rb") as file:
                # In this thread: Arrow's own threads can abort the interpreter while it shuts down.
                return pq.ParquetFile(file, pre_buffer=False).read(columns=columns, use_threads=False)
        except FileNotFoundError:
            pass
        except (pa.ArrowException, OSError, EOFError) as error:
            damage = error
        with contextlib.suppress(FileNotFoundError):
            schema, batches, _ = read_stream(directory / (stem + OPEN))
            if schema is None:
                return None
            return pa.Table.from_batches(batches, schema)
    path = directory / (stem + CLOSED)
    msg = (
        f"{path}: expected a Parquet file of this run, got {damage or 'nothing'}; restore it from a copy, or move it "
        "away: its points are then evaluated again"
    )
    raise StoreError(msg) from damage


def compact(path: Path, note: Callable[[str], None]) -> bool:
    """Turn a closed ``.arrows`` into Parquet, and remove it once the Parquet file is durable.

    A step that fails leaves the ``.arrows``, which holds the same rows; compaction only saves space.

    Returns
    -------
    bool
        Whether the Parquet file (or, for a segment without rows, nothing) has taken its place.
    """
    schema, batches, tail = read_stream(path)
    if tail is Tail.DAMAGED:
        note(f"{path.name}: a batch after {sum(b.num_rows for b in batches)} rows cannot be read; kept as it is")
        return False
    if tail is Tail.TORN:
        note(f"{path.name}: ends in an unfinished batch, as an interrupted scan leaves it; its points are issued again")
    try:
        if schema is not None and batches:
            table = pa.Table.from_batches(batches, schema)
            replace_atomically(path.with_suffix(CLOSED), lambda part: _write_parquet(table, part))
        path.unlink()
    except OSError as error:
        note(f"{path.name}: not compacted ({error})")
        return False
    return True


def _write_parquet(table: pa.Table, path: Path) -> None:
    kinds = (pa.types.is_string, pa.types.is_dictionary)
    text: Any = [field.name for field in table.schema if any(is_kind(field.type) for is_kind in kinds)]
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd", use_dictionary=text)


def iterate(directory: Path, prefix: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the segments of a table in order, with the columns of `schema`, skipping those without rows.

    Raises
    ------
    StoreError
        A file is damaged or holds other columns.
    """
    for _, stem in segments(directory, prefix):
        table = read_segment(directory, stem, schema.names)
        if table is None or not table.num_rows:
            continue
        try:
            # Parquet names the items of lists in its own way; the types are the same.
            yield table.select(schema.names).replace_schema_metadata(schema.metadata).cast(schema)
        except (pa.ArrowException, KeyError, ValueError) as error:
            msg = f"{directory / stem}: other columns than run.json says ({error}); restore the file from a copy"
            raise StoreError(msg) from error
