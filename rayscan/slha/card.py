"""An SLHA card as a template: values change, every other byte stays."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self

from rayscan.errors import SLHAError
from rayscan.slha.address import Address
from rayscan.slha.edit import Edit, formatted, new_header, new_line
from rayscan.slha.reader import read_texts, read_values
from rayscan.slha.sections import (
    Line,
    Reading,
    Section,
    as_lines,
    choose,
    is_integer,
    lines,
    pattern,
    read_branching,
    read_columns,
    read_cross_section,
    read_width,
    sections,
    value_columns,
)

#: What a label in a comment may not touch: ``m_A^2``, ``~e_R``, ``H+`` and ``C7'`` are other names than ``m_A``, …
_BEFORE, _AFTER = r"(?<![\w^'~*+\-.])", r"(?![\w^'~*+\-]|\.\w)"
_TOKEN = re.compile(rb"\S+")
_PLANS_KEPT = 64


class Entry(NamedTuple):
    """One entry of a card: its address, line number (from 1) and comment."""

    address: Address
    line: int
    comment: str


class _Place(NamedTuple):
    """Where a value stands: offsets of its token (None: there is none to replace) and of its line."""

    start: int | None
    end: int
    line_start: int


class Card:
    """A card (or any SLHA file) that is read once and rendered many times. It never changes; it can be pickled.

    Build it with `Card.parse`.
    """

    __slots__ = ("_data", "_errors", "_plans", "_sections")

    def __init__(self, data: bytes, errors: str) -> None:
        self._data = data
        self._errors = errors
        self._sections = sections(data)
        self._plans: dict[tuple[bool, tuple[Address, ...]], tuple[tuple[Edit, ...], tuple[str, ...]]] = {}

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Make a card of the text of a file. Bytes keep any encoding; text keeps its line ends."""
        return cls(as_lines(text), "surrogatepass" if isinstance(text, str) else "surrogateescape")

    def __reduce__(self) -> tuple[type[Card], tuple[bytes, str]]:
        return type(self), (self._data, self._errors)

    def __repr__(self) -> str:
        return f"Card({len(self._data) - 1} bytes, {len(self._sections)} sections)"

    def value(self, address: Address) -> float:
        """Return the number at `address`, NaN if the text there is no number; read like `slha.read_values`.

        Raises
        ------
        SLHAError
            If the card has no such entry.
        """
        found = read_values(self._data, [address])
        if address not in found:
            raise SLHAError(self._missing(address))
        return found[address]

    def text(self, address: Address) -> str:
        """Return the text at `address` (the last one if there are several), without its comment.

        Raises
        ------
        SLHAError
            If the card has no such entry or `address` is no block entry.
        """
        found = read_texts(self._data, [address])
        if address not in found:
            raise SLHAError(self._missing(address))
        return found[address][-1]

    def require(self, addresses: Iterable[Address]) -> None:
        """Check that each of `addresses` is there exactly once.

        Raises
        ------
        SLHAError
            Lists every entry that is missing, with what the card has instead, and every entry that occurs twice, with
            the line numbers.
        """
        problems = []
        for address in dict.fromkeys(addresses):
            places = self._places(address)
            if not places:
                problems.append(self._missing(address))
            elif len(places) > 1 and (address.products is None or address.block == "XSECTION"):
                problems.append(self._ambiguous(address, places))
        if problems:
            raise SLHAError("\n".join(problems))

    def render(self, values: Mapping[Address, float], *, add: bool = False) -> str:
        """Return the card with new values; everything else stays as it is, byte for byte.

        Parameters
        ----------
        values : mapping of Address to float or int
            Finite numbers. Floats are written with 13 significant digits, or with 17 where 13 would not read back as
            the same number; ints as ints, and so are whole floats in place of an integer (Fortran refuses ``1.0`` for a
            switch).
        add : bool
            Whether an entry that the card lacks is appended to its block, or in a new block at the end.

        Raises
        ------
        SLHAError
            If an entry is missing (without `add`), occurs twice or has no value to replace, or a value is not finite.
        """
        key = (add, tuple(values))
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[key] = self._plan(key[1], add)
        edits, pieces = plan
        parts = [pieces[0]]
        for edit, piece in zip(edits, pieces[1:], strict=True):
            parts.append(formatted(values[edit.address], edit))
            parts.append(piece)
        return "".join(parts)

    def render_bytes(self, values: Mapping[Address, float], *, add: bool = False) -> bytes:
        """Like `render`, as the bytes to write: identical to the parsed ones but for the values."""
        return self.render(values, add=add).encode("utf-8", self._errors)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry of the card in its order: blocks, total widths and branching ratios."""
        for section in self._sections:
            block, _, particle = section.key.decode("latin-1").partition(" ")
            if particle and len(particle) < 19:
                width = Address(block, (int(particle),))
                yield self._entry(width, section.header)
            for line in lines(self._data, section):
                address = _address(block, particle, section, line)
                if address is not None:
                    yield self._entry(address, line.start)

    def find_comment(self, label: str) -> list[Entry]:
        """Find entries by a label in their comment, as DLScanner's input files name them.

        Parameters
        ----------
        label : str
            Matched as a whole word, upper and lower case told apart: ``m_A`` is neither in ``m_Ax`` nor in ``m_A^2``. A
            leading ``#`` is ignored.

        Returns
        -------
        list of Entry
            Tuples of address, line number (from 1) and comment.
        """
        words = label.strip().lstrip("#").split()
        if not words:
            return []
        wanted = re.compile(_BEFORE + r"\s+".join(map(re.escape, words)) + _AFTER)
        return [entry for entry in self.entries() if wanted.search(entry.comment)]

    def _entry(self, address: Address, start: int) -> Entry:
        comment = self._line(start).partition(b"#")[2].strip().decode("utf-8", "replace")
        return Entry(address, self._line_number(start), comment)

    def _line(self, start: int) -> bytes:
        end = self._data.find(b"\n", start)
        return self._data[start : end if end >= 0 else len(self._data)]

    def _line_number(self, offset: int) -> int:
        return self._data.count(b"\n", 0, offset)

    def _group(self, address: Address) -> list[Section]:
        return [section for section in self._sections if section.key == address.key]

    def _places(self, address: Address) -> list[_Place]:
        """Every place that holds the entry: more than one if the card is ambiguous."""
        group = self._group(address)
        if not address.is_block and address.products is None:
            return [self._place(Line(list(section.head), section.header), read_width(section)) for section in group]
        places = []
        for section in choose(group, address):
            for line in lines(self._data, section):
                if address.is_block:
                    reading = read_columns(pattern(address), line.tokens)
                elif address.block == "XSECTION":
                    reading = read_cross_section(address, line.tokens)
                else:
                    reading = read_branching(section, address, line.tokens)
                if reading is not None:
                    places.append(self._place(line, reading))
        return places

    def _place(self, line: Line, reading: Reading) -> _Place:
        if reading.column is None:
            return _Place(None, 0, line.start)
        content = self._line(line.start).partition(b"#")[0]
        start, end = [match.span() for match in _TOKEN.finditer(content)][reading.column]
        return _Place(line.start + start, line.start + end, line.start)

    def _plan(self, addresses: tuple[Address, ...], add: bool) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
        """Edits in the file's order, and the unchanged pieces of text around their values."""
        edits, missing, problems = [], [], []
        for address in addresses:
            places = self._places(address)
            if not places and add:
                missing.append(address)
            elif not places:
                problems.append(self._missing(address))
            elif len(places) > 1:
                problems.append(self._ambiguous(address, places))
            elif (start := places[0].start) is None:
                line = self._line_number(places[0].line_start)
                problems.append(f"line {line} of the card: {address} has no single value to replace")
            else:
                end = places[0].end
                edits.append(Edit(start, end, "", address, "", is_integer(self._data[start:end])))
        if problems:
            raise SLHAError("\n".join(problems))
        edits += self._additions(missing)
        edits.sort(key=operator.attrgetter("start"))
        pieces, done, before = [], 1, ""
        for edit in edits:
            if edit.start < done and edit.end > edit.start:
                message = f"{edit.address} and another address write the same entry of the card; give it one name"
                raise SLHAError(message)
            pieces.append(before + self._decode(done, edit.start) + edit.before)
            done, before = edit.end, edit.after
        pieces.append(before + self._decode(done, len(self._data)))
        return tuple(edits), tuple(pieces)

    def _decode(self, start: int, end: int) -> str:
        return self._data[start:end].decode("utf-8", self._errors)

    def _additions(self, missing: Sequence[Address]) -> list[Edit]:
        """Insert the entries that the card lacks behind the data of their section, or in new sections at the end."""
        newline = "\r\n" if b"\r\n" in self._data else "\n"
        edits: list[Edit] = []
        new: dict[tuple[bytes, float | str | None], list[Address]] = {}
        for address in missing:
            group = choose(self._group(address), address)
            if group:
                self._insert(edits, self._end_of_data(group[-1]), "", address, newline)
            else:
                new.setdefault((address.key, address.scale), []).append(address)
        for block in new.values():
            header = new_header(block[0], newline)
            for address in block:
                self._insert(edits, len(self._data), header, address, newline)
                header = ""
        return edits

    def _insert(self, edits: list[Edit], at: int, header: str, address: Address, newline: str) -> None:
        """Append the edit that inserts a line for `address` at an offset."""
        before, after = new_line(address)
        unfinished = self._data[at - 1 : at] != b"\n" and not any(edit.start == at for edit in edits)
        edits.append(Edit(at, at, newline * unfinished + header + before, address, after + newline, integer=False))

    def _end_of_data(self, section: Section) -> int:
        """Offset behind the last data line of a section (behind its header if it has none)."""
        start = section.header
        for line in lines(self._data, section):
            start = line.start
        return min(start + len(self._line(start)) + 1, len(self._data))

    def _missing(self, address: Address) -> str:
        """Say what the card has instead of an entry that is not there."""
        said = f"the card has no entry {address}"
        group = self._group(address)
        if not group:
            block = address.key.decode("latin-1")
            names = list(dict.fromkeys(section.key.decode("latin-1") for section in self._sections))
            near = difflib.get_close_matches(block, names, n=3, cutoff=0.6) or names[:12]
            kind = "block " if address.is_block else ""
            return f"{said}: it has no {kind}{block}; it has {', '.join(near) or 'no blocks at all'}"
        if address.is_block and not choose(group, address):
            scales = ", ".join(str(section.scale) for section in group)
            return f"{said}: the block is there at Q = {scales}"
        same = [e for e in self.entries() if e.address.key == address.key]
        text = str(address)
        same.sort(key=lambda e: -difflib.SequenceMatcher(None, text, str(e.address)).ratio())
        near = [f"{e.address} (line {e.line}{', ' + e.comment if e.comment else ''})" for e in same[:6]]
        return f"{said}; nearest: {'; '.join(near)}" if near else f"{said}: the section is empty"

    def _ambiguous(self, address: Address, places: Sequence[_Place]) -> str:
        numbers = [str(self._line_number(place.line_start)) for place in places]
        return f"{address} occurs {len(places)} times in the card, on lines {' and '.join(numbers)}: keep one of them"


def _address(block: str, particle: str, section: Section, line: Line) -> Address | None:
    """Address of a data line, or None if it has none."""
    tokens = line.tokens
    if particle:
        ids = tokens[2:]
        if not ids or not all(is_integer(t) and len(t) < 19 for t in ids):
            return None
        return Address(block, (int(particle),), products=tuple(sorted(map(int, ids))))
    columns = None if block == "XSECTION" else value_columns(section.key, tokens)
    return None if columns is None else Address(block, columns)
