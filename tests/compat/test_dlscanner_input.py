"""DLScanner's input files as scan.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from rayscan.compat.dlscanner_input import import_input, read_input
from rayscan.config import Configuration, load_config
from rayscan.errors import ConfigError
from rayscan.scan import Scan

INPUT = """pathS: {folder}
Lesh: LesHouches.in.MSSM
SPHENOMODEL: MSSM
output_dir: {folder}/output
TotVarScanned: 2
VarMin: 1.0E+02
VarMax: 1.5E+03
VarLabel: # M1input
VarNum: 1
VarMin: 2.0E+00
VarMax: 5.0E+01
VarLabel: # Tan(beta)
VarNum: 25
TotTarget: 1
TargetMin: 124
TargetMax: 126.09
TargetLabel: # hh_1
TargetNum: 25
TargetResNum: 1
"""
CARD = """Block MODSEL
 1 0
Block EXTPAR
 1   5.0E+02   # M1input
 2   1.0E+03   # M2input, not M1input_2
 25  1.0E+01   # Tan(beta)
 26  1.0E+03   # mA
Block MINPAR
 7   1.0       # twice
Block MSQ2IN
 1 1   1.0E+06   # mq2(1,1)
 2 2   1.0E+06   # twice
"""
SPECTRUM = """Block MASS
 25   1.25E+02   # hh_1
 35   1.25E+03   # hh_2
DECAY 25 4.0E-03   # hh_1
 5.0E-01   2   5 -5   # BR(hh_1 -> b b)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory as DLScanner's SPheno module expects it, with a spectrum of an earlier run."""
    folder = tmp_path / "SPheno"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "SPhenoMSSM"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "LesHouches.in.MSSM").write_text(CARD)
    (folder / "SPheno.spc.MSSM").write_text(SPECTRUM)
    return folder


def imported(folder: Path, *replacements: tuple[str, str]) -> Configuration:
    text = INPUT.replace("{folder}", str(folder))
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    (folder / "input.txt").write_text(text)
    (folder / "scan.toml").write_text(import_input(folder / "input.txt"))
    return load_config(folder / "scan.toml")


def test_spheno_file_becomes_a_scan_with_addresses(folder: Path) -> None:
    """Every label is turned into block and index, ranges and window are kept, and the scan can start."""
    configuration = imported(folder)
    assert configuration.space.to_dict() == {
        "M1input": {"prior": "uniform", "lo": 100.0, "hi": 1500.0},
        "Tan_beta": {"prior": "uniform", "lo": 2.0, "hi": 50.0},
    }
    described = configuration.tool.describe()
    assert described["files"]["LesHouches.in"]["write"] == {"M1input": "EXTPAR 1", "Tan_beta": "EXTPAR 25"}
    assert described["read"]["hh_1"]["address"] == "MASS 25"
    assert described["model"] == "MSSM"
    window = configuration.target.constraints["hh_1"]
    assert (window.lo, window.hi) == (124.0, 126.09)
    assert configuration.out == folder / "output"
    Scan.from_file(configuration)


def test_groups_on_one_line_are_read_the_same(folder: Path) -> None:
    """Whether a group's keys stand on one line or on several makes no difference."""
    one = "VarMin: 1.0E+02   VarMax: 1.5E+03   VarLabel: # M1input   VarNum: 1\n"
    several = "VarMin: 1.0E+02\nVarMax: 1.5E+03\nVarLabel: # M1input\nVarNum: 1\n"
    first = imported(folder).problem.describe()
    assert imported(folder, (several, one)).problem.describe() == first


