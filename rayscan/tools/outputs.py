"""What a program left in its directory, read once; a file that was there before it ran does not count."""

from __future__ import annotations

import functools
import json
import math
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rayscan.errors import ToolError
from rayscan.plain_file import LARGEST, read_plain
from rayscan.slha import Address, read_texts, read_values

STREAMS = ("stdout", "stderr")
_address = functools.lru_cache(maxsize=1024)(Address.parse)
Stamp = tuple[int, int, int]


class ReadError(ToolError):
    """A value is not where it should be. It never leaves the tools: it becomes the message of a row."""


class Outputs:
    """The files and streams of one run.

    Parameters
    ----------
    directory : Path
    streams : mapping of str to sequence of Path
        The captured ``stdout`` and ``stderr`` of each command, in order.
    exit_code : int or None
        Of the last command.
    before : mapping of str to Stamp
        What `stamp` said of files before the run: a file that is still the same was not written.
    """

    def __init__(
        self,
        directory: Path,
        streams: Mapping[str, Sequence[Path]],
        exit_code: int | None,
        before: Mapping[str, Stamp],
    ) -> None:
        self.directory = directory
        self.exit_code = exit_code
        self._streams = streams
        self._before = before
        self._contents: dict[str, bytes] = {}
        self._wanted: Mapping[str, Sequence[str]] = {}
        self._slha: dict[str, dict[Address, float]] = {}

    def content(self, file: str) -> bytes:
        """Return a file's bytes; ReadError when this run did not write it, or it is no ordinary file."""
        if file not in self._contents:
            if file in STREAMS:
                self._contents[file] = b"".join(map(_captured, self._streams.get(file, ())))
            else:
                self._contents[file] = self._file(file)
        return self._contents[file]

    def text(self, file: str) -> str:
        """Return a file's text; bytes that are no text are replaced."""
        return self.content(file).decode("utf-8", "replace")

    def json(self, file: str) -> Any:
        """Return a parsed JSON file; ReadError when it is none."""
        try:
            return json.loads(self.content(file))
        except (ValueError, RecursionError) as error:
            msg = f"{file} is no JSON: {error}"
            raise ReadError(msg) from None

    def want(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Say which SLHA entries of which files will be asked for, so that each file is parsed once."""
        self._wanted = addresses

    def slha(self, file: str, address: str) -> str:
        """Return the text of an SLHA entry; ReadError when the file or the entry is not there."""
        wanted = _address(address)
        if file not in self._slha:
            addresses = [_address(text) for text in {*self._wanted.get(file, ()), address}]
            self._slha[file] = read_values(self.content(file), addresses)
        values = self._slha[file]
        if wanted not in values:
            msg = f"there is no entry {address} in {file}"
            raise ReadError(msg)
        if math.isfinite(values[wanted]):
            return repr(values[wanted])
        raw = read_texts(self.content(file), [wanted]).get(wanted) if wanted.is_plain else None
        return raw[-1] if raw else "NaN"

    def texts(self, file: str, address: str) -> list[str]:
        """Return every text at an SLHA address, none when the file or the entry is not there."""
        wanted = _address(address)
        try:
            return read_texts(self.content(file), [wanted]).get(wanted, [])
        except ReadError:
            return []

    def _file(self, name: str) -> bytes:
        now = stamp(self.directory / name)
        if now is None:
            there = self.directory / name
            problem = "is not an ordinary file" if there.exists() else "was not written"
            msg = f"{name} {problem}"
            raise ReadError(msg)
        if now == self._before.get(name):
            msg = f"{name} was not written: what is there is from before the program ran"
            raise ReadError(msg)
        if now[1] > LARGEST:
            msg = f"{name} has {now[1]} bytes; expected at most {LARGEST}"
            raise ReadError(msg)
        try:
            return read_plain(self.directory / name, LARGEST)
        except OSError as error:
            msg = f"{name} cannot be read: {error.strerror or error}"
            raise ReadError(msg) from None


def _captured(path: Path) -> bytes:
    """Return what a program printed, nothing where it has put something else in the place of the file."""
    try:
        return read_plain(path, 2**40)
    except OSError:
        return b""


def stamp(path: Path) -> Stamp | None:
    """Return time, size and inode of an ordinary file (links are not followed), None when there is none."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return (info.st_mtime_ns, info.st_size, info.st_ino) if stat.S_ISREG(info.st_mode) else None
