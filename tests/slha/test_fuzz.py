"""Damaged spectra and cards: never an error but ours, never a wrong number."""

from __future__ import annotations

import math
import random
import re
import string
from pathlib import Path

import pytest

from rayscan.errors import SLHAError
from rayscan.slha import Address, Card, has_block, read_texts, read_values

#: Damaged files of each kind in the suite; ``python -m tests.benchmarks.slha_fuzz`` tries 2,000 of each.
COUNT = 300
DATA = Path(__file__).parent.parent / "data" / "slha"
FILES = {name: (DATA / name).read_bytes() for name in ("spheno_decays.spc", "spheno_two_scales.spc", "softsusy.spc")}
FILES["sarah.in"] = (DATA / "sarah.in").read_bytes()
FILES["spheno.in"] = (DATA / "spheno.in").read_bytes()
#: Address, and what the slow reader below needs to know of it: kind, name, indices or daughters.
WANTED = {
    "MASS 25": ("BLOCK", "MASS", ("25",)),
    "MASS 1000022": ("BLOCK", "MASS", ("1000022",)),
    "EXTPAR 25": ("BLOCK", "EXTPAR", ("25",)),
    "GAUGE 3": ("BLOCK", "GAUGE", ("3",)),
    "NMIX 1 2": ("BLOCK", "NMIX", ("1", "2")),
    "ALPHA": ("BLOCK", "ALPHA", ()),
    "TUIN 3 3": ("BLOCK", "TUIN", ("3", "3")),
    "MODSEL 1": ("BLOCK", "MODSEL", ("1",)),
    "DECAY 25": ("DECAY", "25", None),
    "DECAY 25 -> 5 -5": ("DECAY", "25", ("-5", "5")),
    "DECAY 1000006 -> 6 1000022": ("DECAY", "1000006", ("1000022", "6")),
}
ADDRESSES = {name: Address.parse(name) for name in WANTED}
PIECES = [
    b"NaN", b"*****", b"1.0D+02", b"1.0+100", b"12abc", b"1.2.3", b"\0", b"\0\0\0", b"\r", b"\r\n", b"\n", b"#", b" ",
    b"\t", b"-", b"+", b".", b"E", b"e5", b"0", b"5", b"25", b"\xff", b"\xc2\xa0", b"Q=", b"Infinity", b"_", b",", b"'",
    b"\n 25 7.0\n", b"\x0b", b"\x1c", "\u2167\u0663".encode(), b"Block MASS\n", b"\nblock extpar q=1.e2\n", b"DECAY 25",
]  # fmt: skip


def damaged(raw: bytes, rng: random.Random) -> bytes:
    """A file with one to six faults, most of them near entries that are read."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 6)):
        if not data:
            break
        # Half of the faults within a few hundred bytes behind a section that is read.
        names = (b"MASS", b"EXTPAR", b"DECAY        25", b"auge", b"mix", b"lpha", b"TUIN")
        near = data.find(rng.choice(names)) if rng.random() < 0.5 else -1
        at = min(max(0, near - 10) + rng.randrange(200), len(data) - 1) if near >= 0 else rng.randrange(len(data))
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at) + 1 or len(data)
        kind = rng.randrange(9)
        if kind == 0:
            data[at : at + rng.randint(1, 4)] = b""
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2:
            data[at : at + 1] = rng.choice(string.printable).encode()
        elif kind == 3:
            data[start:end] = b""
        elif kind == 4:
            other = rng.randrange(len(data))
            data[other:other] = data[start:end]
        elif kind == 5:
            data[start:end] = bytes(data[start:end]).swapcase()
        elif kind == 6:
            data[at:] = data[at : at + rng.randrange(2000)] if rng.random() < 0.3 else data[at:]
        elif kind == 7:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            words = bytes(data[start:end]).split(b" ")
            rng.shuffle(words)
            data[start:end] = b" ".join(words)
    return bytes(data)


def numeral(token: str) -> float | None:
    """Slow and simple reading of a number: None if the token is none."""
    if token.lower().lstrip("+-") in ("nan", "inf", "infinity") and not token.startswith(("++", "--", "+-", "-+")):
        return float(token)
    if set(token) == {"*"}:
        return math.nan
    text = token.lower().replace("d", "e").replace("q", "e")
    bare = re.fullmatch(r"([+-]?[0-9.]+)([+-][0-9]{3})", text)
    text = f"{bare[1]}e{bare[2]}" if bare else text
    if not set(text) <= set("0123456789+-.e"):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def integer(token: str) -> str:
    """An integer as Python prints it; other tokens unchanged."""
    return str(int(token)) if re.fullmatch("[+-]?[0-9]{1,4000}", token) else token


def slow_read(raw: bytes) -> dict[str, float]:
    """Read the wanted entries line by line, as a careful person would."""
    sections: list[tuple[str, list[str], list[list[str]]]] = []
    is_open = False
    for line in raw.decode("latin-1").split("\n"):
        fields = re.findall("[^ \t\r\v\f]+", line.split("#")[0])
        if not fields:
            continue
        # Holes of NUL bytes may stand before a header, also apart from it; before data they make it unreadable.
        words = " ".join(fields).lstrip("\0 ").split(" ")
        keyword = words[0].upper()
        if keyword in ("BLOCK", "DECAY", "DECAY1L", "XSECTION"):
            fields = words
        if keyword == "BLOCK" and len(fields) > 1:
            sections.append((f"BLOCK {upper(fields[1])}", fields, []))
            is_open = True
        elif keyword in ("DECAY", "DECAY1L") and len(fields) > 1 and re.fullmatch("[+-]?[0-9]+", fields[1]):
            sections.append((f"{keyword} {integer(fields[1])}", fields, []))
            is_open = True
        elif numeral(fields[0]) is None:
            is_open = False
        elif is_open:
            sections[-1][2].append(fields)
    found = {}
    for name, (kind, section, rest) in WANTED.items():
        same = [(head, rows) for title, head, rows in sections if title == f"{kind} {section}"]
        if same:
            number = slow_block(same, rest) if kind == "BLOCK" else slow_decay(*same[-1], rest)
            if number is not None:
                found[name] = number
    return found


def upper(text: str) -> str:
    """ASCII upper case: block names are bytes."""
    return "".join(c.upper() if c.isascii() else c for c in text)


def slow_block(same, indices):
    """Last value of an entry in the sections at the last one's scale."""
    scales = []
    for head, _ in same:
        q = re.search(r"(?<!\S)q *= *(\S+)", " ".join(head), re.IGNORECASE)
        number = numeral(q[1]) if q else None
        scales.append(None if q is None else math.nan if number is None else number)
    last, k = None, len(indices)
    for position, ((_, rows), scale) in enumerate(zip(same, scales, strict=True)):
        if scale != scales[-1] and position != len(same) - 1:
            continue
        for fields in rows:
            if tuple(map(integer, fields[:k])) != indices:
                continue
            more = fields[k:]
            if len(more) == 1:
                number = numeral(more[0])
                last = math.nan if number is None else number
            elif not more:
                last = math.nan if k == 1 else last
            elif not (re.fullmatch("[+-]?[0-9]+", more[0]) and numeral(more[1]) is not None):
                last = math.nan
    return last


