"""Reading SLHA files: what real programs write, and what must never be taken for a number."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import SLHAError
from rayscan.slha import Address, has_block, read_texts, read_values

pyslha = pytest.importorskip("pyslha")

DATA = Path(__file__).parent.parent / "data" / "slha"
SPECTRA = ("spheno_decays.spc", "spheno_two_scales.spc", "spheno_nan_widths.spc", "sarah.spc", "softsusy.spc")
NAN = object()


def read(text, *names):
    """Read entries by their texts; absent ones are left out."""
    addresses = [Address.parse(name) for name in names]
    found = read_values(text, addresses)
    return {name: found[a] for name, a in zip(names, addresses, strict=True) if a in found}


def value(text, name):
    """Return the value of one entry, None if it is absent."""
    return read(text, name).get(name)


def test_a_colon_is_part_of_a_block_name_like_any_other_letter():
    """Some generators write blocks such as ``MODEL:EXTRA``, and headers that end in a colon."""
    text = b"Block Model:Extra Q= 1.0E+02 # x\n 1 5.0\nBlock LOW: # c\n 25 125.0\n"
    names = ("MODEL:extra 1", "MODEL:EXTRA@Q=100 1", "Low: 25")
    assert read(text, *names, "LOW 25") == dict(zip(names, (5.0, 5.0, 125.0), strict=True))


@pytest.mark.parametrize("name", SPECTRA)
def test_every_entry_of_a_well_formed_file_equals_pyslha(name):
    """All numeric block entries, widths and branching ratios agree with pyslha's reading."""
    text = (DATA / name).read_text()
    oracle = pyslha.readSLHA(text, ignorenomass=True)
    expected = {}
    for block, content in oracle.blocks.items():
        if "HIGGSCOUPLINGS" in block.upper() or content.name.upper() == "SPINFO":
            continue
        for index, number in content.entries.items():
            if isinstance(number, (int, float)):
                indices = () if index is None else index if isinstance(index, tuple) else (index,)
                expected[Address(block.upper(), (*indices, "_"))] = number
    # pyslha makes up a width of 0 for every particle that has a mass but no table …
    tables = {int(line.split()[1]) for line in text.splitlines() if line.startswith("DECAY ")}
    for particle in tables:
        table = oracle.decays[particle]
        # … and reads NaN as None.
        expected[Address("DECAY", (particle,))] = math.nan if table.totalwidth is None else table.totalwidth
        for decay in table.decays:
            address = Address("DECAY", (particle,), products=tuple(sorted(decay.ids)))
            expected[address] = expected.get(address, 0.0) + decay.br
    found = read_values(text, list(expected))
    assert len(expected) > 200
    for address, number in expected.items():
        assert found[address] == pytest.approx(number, rel=1e-15, nan_ok=True), str(address)


def test_the_same_values_come_from_bytes_text_and_crlf():
    """Line ends and the type of the text change nothing."""
    raw = (DATA / "spheno_decays.spc").read_bytes()
    names = ["MASS 25", "NMIX 4 4", "ALPHA", "DECAY 25", "DECAY 25 -> -5 5", "MSOFT 43", "FWCOEF 0305 4422 00 2"]
    expected = read(raw, *names)
    assert len(expected) == len(names)
    assert expected["MASS 25"] == value(raw.decode(), "MASS 25")
    assert read(raw.replace(b"\n", b"\r\n"), *names) == expected
    assert read(raw.replace(b"  ", b" \t"), *names) == expected
    assert read(raw.lower(), *names) == expected
    assert read(raw.rstrip(b"\n"), *names) == expected


@pytest.mark.parametrize(
    ("token", "number"),
    [
        ("125", 125.0),
        ("+1.25E+02", 125.0),
        ("1.25D+02", 125.0),
        ("0.125d3", 125.0),
        ("1000d0", 1000.0),
        ("1.25Q2", 125.0),
        ("1.5+100", 1.5e100),
        ("1.5-100", 1.5e-100),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("-0.0", -0.0),
        ("Infinity", math.inf),
        ("-Inf", -math.inf),
        ("1e400", math.inf),
        ("NaN", NAN),
        ("nan", NAN),
        ("-NaN", NAN),
        ("*********", NAN),
        ("1.2.3", NAN),
        ("12abc", NAN),
        ("1_000", NAN),
        ("2,0", NAN),
        ("0x10", NAN),
        ("1e", NAN),
        ("1.5+10", NAN),
        ("1.5E+", NAN),
        ("--5", NAN),
        ("12\x005", NAN),
        ("\u0661\u0662", NAN),
        ("{mh}", NAN),
        ("125. 09", NAN),
        ("125.0 GeV", NAN),
        ("12 E+02", NAN),
        ("", NAN),
        ("125 09", None),
    ],
)
def test_only_a_token_that_is_wholly_a_number_is_read_as_one(token, number):
    """Everything else is NaN where the entry is there, or no entry at all."""
    found = value(f"Block MASS\n  24  8.0\n  25  {token}  # h\n  35 900.\n", "MASS 25")
    if number is None:
        assert found is None
    elif number is NAN:
        assert math.isnan(found)
    else:
        assert found == number
        assert math.copysign(1, found) == math.copysign(1, number)


