"""Append-only Arrow IPC stream segments: written without ever losing a row, read up to the last whole batch.

A file goes through three states: ``points-000001.arrows`` while it is written and after a crash, then
``points-000001.parquet``. A torn stream gives back every whole batch; a torn IPC *file* would give back nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rayscan.errors import StoreError
from rayscan.plain_file import open_plain
from rayscan.store.files import replace_atomically
from rayscan.store.stream import SegmentWriter, Tail, read_stream
from rayscan.store.times import with_schema

SEGMENT_BYTES = 64 * 2**20
GROUP_ROWS = 131_072
"""Rows of a Parquet row group: what is encoded in memory at a time."""
OPEN, CLOSED = ".arrows", ".parquet"


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
            with open_plain(directory / (stem + CLOSED)) as file:
                # In this thread: Arrow's own threads can abort the interpreter while it shuts down.
                parquet = pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=True)
                return parquet.read(columns=columns, use_threads=False)
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
        rows = sum(batch.num_rows for batch in batches)
        note(f"{path.name}: {rows} rows are whole, a batch cannot be read; kept as it is, its points are issued again")
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
        pq.write_table(
            table, file, compression="zstd", use_dictionary=text, row_group_size=GROUP_ROWS, write_page_checksum=True
        )


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
            yield with_schema(table, schema)
        except (pa.ArrowException, KeyError, ValueError) as error:
            msg = f"{directory / stem}: other columns than run.json says ({error}); restore the file from a copy"
            raise StoreError(msg) from error
