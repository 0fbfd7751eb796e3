"""The writer of a run directory: rows, journal of issued points, checkpoints, kept files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from rayscan.learn.data import Rows
from rayscan.plain_file import write_new
from rayscan.store import checkpoint, run_directory
from rayscan.store.arrays import column
from rayscan.store.files import disk_error, sync_directory, sync_file
from rayscan.store.journal import PREFIX as ISSUED
from rayscan.store.journal import Issued, read_issued
from rayscan.store.ledger import MAX_POINT_ID, Ledger
from rayscan.store.lock import RunLock
from rayscan.store.mirror import Mirror
from rayscan.store.put_off import PutOff
from rayscan.store.reader import read_rows, read_table
from rayscan.store.run_directory import CHECKPOINT, KEPT, OPENED, RunDirectory, kept_name
from rayscan.store.schema import Columns, Schema
from rayscan.store.segments import SEGMENT_BYTES, SegmentLog, iterate
from rayscan.store.stream import UNSYNCED_BYTES

FLUSH_ROWS = 256
FLUSH_SECONDS = 1.0
"""When rows are handed to the operating system: so many have come together, or the first has waited so long. The end of
the process costs no more than these."""
SYNC_SECONDS = 30.0
"""How often everything is made durable with ``fsync``; also before each checkpoint, whenever 16 MiB of a file (of kept
outputs together) wait for it, and at the end. The end of the machine costs no more than what came since."""


class Store:
    """The one writer of a run directory. Make one with `create` or `open`; close it, or use it in a ``with``.

    Points are journalled before they are dispatched, and handed to the operating system at once. Rows follow after a
    second or 256 rows, ``fsync`` after 30 s; a checkpoint is taken only of what is durable, and replaces the one before
    in one step. A point whose row was lost is issued again, so a crash costs time and never a point.

    Every method that touches the disk raises `StoreError` with the ``errno`` when the disk refuses (``ENOSPC``,
    ``EDQUOT``, ``EIO``, …). Nothing is lost then: rows and journal entries stay in memory, the files end with a whole
    batch, and `flush` tries again. A `StoreError` with ``EINVAL`` means wrong columns, of which nothing was taken.

    Attributes
    ----------
    run : RunDirectory
    schema : Schema
    duplicates : int
        Second answers that were dropped by this writer.
    mirror : Mirror or None
        What ships the run to an object store, if anything does.
    """

    def __init__(self, run: RunDirectory, lock: RunLock, segment_bytes: int) -> None:
        self.run = run
        self.schema = run.schema
        self.duplicates = 0
        self.mirror: Mirror | None = None
        self._lock = lock
        self._ledger = Ledger()
        self._buffer: list[dict[str, Any]] = []
        self._buffered = 0
        self._files: dict[Path, bytes] = {}
        self._unsynced_files: dict[Path, bytes] = {}
        self._strays: dict[int, list[Path]] = {}
        self._closed = False
        self._first_buffered = self._last_sync = time.monotonic()
        self._points = SegmentLog(run.path, "points", self.schema.arrow, run.log, segment_bytes)
        self._journal = SegmentLog(run.path, ISSUED, self.schema.journal, run.log, segment_bytes)

    @classmethod
    def create(
        cls,
        path: Path | str,
        schema: Schema,
        config_toml: str,
        description: Mapping[str, Any],
        details: Mapping[str, Any] | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> Self:
        """Make a run directory where there is nothing.

        Parameters
        ----------
        path : Path or str
            A directory that does not exist or is empty.
        schema : Schema
        config_toml : str
            The resolved configuration, saved as ``scan.toml``.
        description : mapping
            What defines the problem (space, target, tool) in plain types: fingerprinted, and compared on resume.
        details : mapping, optional
            What is worth saving but may change on resume (options, seed, tool versions).
        segment_bytes : int
            Size at which a segment is closed and compacted.

        Raises
        ------
        StoreError
            The directory holds a run (``EEXIST``) or something foreign (``ENOTEMPTY``). Nothing was changed.
        RunLockedError
            Another scan is creating a run in it.
        """
        run, lock = run_directory.create(path, schema, config_toml, description, details or {})
        return cls(run, lock, segment_bytes)

    @classmethod
    def open(
        cls, path: Path | str, description: Mapping[str, Any] | None = None, *, segment_bytes: int = SEGMENT_BYTES
    ) -> Self:
        """Open a run directory for writing, recovering what an interrupted scan left.

        Parameters
        ----------
        path : Path or str
        description : mapping, optional
            If given, it must describe the stored problem.
        segment_bytes : int

        Raises
        ------
        StoreError
            Not a run directory, or a damaged one.
        ResumeMismatchError
            Another problem; lists the differences.
        RunLockedError
            Another live scan holds it; names the holder.
        """
        run, lock = run_directory.open_locked(path, description)
        try:
            store = cls(run, lock, segment_bytes)
            store._recover()
        except BaseException:
            lock.release()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(compact=kind is None)

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.run.path

    @property
    def rows(self) -> int:
        """Points that have a row, buffered ones included."""
        return self._ledger.rows

    @property
    def next_id(self) -> int:
        """The smallest ``point_id`` that was never issued."""
        return self._ledger.last_id + 1

    @property
    def buffered(self) -> int:
        """Rows that are not yet handed to the operating system."""
        return self._buffered

    def append(self, columns: Columns) -> int:
        """Add rows; they are written when 256 have come together or the first has waited for a second.

        Parameters
        ----------
        columns : mapping of str to array_like
            ``n`` values for each column, or one value for all rows. Needed: ``point_id``, ``status`` and ``origin``
            (codes), ``valid``, ``u`` of shape ``(n, d)``, every parameter and observable by name, ``issued``,
            ``started``, ``ended`` (unix seconds). Optional: ``likelihood``, ``penalty``, ``density``, ``score`` (NaN),
            ``generation`` (0), ``attempt`` (1), ``exit_code`` and ``signal`` (-1: none), ``host``, ``worker``,
            ``message`` (""), ``stages`` (tuples of `Stage`), ``kept`` (file name → content, saved in ``kept/``).

        Returns
        -------
        int
            Rows taken. A point that already has a row is dropped and counted in `duplicates`.

        Raises
        ------
        StoreError
            With ``EINVAL``: nothing was taken. With any other ``errno``: all rows were taken and wait in memory for
            `flush`; do not append them again.
        """
        taken = self.schema.take(columns)
        new = self._ledger.new(taken["point_id"])
        n = int(new.sum())
        self.duplicates += len(new) - n
        if not n:
            return 0
        if n < len(new):
            taken = {k: v[new] if isinstance(v, np.ndarray) else [x for x, k in zip(v, new, strict=True) if k]
                     for k, v in taken.items()}  # fmt: skip
        taken["kept"] = [
            [self._keep(int(point), name, data) for name, data in files.items()]
            for point, files in zip(taken["point_id"], taken["kept"], strict=True)
        ]
        self._drop_strays(taken["point_id"])
        if not self._buffer:
            self._first_buffered = time.monotonic()
        self._buffer.append(taken)
        self._buffered += n
        # After buffering: an interrupt in between leaves a row that may come twice, never one that is missing.
        self._ledger.mark(taken["point_id"])
        if self._buffered >= FLUSH_ROWS or time.monotonic() - self._first_buffered >= FLUSH_SECONDS:
            self.flush()
        return n

    def flush(self) -> None:
        """Hand everything in memory to the operating system: it survives the end of this process."""
        if self._buffer:
            batch = self.schema.batch(self._buffer)
            self._points.append(batch)
            self._buffer.clear()
            self._buffered = 0
        self._write_files()
        self._journal.write()
        self._points.write()

    def flush_due(self) -> bool:
        """Do what time asks for; call it from the loop, a few times a second.

        Rows are flushed after 1 s, made durable after 30 s, and the lock shows a sign of life after 20 s.

        Returns
        -------
        bool
            Whether rows were flushed.

        Raises
        ------
        StoreError
            As `flush`. `RunLockedError` if another scan has taken the directory over.
        """
        self._lock.beat()
        if self.mirror is not None:
            self.mirror.check()
        now = time.monotonic()
        if now - self._last_sync >= SYNC_SECONDS:
            self.sync()
            return True
        if self._buffer and now - self._first_buffered >= FLUSH_SECONDS:
            self.flush()
            return True
        return False

    def sync(self) -> None:
        """Flush, and return only when the disk has everything: it survives the end of this machine."""
        self.flush()
        self._sync_files()
        self._journal.sync()
        self._points.sync()
        self._last_sync = time.monotonic()

    def journal(
        self,
        point_id: ArrayLike,
        u: ArrayLike,
        origin: ArrayLike,
        density: ArrayLike,
        score: ArrayLike,
        generation: ArrayLike,
    ) -> None:
        """Write down points before they are dispatched, so that none is forgotten whatever dies.

        Parameters
        ----------
        point_id : array_like of int, shape (n,)
            Never issued before; `next_id` and up.
        u : array_like, shape (n, d)
        origin : array_like of int, shape (n,)
        density, score : array_like, shape (n,)
        generation : array_like of int, shape (n,) or a number

        Raises
        ------
        StoreError
            The entries wait in memory: call `flush` until it returns before dispatching.
        """
        columns = {"point_id": point_id, "u": u, "origin": origin, "density": density, "score": score,
                   "generation": generation, "issued": time.time()}  # fmt: skip
        batch = self.schema.journal_batch(columns)
        self._ledger.see(np.asarray(point_id, dtype=np.int64))
        self._journal.append(batch)
        self._journal.write()

    def issued(self) -> Issued:
        """Return the journal's points that have no row: to be issued again, with the same ids, on resume.

        Reads the journal from the disk; meant for the start.
        """
        self._journal.write()
        return read_issued(self.path, self.schema, self._ledger)

    def table(self) -> pa.Table:
        """Return every row so far, buffered ones included (they are flushed first)."""
        self.flush()
        return read_table(self.path)

    def learner_rows(self) -> Rows:
        """Return every row so far as the learner takes it, in the order of issue."""
        self.flush()
        return read_rows(self.path)

    def save_checkpoint(self, blob: bytes, meta: Mapping[str, Any]) -> None:
        """Make all rows durable, then replace the checkpoint in one step.

        Parameters
        ----------
        blob : bytes
        meta : mapping
            Plain types, saved as JSON with it.
        """
        self.sync()
        checkpoint.save(self.path / CHECKPOINT, blob, meta)

    def load_checkpoint(self) -> tuple[bytes, dict[str, Any]] | None:
        """Return the newest whole checkpoint and its ``meta``, or None."""
        return self.run.load_checkpoint()

    def log(self, text: str) -> None:
        """Add a line with the time to the run's log."""
        self.run.log(text)

    def put_off(self, one: PutOff) -> None:
        """Record a point that was ended because it took suspiciously long."""
        self.run.add_put_off(one)

    def close(self, compact: bool = True) -> None:
        """Write everything, compact the segments to Parquet if asked to, and release the lock.

        Raises
        ------
        StoreError
            The disk refused the last rows; they stay in memory and the lock is held, so that `close` can be tried
            again. `abandon` gives up on them.
        """
        if self._closed:
            return
        self.sync()
        self._journal.close(compacted=compact)
        self._points.close(compacted=compact)
        self._release()

    def abandon(self) -> None:
        """Release the run directory without writing what is in memory, as a crash would."""
        if not self._closed:
            self._points.abandon()
            self._journal.abandon()
            self._release()

    def _release(self) -> None:
        self._closed = True
        self._lock.release()

    def _recover(self) -> None:
        self._points.compact_closed()
        self._journal.compact_closed()
        only_ids = pa.schema([self.schema.arrow.field("point_id")])
        for part in iterate(self.path, "points", only_ids):
            ids = column(part, "point_id")
            self._ledger.mark(ids[self._ledger.new(ids)])
        self._strays = _stray_outputs(self.path / KEPT, self._ledger)
        pending = self.issued()
        self.log(f"{OPENED} {self.rows} points stored, {len(pending)} issued without a result")

    def _keep(self, point_id: int, name: str, data: bytes) -> str:
        file = kept_name(point_id, name)
        self._files[self.path / KEPT / file] = data
        return file

    def _write_files(self) -> None:
        for path, data in list(self._files.items()):
            try:
                write_new(path, data)
            except OSError as error:
                with contextlib.suppress(OSError):
                    path.unlink()
                raise disk_error(path, "keep an output", error) from error
            self._unsynced_files[path] = self._files.pop(path)
        if sum(map(len, self._unsynced_files.values())) > UNSYNCED_BYTES:
            self._sync_files()

    def _sync_files(self) -> None:
        if not self._unsynced_files:
            return
        try:
            for path in self._unsynced_files:
                # One that somebody has moved away is none of ours any more.
                with contextlib.suppress(FileNotFoundError):
                    sync_file(path)
            sync_directory(self.path / KEPT)
        except OSError as error:
            # The kernel may have dropped what it could not write: all of them are written again.
            self._files, self._unsynced_files = self._unsynced_files | self._files, {}
            raise disk_error(self.path / KEPT, "keep outputs", error) from error
        self._unsynced_files.clear()

    def _drop_strays(self, ids: NDArray[np.int64]) -> None:
        """Remove outputs that a lost row of these points, shape (n,), left, but for those written anew."""
        for point_id in ids.tolist() if self._strays else ():
            for path in self._strays.pop(point_id, ()):
                if path not in self._files:
                    with contextlib.suppress(OSError):
                        path.unlink()


def _stray_outputs(directory: Path, ledger: Ledger) -> dict[int, list[Path]]:
    """Return the outputs that are kept of points without a row, by id."""
    numbered = [(entry.name.partition("-")[0], Path(entry.path)) for entry in os.scandir(directory)]
    found = [(int(digits), path) for digits, path in numbered if digits.isdecimal() and int(digits) < MAX_POINT_ID]
    strays: dict[int, list[Path]] = {}
    if found:
        known = ledger.known(np.array([point_id for point_id, _ in found]))
        for (point_id, path), has_row in zip(found, known, strict=True):
            if not has_row:
                strays.setdefault(point_id, []).append(path)
    return strays