def test_an_entry_is_found_by_block_and_whole_indices_only():
    """Comments, other blocks, prefixes and longer indices never match (EasyScan #49, SOFTSUSY's second key 25)."""
    text = (
        "Block MINPAR # Alambda lambda\n 61 1.5 # Alambda\n 6 2.5 # lambda\n"
        "Block MASS # Block EXTPAR\n 251 1.\n 2 5 3.\n"
        " 25 125.5 # h0\n# 25 99.\nBlock DMASS\n 25 0.8\nBlock NMIX\n 1 1 0.9\n"
    )
    assert read(text, "MINPAR 6", "MINPAR 61", "MASS 25", "DMASS 25", "NMIX 1 1") == {
        "MINPAR 6": 2.5,
        "MINPAR 61": 1.5,
        "MASS 25": 125.5,
        "DMASS 25": 0.8,
        "NMIX 1 1": 0.9,
    }
    assert read(text, "MASS 2", "NMIX 1", "EXTPAR 25", "MASS 5", "MASS", "DECAY 25") == {}
    real = read((DATA / "softsusy.spc").read_bytes(), "MASS 25", "DMASS 25")
    assert real == {"MASS 25": 115.368316, "DMASS 25": 0.80823452}


def test_a_failed_points_stub_has_no_masses():
    """The stub of a tachyonic point gives no mass, though SOFTSUSY still writes key 25 in its uncertainty block."""
    assert read((DATA / "softsusy_tachyon.spc").read_bytes(), "MASS 25", "DMASS 25") == {"DMASS 25": 0.0}
    assert read((DATA / "spheno_tachyon.spc").read_bytes(), "MASS 25", "SPhenoINFO 1") == {"SPhenoINFO 1": 2.0}


def test_blocks_at_several_scales_are_told_apart():
    """Without a choice the last scale counts, never an entry that only an earlier scale has."""
    raw = (DATA / "spheno_two_scales.spc").read_bytes()
    low, high = value(raw, "GAUGE 3"), value(raw, "GAUGE@Q=max 3")
    assert low == value(raw, "GAUGE@Q=min 3") == value(raw, "GAUGE@Q=1000 3") == 1.07971957
    assert high == value(raw, "GAUGE@Q=2.1132e16 3") == 7.08880008e-1
    assert value(raw, "GAUGE@Q=91 3") is None
    text = (
        "Block YU Q= 1.0E+16\n 1 1 1.\n 3 3 .5\nBLOCK yu Q=1D3 # Q=7\n 3 3 .9\nBlock AU Q= oops\n"
        " 1 1 4.\nBlock AU Q=9\n 2 2 5.\n"
    )
    assert read(text, "YU 3 3", "YU 1 1", "YU@Q=1e16 1 1", "YU@Q=7 3 3", "AU 1 1", "AU 2 2") == {
        "YU 3 3": 0.9,
        "YU@Q=1e16 1 1": 1.0,
        "AU 2 2": 5.0,
    }


def test_of_an_entry_given_twice_the_last_one_counts():
    """Repeated lines and repeated blocks at one scale end in the last value, as programs read them."""
    text = "Block MASS\n 25 1.\n 25 2.\n 35 3.\nBlock A\n 25 9.\nblock Mass\n +025 4.\n"
    assert read(text, "MASS 25", "MASS 35") == {"MASS 25": 4.0, "MASS 35": 3.0}


