"""Cards as templates: only values change, every fault is named before a program runs."""

from __future__ import annotations

import math
import pickle
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import SLHAError
from rayscan.slha import Address, Card, read_values

DATA = Path(__file__).parent.parent / "data" / "slha"
CARDS = ("spheno.in", "sarah.in", "softsusy.in", "spheno_template.in")
A = Address.parse
FIVE = [A(f"EXTPAR {i}") for i in (11, 25, 26, 43, 46)]


@pytest.mark.parametrize(
    "name", [*CARDS, "spheno_decays.spc", "sarah.spc", "softsusy.spc", "higgsbounds_appended.slha"]
)
def test_every_entry_of_a_file_can_be_rewritten_leaving_all_other_bytes(name):
    """A new value at each address is read back exactly; the text around it is the file's, byte for byte."""
    raw = (DATA / name).read_bytes()
    card = Card.parse(raw)
    assert card.render_bytes({}) == raw
    entries = list(card.entries())
    assert len(entries) > 15
    seen = [entry.address for entry in entries]
    for entry in entries[:: max(1, len(entries) // 60)]:
        # Files with a block at two scales list an entry twice: without a scale the last one is meant.
        if seen.count(entry.address) > 1:
            continue
        number = 1e3 * math.pi
        changed = card.render_bytes({entry.address: number})
        assert read_values(changed, [entry.address]) == {entry.address: number}, str(entry.address)
        old, new = raw.split(b"\n"), changed.split(b"\n")
        different = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert different == [entry.line - 1]
        assert f"{number:.16E}".encode() in new[different[0]]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=5), st.booleans())
def test_rendered_values_read_back_to_the_last_bit(numbers, crlf):
    """Five entries of a template get any floats and come back exactly; the rest of the card is untouched."""
    raw = (DATA / "spheno_template.in").read_bytes()
    if crlf:
        raw = raw.replace(b"\n", b"\r\n")
    card = Card.parse(raw)
    values = dict(zip(FIVE, numbers, strict=True))
    out = card.render_bytes(values)
    assert read_values(out, FIVE) == values
    names = {"At", "tanb", "MA", "mQ3", "mU3"}
    kept = re.split(rb"\{(?:%s)\}" % "|".join(names).encode(), raw)
    expected = re.compile(rb"[-+.0-9E]+".join(map(re.escape, kept)))
    assert expected.fullmatch(out)
    assert card.render_bytes(values) == out


def test_values_have_at_least_ten_digits_and_integers_stay_integers():
    """
    ""Floats in full precision, ints as ints, whole floats in an integer's place as ints (Fortran refuses 1.0 there)."""
    card = Card.parse(
        "Block MODSEL\n 1 1 # mSUGRA\nBlock MINPAR\n 1 1.0E+02 # m0\n 2 250 # m12\n 3\t10.# tanb\n 4 1 mu\n"
    )
    names = [A("MODSEL 1"), A("MINPAR 1"), A("MINPAR 2"), A("MINPAR 3"), A("MINPAR 4")]
    rendered = card.render(dict(zip(names, [0.0, 125.0, 1 / 3, np.int64(7), np.float64(-1)], strict=True)))
    assert rendered == (
        "Block MODSEL\n 1 0 # mSUGRA\nBlock MINPAR\n 1 1.250000000000E+02 # m0\n"
        " 2 3.3333333333333331E-01 # m12\n 3\t7# tanb\n 4 -1 mu\n"
    )
    assert card.render({names[1]: 3}) == card.render({}).replace("1.0E+02", "3")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    """NaN or infinity is never written: programs keep their old output when they meet one."""
    with pytest.raises(SLHAError, match="EXTPAR 25"):
        Card.parse((DATA / "spheno.in").read_bytes()).render({A("EXTPAR 25"): bad})


def test_missing_entries_are_reported_together_with_what_the_card_has():
    """One error names every missing entry, near entries of the block and blocks of similar name."""
    card = Card.parse((DATA / "spheno.in").read_bytes())
    card.require(FIVE)
    with pytest.raises(SLHAError) as caught:
        card.require([A("EXTPAR 27"), A("EXTPAR 25"), A("EXTPR 25"), A("MINPAR@Q=100 3"), A("DECAY 25")])
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "EXTPAR 27" in lines[0]
    assert "EXTPAR 25 (line" in lines[0]
    assert "tan(beta)" in lines[0]
    assert "it has EXTPAR" in lines[1]
    with pytest.raises(SLHAError, match="no entry EXTPAR 27"):
        card.render({A("EXTPAR 27"): 1.0})
    with pytest.raises(SLHAError, match="no entry MASS 25"):
        card.value(A("MASS 25"))
    with pytest.raises(SLHAError, match=r"Q = 2.11322569e.16, 1000.0"):
        Card.parse((DATA / "spheno_two_scales.spc").read_bytes()).require([A("GAUGE@Q=91 1")])


