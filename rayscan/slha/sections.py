"""The sections, lines and numbers of an SLHA file, as bytes: what reading and writing have in common.

Everything works on ASCII bytes, so that neither Unicode digits nor Unicode blanks can turn into numbers or columns.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rayscan.slha.address import ANY, DECAY_KEYWORDS, VALUE, Address

#: Blanks before a header; NUL bytes there are the holes of truncated files.
_BLANK: Final = rb"[ \t\r\f\v]"
#: A Fortran or C number; ``1.0+100`` is how Fortran prints a three-digit exponent.
_NUMERAL: Final = rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:([eEdDqQ])[+-]?\d+|([+-])\d{3})?"
_STOP: Final = rb"(?=[\s#]|\Z)"
#: A line whose first column is no number (nor NaN, ****): a header, or text that nobody can attribute. Both end
#: the section before them, so that lines below a damaged header are never taken for entries of the previous block.
_END: Final = re.compile(
    rb"\n"
    + _BLANK
    + rb"*+(?![\s#]|\Z|\d++[\s#]|(?:"
    + _NUMERAL
    + rb"|(?i:[+-]?(?:nan|inf(?:inity)?))|\*+)"
    + _STOP
    + rb")"
)
_SCALE: Final = re.compile(rb"(?<!\S)[Qq][ \t]*=[ \t]*(\S+)")
_NUMBER: Final = re.compile(_NUMERAL)
_INTEGER: Final = re.compile(rb"([+-]?)(\d+)")
_WORDS: Final = {
    sign + word: float(sign + word) for word in (b"nan", b"inf", b"infinity") for sign in (b"", b"+", b"-")
}
_SCALE_TOLERANCE: Final = 1e-4

Columns = tuple[bytes, ...]


class Section(NamedTuple):
    """One block, decay table or cross section of a file.

    ``key`` is what `Address.key` calls it, ``head`` the header's columns, ``header`` and ``body`` the offsets where the
    header line and the lines after it start, ``end`` the offset after its last line.
    """

    key: bytes
    head: Columns
    header: int
    body: int
    end: int

    @property
    def scale(self) -> float | None:
        """The Q of the header in GeV; None without one, NaN if it cannot be read."""
        found = _SCALE.search(b" ".join(self.head))
        return None if found is None else number(found[1])


def as_lines(text: str | bytes) -> bytes:
    """Bytes of a file's text behind one line end, so that every line has a line end before it."""
    return b"\n" + (text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)


def number(token: bytes) -> float:
    """Value of a token that is wholly a number; NaN for ``NaN``, ``****`` and for every token that is not."""
    found = _NUMBER.fullmatch(token)
    if found is None:
        return _WORDS.get(token.lower(), math.nan)
    if found[2] is not None:
        return float(token[:-4] + b"e" + token[-4:])
    if found[1] in (None, b"e", b"E"):
        return float(token)
    return float(token.replace(found[1], b"e"))


def is_number(token: bytes) -> bool:
    """Whether the token can stand where a file has numbers (``NaN``, ``Infinity`` and ``****`` can)."""
    return _NUMBER.fullmatch(token) is not None or token.lower() in _WORDS or not token.strip(b"*")


def is_integer(token: bytes) -> bool:
    """Whether the token is an integer, as indices are."""
    return _INTEGER.fullmatch(token) is not None


def canonical(token: bytes) -> bytes:
    """Integers without plus sign and leading zeros (``+0025`` → ``25``); other tokens as they are."""
    found = _INTEGER.fullmatch(token)
    if found is None:
        return token
    digits = found[2].lstrip(b"0")
    return (b"-" if found[1] == b"-" and digits else b"") + (digits or b"0")


def index_pattern(indices: Iterable[bytes]) -> bytes:
    """Regular expression of any of some canonical integers in all their spellings (``25``, ``+25``, ``025``)."""
    signs: dict[bytes, list[bytes]] = {}
    for index in sorted(indices):
        sign = rb"-" if index.startswith(b"-") else rb"\+?" if index != b"0" else rb"[+-]?"
        signs.setdefault(sign, []).append(index.lstrip(b"-"))
    kinds = [sign + rb"0*(?:" + rb"|".join(digits) + rb")" for sign, digits in signs.items()]
    return rb"(?:" + rb"|".join(kinds) + rb")" + _STOP