def slow_decay(head, rows, daughters):
    """Width, or sum of the ratios to some daughters."""
    if daughters is None:
        return (numeral(head[2]) if numeral(head[2]) is not None else math.nan) if len(head) == 3 else math.nan
    total, n = None, len(daughters)
    for fields in rows:
        ids = fields[2:]
        if len(ids) < n or sorted(map(integer, ids[:n])) != sorted(daughters):
            continue
        if integer(fields[1]) == str(n) and len(ids) == n and len(head) <= 3:
            number = numeral(fields[0])
            number = math.nan if number is None else number
        elif integer(fields[1]) == str(len(ids)) and len(ids) != n:
            continue
        else:
            number = math.nan
        total = number if total is None else total + number
    return total


def check(raw: bytes, where: str) -> None:
    """Compare the fast reading with the slow one, and try everything a tool does with a card."""
    fast = read_values(raw, list(ADDRESSES.values()))
    slow = slow_read(raw)
    for name, address in ADDRESSES.items():
        a, b = fast.get(address), slow.get(name)
        same = a is b is None or (a is not None and b is not None and (a == b or (math.isnan(a) and math.isnan(b))))
        assert same, f"{where}: {name} is {a}, by the slow reader {b}"


def check_card(raw: bytes, where: str) -> None:
    """A damaged card either refuses to be written, or holds the value that was asked for and nothing else new."""
    card = Card.parse(raw)
    assert card.render_bytes({}) == raw
    address = ADDRESSES["EXTPAR 25" if b"EXTPAR" in raw else "TUIN 3 3"]
    try:
        out = card.render_bytes({address: 0.1 + 0.2})
    except SLHAError:
        return
    found = read_values(out, [address])
    extra = read_values(raw, [address])
    # Words behind the value make it unreadable for us, though Fortran programs skip them.
    assert found[address] == 0.1 + 0.2 or (math.isnan(found[address]) and math.isnan(extra[address])), where
    assert len(out.split(b"\n")) == len(raw.split(b"\n"))


@pytest.mark.parametrize("count", [COUNT])
@pytest.mark.parametrize("name", ["spheno_decays.spc", "spheno_two_scales.spc", "softsusy.spc"])
def test_damaged_spectra_give_no_error_and_no_wrong_number(name, count):
    """Every reading of a damaged spectrum is that of the slow line-by-line reader: value, NaN or absent."""
    check(FILES[name], "undamaged")
    for seed in range(count):
        check(damaged(FILES[name], random.Random(seed)), f"{name}, seed {seed}")


@pytest.mark.parametrize("count", [COUNT])
@pytest.mark.parametrize("name", ["sarah.in", "spheno.in"])
def test_damaged_cards_are_refused_or_written_right(name, count):
    """A damaged card is read like the slow reader does, and rendering it is an SLHAError or the right text."""
    texts = [Address.parse("MODSEL 1"), Address.parse("SPhenoInput 11")]
    for seed in range(count):
        raw = damaged(FILES[name], random.Random(10**6 + seed))
        check(raw, f"{name}, seed {seed}")
        check_card(raw, f"{name}, seed {seed}")
        has_block(raw, "EXTPAR")
        read_texts(raw, texts)
        if seed % 10 == 0:
            card = Card.parse(raw.decode("latin-1"))
            card.find_comment("M1input")
            assert card.render({}) == raw.decode("latin-1")


def test_the_slow_reader_finds_the_entries_that_the_fuzz_watches():
    """The oracle is not empty: in the undamaged files it sees every entry that belongs there."""
    assert len(slow_read(FILES["spheno_decays.spc"])) >= 9
    assert {"TUIN 3 3", "EXTPAR 25", "MODSEL 1"} <= set(slow_read(FILES["sarah.in"]))