def test_decays_are_read_by_daughters_in_any_order():
    """Channels of the same daughters add up; the last table of a particle counts; damaged lines are NaN."""
    text = (
        "DECAY 25 4.0E-03 # h\n 0.5 2 5 -5 # BR(h -> b b)\n 0.1 3 5 -5 22\n 0.02 2 -5 5\n"
        " .3 2 15 -15\n .1 3 15 -15\n .1 2 21 21 7\n"
        "DECAY 35 NaN\n 0.5 2 5 -5\nDECAY 36 1. 2.\n .5 2 5 -5\nDECAY 1000022 0.\nDECAY 37 1.\n"
        " .7 2 5 6\nDECAY 37 2.\n .2 2 5 7\n"
        "DECAY1L 25 3.E-3\n .6 2 5 -5\n"
    )
    found = read(
        text, "DECAY 25", "DECAY 25 -> -5 5", "DECAY 25 -> 22 5 -5", "DECAY 25 -> 5 5", "DECAY 35 -> 5 -5",
        "DECAY 1000022", "DECAY 37", "DECAY 37 -> 5 6", "DECAY 37 -> 7 5", "DECAY1L 25 -> 5 -5", "DECAY 2",
        "DECAY 25 -> 5",
    )  # fmt: skip
    assert found.pop("DECAY 25 -> -5 5") == pytest.approx(0.52)
    assert found == {
        "DECAY 25": 0.004,
        "DECAY 25 -> 22 5 -5": 0.1,
        "DECAY 35 -> 5 -5": 0.5,
        "DECAY 1000022": 0.0,
        "DECAY 37": 2.0,
        "DECAY 37 -> 7 5": 0.2,
        "DECAY1L 25 -> 5 -5": 0.6,
    }
    damaged = read(text, "DECAY 35", "DECAY 36", "DECAY 36 -> 5 -5", "DECAY 25 -> 15 -15", "DECAY 25 -> 21 21")
    assert len(damaged) == 5
    assert all(map(math.isnan, damaged.values()))


def test_coupling_flavour_and_result_blocks_are_addressed_by_their_layout():
    """Values first, values between indices, and several values a line are all within reach."""
    names = {
        "HiggsBoundsInputHiggsCouplingsBosons 25 24 24": 0.999999,
        "HiggsBoundsInputHiggsCouplingsFermions _ * 3 25 5 5": 1.01,
        "HiggsBoundsInputHiggsCouplingsFermions * _ 3 36 5 5": 400.0,
        "HiggsBoundsInputHiggsCouplingsBosons _ 4 25 21 21 23": 0.0,
        "FMASS 5": 4.18,
        "FCONST 431 1": 0.24,
        "FOBS 5 1 -> 3 22": 2.97e-4,
        "FOBS 521 4 -> 313 22": 0.08,
        "FOBSERR 5 1 _ * 0 2 3 22": -1e-5,
        "FOBSERR 5 1 * _ 0 2 3 22": 2e-5,
        "IMFWCOEF 0305 4422 00 2": 1.1e-5,
        "EFFHIGGSCOUPLINGS 25 22 22": 3.1e-5,
        "HiggsSignalsPeakObservables 1 * _ * * * * *": 206.8,
    }
    text = (
        "Block HiggsBoundsInputHiggsCouplingsBosons #\n 0.999999 3 25 24 24 # h W W\n"
        " 0.0 4 25 21 21 23\n .5 3 25 23 23\n"
        "Block HiggsBoundsInputHiggsCouplingsFermions\n 1.01 0.0 3 25 5 5\n 0. 4.D+02 3 36 5 5\n"
        "Block FMASS\n 5 4.18 3 4.18 # mb\nBlock FCONST\n 431 1 2.4e-1 0 0\n"
        "Block FOBS\n 5 1 2.97E-04 0 2 3 22\n 521 4 8.E-2 0 2 313 22\nBlock FOBSERR\n 5 1 -1e-5 +2e-5 0 2 3 22\n"
        "Block IMFWCOEF Q=160.\n 0305 4422 00 0 3.E-7\n 0305 4422 00 2 1.1E-5\n"
        "Block EFFHIGGSCOUPLINGS\n 25 22 22 0.31E-04 # x\n"
        "BLOCK HiggsSignalsPeakObservables\n 1 2.2E-011 206.8 89 0 442 1.4 1\n"
    )
    assert read(text, *names) == names


def test_appended_higgsbounds_blocks_are_read():
    """Integers and reals of the blocks that HiggsBounds and HiggsSignals append; their texts stay texts."""
    raw = (DATA / "higgsbounds_appended.slha").read_bytes()
    assert read(raw, "HiggsBoundsResults 1 2", "HiggsBoundsResults 1 3", "HiggsSignalsResults 12") == {
        "HiggsBoundsResults 1 2": 0.0,
        "HiggsBoundsResults 1 3": 1.4274465594243051,
        "HiggsSignalsResults 12": 206.87514620,
    }
    channel = Address.parse("HiggsBoundsResults 1 5")
    assert "h1 -> " not in read_texts(raw, [channel])[channel][0]
    assert read_texts(raw, [channel])[channel][0].startswith("||(p p)->h1 +...->gamma gamma")


