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
_BLANK = b"00000000"
"""What stands in the place of a checksum while it is computed."""
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
        self._schema_crc: int | None = None
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
            self._stream.write_batch(piece, custom_metadata={CHECKSUM: _BLANK})
            written = self._empty_tray()
            if self._schema_crc is None:
                # The stream writes its schema together with the first batch.
                _, length = _first_message(written)
                self._pending += written[:length]
                self._schema_crc = zlib.crc32(written[:length])
                written = written[length:]
            at = _checksum_place(written, _BLANK)
            checksum = _checksum(written, at, piece, self._schema_crc)
            self._pending += written[:at] + checksum + written[at + len(checksum) :]

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
            end = self._empty_tray()
            if self._handle is not None or self._pending:
                self._pending += end
        self.sync()
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _empty_tray(self) -> bytes:
        """Return what the stream has written, and forget it."""
        written = self._tray.getvalue()
        self._tray.seek(0)
        self._tray.truncate()
        return written


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
            data = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(path, "read", error, "restore it from a copy") from error
    source = pa.BufferReader(data)
    schema: pa.Schema | None = None
    found: list[tuple[pa.RecordBatch, bool | None]] = []
    whole = 0
    try:
        stream = pa.ipc.open_stream(source)
        schema = stream.schema
        whole = source.tell()
        schema_crc = zlib.crc32(data[:whole])
        while True:
            read = stream.read_next_batch_with_custom_metadata()
            start, whole = whole, source.tell()
            found.append((read.batch, _is_sound(read, data[start:whole], schema_crc)))
    except StopIteration:
        tail = _tail_after(source, source.tell())
    except (pa.ArrowException, OSError, ValueError):
        tail = _tail_after(source, whole)
    # Streams of other writers have no checksums; a single batch without one is a garbled batch.
    accepted = (True,) if any(sound is not None for _, sound in found) else (None,)
    batches = [batch for batch, sound in found if sound in accepted]
    return schema, batches, tail if len(batches) == len(found) else Tail.DAMAGED


def _is_sound(read: Any, data: bytes, schema_crc: int) -> bool | None:
    """Return whether a batch, read from `data`, is as it was written; None for one without a checksum."""
    try:
        # Bytes from elsewhere may claim offsets outside their buffers; an unchecked one would crash the process.
        read.batch.validate(full=True)
        expected = (read.custom_metadata or {}).get(CHECKSUM)
        return None if expected is None else expected == _checksum(
            data, _checksum_place(data, expected), read.batch, schema_crc
        )  # fmt: skip
    except (pa.ArrowException, ValueError):
        return False


def _checksum(data: bytes, at: int, batch: pa.RecordBatch, schema_crc: int) -> bytes:
    """Return the checksum of the messages of a batch, of the schema and of the labels that the batch's codes stand for.

    The checksum itself, at `at` in `data`, counts as blank. Labels are in the messages of the first batch only, and
    garbled ones spoil every batch.
    """
    labels = [column.dictionary.to_pylist() for column in batch.columns if isinstance(column, pa.DictionaryArray)]
    crc = zlib.crc32(repr(labels).encode(), schema_crc)
    for part in (data[:at], _BLANK, data[at + len(_BLANK) :]):
        crc = zlib.crc32(part, crc)
    return b"%08x" % crc


def _checksum_place(data: bytes, checksum: bytes) -> int:
    """Return where in the messages of a batch its checksum is: beside its name.

    Raises
    ------
    ValueError
        It is nowhere.
    """
    # The header comes before the values, in which a program may have written anything.
    name = data.index(CHECKSUM)
    before = data.rfind(checksum, 0, name)
    return before if before >= 0 else data.index(checksum, name)


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
    # Fields of the default value, 0, are left out: inside the list of offsets as a 0, at its end altogether.
    offsets = data[fields + 4 : fields + struct.unpack_from("<H", data, fields)[0]]
    _, kind_at, _, body_at = struct.unpack_from("<4H", offsets.ljust(8, b"\0")[:8])
    kind = data[root + kind_at] if kind_at else 0
    body = struct.unpack_from("<q", data, root + body_at)[0] if body_at else 0
    if start <= 8 or body < 0:
        raise IndexError
    return kind, start + body