@functools.lru_cache(maxsize=256)
def opening(keys: frozenset[bytes] | None = None) -> re.Pattern[bytes]:
    """Regular expression of the header lines of the sections with these keys, of all sections without."""
    if keys is None:
        names, ids, cross = rb"[^\s#]++", rb"[+-]?\d++" + _STOP, True
    else:
        names = rb"|".join(re.escape(key) for key in keys if b" " not in key)
        particles = {key.split()[1] for key in keys if b" " in key}
        ids = index_pattern(particles) if particles else b""
        cross = b"XSECTION" in keys
    kinds = []
    if names:
        kinds.append(rb"block" + _BLANK + rb"++(" + names + rb")" + _STOP)
    if ids:
        kinds.append(rb"(decay1l|decay)" + _BLANK + rb"++(" + ids + rb")")
    if cross:
        kinds.append(rb"(xsection)" + _STOP)
    return re.compile(rb"\n[\0 \t\r\f\v]*+(?=[BbDdXx])(?i:" + rb"|".join(kinds or [rb"(?!)"]) + rb")")


def sections(data: bytes, keys: frozenset[bytes] | None = None, *, strict: bool = True) -> list[Section]:
    """Find the sections with these keys (all without `keys`) in the bytes of `as_lines`.

    With ``strict`` a line of unknown text ends a section; without it, it does not (texts may be broken over lines).
    """
    found = []
    end_of_section = _END if strict else opening()
    for match in opening(keys).finditer(data):
        words = [word for word in match.groups() if word is not None]
        key = words[0].upper() if len(words) == 1 else words[0].upper() + b" " + canonical(words[1])
        if keys is not None and key not in keys:
            continue
        header = match.end() - len(match[0].lstrip(b"\n\0 \t\r\f\v"))
        body = data.find(b"\n", header)
        body = body if body >= 0 else len(data)
        end = end_of_section.search(data, body)
        head = tuple(data[header:body].partition(b"#")[0].split())
        found.append(Section(key, head, header, body, end.start() if end else len(data)))
    return found


def choose(found: Sequence[Section], address: Address) -> list[Section]:
    """Sections of one key that `address` means, in the file's order.

    Blocks: all occurrences at the chosen scale, without a choice at the scale of the last one. Decays: the last one.
    Cross sections: those of the process at that energy.
    """
    if address.block == "XSECTION":
        return [section for section in found if _is_process(section.head, address)]
    if address.block in DECAY_KEYWORDS:
        return list(found[-1:])
    if not found or (address.scale is None and len(found) == 1):
        return list(found)
    scales = [section.scale for section in found]
    chosen = scales[-1] if address.scale is None else _nearest(scales, address.scale)
    if chosen is not None and math.isnan(chosen):
        return list(found[-1:]) if address.scale is None else []
    return [section for section, scale in zip(found, scales, strict=True) if scale == chosen]


def _nearest(scales: Sequence[float | None], wanted: float | str) -> float:
    """Pick the scale that an address asks for; NaN if there is none."""
    given = [scale for scale in scales if scale is not None and math.isfinite(scale)]
    if not given:
        return math.nan
    if isinstance(wanted, str):
        return max(given) if wanted == "max" else min(given)
    near = min(given, key=lambda scale: abs(scale - wanted))
    return near if math.isclose(near, wanted, rel_tol=_SCALE_TOLERANCE) else math.nan


def _is_process(head: Columns, address: Address) -> bool:
    """Whether an ``XSECTION √s id1 id2 n id3 …`` header names the process of `address`."""
    products = address.products or ()
    if len(head) != 5 + len(products) or canonical(head[4]) != b"%d" % len(products):
        return False
    return (
        isinstance(address.scale, float)
        and math.isclose(number(head[1]), address.scale, rel_tol=_SCALE_TOLERANCE)
        and sorted(map(canonical, head[2:4])) == _sorted_ids(address.columns)
        and sorted(map(canonical, head[5:])) == _sorted_ids(products)
    )


class Line(NamedTuple):
    """A data line: its columns and the offset where it starts."""

    tokens: list[bytes]
    start: int