def test_cross_sections_are_chosen_by_energy_particles_and_order():
    """Several lines of different values need a choice; without one the value is NaN, not the first or last."""
    text = (
        "XSECTION 8.00E+03 2212 2212 2 -1000024 1000023 # 10000 events\n 0 0 0 0 0 0 1.0E-03 NLLfast 1.2\n"
        "XSECTION 1.30E+04 2212 2212 2 -1000024 1000023\n 0 0 0 0 0 0 4.34E-03 SModelSv1.1\n"
        " 0 1 0 0 0 0 5.00E-03 NLLfast 3.1\n"
        "XSECTION 1.30E+04 2212 2212 2 1000022 1000023\n 0 0 0 0 0 0 7.E-03\n"
    )
    process = "2212 2212 -> 1000023 -1000024"
    found = read(
        text, f"XSECTION 8000 {process}", f"XSECTION 13000 {process} : 0 1", f"XSECTION 13000 {process} : * 0",
        "XSECTION 13000 2212 2212 -> 1000023 1000022", f"XSECTION 14000 {process}",
        "XSECTION 8000 11 -11 -> 1000023 -1000024",
    )  # fmt: skip
    assert list(found.values()) == [1e-3, 5e-3, 4.34e-3, 7e-3]
    assert math.isnan(value(text, f"XSECTION 13000 {process}"))


@pytest.mark.parametrize(
    "header", ["Blok MASS", "  Bl@ck MASS", "5lock MASS", "Block", "Block # MASS", "\0\0Blo\0ck MASS", "%", "MASS:"]
)
def test_entries_below_a_damaged_header_belong_to_no_block(header):
    """They are absent, not entries of the block before."""
    text = f"Block EXTPAR\n 23 500.\n{header}\n 25 125.\n 23 7.\nBlock MINPAR\n 3 10.\n"
    assert read(text, "EXTPAR 23", "EXTPAR 25", "MASS 25", "MINPAR 3") == {"EXTPAR 23": 500.0, "MINPAR 3": 10.0}


def test_a_hole_of_nul_bytes_before_a_header_does_not_hide_it():
    """Files truncated while being written start with NUL bytes; the block after them is still read."""
    assert value("\0\0\0Block MASS\n 25 125.\n", "MASS 25") == 125.0
    assert value("Block A\n 25 1.\n\0\0 Block MASS\n 25 125.\n", "A 25") == 1.0


@pytest.mark.parametrize(
    ("file", "address", "texts"),
    [
        ("spheno_tachyon.spc", "SPINFO 4", ["internal problem, see Messages.out for infos"]),
        ("spheno_tachyon.spc", "SPINFO 1", ["SPheno"]),
        ("softsusy_tachyon.spc", "SPINFO 4", ["[ stau tachyon ]"]),
        ("softsusy_tachyon.spc", "SPINFO 3", ["stop LSP"]),
        ("spheno_decays.spc", "SPINFO 4", None),
    ],
)
def test_texts_of_real_files(file, address, texts):
    """The entry's text, or its comment where classic SPheno writes nothing else."""
    key = Address.parse(address)
    assert read_texts((DATA / file).read_bytes(), [key]).get(key) == texts


def test_repeated_texts_are_all_returned_and_survive_broken_lines():
    """Each occurrence of SPINFO 3 counts, also after a line that is no entry."""
    text = "Block SPINFO\r\n 3 first # a\r\n continued\r\n 3  second one\r\n 4 #\r\n 33 no\r\nBlock B\r\n 3 no\r\n"
    three, four = Address.parse("SPINFO 3"), Address.parse("SPINFO 4")
    assert read_texts(text, [three, four]) == {three: ["first", "second one"], four: [""]}
    assert math.isnan(value(text, "SPINFO 3"))
    with pytest.raises(SLHAError, match="DECAY 25"):
        read_texts(text, [Address.parse("DECAY 25")])


def test_blocks_and_decay_tables_can_be_asked_for_by_name():
    """Names in any case, whole names only."""
    raw = (DATA / "spheno_decays.spc").read_bytes()
    assert has_block(raw, "mass")
    assert has_block(raw, "DECAY 25")
    assert not any(has_block(raw, name) for name in ("MAS", "DECAY 99", "DECAY (", "", "MASS 25 1", "SPheno"))
    assert not has_block((DATA / "spheno_tachyon.spc").read_bytes(), "MASS")
    assert not has_block("# Block MASS\n", "MASS")


@given(st.floats(allow_nan=False), st.integers(-(10**8), 10**8), st.sampled_from(["r", ".17g", ".16E"]))
def test_every_float_comes_back_exactly(number, index, form):
    """Any float printed in full is read as the same float under any index."""
    shown = repr(number) if form == "r" else format(number, form)
    assert value(f"Block X\n {index} {shown}\n", f"X {index}") == number


def test_reading_ten_entries_is_far_faster_than_pyslha():
    """Ten entries of a 675-line spectrum: at least ten times faster even on a busy machine (see the benchmark)."""
    benchmark = runpy.run_path(str(DATA.parent.parent / "benchmarks" / "slha_read.py"))
    times = benchmark["measure"](repeats=50)
    assert times["pyslha"] / times["rayscan"] > 10
