"""Directories that a tool brings along: described by their content, packed into one stream, unpacked elsewhere."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rayscan.errors import ConfigError, ToolError

LARGEST = 2**30
"""Bytes that may be shipped at once: they pass through the memory of every node."""
LEFT_OUT = frozenset({".git", ".hg", ".svn", "__pycache__"})
"""Directories that no program needs, and that change without the program changing."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What lies at a path, known by its content.

    Attributes
    ----------
    source : str
        The absolute path.
    real : str
        The same path without links.
    digest : str
        SHA-256 of names, contents, links and which files may be executed; not of times and owners.
    size : int
        Bytes of all files together.
    """

    source: str
    real: str
    digest: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the path, which the copy has as well."""
        return Path(self.source).name


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file, link or directory below a source; `name` is relative to the source's parent."""

    path: Path
    name: str
    mode: int
    size: int
    target: str = ""


def parcel_of(source: str | Path) -> Parcel:
    """Describe a directory, or a single file, as it is now.

    Raises
    ------
    ConfigError
        It is not there, cannot be read, is too large, or holds a link that leads out of it.
    """
    digest, size = hashlib.sha256(), 0
    for entry in _entries(Path(source)):
        size += entry.size
        digest.update(
            f"{entry.name}\0{entry.mode:o}\0{entry.target}\0{entry.size}\0".encode("utf-8", "surrogateescape")
        )
        if stat.S_ISREG(entry.mode):
            with _opened(entry.path) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return Parcel(str(source), str(Path(source).resolve()), digest.hexdigest(), size)


def pack(parcel: Parcel) -> bytes:
    """Return what a parcel describes as an uncompressed tar archive.

    Raises
    ------
    ConfigError
        It has changed since it was described.
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in _entries(Path(parcel.source)):
            member = tarfile.TarInfo(entry.name)
            member.mode, member.size = stat.S_IMODE(entry.mode), entry.size
            if stat.S_ISREG(entry.mode):
                with _opened(entry.path) as file:
                    try:
                        archive.addfile(member, file)
                    except OSError as error:
                        raise _changed(parcel) from error
                continue
            member.type = tarfile.SYMTYPE if entry.target else tarfile.DIRTYPE
            member.linkname = entry.target
            archive.addfile(member)
    if parcel_of(parcel.source) != parcel:
        raise _changed(parcel)
    return stream.getvalue()


def unpack(content: memoryview | bytes, directory: Path) -> None:
    """Unpack an archive of `pack` into a directory that exists.

    Names and links that lead out of the directory, devices and set-user bits are refused.

    Raises
    ------
    ToolError
        The archive is damaged or holds such a name, or the disk refuses.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            archive.extractall(directory, filter="data")
    except (tarfile.TarError, OSError) as error:
        msg = f"what was shipped cannot be unpacked into {directory}: {error}"
        raise ToolError(msg) from error


def _entries(source: Path) -> Iterator[_Entry]:
    """Yield what lies below `source`, itself first, in an order that depends on names alone."""
    if not source.exists():
        msg = f"ship: {source} does not exist; expected a directory (or file) on this machine"
        raise ConfigError(msg)
    top, total = source.resolve(), 0
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            state = path.lstat()
            children = sorted(path.iterdir(), reverse=True) if stat.S_ISDIR(state.st_mode) else []
        except OSError as error:
            msg = f"ship: {path} cannot be read: {error.strerror}"
            raise ConfigError(msg) from error
        name, runs = str(Path(source.name) / path.relative_to(top)), bool(state.st_mode & stat.S_IXUSR)
        if stat.S_ISLNK(state.st_mode):
            yield _Entry(path, name, stat.S_IFLNK | 0o777, 0, _inner_target(path, source, top))
        elif stat.S_ISDIR(state.st_mode):
            yield _Entry(path, name, stat.S_IFDIR | 0o755, 0)
            waiting += [child for child in children if child.name not in LEFT_OUT]
        elif stat.S_ISREG(state.st_mode):
            total += state.st_size
            if total > LARGEST:
                msg = (
                    f"ship: {source} holds more than the {LARGEST / 2**30:g} GiB that may be shipped; ship only what "
                    "the program needs, or put it on a file system that all nodes share"
                )
                raise ConfigError(msg)
            yield _Entry(path, name, stat.S_IFREG | (0o755 if runs else 0o644), state.st_size)
        else:
            msg = f"ship: {path} is a pipe, socket or device; expected directories, files and links"
            raise ConfigError(msg)


def _inner_target(link: Path, source: Path, top: Path) -> str:
    """Return where a link leads, relative to its directory; it must stay within what is shipped."""
    target = link.readlink()
    # Not resolve(): what a link within the directory leads to may itself be a link within it.
    there = Path(os.path.normpath(link.parent / target))
    if there.is_relative_to(source):
        there = top / there.relative_to(source)
    if not there.is_relative_to(top):
        msg = (
            f"ship: {link} is a link to {target}, which is not in {source} and would lead nowhere on another node; put "
            "the file itself in its place"
        )
        raise ConfigError(msg)
    return os.path.relpath(there, link.parent)


def _opened(path: Path) -> io.BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        msg = f"ship: {path} cannot be read: {error.strerror}"
        raise ConfigError(msg) from error


def _changed(parcel: Parcel) -> ConfigError:
    return ConfigError(
        f"ship: {parcel.source} has changed since the scan was described; make the scan anew when nothing writes there"
    )
