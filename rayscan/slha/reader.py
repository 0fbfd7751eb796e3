"""Read selected entries of an SLHA file in one lazy pass.

Only the wanted sections are split into lines, so that ten entries of a 700-line spectrum take well under a
millisecond. A number is a token that is wholly a number; whatever else stands in a value's place reads as NaN.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Sequence

from rayscan.errors import SLHAError
from rayscan.slha.address import Address
from rayscan.slha.sections import (
    Section,
    as_lines,
    canonical,
    choose,
    index_pattern,
    is_integer,
    lines,
    pattern,
    read_branching,
    read_columns,
    read_cross_section,
    read_width,
    sections,
)


def read_values(text: str | bytes, addresses: Sequence[Address]) -> dict[Address, float]:
    """Read the numbers at `addresses`.

    Parameters
    ----------
    text : str or bytes
        A spectrum, card or any other text; no content raises.
    addresses : sequence of Address

    Returns
    -------
    dict of Address to float
        Entries that are not in the file are absent. ``NaN``, ``*****`` and tokens that are not wholly a number
        (``12abc``, ``1.2.3``, ``2,0``, a value with another number beside it) are there as NaN.

    Notes
    -----
    An entry given twice counts with its last value, as programs read it; branching ratios to the same daughters add
    up. Of a block given at several scales the last one counts, of a decay table given twice the second. A cross
    section with several lines of different values is NaN unless the address chooses one. Text that is no data ends
    its section: entries below a damaged header are absent, never attributed to the block before it.
    """
    keys, plan = _plan(tuple(addresses))
    data = as_lines(text)
    found: dict[bytes, list[Section]] = {}
    for section in sections(data, keys):
        found.setdefault(section.key, []).append(section)
    values: dict[Address, float] = {}
    for key, group in found.items():
        lookups, others = plan[key]
        for lookup in lookups:
            lookup.read(data, choose(group, lookup.example), values)
        for address in others:
            chosen = choose(group, address)
            results = list(_read_rows(data, chosen, address))
            if results:
                values[address] = _combine(address, results)
    return values


def read_texts(text: str | bytes, addresses: Sequence[Address]) -> dict[Address, list[str]]:
    """Read text entries such as ``SPINFO 3`` and ``SPINFO 4``, which a file may repeat.

    Parameters
    ----------
    text : str or bytes
    addresses : sequence of Address
        Block entries whose text follows their indices.

    Returns
    -------
    dict of Address to list of str
        One text for each occurrence, in the file's order; the comment where the entry holds nothing else (classic
        SPheno writes ``4   # internal problem``). Entries that are not in the file are absent.

    Raises
    ------
    SLHAError
        If an address is not a block entry with its value behind the indices.
    """
    wanted: dict[bytes, list[Address]] = {}
    for address in addresses:
        if not address.is_plain:
            message = f"SLHA address '{address}' has no text: write a block and its indices, such as 'SPINFO 4'"
            raise SLHAError(message)
        wanted.setdefault(address.key, []).append(address)
    data = as_lines(text)
    texts: dict[Address, list[str]] = {}
    for section in sections(data, frozenset(wanted), strict=False):
        for raw in data[section.body + 1 : section.end].split(b"\n"):
            content, _, comment = raw.partition(b"#")
            for address in wanted[section.key]:
                indices = pattern(address)[:-1]
                words = content.split(None, len(indices))
                if content.strip() and tuple(map(canonical, words[: len(indices)])) == indices:
                    entry = words[len(indices)] if len(words) > len(indices) else comment
                    texts.setdefault(address, []).append(entry.strip(b" \t\r\0").decode("utf-8", "replace"))
    return texts


def has_block(text: str | bytes, name: str) -> bool:
    """Whether the file has a block (any case) or, with ``"DECAY 25"``, a decay table."""
    words = name.encode("utf-8", "surrogatepass").upper().split()
    if not words or len(words) > 2 or not all(map(is_integer, words[1:])):
        return False
    key = b" ".join([words[0], *map(canonical, words[1:])])
    return bool(sections(as_lines(text), frozenset({key})))


class _Lookup:
    """Entries of one block at one scale. Written for speed: only lines that can be an entry are split into columns."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.example = addresses[0]
        self._entries = [(address, pattern(address)) for address in addresses]
        firsts = {columns[0] for _, columns in self._entries}
        anything = not firsts.isdisjoint((b"_", b"*"))
        first = rb"[^\s#]" if anything else index_pattern(firsts)
        self._rows = re.compile(rb"\n[ \t\r\f\v]*+(" + first + rb"[^\n#]*)")

    def read(self, data: bytes, group: Sequence[Section], values: dict[Address, float]) -> None:
        """Put the values found in a group of sections into `values`."""
        for section in group:
            for row in self._rows.finditer(data, section.body, section.end):
                tokens = row[1].split()
                for address, columns in self._entries:
                    reading = read_columns(columns, tokens)
                    if reading is not None:
                        values[address] = reading.value


_Plan = dict[bytes, tuple[tuple[_Lookup, ...], tuple[Address, ...]]]


@functools.lru_cache(maxsize=256)
def _plan(addresses: tuple[Address, ...]) -> tuple[frozenset[bytes], _Plan]:
    """Group addresses by section: block entries by scale, and the others."""
    blocks: dict[bytes, dict[float | str | None, list[Address]]] = {}
    others: dict[bytes, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        if address.is_block:
            blocks.setdefault(address.key, {}).setdefault(address.scale, []).append(address)
        else:
            others.setdefault(address.key, []).append(address)
    keys = frozenset({*blocks, *others})
    return keys, {k: (tuple(map(_Lookup, blocks.get(k, {}).values())), tuple(others.get(k, ()))) for k in keys}


def _read_rows(data: bytes, group: Sequence[Section], address: Address) -> Iterator[float]:
    """All values of a width, branching ratio or cross section."""
    for section in group:
        if address.products is None:
            yield read_width(section).value
        elif address.block == "XSECTION":
            for line in lines(data, section):
                reading = read_cross_section(address, line.tokens)
                if reading is not None:
                    yield reading.value
        else:
            for row in _daughters(address.products).finditer(data, section.body, section.end):
                reading = read_branching(section, address, row[0].split())
                if reading is not None:
                    yield reading.value


@functools.lru_cache(maxsize=4096)
def _daughters(products: tuple[int, ...]) -> re.Pattern[bytes]:
    """Regular expression of the lines that hold each of the particle codes, in any order and spelling."""
    each = (rb"(?=[^\n#]*\s" + index_pattern([b"%d" % product]) + rb")" for product in sorted(set(products)))
    return re.compile(rb"\n" + rb"".join(each) + rb"[^\n#]*")


def _combine(address: Address, results: Sequence[float]) -> float:
    if address.block == "XSECTION":
        return results[0] if all(result == results[0] for result in results) else math.nan
    return math.fsum(results) if all(map(math.isfinite, results)) else sum(results)
