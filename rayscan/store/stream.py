"""One Arrow IPC stream on the disk: written batch by batch, each with a checksum, and read up to the last whole one.

What a crash leaves: after the end of the process, every byte that was written. After the end of the machine, every byte
up to the last ``fsync``; of what came later any part, cut off anywhere, or with pages of zeros in it, as some file
systems leave them.
"""

from __future__ import annotations

import contextlib
import enum
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from rayscan.plain_file import open_plain
from rayscan.store.files import disk_error, sync_directory

UNSYNCED_BYTES = 16 * 2**20
BATCH_ROWS = 32_768
CHECKSUM = b"rayscan.crc32"
_PREFIX = b"\xff\xff\xff\xff"
"""With which every message begins; the length of its header follows, as four bytes."""
_RECORD_BATCH = 3


class Tail(enum.Enum):
    """How a stream ends."""

    WHOLE = "whole"
    TORN = "torn"
    """The last message is incomplete, as a crash leaves it. It never held a row that counted."""
    DAMAGED = "damaged"
    """A complete message cannot be read, or is not what was written: the file is kept as it is."""


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
            piece = batch.slice(start, BATCH_ROWS)
            checksum = _checksum(piece, pa.ipc.read_message(piece.serialize()).body)
            self._stream.write_batch(piece, custom_metadata={CHECKSUM: checksum})
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


def read_stream(path: Path) -> tuple[pa.Schema | None, list[pa.RecordBatch], Tail]:
    """Read every whole batch of a stream, also while it grows. One whose checksum is wrong is left out.

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
    StoreError
        It is a link, a pipe, or cannot be read.
    """
    try:
        with open_plain(path) as file:
            source = pa.BufferReader(file.read())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(path, "read", error, "restore it from a copy") from error
    schema: pa.Schema | None = None
    batches: list[pa.RecordBatch] = []
    whole, skipped = 0, False
    try:
        stream = pa.ipc.open_stream(source)
        schema = stream.schema
        whole = source.tell()
        while True:
            read = stream.read_next_batch_with_custom_metadata()
            start, whole = whole, source.tell()
            if _is_sound(read, source, start):
                batches.append(read.batch)
            else:
                skipped = True
    except StopIteration:
        tail = _tail_after(source, source.tell())
    except (pa.ArrowException, OSError, ValueError):
        tail = _tail_after(source, whole)
    return schema, batches, Tail.DAMAGED if skipped else tail


def _is_sound(read: Any, source: pa.BufferReader, start: int) -> bool:
    """Return whether a batch, whose messages are between `start` and the present position, is as it was written."""
    end = source.tell()
    try:
        # Bytes from elsewhere may claim offsets outside their buffers; an unchecked one would crash the process.
        read.batch.validate(full=True)
        expected = (read.custom_metadata or {}).get(CHECKSUM)
        return expected is None or expected == _checksum(read.batch, _last_body(source, start, end))
    except (pa.ArrowException, ValueError):
        return False
    finally:
        source.seek(end)


def _checksum(batch: pa.RecordBatch, body: pa.Buffer) -> bytes:
    """Return the checksum of a batch's values and of the labels that its codes stand for."""
    labels = [column.dictionary.to_pylist() for column in batch.columns if isinstance(column, pa.DictionaryArray)]
    return b"%08x" % zlib.crc32(body, zlib.crc32(repr(labels).encode()))


def _last_body(source: pa.BufferReader, start: int, end: int) -> pa.Buffer:
    """Return the body of the last message between two positions; labels may come before the batch."""
    source.seek(start)
    while source.tell() < end:
        message: Any = pa.ipc.read_message(source)
    return message.body


def _tail_after(source: pa.BufferReader, position: int) -> Tail:
    """Return how a stream ends whose last whole batch, or end mark, ends at `position`."""
    source.seek(position)
    rest = source.read()
    if not rest:
        return Tail.WHOLE
    if not rest.strip(b"\0"):
        return Tail.TORN
    while rest:
        try:
            kind, length = _first_message(rest)
        except (struct.error, IndexError):
            return Tail.DAMAGED
        if length > len(rest):
            return Tail.TORN
        if kind == _RECORD_BATCH:
            return Tail.DAMAGED
        rest = rest[length:]
    return Tail.TORN


def _first_message(data: bytes) -> tuple[int, int]:
    """Return kind and length in bytes of a message, also of one whose end is missing.

    Raises
    ------
    struct.error, IndexError
        It is none.

    References
    ----------
    Apache Arrow columnar format, "Encapsulated message format", and ``Message.fbs``: the fields of a message are its
    version, the type of its header, its header and the length of its body.
    """
    if not data.startswith(_PREFIX[: len(data)]):
        raise IndexError
    if len(data) < 8:
        return 0, len(data) + 1
    start = 8 + struct.unpack_from("<i", data, 4)[0]
    if len(data) < start:
        return 0, start
    root = 8 + struct.unpack_from("<I", data, 8)[0]
    fields = root - struct.unpack_from("<i", data, root)[0]
    _, kind_at, _, body_at = struct.unpack_from("<4H", data, fields + 4)
    # A field of the default value, 0, is left out.
    kind = data[root + kind_at] if kind_at else 0
    body = struct.unpack_from("<q", data, root + body_at)[0] if body_at else 0
    if start <= 8 or body < 0:
        raise IndexError
    return kind, start + body