def lines(data: bytes, section: Section) -> Iterator[Line]:
    """Yield the data lines of a section."""
    start = section.body + 1
    for raw in data[start : section.end].split(b"\n"):
        tokens = raw.partition(b"#")[0].split()
        if tokens:
            yield Line(tokens, start)
        start += len(raw) + 1


class Reading(NamedTuple):
    """The value that a line holds for an address, and the column it stands in (None: no column to replace)."""

    value: float
    column: int | None


@functools.lru_cache(maxsize=4096)
def pattern(address: Address) -> Columns:
    """Columns of a block entry as canonical bytes."""
    return tuple(str(column).encode() for column in address.columns)


def read_columns(columns: Columns, tokens: Sequence[bytes]) -> Reading | None:
    """Match a line of a block against the `pattern` of an address; None if it is another entry.

    A line that is this entry but does not hold exactly one number where the value belongs reads as NaN.
    """
    at, n = columns.index(b"_"), len(columns)
    if len(tokens) != n and (at != n - 1 or len(tokens) < at):
        return None
    for column, token in zip(columns, tokens, strict=False):
        if column not in (b"_", b"*", token) and column != canonical(token):
            return None
    if len(tokens) == n:
        return Reading(number(tokens[at]), at)
    if len(tokens) == at:
        # "4  # internal problem": classic SPheno's entry without a value. With more indices it is another entry.
        return Reading(math.nan, None) if at == 1 else None
    if is_integer(tokens[at]) and is_number(tokens[at + 1]):
        return None
    # "1  1  mSUGRA": words that lack their '#', which Fortran programs skip, leave a value that can be replaced.
    words = is_number(tokens[at]) and not is_number(tokens[at + 1])
    return Reading(math.nan, at if words else None)


def read_width(section: Section) -> Reading:
    """Total width in the header ``DECAY id width``."""
    return Reading(number(section.head[2]), 2) if len(section.head) == 3 else Reading(math.nan, None)


def read_branching(section: Section, address: Address, tokens: Sequence[bytes]) -> Reading | None:
    """Match a line ``ratio n id1 … idn`` of a decay table against the daughters of `address`."""
    products = address.products or ()
    n = len(products)
    ids = tokens[2:]
    if len(ids) < n or sorted(map(canonical, ids[:n])) != _sorted_ids(products):
        return None
    count = canonical(tokens[1])
    if count != b"%d" % n:
        return None if count == b"%d" % len(ids) else Reading(math.nan, None)
    return Reading(number(tokens[0]), 0) if len(ids) == n and len(section.head) <= 3 else Reading(math.nan, None)


def read_cross_section(address: Address, tokens: Sequence[bytes]) -> Reading | None:
    """Match a line ``scheme qcd ew κ_F κ_R pdf value [code version]`` against the options of `address`."""
    for option, token in zip(address.options, tokens, strict=False):
        if option != ANY and option != number(token):
            return None
    if len(tokens) < 7 or (len(tokens) > 7 and is_number(tokens[7])):
        return Reading(math.nan, None)
    return Reading(number(tokens[6]), 6)


@functools.lru_cache(maxsize=4096)
def _sorted_ids(ids: tuple[int | str, ...]) -> list[bytes]:
    return sorted(str(column).encode() for column in ids)


def value_columns(key: bytes, tokens: Sequence[bytes]) -> tuple[int | str, ...] | None:
    """Columns of the address that a line of a block would have, or None if no column can be its value."""
    marks: list[int | str] = [int(t) if is_integer(t) and len(t) < 19 else ANY for t in tokens]
    if b"HIGGSCOUPLINGS" in key:
        marks[0] = VALUE
    elif key in (b"FMASS", b"FCONST", b"FCONSTRATIO", b"FBAG") and len(marks) > 3:
        marks[-3:] = [VALUE, ANY, ANY]
    elif key in (b"FOBS", b"FOBSSM") and len(marks) > 4:
        marks[2:4] = [VALUE, ANY]
    elif all(isinstance(mark, int) for mark in marks[:-1]):
        marks[-1] = VALUE
    elif ANY in marks:
        marks[marks.index(ANY)] = VALUE
    return tuple(marks) if VALUE in marks else None
