"""Addresses of SLHA entries: what users write, and what is refused."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import RayscanError, SLHAError
from rayscan.slha import Address

GOOD = {
    "MASS 25": "MASS 25",
    "mass   25": "MASS 25",
    "Block MASS 25": "MASS 25",
    "ALPHA": "ALPHA",
    "IMNMIX 1 2": "IMNMIX 1 2",
    "MSOFT@Q=1000 43": "MSOFT@Q=1000 43",
    "Model:Extra 1": "MODEL:EXTRA 1",
    "SPheno:Low@Q=100 2 3": "SPHENO:LOW@Q=100 2 3",
    "gauge@q=1.5e16 1": "GAUGE@Q=1.5e+16 1",
    "GAUGE@Q=MAX 1": "GAUGE@Q=max 1",
    "DECAY 25": "DECAY 25",
    "decay1l 25 -> 5 -5": "DECAY1L 25 -> -5 5",
    "FWCOEF 0305 4422 00 2": "FWCOEF 305 4422 0 2",
    "FMASS 5": "FMASS 5 _ * *",
    "FMASS 5 _": "FMASS 5 _",
    "FOBS 5 1 -> 3 22": "FOBS 5 1 _ * 2 3 22",
    "HiggsCouplingsBosons 25 24 24": "HIGGSCOUPLINGSBOSONS _ 3 25 24 24",
    "HiggsBoundsInputHiggsCouplingsFermions * _ 3 36 5 5": "HIGGSBOUNDSINPUTHIGGSCOUPLINGSFERMIONS * _ 3 36 5 5",
    "XSECTION 1.3e4 2212 2212 -> 1000023 -1000024": "XSECTION 13000 2212 2212 -> -1000024 1000023",
    "XSECTION 8000 2212 2212 -> 35 36 : 0 1 *": "XSECTION 8000 2212 2212 -> 35 36 : 0 1 *",
}
BAD = [
    "",
    "   ",
    "25",
    "25 MASS",
    "Block",
    "MASS 25 x",
    "MASS 2.5",
    "MASS 1_0",
    "MASS 25 -> 5 -5",
    "MASS@Q=abc 25",
    "MASS@Q=nan 25",
    "MASS@Q=1e999 25",
    "MASS *",
    "MASS _ _",
    "MÄSS 25",
    "MASS \u0662\u0665",
    "DECAY",
    "DECAY x",
    "DECAY 25 35",
    "DECAY 25 ->",
    "DECAY 25 -> 5 b",
    "DECAY@Q=100 25",
    "DECAY *",
    "FOBS 5 -> 3 22",
    "XSECTION 2212 2212 -> 35 36",
    "XSECTION 8000 2212 2212",
    "XSECTION 8000 2212 2212 -> 35 : 1 2 3 4 5 6 7",
    "MASS 9999999999999999999999999",
    "HiggsCouplingsFermions 25 5 5",
]


@pytest.mark.parametrize(("text", "shown"), GOOD.items())
def test_every_documented_form_parses_and_prints_to_a_text_that_parses_back(text, shown):
    """Each form gives an address whose text is canonical and means the same."""
    address = Address.parse(text)
    assert str(address) == shown
    assert Address.parse(shown) == address
    assert hash(Address.parse(shown)) == hash(address)
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize("text", BAD)
def test_text_that_is_no_address_is_refused_with_an_example(text):
    """The error repeats the text and shows how an address looks."""
    with pytest.raises(SLHAError) as caught:
        Address.parse(text)
    assert repr(text) in str(caught.value)
    assert "DECAY 25 -> 5 -5" in str(caught.value)
    assert isinstance(caught.value, RayscanError)
    assert isinstance(caught.value, ValueError)


def test_fermion_couplings_ask_which_of_the_two_values_is_meant():
    """A block with two values a line has no shorthand, and the error gives both full forms, which parse."""
    with pytest.raises(SLHAError, match=r"'HIGGSCOUPLINGSFERMIONS _ \* 3 25 5 5' for the scalar"):
        Address.parse("HiggsCouplingsFermions 25 5 5")
    assert Address.parse("HiggsCouplingsFermions _ * 3 25 5 5") != Address.parse("HiggsCouplingsFermions * _ 3 25 5 5")


def test_daughters_may_come_in_any_order_and_addresses_are_immutable():
    """Two spellings of a decay are one address, which cannot be changed."""
    address = Address.parse("DECAY 25 -> 5 -5")
    assert address == Address.parse("DECAY 25 -> -5 5")
    with pytest.raises(AttributeError):
        address.block = "MASS"


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,12}", fullmatch=True).filter(
        lambda name: (
            name.upper() not in {"BLOCK", "DECAY", "DECAY1L", "XSECTION"} and "HIGGSCOUPLINGS" not in name.upper()
        )
    ),
    st.lists(st.integers(-(10**9), 10**9), max_size=4),
    st.none() | st.floats(1e-3, 1e19),
)
def test_any_block_and_indices_round_trip(name, indices, scale):
    """Parsing the text of an address gives the address, whatever its block, indices and scale."""
    text = " ".join([name if scale is None else f"{name}@Q={scale!r}", *map(str, indices)])
    address = Address.parse(text)
    assert address.block == name.upper()
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_our_error(text):
    """Arbitrary text either is an address that round-trips or raises SLHAError."""
    try:
        address = Address.parse(text)
    except SLHAError:
        return
    assert Address.parse(str(address)) == address