def test_matrix_entry_can_be_scanned(folder: Path) -> None:
    """A label on an entry with two indices becomes an address with both."""
    configuration = imported(folder, ("# Tan(beta)\nVarNum: 25", "# mq2(1,1)\nVarNum: 1"))
    assert configuration.tool.describe()["files"]["LesHouches.in"]["write"]["mq2_1_1"] == "MSQ2IN 1 1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# Tan(beta)\nVarNum: 25\n", "# twice\n", "VarLabel 'twice' is ambiguous: .* MINPAR 7 .*MSQ2IN 2 2"),
        ("# M1input", "# M1inpt", "VarLabel 'M1inpt': no line of .* did you mean 'M1input'"),
        ("VarNum: 25", "VarNum: 3", "expected entry number 3 .* got EXTPAR 25 .line 6"),
        ("TargetNum: 25", "TargetNum: 35", "TargetLabel 'hh_1': expected entry number 35 .* got MASS 25"),
        ("VarMax: 1.5E+03", "VarMax: much", "VarMax of 'M1input' is 'much'; expected a number"),
        ("VarMax: 1.5E+03", "VarMax: 1.0", "parameters.M1input: .*expected min < max"),
        ("VarMax: 1.5E+03\n", "", "has no VarMax"),
        ("TotVarScanned: 2", "TotVarScanned: 3", "TotVarScanned is 3, but the file has 2"),
        ("Lesh: LesHouches.in.MSSM", "Lesh: nothing.in", "nothing.in: cannot be read"),
        ("Lesh:", "Lsh:", "line 2: unknown key 'Lsh'; did you mean 'Lesh'"),
        ("SPHENOMODEL: MSSM\n", "", "the line 'SPHENOMODEL: …' is missing"),
    ],
)
def test_what_cannot_be_imported_is_named(folder: Path, old: str, new: str, said: str) -> None:
    """An ambiguous, unknown or contradictory label, and every other mistake, is refused by name."""
    with pytest.raises(ConfigError, match=said):
        imported(folder, (old, new))


def test_label_on_two_lines_is_decided_by_its_number(folder: Path) -> None:
    """A comment that stands twice is no problem where the entry's number tells which is meant."""
    configuration = imported(folder, ("# Tan(beta)\nVarNum: 25", "# twice\nVarNum: 7"))
    assert configuration.tool.describe()["files"]["LesHouches.in"]["write"]["twice"] == "MINPAR 7"


def test_without_a_spectrum_the_assumption_is_written_down(folder: Path) -> None:
    """With nothing to look a target's label up in, a mass is assumed and the file says so; anything else is refused."""
    (folder / "SPheno.spc.MSSM").unlink()
    configuration = imported(folder)
    assert configuration.tool.describe()["read"]["hh_1"]["address"] == "MASS 25"
    assert "MASS 25 is assumed" in configuration.text
    with pytest.raises(ConfigError, match="run SPheno once"):
        imported(folder, ("TargetResNum: 1", "TargetResNum: 2"))


def test_micromegas_file_becomes_a_scan(tmp_path: Path) -> None:
    """The parameter file's names are written, Omega is read by name, a name that is not there is refused."""
    model = tmp_path / "MSSM"
    model.mkdir()
    (model / "main").write_text("#!/bin/sh\n")
    (model / "main").chmod(0o755)
    (model / "mssm1.par").write_text("mu  350\ntb  10\nMG1 100\n")
    text = (
        f"path_micromegas: {model}\ninput: mssm1.par\noutput_dir: out\nTotVarScanned: 2\n"
        "VarMin: 200\nVarMax: 400\nVarLabel: mu\nVarMin: 5\nVarMax: 30\nVarLabel: tb\n"
        "TotTarget: 1\nTargetMin: 0.09\nTargetMax: 0.1\nTargetLabel: Omega\n"
    )
    (tmp_path / "input.txt").write_text(text)
    (tmp_path / "scan.toml").write_text(import_input(tmp_path / "input.txt"))
    configuration = load_config(tmp_path)
    assert configuration.space.free == ("mu", "tb")
    assert configuration.tool.outputs == ("Omega",)
    assert configuration.out == tmp_path / "out"
    Scan.from_file(configuration)
    (tmp_path / "input.txt").write_text(text.replace("VarLabel: tb", "VarLabel: tanb"))
    with pytest.raises(ConfigError, match="no line 'tanb <value>'"):
        import_input(tmp_path / "input.txt")


def test_names_of_columns_are_distinct_and_usable(tmp_path: Path) -> None:
    """Labels that make the same name, or one of the store's own, get names of their own."""
    groups = "".join(f"VarMin: 0\nVarMax: 1\nVarLabel: # {label}\n" for label in ("a-b", "a b", "valid", "2x"))
    (tmp_path / "input.txt").write_text(groups + "TargetMin: 0\nTargetMax: 1\nTargetLabel: # a b\n")
    given = read_input(tmp_path / "input.txt")
    assert [group.name for group in given.variables] == ["a_b", "a_b_2", "x_valid", "x_2x"]
    assert given.targets[0].name == "a_b_3"
