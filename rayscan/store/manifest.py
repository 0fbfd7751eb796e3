"""What an object store holds of a run, who writes there, and how it gets from there onto this machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from rayscan.errors import StoreError
from rayscan.plain_file import read_plain
from rayscan.store.bucket import Bucket, is_uri
from rayscan.store.checkpoint import LARGEST
from rayscan.store.files import PART, write_atomically
from rayscan.store.lock import NAME as LOCK
from rayscan.store.lock import STALE, process_exists
from rayscan.store.run_directory import CHECKPOINT, KEPT, RUN, STOP

MANIFEST = "manifest.json"
INDEX = ".fetched.json"
"""What is in a copy for reading, so that it is not fetched again."""
ATTEMPTS = 3
STREAMS = 8
"""Files on their way at once: many are small, and the way is long."""

Files = dict[str, list[Any]]
"""Name to size and hash."""


def local_place(uri: str) -> Path:
    """Return where this machine keeps its copy of a run directory in an object store.

    Below ``RAYSCAN_CACHE``, or ``~/.cache/rayscan``.
    """
    plain = uri.partition("?")[0].rstrip("/")
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in plain.rpartition("/")[2])
    return _cache() / "runs" / f"{name}-{hashlib.sha256(uri.encode()).hexdigest()[:12]}"


def _cache() -> Path:
    given = os.environ.get("RAYSCAN_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(given).expanduser() if given else (Path(home) if home else Path("~/.cache").expanduser()) / "rayscan"


def place_of(out: str | Path | None) -> tuple[Path | None, str]:
    """Return where a run directory is on this machine, and the URI that it is a copy of, if it is one."""
    if isinstance(out, str) and is_uri(out):
        return local_place(out), out
    return None if out is None else Path(out).expanduser(), ""


def for_reading(run: str | Path) -> Path:
    """Return a run directory that can be read: the path as it is, or a copy of what is in an object store.

    Raises
    ------
    StoreError
        As `read_copy`.
    """
    return read_copy(run) if isinstance(run, str) and is_uri(run) else Path(run)


def read_copy(uri: str) -> Path:
    """Return a copy of a run directory in an object store as it is now, for reading.

    What did not change since the last time is not fetched again.

    Raises
    ------
    StoreError
        There is no run, or the object store cannot be reached.
    """
    bucket = Bucket(uri)
    manifest = read_manifest(bucket)
    if manifest is None or RUN not in manifest["files"]:
        msg = f"{uri}: there is no run there; expected the place that a scan was given as --out"
        raise StoreError(errno.ENOENT, msg)
    path = local_place(uri)
    path = path.with_name(f"{path.name}.read")
    fetch(bucket, path)
    _note_holder(path, manifest)
    return path


def refresh(path: Path, age: float) -> None:
    """Bring a copy for reading up to date if it was fetched longer ago than that, in s; leave everything else alone.

    Raises
    ------
    StoreError
        As `read_copy`.
    """
    with contextlib.suppress(FileNotFoundError):
        if time.time() - (path / INDEX).stat().st_mtime > age:
            read_copy(json.loads((path / INDEX).read_bytes())["uri"])


def ask_to_stop(path: Path) -> None:
    """Ask the scan of a run directory, or of one in an object store that is read here, to end.

    Raises
    ------
    StoreError
        The object store cannot be reached.
    """
    index = content_of(path / INDEX)
    if index is not None:
        Bucket(json.loads(index)["uri"]).write(STOP, b"")
        return
    part = path / f"{STOP}{PART}"
    part.touch()
    part.replace(path / STOP)


def _note_holder(path: Path, manifest: dict[str, Any]) -> None:
    """Have a copy for reading say who scans into the original, as `live_holder` looks for it."""
    lock = path / LOCK
    if not may_live(manifest):
        lock.unlink(missing_ok=True)
        return
    holder = manifest["holder"]
    # Another name than that of any machine: of this one it would be asked whether the copy is locked.
    told = {**holder, "host": f"{holder.get('host')}, by way of an object store"}
    write_atomically(lock, json.dumps(told).encode())
    os.utime(lock, (manifest["time"], manifest["time"]))


def read_manifest(bucket: Bucket) -> dict[str, Any] | None:
    """Return what a bucket says of itself, None where there is nothing.

    Raises
    ------
    StoreError
        There is something else, or the object store cannot be reached.
    """
    try:
        found = json.loads(bucket.read(MANIFEST))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    whole = isinstance(found, dict) and isinstance(found.get("files"), dict) and isinstance(found.get("copy"), str)
    if found is not None and whole and all(map(_is_ours, found["files"])):
        answer: dict[str, Any] = found
        return answer
    msg = f"{bucket.uri}: {MANIFEST} is not one of rayscan; nothing was changed, choose another place"
    raise StoreError(errno.EINVAL, msg)


def _is_ours(name: str) -> bool:
    """Whether a name of a manifest, which may come from anywhere, stays within a run directory."""
    parts = PurePosixPath(name).parts
    return bool(parts) and len(parts) <= 2 and not any(part in {"..", "/"} for part in parts)


def may_live(manifest: dict[str, Any]) -> bool:
    """Whether the scan that holds a bucket may still be at work."""
    holder = manifest.get("holder")
    if not isinstance(holder, dict):
        return False
    if holder.get("host") == socket.gethostname():
        return process_exists(holder.get("pid"))
    return bool(time.time() - float(manifest.get("time", 0.0)) < STALE)


def fetch(bucket: Bucket, path: Path) -> Files:
    """Make a directory the same as what the manifest says, and return that."""
    for attempt in range(ATTEMPTS):
        manifest = read_manifest(bucket)
        files: Files = manifest["files"] if manifest is not None else {}
        try:
            _fetch_files(bucket, path, files)
        except FileNotFoundError as error:
            # Compacted in between: the next manifest knows.
            if attempt + 1 == ATTEMPTS:
                msg = f"{bucket.uri}: {error.filename or error}: named by {MANIFEST}, but not there; restore it"
                raise StoreError(errno.ENOENT, msg) from error
            time.sleep(1.0)
        else:
            break
    return files


def _fetch_files(bucket: Bucket, path: Path, files: Files) -> None:
    index = content_of(path / INDEX)
    known: Files = json.loads(index)["files"] if index else {}
    for folder in (KEPT, CHECKPOINT):
        (path / folder).mkdir(parents=True, exist_ok=True)
    (path / INDEX).unlink(missing_ok=True)
    missing = [name for name, entry in files.items() if known.get(name) != entry or not (path / name).is_file()]

    def fetch_one(name: str) -> None:
        part = path / f"{name}.{os.getpid()}{PART}"
        bucket.fetch(name, part)
        part.replace(path / name)

    with ThreadPoolExecutor(STREAMS) as streams:
        list(streams.map(fetch_one, missing))
    for name in set(known) - set(files):
        (path / name).unlink(missing_ok=True)
    write_atomically(path / INDEX, json.dumps({"uri": bucket.uri, "files": files}).encode())


def content_of(path: Path) -> bytes | None:
    """Return what is in a file, None where there is none."""
    try:
        return read_plain(path, LARGEST)
    except FileNotFoundError:
        return None
