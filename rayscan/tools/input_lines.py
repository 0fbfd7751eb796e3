"""Input files whose lines say which number they hold: by a label in the comment, or by a name in front."""

from __future__ import annotations

import abc
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError, did_you_mean
from rayscan.tools.input_file import Change, TemplateFile, as_write, line_of, read_template
from rayscan.tools.number import NUMBER_PATTERN, format_number

_SHOWN_LINES = 6
_NAME_LINE = re.compile(r"^[ \t]*([^\s#=]+)[ \t]*[ \t=][ \t]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a value stands in a template: the parameter, its label, and the offsets of the token to replace."""

    parameter: str
    label: str
    start: int
    end: int


class _Slots(TemplateFile):
    """A template in which known tokens are replaced and every other character stays."""

    def __init__(self, text: str, source: str, write: Mapping[str, str]) -> None:
        self.text, self.source, self.write = text, source, dict(write)
        self._slots: tuple[_Slot, ...] | None = None

    @abc.abstractmethod
    def _find(self, parameter: str, label: str) -> _Slot:
        """Return the one place of a label; ConfigError when there is none or more than one."""

    @property
    def slots(self) -> tuple[_Slot, ...]:
        """The places to write to, in the file's order."""
        if self._slots is None:
            slots = sorted((self._find(p, label) for p, label in self.write.items()), key=lambda slot: slot.start)
            for one, other in itertools.pairwise(slots):
                if other.start < one.end:
                    msg = (
                        f"{self.source}: parameters {one.parameter!r} and {other.parameter!r} are written to the same "
                        f"place, line {line_of(self.text, one.start)}; give each its own"
                    )
                    raise ConfigError(msg)
            self._slots = tuple(slots)
        return self._slots

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(self.write)

    def check(self) -> None:
        _ = self.slots

    def render(self, point: Mapping[str, float]) -> str:
        parts, done = [], 0
        for slot in self.slots:
            parts += [self.text[done : slot.start], format_number(point[slot.parameter])]
            done = slot.end
        return "".join([*parts, self.text[done:]])

    def changes(self, point: Mapping[str, float]) -> list[Change]:
        return [
            Change(
                s.parameter,
                s.label,
                line_of(self.text, s.start),
                self.text[s.start : s.end],
                format_number(point[s.parameter]),
            )
            for s in self.slots
        ]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "write": dict(self.write)}


class Labelled(_Slots):
    """A file whose lines carry labels: ``1   70.0   # m0``. The last number before the label's comment is replaced.

    A label is compared with the whole comment; when no comment is equal to it, it must be in exactly one comment as a
    whole word. A label that is nowhere, or in two places, is refused.

    Parameters
    ----------
    template : path-like
    write : mapping of str to str
        Parameter to label.
    comment : str
        The characters that start a comment.
    base : path-like, optional

    Raises
    ------
    ConfigError
        If the file cannot be read or nothing is to be written.
    """

    def __init__(
        self, template: str | Path, write: Mapping[str, str], *, comment: str = "#!", base: str | Path | None = None
    ) -> None:
        text, source = read_template(template, base)
        super().__init__(text, source, as_write(source, write, "a label"))
        self.comment = comment

    def _find(self, parameter: str, label: str) -> _Slot:
        lines = list(labelled_lines(self.text, self.comment))
        wanted = " ".join(label.strip().lstrip(self.comment).split())
        found = [line for line in lines if line[0] == wanted]
        if not found:
            pattern = whole_word(wanted)
            found = [line for line in lines if pattern.search(line[0])]
        if len(found) == 1:
            _, start, end = found[0]
            return _Slot(parameter, label, start, end)
        if found:
            numbers = ", ".join(str(line_of(self.text, start)) for _, start, _ in found[:_SHOWN_LINES])
            msg = (
                f"{self.source}: label {label!r} of parameter {parameter!r} is on {len(found)} lines ({numbers}); "
                f"expected one: give the whole comment of the line that is meant, or its SLHA address"
            )
            raise ConfigError(msg)
        msg = f"{self.source}: no line with a number has the label {label!r} of parameter {parameter!r}" + did_you_mean(
            wanted, {name for name, _, _ in lines}
        )
        raise ConfigError(msg)


class NameValue(_Slots):
    """A file of ``name value`` (or ``name = value``) lines, as micrOMEGAs reads; the first word is compared exactly.

    Parameters
    ----------
    template : path-like or mapping of str to float, optional
        A file to read, or the fixed values ``{name: value}``, to which the written ones are added.
    write : mapping of str to str, or sequence of str
        Parameter to name in the file; a sequence when both are the same.
    add : bool
        Whether a name that the template lacks is appended; always so without a file.
    base : path-like, optional

    Raises
    ------
    ConfigError
        If the file cannot be read or nothing is to be written.
    """

    def __init__(
        self,
        template: str | Path | Mapping[str, float] | None,
        write: Mapping[str, str] | Sequence[str],
        *,
        add: bool = False,
        base: str | Path | None = None,
    ) -> None:
        if template is None or isinstance(template, Mapping):
            fixed = {name: value for name, value in (template or {}).items() if name not in _names_of(write)}
            text = "".join(f"{name}   {format_number(value)}\n" for name, value in fixed.items())
            source, add = "the parameter file", True
        else:
            text, source = read_template(template, base)
        pairs = as_write(source, write if isinstance(write, Mapping) else {name: name for name in write}, "a name")
        if add:
            known = {m[1] for m in _NAME_LINE.finditer(text)}
            text += "" if not text or text.endswith("\n") else "\n"
            text += "".join(f"{name}   0\n" for name in pairs.values() if name not in known)
        super().__init__(text, source, pairs)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in the file."""
        return tuple(line[1] for line in _NAME_LINE.finditer(self.text))

    def _find(self, parameter: str, label: str) -> _Slot:
        found = [line for line in _NAME_LINE.finditer(self.text) if line[1] == label]
        if len(found) == 1:
            return _Slot(parameter, label, found[0].start(2), found[0].end(2))
        if found:
            numbers = ", ".join(str(line_of(self.text, line.start())) for line in found[:_SHOWN_LINES])
            msg = f"{self.source}: the name {label!r} is on {len(found)} lines ({numbers}); keep one of them"
            raise ConfigError(msg)
        near = did_you_mean(label, self.names)
        msg = f"{self.source}: there is no line '{label} <value>' for parameter {parameter!r}{near}"
        raise ConfigError(msg)


def whole_word(label: str) -> re.Pattern[str]:
    """Return a pattern that finds `label` where it is not part of a longer name."""
    return re.compile(rf"(?<![\w.^*+~'-]){re.escape(label)}(?![\w^*+~'-])")


def labelled_lines(text: str, comment: str) -> list[tuple[str, int, int]]:
    """Return the comment, and the offsets of the last number before it, of every line that has both."""
    lines, offset = [], 0
    marks = re.compile(f"[{re.escape(comment)}]")
    for line in text.splitlines(keepends=True):
        mark = marks.search(line)
        if mark:
            numbers = list(NUMBER_PATTERN.finditer(line, 0, mark.start()))
            if numbers and not line.lstrip().lower().startswith(("block", "decay")):
                label = " ".join(line[mark.end() :].strip().lstrip(comment).split())
                lines.append((label, offset + numbers[-1].start(), offset + numbers[-1].end()))
        offset += len(line)
    return lines


def _names_of(write: Mapping[str, str] | Sequence[str]) -> set[str]:
    """Return the names in the file that `write` writes to."""
    return set(write.values()) if isinstance(write, Mapping) else set(write)
