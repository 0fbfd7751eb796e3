"""A run directory: what lies in it, who may write it, and what is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import importlib.metadata
import json
import platform
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rayscan
from rayscan.errors import ResumeMismatchError, StoreError
from rayscan.plain_file import read_plain
from rayscan.store import checkpoint
from rayscan.store.files import PART, disk_error, write_atomically
from rayscan.store.fingerprint import compare, fingerprint
from rayscan.store.lock import NAME as LOCK
from rayscan.store.lock import RunLock
from rayscan.store.put_off import FILE as PUT_OFF
from rayscan.store.put_off import PutOff, parse
from rayscan.store.schema import FORMAT, Schema

RUN, CONFIG, LOG, CHECKPOINT, KEPT = "run.json", "scan.toml", "log", "checkpoint", "kept"
STOP = "stop"
"""A file that asks the scan to end."""
_LEFTOVERS = ("points-*", "issued-*", ".clock-*", f"{CHECKPOINT}/state*")
_ENTRIES = {
    "description": dict, "details": dict, "fingerprint": str, "versions": dict, "created": str, "schema": dict,
}  # fmt: skip
OPENED, STAMP = "opened:", "%Y-%m-%d %H:%M:%SZ"
PACKAGES = ("numpy", "pyarrow", "ray", "torch", "vegas")


class RunDirectory:
    """A run directory of ours, for reading; `Store` holds one for writing.

    Parameters
    ----------
    path : Path or str

    Attributes
    ----------
    path : Path
    description : dict
        What defines the problem: space, target, tool.
    details : dict
        What was saved beside it and is not compared: options, seed, citations.
    fingerprint : str
        Of `description`.
    versions : dict
        Of Python and the packages that created the run.
    created : str
        ISO time.
    schema : Schema

    Raises
    ------
    StoreError
        Not a run directory, a damaged one, or one of a newer version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser()
        run = _read_run(self.path)
        for name, kind in _ENTRIES.items():
            if not isinstance(run.get(name), kind):
                what = "has another kind of value than it should" if name in run else "is missing"
                msg = f"{self.path / RUN}: the entry {name!r} {what}; restore the file from a copy"
                raise StoreError(errno.EINVAL, msg)
        for name in ("space", "target"):
            if not isinstance(run["description"].get(name, {}), dict):
                msg = f"{self.path / RUN}: the description of the {name} makes no sense; restore the file from a copy"
                raise StoreError(errno.EINVAL, msg)
        self.description: dict[str, Any] = run["description"]
        self.details: dict[str, Any] = run["details"]
        self.fingerprint: str = run["fingerprint"]
        self.versions: dict[str, str] = run["versions"]
        self.created: str = run["created"]
        self.schema = Schema.from_dict(run["schema"])

    @property
    def config_toml(self) -> str:
        """The resolved configuration."""
        return (self.path / CONFIG).read_text(encoding="utf-8")

    @property
    def free_bytes(self) -> int:
        """Space left for the run, in bytes."""
        return shutil.disk_usage(self.path).free

    @property
    def stored_bytes(self) -> int:
        """Size of the stored points and the journal, in bytes."""
        total = 0
        for path in [*self.path.glob("points-*"), *self.path.glob("issued-*")]:
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def load_checkpoint(self) -> tuple[bytes, dict[str, Any]] | None:
        """Return the newest whole checkpoint and its description, or None."""
        return checkpoint.load(self.path / CHECKPOINT)

    def require_same(self, description: Mapping[str, Any]) -> None:
        """Refuse a problem that differs from the stored one.

        Raises
        ------
        ResumeMismatchError
            Lists every difference.
        """
        differences = compare(self.description, description)
        if differences:
            msg = (
                f"{self.path} holds another problem (stored → asked for):\n  "
                + "\n  ".join(differences)
                + f"\nput the old description back to resume; or start anew with all rows of it that fit: "
                f"`rayscan run … --out NEW --fork {self.path}`, Scan(…, out=NEW, fork={str(self.path)!r}); "
                "or choose another directory"
            )
            raise ResumeMismatchError(msg)

    def log_lines(self) -> list[str]:
        """Return the lines of the run's log without their times, none where there is no log."""
        return [line.split(" ", 2)[-1] for line in self._log()]

    def opened_at(self) -> list[float]:
        """Return when each session began that its log tells of, as Unix times to the second."""
        found = []
        for line in self._log():
            stamp, _, said = line[:20], line[20:21], line[21:]
            if said.startswith(OPENED):
                with contextlib.suppress(ValueError):
                    found.append(dt.datetime.strptime(stamp, STAMP).replace(tzinfo=dt.UTC).timestamp())
        return found

    def put_off(self) -> list[PutOff]:
        """Return which points were ended because they took suspiciously long; one that was ended twice is there twice.

        Earlier versions kept no file of them: what they did is read from the log, where all of them are.
        """
        recorded = parse(self._lines(PUT_OFF))
        logged = [one for line in self.log_lines() if (one := PutOff.from_log(line))]
        return logged[: max(0, len(logged) - len(recorded))] + recorded

    def add_put_off(self, one: PutOff) -> None:
        """Record a point that was ended, and say so in the log. A disk that refuses it is no reason to stop."""
        with contextlib.suppress(OSError), (self.path / PUT_OFF).open("a", encoding="utf-8") as file:
            file.write(f"{one.to_json()}\n")
        self.log(str(one))

    def _log(self) -> list[str]:
        return self._lines(LOG)

    def _lines(self, name: str) -> list[str]:
        try:
            return read_plain(self.path / name).decode("utf-8", "replace").splitlines()
        except OSError:
            return []

    def log(self, text: str) -> None:
        """Add a line with the time to the run's log. A disk that refuses it is no reason to stop."""
        stamp = dt.datetime.now(dt.UTC).strftime(STAMP)
        line = " ".join(text.splitlines())
        with contextlib.suppress(OSError), (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {line}\n")


def create(
    path: Path | str, schema: Schema, config_toml: str, description: Mapping[str, Any], details: Mapping[str, Any]
) -> tuple[RunDirectory, RunLock]:
    """Make a run directory where there is nothing, and lock it.

    Raises
    ------
    StoreError
        The directory holds a run already, or files that are not ours; nothing was changed.
    """
    where = Path(path).expanduser()
    refuse_occupied(where)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(where, "create the run directory", error, "choose another directory") from error
    lock = RunLock(where)
    try:
        refuse_occupied(where)
        for folder in (CHECKPOINT, KEPT):
            (where / folder).mkdir(exist_ok=True)
        write_atomically(where / CONFIG, config_toml.encode())
        identity = fingerprint(description)
        found = versions()
        metadata = {
            **schema.metadata, "fingerprint": identity, "configuration": json.dumps(dict(description), default=str),
            "versions": json.dumps(found),
        }  # fmt: skip
        complete = Schema(schema.parameters, schema.observables, schema.d, metadata, schema.units, schema.labels)
        run = {
            "rayscan": "run", "format": FORMAT, "created": dt.datetime.now(dt.UTC).isoformat(),
            "fingerprint": identity, "versions": found, "schema": complete.to_dict(),
            "description": dict(description), "details": dict(details),
        }  # fmt: skip
        # Written last: a directory without it is one that was never finished.
        write_atomically(where / RUN, json.dumps(run, indent=1, default=str, ensure_ascii=False).encode())
        return RunDirectory(where), lock
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            raise disk_error(where, "create the run directory", error, "choose another directory") from error
        raise


def open_locked(path: Path | str, description: Mapping[str, Any] | None) -> tuple[RunDirectory, RunLock]:
    """Lock an existing run directory for writing, after comparing the problem if one is given."""
    run = RunDirectory(path)
    if description is not None:
        run.require_same(description)
    refuse_links(run.path)
    lock = RunLock(run.path)
    for folder in (CHECKPOINT, KEPT):
        (run.path / folder).mkdir(exist_ok=True)
    for pattern in _LEFTOVERS:
        for part in run.path.glob(pattern + PART):
            with contextlib.suppress(OSError):
                part.unlink()
    return run, lock


def refuse_links(path: Path) -> None:
    """Refuse to write into a run directory in which a name leads elsewhere: it may come from somebody else.

    Raises
    ------
    StoreError
    """
    for folder in (path, path / CHECKPOINT):
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            try:
                mode = entry.lstat().st_mode
            except FileNotFoundError:
                continue  # somebody else's, and gone again
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                kind = "a link" if stat.S_ISLNK(mode) else "a pipe or device"
                msg = (
                    f"{entry} is {kind}; expected ordinary files in a run directory. Put the file itself in its place, "
                    "or remove it"
                )
                raise StoreError(errno.EINVAL, msg)


def is_run(path: Path | str) -> bool:
    """Return whether `path` is a finished run directory of ours."""
    return (Path(path).expanduser() / RUN).is_file()


def kept_name(point_id: int, name: str) -> str:
    """Return a file name for a kept output that no name a program chose can lead out of the folder."""
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "file"
    return f"{point_id}-{safe[:100]}"


def versions() -> dict[str, str]:
    """Return the versions that matter to a reader of the data, without importing the packages."""
    found = {"rayscan": rayscan.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def refuse_occupied(path: Path) -> None:
    """Refuse a place where no run can be made: a file, a run, or a directory with files that are not ours.

    Raises
    ------
    StoreError
    """
    if path.exists() and not path.is_dir():
        msg = f"{path}: expected a directory to create or resume, got a file; choose another directory"
        raise StoreError(errno.ENOTDIR, msg)
    if not path.exists():
        return
    names = {entry.name for entry in path.iterdir()}
    if RUN in names:
        msg = f"{path} holds a run already; open it to resume, or choose another directory"
        raise StoreError(errno.EEXIST, msg)
    # An interrupted creation leaves only these, the lock first.
    ours = {LOCK, CONFIG, CHECKPOINT, KEPT, LOG, PUT_OFF}
    foreign = sorted(name for name in names if name not in ours and not name.endswith(PART))
    if foreign or (names and LOCK not in names):
        some = ", ".join((foreign or sorted(names))[:3])
        msg = (
            f"{path}: expected an empty or new directory, or a run of rayscan; got {len(names)} other entries "
            f"({some}{', …' if len(names) > 3 else ''}); nothing was changed, choose another directory"
        )
        raise StoreError(errno.ENOTEMPTY, msg)


def _read_run(path: Path) -> dict[str, Any]:
    if not path.exists():
        msg = f"{path}: there is no such run directory"
        raise StoreError(errno.ENOENT, msg)
    try:
        run = json.loads(read_plain(path / RUN))
    except FileNotFoundError as error:
        msg = f"{path}: expected a run directory of rayscan, with {RUN} in it; nothing was changed"
        raise StoreError(errno.ENOENT, msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path / RUN}: cannot be read ({error}); restore it from a copy"
        raise StoreError(errno.EINVAL, msg) from error
    if not isinstance(run, dict) or run.get("rayscan") != "run" or "format" not in run:
        msg = f"{path / RUN}: expected the description of a rayscan run, got something else; nothing was changed"
        raise StoreError(errno.EINVAL, msg)
    if run["format"] != FORMAT:
        msg = f"{path}: written in format {run['format']!r}, this version reads {FORMAT!r}; install a newer rayscan"
        raise StoreError(errno.EINVAL, msg)
    return run