def test_an_entry_given_twice_is_refused_with_both_lines():
    """Writing one of two equal entries would leave the program to choose."""
    text = "# card\nBlock MINPAR\n 3 10.\n 1 100.\nBlock MINPAR\n 03 20.\nDECAY 25 1.\nDECAY 25 2.\n"
    card = Card.parse(text)
    for act in (lambda a: card.require([a]), lambda a: card.render({a: 1.0})):
        with pytest.raises(SLHAError, match="MINPAR 3 occurs 2 times in the card, on lines 3 and 6"):
            act(A("MINPAR 3"))
        with pytest.raises(SLHAError, match="lines 7 and 8"):
            act(A("DECAY 25"))
        act(A("MINPAR 1"))
    with pytest.raises(SLHAError, match="write the same entry"):
        Card.parse("Block X\n 1 2.\n").render({A("X 1"): 1.0, A("X * _"): 3.0})
    with pytest.raises(SLHAError, match="line 2 of the card: X 1 has no single value"):
        Card.parse("Block X\n 1 { a }\n").render({A("X 1"): 1.0})


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [False, True])
def test_entries_are_added_only_when_asked(newline, last):
    """A missing entry goes behind the last of its block, a missing block to the end; the rest stays as it is."""
    text = (
        newline.join(["Block MINPAR # in", " 3 10. # tanb", "# next", "Block MODSEL", "DECAY 6 1.4", " .9 2 5 24"])
        + newline * last
    )
    card = Card.parse(text)
    values = {
        A("MINPAR 1"): 100.5, A("MODSEL 1"): 1, A("EXTPAR 0"): 1e3, A("MINPAR 3"): 20.0, A("NMIX 1 2"): 0.1,
        A("EXTPAR 23"): -5.0, A("HMIX@Q=1000 1"): 2.0, A("DECAY 25"): 4e-3, A("DECAY 6 -> 5 37"): 0.1,
    }  # fmt: skip
    with pytest.raises(SLHAError, match="no entry MINPAR 1"):
        card.render(values)
    out = card.render(values, add=True)
    assert read_values(out, list(values)) == values
    expected = [
        "Block MINPAR # in", " 3 2.000000000000E+01 # tanb", " 1    1.005000000000E+02", "# next", "Block MODSEL",
        " 1    1", "DECAY 6 1.4", " .9 2 5 24", "    1.000000000000E-01    2    5  37", "Block EXTPAR",
        " 0    1.000000000000E+03", " 23    -5.000000000000E+00", "Block NMIX", " 1 2    1.000000000000E-01",
        "Block HMIX Q= 1.00000000E+03", " 1    2.000000000000E+00", "DECAY  25    4.000000000000E-03", "",
    ]  # fmt: skip
    assert out.split(newline) == expected
    for refused in ("DECAY 7 -> 5 24", "XSECTION 8000 11 -11 -> 5 -5", "NEW@Q=max 1", "NEW * _"):
        with pytest.raises(SLHAError, match="cannot add"):
            card.render({A(refused): 1.0}, add=True)
    assert read_values(Card.parse("").render({A("MASS 25"): 1.5}, add=True), [A("MASS 25")]) == {A("MASS 25"): 1.5}


def test_labels_are_found_in_comments_as_whole_words_only():
    """A label inside another word never matches (EasyScan #49, DLScanner S9); every match is reported with its line."""
    card = Card.parse(
        "Block A\n 1 1. # lambda\n 2 2. # Alambda\n 3 3. # lambda_2, x\n 4 4. # m_A, pole mass\n 5 5. # m_A^2(Q)\n"
        " 6 6. # M_(Q,33)\n 7 7. # BR(h -> b b) m_A\n 8 8. # tan(beta).\n 1 9 9. # ~e_R\n"
        "DECAY 25 1. # hh_1\n .5 2 5 -5 # BR(hh_1)\n"
    )

    def found(label):
        return [(str(address), line) for address, line, _ in card.find_comment(label)]

    assert found("lambda") == [("A 1", 2)]
    assert found("# Alambda") == [("A 2", 3)]
    assert found("m_A") == [("A 4", 5), ("A 7", 8)]
    assert found("m_A, pole  mass") == [("A 4", 5)]
    assert found("M_(Q,33)") == [("A 6", 7)]
    assert found("tan(beta)") == [("A 8", 9)]
    assert found("hh_1") == [("DECAY 25", 11), ("DECAY 25 -> -5 5", 12)]
    assert found("e_R") == found("lam") == found("") == found("#") == []
    real = Card.parse((DATA / "sarah.in").read_bytes())
    assert [str(entry.address) for entry in real.find_comment("# M1input")] == ["EXTPAR 1"]
    assert [str(entry.address) for entry in real.find_comment("Tu(3,3)")] == ["TUIN 3 3"]


def test_values_and_texts_of_a_card():
    """A card answers for single entries as the reader does."""
    card = Card.parse((DATA / "spheno_template.in").read_bytes())
    assert card.value(A("SMINPUTS 6")) == 173.1
    assert math.isnan(card.value(A("EXTPAR 25")))
    assert card.text(A("EXTPAR 25")) == "{tanb}"


def test_cards_pickle_and_never_change():
    """A card sent to another process renders the same text; rendering leaves the card as it was."""
    card = Card.parse((DATA / "spheno.in").read_bytes() + b"# \xff\xfe not UTF-8\n")
    values = dict.fromkeys(FIVE, 1 / 7)
    before = card.render_bytes({})
    copy = pickle.loads(pickle.dumps(card))
    assert copy.render(values) == card.render(values) != card.render({})
    assert card.render_bytes({}) == before == copy.render_bytes({})
    assert before.endswith(b"\xff\xfe not UTF-8\n")


def test_rendering_five_entries_takes_microseconds():
    """The card is not searched again: five entries in far less than the start of a process."""
    card = Card.parse((DATA / "spheno.in").read_bytes())
    values = dict.fromkeys(FIVE, 1 / 7)
    card.render(values)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        card.render(values)
        times.append(time.perf_counter() - start)
    assert sorted(times)[20] < 1e-4
