"""A run directory in an object store: a copy on this machine is written to, and shipped as it grows."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rayscan.errors import RunLockedError, StoreError
from rayscan.plain_file import read_plain
from rayscan.progress import PROGRESS_FILE
from rayscan.store.bucket import Bucket
from rayscan.store.checkpoint import CURRENT
from rayscan.store.files import PART, write_atomically
from rayscan.store.lock import STALE
from rayscan.store.manifest import INDEX, MANIFEST, STREAMS, Files, content_of, fetch, may_live, read_manifest
from rayscan.store.put_off import FILE as PUT_OFF
from rayscan.store.run_directory import CHECKPOINT, CONFIG, KEPT, LOG, RUN, STOP
from rayscan.store.segments import CLOSED, OPEN, segments

logger = logging.getLogger("rayscan")

MARK = ".mirror.json"
"""What a copy is called, in the copy itself."""
PERIOD, SHARE = 15.0, 20.0
"""Seconds between two shipments at least; more where one takes more than a twentieth of the time."""
LONGEST = STALE / 3
"""Seconds between two shipments at most: they are the sign of life for other machines as well."""
PATIENCE = 60.0
"""Seconds for which an object store that refuses is tried again at the end of a scan."""
RETRY = 5.0
STATE = f"{CHECKPOINT}/{CURRENT}"


class Mirror:
    """The way from a local copy of a run directory into an object store, and back on another machine.

    Parameters
    ----------
    uri : str
    local : Path
        The copy of this machine.

    Attributes
    ----------
    trouble : str
        Why nothing could be shipped the last time; empty when it could.
    evicted : str
        Who has taken the run over, so that nothing is shipped any more; empty while nobody has.

    Notes
    -----
    A shipment takes the checkpoint as it is, then everything that was written, in an order in which whatever is cut
    off in between leaves a run that can be resumed: what a checkpoint has learnt from is shipped before it, and the
    manifest last. The machine that reads fetches what the manifest names. Segments only grow: a newer one does no harm.
    """

    def __init__(self, uri: str, local: Path) -> None:
        self.uri, self.local = uri, local
        self.trouble = ""
        self._bucket = Bucket(uri)
        self._copy = ""
        self._shipped: Files = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self.evicted = ""
        self._cost, self._owns = 0.0, False
        self._note: Callable[[str], None] = logger.warning
        self._turn, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        """Bring the local copy up to date, before anybody opens it.

        Raises
        ------
        RunLockedError
            A scan on another machine is at work on it.
        StoreError
            The object store cannot be reached.
        """
        manifest = read_manifest(self._bucket)
        mark = self._mark()
        if manifest is None:
            self._copy = mark or uuid.uuid4().hex
            return
        if manifest["copy"] != mark:
            if may_live(manifest):
                raise self._locked(manifest["holder"])
            if self.local.exists() and RUN in manifest["files"]:
                aside = self.local.with_name(
                    f"{self.local.name}.{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
                )
                self.local.rename(aside)
                logger.warning(
                    "%s went on elsewhere since it was last here; the copy of this machine is kept as %s",
                    self.uri,
                    aside,
                )
            if RUN in manifest["files"]:
                self._bring()
            self._copy = uuid.uuid4().hex
        else:
            self._copy = mark
            self._shipped = manifest["files"]

    def _bring(self) -> None:
        part = self.local.with_name(f"{self.local.name}.{uuid.uuid4().hex[:8]}{PART}")
        self._shipped = fetch(self._bucket, part)
        (part / INDEX).unlink()
        part.rename(self.local)

    def start(self, note: Callable[[str], None]) -> None:
        """Ship now, and from now on now and then.

        Parameters
        ----------
        note : callable
            Takes a line for the run's log.

        Raises
        ------
        StoreError
            The object store refuses.
        """
        self._note = note
        write_atomically(self.local / MARK, json.dumps({"copy": self._copy, "uri": self.uri}).encode())
        self._ship(held=True)
        self._thread = threading.Thread(target=self._follow, name="rayscan-mirror", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Find out whether another machine has taken the run over.

        Raises
        ------
        RunLockedError
        """
        if self.evicted:
            raise RunLockedError(errno.EWOULDBLOCK, self.evicted)

    def abandon(self) -> None:
        """Ship nothing more: the run has been taken over."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Ship what there is, and let the next scan in.

        Raises
        ------
        StoreError
            The object store goes on refusing. The local copy is whole, and a scan on this machine goes on from it.
        """
        if self._thread is None:
            return
        self.abandon()
        end = time.monotonic() + PATIENCE
        while not self.evicted:
            try:
                self._ship(held=False)
            except (StoreError, OSError) as error:
                if time.monotonic() > end:
                    msg = f"{error}; all rows are in {self.local}, and the same command on this machine ships them"
                    raise StoreError(errno.EREMOTEIO, msg) from error
                time.sleep(RETRY)
            else:
                return

    def _follow(self) -> None:
        while not self._ended.wait(RETRY if self.trouble else min(LONGEST, max(PERIOD, SHARE * self._cost))):
            try:
                self._ship(held=True)
            except RunLockedError as error:
                self.evicted = str(error)
                return
            except (StoreError, OSError) as error:
                if not self.trouble:
                    self._note(f"not shipped, tried again: {error}")
                self.trouble = str(error)
            else:
                self.trouble = ""

    def _ship(self, *, held: bool) -> None:
        with self._turn:
            start = time.monotonic()
            self._claim()
            self._pass_on_stop(held=held)
            try:
                files = self._files()
            except BaseException:
                self._seen.clear()
                raise
            self._write_manifest(files, held=held)
            before, self._shipped = self._shipped, files
            for name in before:
                # Compacted; anything else that is gone from the copy is not ours to remove.
                if name.endswith(OPEN) and name not in files and name.removesuffix(OPEN) + CLOSED in files:
                    self._bucket.remove(name)
            self._cost = time.monotonic() - start

    def _claim(self) -> None:
        """Make sure that the bucket is ours to write to, and say so there."""
        manifest = read_manifest(self._bucket)
        if manifest is None:
            self._shipped, self._seen = {}, {}
        elif manifest["copy"] != self._copy and (self._owns or may_live(manifest)):
            raise self._locked(manifest.get("holder") or {})
        if not self._owns:
            self._write_manifest(self._shipped, held=True)
            self._owns = True

    def _pass_on_stop(self, *, held: bool) -> None:
        """Take a request to stop out of the bucket; one that has come for an earlier scan is only taken out."""
        with contextlib.suppress(FileNotFoundError):
            self._bucket.read(STOP)
            self._bucket.remove(STOP)
            if held and self._thread is not None:
                (self.local / STOP).touch()

    def _write_manifest(self, files: Files, *, held: bool) -> None:
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()} if held else None
        told = {"rayscan": "manifest", "copy": self._copy, "holder": holder, "time": time.time(), "files": files}
        self._bucket.write(MANIFEST, json.dumps(told).encode())

    def _files(self) -> Files:
        """Ship what is new, and return all that the bucket holds then."""
        state = content_of(self.local / STATE)
        kept = sorted(self._kept())
        with ThreadPoolExecutor(STREAMS) as streams:
            entries = dict(zip(kept, streams.map(self._ship_kept, kept), strict=True))
        stems = [stem for prefix in ("points", "issued") for _, stem in segments(self.local, prefix)]
        # Parquet after the stream that it is made from: whatever happens in between, one of the two is there.
        tables = [stem + ending for stem in stems for ending in (OPEN, CLOSED)]
        for name in (*tables, CONFIG, LOG, PUT_OFF, PROGRESS_FILE):
            entries[name] = self._ship_file(name)
        if state is not None:
            entries[STATE] = self._ship_bytes(STATE, state)
        entries[RUN] = self._ship_file(RUN)
        if not entries[RUN]:
            msg = f"{self.local}: the copy of this machine is gone or damaged; nothing more is shipped to {self.uri}"
            raise StoreError(errno.ENOENT, msg)
        return {name: entry for name, entry in entries.items() if entry}

    def _kept(self) -> Iterator[str]:
        for entry in os.scandir(self.local / KEPT):
            if not entry.name.endswith(PART):
                yield f"{KEPT}/{entry.name}"

    def _ship_kept(self, name: str) -> list[Any]:
        """Ship a kept output once: it never changes."""
        known = self._shipped.get(name)
        content = None if known else content_of(self.local / name)
        return known or ([] if content is None else self._ship_bytes(name, content))

    def _ship_file(self, name: str) -> list[Any]:
        """Ship a file where it has changed; nothing where there is none any more."""
        path = self.local / name
        try:
            state = path.stat()
        except FileNotFoundError:
            return []
        stamp = (state.st_size, state.st_mtime_ns)
        if self._seen.get(name) == stamp and name in self._shipped:
            return self._shipped[name]
        content = content_of(path)
        if content is None:
            return []
        self._seen[name] = stamp
        return self._ship_bytes(name, content)

    def _ship_bytes(self, name: str, content: bytes) -> list[Any]:
        entry = [len(content), hashlib.sha256(content).hexdigest()[:16]]
        if self._shipped.get(name) != entry:
            self._bucket.write(name, content)
        return entry

    def _mark(self) -> str:
        try:
            found = json.loads(read_plain(self.local / MARK))
        except (OSError, ValueError):
            return ""
        return str(found.get("copy", "")) if isinstance(found, dict) else ""

    def _locked(self, holder: dict[str, Any]) -> RunLockedError:
        msg = (
            f"{self.uri}: process {holder.get('pid', '?')} on {holder.get('host', 'an unknown machine')} is scanning "
            f"into it; stop it there, wait {STALE:.0f} s if that machine is dead, or choose another place"
        )
        return RunLockedError(errno.EWOULDBLOCK, msg)
