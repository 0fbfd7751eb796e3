"""What an input file of a program is: a template read once, rendered anew for every point."""

from __future__ import annotations

import abc
import difflib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rayscan.errors import ConfigError
from rayscan.plain_file import read_plain

Place = TypeVar("Place", bound=str | Sequence[str])
"""Where a parameter is written, or several such places."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value written into a file: for the report of ``rayscan check``.

    Attributes
    ----------
    parameter : str
    where : str
        Address, label or placeholder.
    line : int
        Line of the file, from 1 (0 when the line was added).
    old, new : str
        The text before and after.
    """

    parameter: str
    where: str
    line: int
    old: str
    new: str


class InputFile(abc.ABC):
    """A file made anew for every point.

    Attributes
    ----------
    source : str
        What it is made from, for messages.
    """

    source: str

    @property
    @abc.abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are written, in order."""

    @abc.abstractmethod
    def check(self) -> None:
        """Raise ConfigError for a mistake that the template alone shows."""

    @abc.abstractmethod
    def content(self, point: Mapping[str, float], directory: Path) -> bytes:
        """Return what to write for one point.

        Parameters
        ----------
        point : mapping of str to float
        directory : Path
            The point's directory, with what earlier stages left there.

        Raises
        ------
        ValueError
            For a value that cannot be written.
        OSError
            If a file that it is made from is not in `directory`.
        """

    @abc.abstractmethod
    def changes(self, point: Mapping[str, float]) -> list[Change]:
        """Return which values `content` puts in."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return plain types that change whenever the written file would."""


class TemplateFile(InputFile):
    """An input file with a text as template, which is read once and never written to.

    Attributes
    ----------
    text : str
        The template.
    """

    text: str

    @abc.abstractmethod
    def render(self, point: Mapping[str, float]) -> str:
        """Return the file's text for one point; ValueError for a value that cannot be written."""

    def content(self, point: Mapping[str, float], directory: Path) -> bytes:  # noqa: ARG002 - the template is all
        return self.render(point).encode(errors="surrogateescape")

    def describe(self) -> dict[str, Any]:
        digest = hashlib.sha256(self.text.encode(errors="surrogateescape")).hexdigest()
        return {"kind": type(self).__name__.lower(), "sha256": digest}


def read_template(path: str | Path, base: str | Path | None = None) -> tuple[str, str]:
    """Return the text of a user's file and its name for messages; it is opened for reading only.

    A text with a line break in it is no path but the content itself.

    Raises
    ------
    ConfigError
        If it cannot be read as text.
    """
    if isinstance(path, str) and "\n" in path:
        return path, "the given text"
    full = absolute(path, base)
    try:
        return read_plain(full, follow=True).decode(errors="surrogateescape"), str(full)
    except OSError as error:
        close = difflib.get_close_matches(full.name, _names_in(full.parent), n=3, cutoff=0.5)
        hint = f"; in that directory: {', '.join(close)}" if close else "; check the path"
        msg = f"cannot read the file {full}: {error.strerror or error}{hint}"
        raise ConfigError(msg) from None


def absolute(path: str | Path, base: str | Path | None = None) -> Path:
    """Return `path` with ``~`` expanded, relative to `base` or to the current directory."""
    expanded = Path(path).expanduser()
    return expanded if expanded.is_absolute() else Path(base or ".").expanduser().absolute() / expanded


def as_write(source: str, write: Mapping[str, Place], what: str) -> dict[str, Place]:
    """Return a copy of `write` (parameter to place or places); ConfigError when it is empty or a place is no text."""
    places = [place for value in write.values() for place in ([value] if isinstance(value, str) else value or [""])]
    if not write or not all(isinstance(place, str) and place.strip() for place in places):
        msg = f"{source}: write = {dict(write)!r}; expected {what} for at least one parameter"
        raise ConfigError(msg)
    return dict(write)


def _names_in(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir()]
    except OSError:
        return []


def line_of(text: str, offset: int) -> int:
    """Return the number, from 1, of the line that holds an offset."""
    return text.count("\n", 0, offset) + 1
