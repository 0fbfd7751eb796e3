"""How an observable comes out of what a program left: patterns, labels, columns, JSON, SLHA entries, exit code."""

from __future__ import annotations

import abc
import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from rayscan.errors import ConfigError, did_you_mean
from rayscan.slha import Address
from rayscan.tools.inputs import parse_address
from rayscan.tools.number import NUMBER, NUMBER_PATTERN, parse_number
from rayscan.tools.outputs import Outputs, ReadError
from rayscan.tools.table import find_cell

__all__ = [
    "Column", "Custom", "ExitCode", "JSONPath", "KeyValue", "Label", "Outputs", "ReadError", "Reader", "Reading",
    "Regex", "SLHAEntry", "as_reader", "read_all",
]  # fmt: skip

Which = Literal["only", "first", "last"]
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read for one observable.

    Attributes
    ----------
    value : float
        NaN when there is none.
    where : str
        File and address.
    text : str
        The raw text of the value.
    problem : str
        Why there is no finite value; empty when there is one.
    missing : bool
        Whether no number is there: nothing at all, or a text that is none. A program that works does not write that, so
        the point is a tool error; a number that is not finite (NaN, Infinity, asterisks) is the point's own fault.
    """

    value: float
    where: str
    text: str = ""
    problem: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Reader(abc.ABC):
    """Where one observable is found.

    Parameters
    ----------
    file : str, optional
        A file in the point's directory, ``"stdout"`` or ``"stderr"``. Without it, the command's output file or, if it
        has none, its standard output.
    optional : bool
        Whether a point without this value is still ok; the table then holds NaN.
    """

    kind: ClassVar[str] = ""

    @property
    @abc.abstractmethod
    def where(self) -> str:
        """The place in the file, for messages."""

    @abc.abstractmethod
    def find(self, outputs: Outputs, file: str) -> str:
        """Return the text of the value in `file`; ReadError when it is not there."""

    def check(self, observable: str) -> None:
        """Raise ConfigError for a mistake that shows before anything ran."""

    def describe(self) -> dict[str, Any]:
        """Return plain types."""
        described = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"kind": self.kind, **{key: _plain(value) for key, value in described.items()}}

    def read(self, outputs: Outputs, default: str) -> Reading:
        """Read the value; a failure is a `Reading` with a `problem`."""
        file = self.file_or(default)
        where = f"{self.where} in {file}" if self.in_file else self.where
        try:
            text = self.find(outputs, file)
        except ReadError as error:
            return Reading(math.nan, where, problem=str(error), missing=True)
        try:
            value = parse_number(text)
        except ValueError:
            problem = f"{where} is {text[:_SHOWN]!r}; expected a number"
            return Reading(math.nan, where, text, problem, missing=True)
        if math.isfinite(value):
            return Reading(value, where, text)
        # Infinity stays what it is in a row that needs no such value, apart from NaN, which is none.
        return Reading(value, where, text, f"{where} is {text[:_SHOWN]}")

    in_file: ClassVar[bool] = True

    def file_or(self, default: str) -> str:
        """Return the file that is read, or `default`."""
        file = getattr(self, "file", None)
        return file if isinstance(file, str) else default

    @property
    def is_optional(self) -> bool:
        """Whether a point without this value is still ok."""
        return bool(getattr(self, "optional", False))


@dataclass(frozen=True)
class Regex(Reader):
    """The number that a regular expression's group matches.

    With several matches of different values, ``which`` must say which one is meant.
    """

    pattern: str
    group: int | str = 1
    file: str | None = None
    which: Which = "only"
    optional: bool = False
    kind: ClassVar[str] = "regex"

    @property
    def where(self) -> str:
        return f"/{self.pattern}/"

    def absent(self, file: str) -> str:
        """Return what is said where the pattern matches nothing."""
        return f"{self.where} in {file} was not found"

    def check(self, observable: str) -> None:
        try:
            compiled = re.compile(self.pattern, re.MULTILINE)
        except re.error as error:
            msg = f"observable {observable!r}: {self.pattern!r} is no regular expression ({error})"
            raise ConfigError(msg) from None
        known = {*range(compiled.groups + 1), *compiled.groupindex}
        if self.group not in known:
            msg = (
                f"observable {observable!r}: the pattern {self.pattern!r} has no group {self.group!r}; put the number "
                f"in round brackets, or give one of {sorted(map(str, known))}"
            )
            raise ConfigError(msg)
        _check_which(observable, self.which)

    def find(self, outputs: Outputs, file: str) -> str:
        found = [m[self.group] for m in re.finditer(self.pattern, outputs.text(file), re.MULTILINE)]
        texts = [text for text in found if text is not None]
        if not texts:
            raise ReadError(self.absent(file))
        return pick(texts, self.which, f"{self.where} in {file}")


@dataclass(frozen=True)
class Label(Reader):
    """The first number behind a label, or, when the label stands in a comment (``#``, ``!``), the last before it.

    The label is matched as whole words. With several matches of different values, ``which`` must say which is meant.
    """

    label: str
    file: str | None = None
    which: Which = "only"
    optional: bool = False
    kind: ClassVar[str] = "label"

    @property
    def where(self) -> str:
        return f"label {self.label!r}"

    def check(self, observable: str) -> None:
        if not self.label.strip():
            msg = f"observable {observable!r}: the label is empty"
            raise ConfigError(msg)
        _check_which(observable, self.which)

    def find(self, outputs: Outputs, file: str) -> str:
        words = r"\s+".join(map(re.escape, self.label.split()))
        wanted = re.compile(rf"(?<![\w.^*+~'-]){words}(?![\w^*+~'-])")
        found = []
        for line in outputs.text(file).splitlines():
            at = wanted.search(line)
            if at is None:
                continue
            comment = re.search(r"[#!]", line[: at.start()])
            behind = NUMBER_PATTERN.findall(line[at.end() :])[:1]
            found += NUMBER_PATTERN.findall(line[: comment.start()])[-1:] if comment else behind
        return pick(found, self.which, f"{self.where} with a number in {file}")


@dataclass(frozen=True)
class KeyValue(Reader):
    """The number in ``key=value`` or ``key: value``; the key is compared as a whole word."""

    key: str
    file: str | None = None
    which: Which = "only"
    optional: bool = False
    kind: ClassVar[str] = "key"

    @property
    def where(self) -> str:
        return f"{self.key}="

    def check(self, observable: str) -> None:
        if not self.key.strip():
            msg = f"observable {observable!r}: the key is empty"
            raise ConfigError(msg)
        _check_which(observable, self.which)

    def find(self, outputs: Outputs, file: str) -> str:
        pattern = rf"(?<![\w.]){re.escape(self.key.strip())}\s*[=:]\s*({NUMBER}|\S+)"
        return pick([m[1] for m in re.finditer(pattern, outputs.text(file))], self.which, f"{self.where} in {file}")


@dataclass(frozen=True)
class Column(Reader):
    """One cell of a table, by the column's name in the header, or by its number from 1.

    Comment lines (``#``, ``!``) are no rows. The header is the last line above the rows with as many words as
    a row has.

    Parameters
    ----------
    column : str or int
    row : int
        From 1; negative counts from the end.
    """

    column: str | int
    row: int = -1
    file: str | None = None
    optional: bool = False
    kind: ClassVar[str] = "column"

    @property
    def where(self) -> str:
        return f"column {self.column!r}, row {self.row}"

    def check(self, observable: str) -> None:
        if self.row == 0 or (isinstance(self.column, int) and self.column == 0):
            msg = (
                f"observable {observable!r}: rows and columns count from 1; got column {self.column!r}, row {self.row}"
            )
            raise ConfigError(msg)

    def find(self, outputs: Outputs, file: str) -> str:
        return find_cell(outputs.text(file), self.column, self.row, file)


@dataclass(frozen=True)
class JSONPath(Reader):
    """A number in a JSON file: ``higgs.masses[0]``, keys separated by dots, list positions from 0."""

    path: str
    file: str | None = None
    optional: bool = False
    kind: ClassVar[str] = "json"
    _STEP: ClassVar[re.Pattern[str]] = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(-?\d+)\]")

    @property
    def where(self) -> str:
        return f"JSON path {self.path!r}"

    def check(self, observable: str) -> None:
        if "".join(m[0] for m in self._STEP.finditer(self.path)) != self.path or not self.path:
            msg = f"observable {observable!r}: {self.path!r} is no JSON path; write for example 'higgs.masses[0]'"
            raise ConfigError(msg)

    def find(self, outputs: Outputs, file: str) -> str:
        node = outputs.json(file)
        for step in self._STEP.finditer(self.path):
            key, index = step[1], step[2]
            if key is not None and isinstance(node, dict) and key in node:
                node = node[key]
            elif index is not None and isinstance(node, list) and -len(node) <= int(index) < len(node):
                node = node[int(index)]
            else:
                there = f"; known: {', '.join(list(node)[:8])}" if isinstance(node, dict) else ""
                msg = f"{self.where}: nothing at {step[0]!r} in {file}{there}"
                raise ReadError(msg)
        return node if isinstance(node, str) else json.dumps(node)


@dataclass(frozen=True)
class SLHAEntry(Reader):
    """An entry of an SLHA file, such as ``MASS 25``, ``NMIX 1 2`` or ``DECAY 25 -> 5 -5``."""

    address: str
    file: str | None = None
    optional: bool = False
    kind: ClassVar[str] = "slha"

    @property
    def where(self) -> str:
        return self.address

    @property
    def parsed(self) -> Address:
        """The address."""
        return Address.parse(self.address)

    def check(self, observable: str) -> None:
        parse_address(self.address, f"observable {observable!r}")

    def find(self, outputs: Outputs, file: str) -> str:
        return outputs.slha(file, self.address)


@dataclass(frozen=True)
class ExitCode(Reader):
    """The exit code of the last program."""

    optional: bool = False
    kind: ClassVar[str] = "exit"
    in_file: ClassVar[bool] = False

    @property
    def where(self) -> str:
        return "exit code"

    def find(self, outputs: Outputs, file: str) -> str:  # noqa: ARG002 - no file is involved
        if outputs.exit_code is None:
            msg = "there is no exit code: the program was ended by a signal"
            raise ReadError(msg)
        return str(outputs.exit_code)


@dataclass(frozen=True)
class Custom(Reader):
    """What the user's function returns for the point's directory.

    Parameters
    ----------
    function : callable
        Takes the directory (`pathlib.Path`) and returns a number; an exception means that there is none.
    """

    function: Callable[[Path], float]
    optional: bool = False
    kind: ClassVar[str] = "function"
    in_file: ClassVar[bool] = False

    @property
    def where(self) -> str:
        return f"function {getattr(self.function, '__qualname__', repr(self.function))}"

    def find(self, outputs: Outputs, file: str) -> str:  # noqa: ARG002 - the function chooses its files
        try:
            return repr(float(self.function(outputs.directory)))
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises is the reason in the row
            msg = f"{self.where} failed: {type(error).__name__}: {error}"
            raise ReadError(msg) from None


KINDS: dict[str, type[Reader]] = {
    reader.kind: reader for reader in (Regex, Label, KeyValue, Column, JSONPath, SLHAEntry, ExitCode)
}


def as_reader(observable: str, spec: object, default: Callable[[str], Reader] | None = None) -> Reader:
    r"""Return the reader that a user's entry of ``read`` means.

    Parameters
    ----------
    observable : str
        For messages.
    spec : Reader, str, mapping or callable
        ``"slha:MASS 25"``, ``"regex:m_h = (\S+)"``, ``"label:m_h"``, ``"key:Omega"``, ``"column:obsratio"``,
        ``"json:a.b[0]"``, ``"exit"``; or, as in TOML, ``{slha = "MASS 25", file = "out.slha", optional = true}``; or a
        function of the point's directory.
    default : callable, optional
        What a text without a kind in front means.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    reader: Reader | None = None
    if isinstance(spec, Reader):
        reader = spec
    elif callable(spec):
        reader = Custom(spec)
    elif isinstance(spec, str):
        kind, colon, rest = spec.partition(":")
        if kind.strip() in KINDS and (colon or kind.strip() == "exit"):
            reader = _make(observable, kind.strip(), rest.strip(), {})
        elif default is not None:
            reader = default(spec)
    elif isinstance(spec, Mapping):
        reader = _from_mapping(observable, dict(spec), default)
    if reader is None:
        msg = (
            f"observable {observable!r}: {spec!r} does not say how to read it; expected a text with one of the kinds "
            f"{', '.join(f'{kind}:' for kind in KINDS)} in front, such as 'slha:MASS 25'"
        )
        raise ConfigError(msg)
    reader.check(observable)
    return reader


def read_all(readers: Mapping[str, Reader], outputs: Outputs, default: str) -> dict[str, Reading]:
    """Read every observable; the SLHA entries of one file in one pass."""
    wanted: dict[str, list[str]] = {}
    for reader in readers.values():
        if isinstance(reader, SLHAEntry):
            wanted.setdefault(reader.file_or(default), []).append(reader.address)
    outputs.want(wanted)
    return {observable: reader.read(outputs, default) for observable, reader in readers.items()}


def pick(found: list[str], which: Which, where: str) -> str:
    """Return the match that is meant; ReadError when there is none or it is not clear."""
    if not found:
        msg = f"{where} was not found"
        raise ReadError(msg)
    if which == "only" and len(set(found)) > 1:
        msg = f"{where} was found {len(found)} times ({', '.join(found[:4])}); say which = 'first' or 'last'"
        raise ReadError(msg)
    return found[0] if which == "first" else found[-1]


def _from_mapping(observable: str, spec: dict[str, Any], default: Callable[[str], Reader] | None) -> Reader | None:
    kinds = [key for key in spec if key in KINDS]
    if len(kinds) == 1:
        return _make(observable, kinds[0], spec.pop(kinds[0]), spec)
    if not kinds and default is not None and isinstance(spec.get("name"), str):
        name = spec.pop("name")
        reader = default(name)
        known = {field.name for field in fields(reader)}
        _refuse_unknown(observable, spec, known)
        return type(reader)(**{**{field: getattr(reader, field) for field in known}, **spec})
    return None


def _make(observable: str, kind: str, value: Any, options: Mapping[str, Any]) -> Reader:
    reader = KINDS[kind]
    names = [field.name for field in fields(reader)]
    _refuse_unknown(observable, options, set(names))
    if kind == "exit":
        return reader(**options)
    if kind == "column" and isinstance(value, str) and value.lstrip("-").isdigit():
        value = int(value)
    if not isinstance(value, str) and not (kind == "column" and isinstance(value, int)):
        msg = f"observable {observable!r}: {kind} = {value!r}; expected a text"
        raise ConfigError(msg)
    return reader(value, **options)  # type: ignore[call-arg]


def _refuse_unknown(observable: str, options: Mapping[str, Any], known: set[str]) -> None:
    for key in options:
        if key not in known:
            msg = f"observable {observable!r}: unknown key {key!r}{did_you_mean(key, known)}"
            raise ConfigError(msg)


def _check_which(observable: str, which: str) -> None:
    if which not in ("only", "first", "last"):
        msg = f"observable {observable!r}: which = {which!r}; expected 'only', 'first' or 'last'"
        raise ConfigError(msg)


def _plain(value: Any) -> Any:
    if not callable(value):
        return value
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return getattr(value, "__qualname__", repr(value))
