"""Observables come out of what this run wrote, from the place that was meant, or the reason is in the row."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import ConfigError
from rayscan.tools.outputs import Outputs, ReadError, stamp
from rayscan.tools.readers import Column, Custom, ExitCode, Reading, SLHAEntry, as_reader, read_all
from rayscan.tools.table import find_cell


def read(spec: Any, directory: Path, content: str | bytes = "", *, exit_code: int | None = 0, **others: str) -> Reading:
    """Read one observable of a run that printed `content` and wrote the files `others`."""
    stdout = directory / "run.stdout"
    stdout.write_bytes(content.encode() if isinstance(content, str) else content)
    for name, text in others.items():
        (directory / name.replace("_", ".")).write_text(text)
    outputs = Outputs(directory, {"stdout": [stdout]}, exit_code, {})
    return read_all({"y": as_reader("y", spec)}, outputs, "stdout")["y"]


OMEGA = "Xf=2.55e+01 Omega=6.14E-02 err=0\n   49% ~x1 ~x1 ->W+ W-\n proton  SI 1.615E-09  SD 0.000E+00\n"


@pytest.mark.parametrize(("spec", "value"), [
    (r"regex:Omega=(\S+)", 6.14e-2),
    ({"regex": r"(?P<si>SI) (?P<x>\S+)", "group": "x"}, 1.615e-9),
    ({"regex": r"SI (\S+)\s+SD (\S+)", "group": 2}, 0.0),
    (r"regex:^ proton\s+SI (\S+)", 1.615e-9),
    ("key:Omega", 6.14e-2),
    ("key:err", 0.0),
    ("label:proton  SI", 1.615e-9),
    ("exit", 3.0),
])  # fmt: skip
def test_numbers_in_running_text(tmp_path: Path, spec: Any, value: float) -> None:
    """Patterns with groups, keys, labels and the exit code."""
    assert read(spec, tmp_path, OMEGA, exit_code=3).value == value


@pytest.mark.parametrize(("spec", "content", "value"), [
    ("label:m_h", "m_h = 125.1 GeV\n", 125.1),
    ("label:m_h", "# results\n   25   1.251D+02   # m_h\n 26 3.0 # m_h^2\n", 125.1),
    ("label:m_h", "m_h2 = 3\nm_h 125.1\nxm_h 4\n", 125.1),
    ("label:mass of h", "the mass of h: 125.1\nmass of hh: 3\n", 125.1),
    ("key:m", "m= 1.5\nmm=3\nx.m=4\n", 1.5),
    ("key:m", "m: -1.5e3;\n", -1500.0),
])  # fmt: skip
def test_labels_and_keys_are_whole_words(tmp_path: Path, spec: str, content: str, value: float) -> None:
    """A label is not found inside a longer name, and a comment's label names the value, not the index (S9, S13)."""
    assert read(spec, tmp_path, content).value == value


@pytest.mark.parametrize("spec", ["label:m_h", "key:m_h", r"regex:m_h\s*=\s*(\S+)"])
def test_two_different_values_are_never_guessed(tmp_path: Path, spec: str) -> None:
    """Ambiguity is a problem in the row until the user says which one is meant."""
    content = "m_h = 125.1\nm_h = 91.2\n"
    reading = read(spec, tmp_path, content)
    assert math.isnan(reading.value)
    assert "found 2 times (125.1, 91.2); say which = 'first' or 'last'" in reading.problem
    kind, _, what = spec.partition(":")
    assert read({kind: what, "which": "first"}, tmp_path, content).value == 125.1
    assert read({kind: what, "which": "last"}, tmp_path, content).value == 91.2
    assert read(spec, tmp_path, "m_h = 125.1\nm_h = 125.1\n").value == 125.1


@pytest.mark.parametrize(("text", "problem", "missing"), [
    ("NaN", "is NaN", False), ("nan", "is nan", False), ("Infinity", r"is Infinity", False),
    ("-inf", r"is -inf", False), ("*****", r"is \*+", False), ("12abc", "is '12abc'; expected a number", True),
    ("ERROR", "is 'ERROR'; expected a number", True),
])  # fmt: skip
def test_what_is_no_finite_number_is_a_problem_in_words(tmp_path: Path, text: str, problem: str, missing: bool) -> None:
    """NaN and overflown fields never become numbers, and never an exception (S15); a word is no number at all."""
    reading = read(r"regex:x = (\S+)", tmp_path, f"x = {text}\n")
    assert not math.isfinite(reading.value)
    assert math.isinf(reading.value) == ("inf" in text.lower())
    assert reading.missing is missing
    assert re.search(problem, reading.problem)


def test_a_mass_is_read_as_the_number_it_is(tmp_path: Path) -> None:
    """126.09 is 126.09 and not 126, 0.12 is not 0 (S14)."""
    spectrum = "Block MASS\n  25 1.2609E+02 # h0\nBlock DARKMATTER\n 1 0.12\n"
    assert read({"slha": "MASS 25", "file": "out.spc"}, tmp_path, out_spc=spectrum).value == 126.09
    assert read({"slha": "DARKMATTER 1", "file": "out.spc"}, tmp_path, out_spc=spectrum).value == 0.12


def test_an_slha_entry_is_found_by_block_and_index_only(tmp_path: Path) -> None:
    """Other lines with the same number or the same comment do not count (S13)."""
    spectrum = (
        "Block MINPAR\n 25 99.0 # h0\nDECAY 25 4.0E-03 # h0 m_h\n 6.0E-01 2 5 -5 # BR(h0 -> b bb)\n"
        "Block MASS\n 125 7.0 # h0\n 25 125.25 # h0\nBlock DMASS\n 25 3.0 # h0\n"
    )
    file = {"file": "out.spc"}
    assert read({"slha": "MASS 25", **file}, tmp_path, out_spc=spectrum).value == 125.25
    assert read({"slha": "DECAY 25", **file}, tmp_path, out_spc=spectrum).value == 4e-3
    assert read({"slha": "DECAY 25 -> -5 5", **file}, tmp_path, out_spc=spectrum).value == 0.6
    missing = read({"slha": "MASS 35", **file}, tmp_path, out_spc=spectrum)
    assert missing.missing
    assert missing.problem == "there is no entry MASS 35 in out.spc"


@pytest.mark.parametrize("value", ["NaN", "*****", "1.0.0", "12abc", "1.0 2.0"])
def test_a_damaged_slha_value_is_no_number(tmp_path: Path, value: str) -> None:
    """The raw text is in the message (S15)."""
    reading = read({"slha": "MASS 25", "file": "o.spc"}, tmp_path, o_spc=f"Block MASS\n 25 {value} # h0\n")
    assert math.isnan(reading.value)
    assert reading.text == value
    assert value in reading.problem


@pytest.mark.parametrize(("path", "value"), [("higgs.masses[0]", 125.25), ("higgs.masses[-1]", 500.0), ("flag", 1.0),
                                             ("text", 2.5), ("[x]", None), ("higgs.mass", None), ("higgs", None),
                                             ("higgs.masses[9]", None), ("null", None)])  # fmt: skip
def test_json_paths(tmp_path: Path, path: str, value: float | None) -> None:
    """Keys and positions lead to numbers; what is not there is said in words."""
    content = '{"higgs": {"masses": [125.25, 500.0]}, "flag": 1, "text": "2.5", "null": null}'
    spec = {"json": path, "file": "o.json"}
    if path == "[x]":
        with pytest.raises(ConfigError, match="is no JSON path"):
            read(spec, tmp_path)
        return
    reading = read(spec, tmp_path, o_json=content)
    assert reading.value == value or (value is None and math.isnan(reading.value) and reading.problem)


def test_broken_json_is_a_problem_of_the_row(tmp_path: Path) -> None:
    """Half a file is no answer."""
    assert "o.json is no JSON" in read({"json": "a", "file": "o.json"}, tmp_path, o_json='{"a": 1').problem


def test_columns_of_a_real_result_file(data: Path) -> None:
    """HiggsBounds' columns are found by their names."""
    text = (data / "higgs" / "HiggsBounds_results.dat").read_text()
    names = ("Mh(1)", "Mhplus(1)", "HBresult", "chan", "obsratio", "ncomb")
    assert [find_cell(text, name, -1, "f") for name in names] == ["126.074", "1451.30", "1", "337", "0.882667", "1"]
    assert find_cell(text, 2, 1, "f") == "126.074"
    with pytest.raises(ReadError, match="column 'obsration' is not in the header of f; did you mean 'obsratio'"):
        find_cell(text, "obsration", -1, "f")


def test_tables_with_commas_headers_and_several_rows() -> None:
    """The header may be a row of names; rows count from either end."""
    text = "x, y\n1, 2\n3, 4\n"
    assert [find_cell(text, "y", row, "f") for row in (1, 2, -1, -2)] == ["2", "4", "4", "2"]
    assert find_cell("# x y\n1 2\n", "y", 1, "f") == "2"
    for row, column, message in ((3, "y", "no row 3"), (1, 3, "no column 3"), (1, "z", "not in the header")):
        with pytest.raises(ReadError, match=message):
            find_cell(text, column, row, "f")
    with pytest.raises(ReadError, match="give the column 'y' by its number"):
        find_cell("1 2\n", "y", 1, "f")
    with pytest.raises(ReadError, match="no row of numbers"):
        find_cell("# x y\n", "y", 1, "f")
    with pytest.raises(ReadError, match="twice in the header"):
        find_cell("# x x\n1 2\n", "x", 1, "f")


@given(st.text(), st.one_of(st.text(), st.integers(-5, 5)), st.integers(-5, 5))
def test_no_table_raises_anything_else(text: str, column: str | int, row: int) -> None:
    """Garbage gives a reason or a cell, never a crash."""
    with contextlib.suppress(ReadError):
        assert isinstance(find_cell(text, column, row or 1, "f"), str)


@given(st.binary(max_size=300))
def test_no_output_raises_anything(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Every reader survives every output (S15)."""
    directory = tmp_path_factory.mktemp("garbage")
    specs = ["regex:(.+)", "label:a", "key:a", "column:1", "json:a", "slha:MASS 25", "exit"]
    stdout = directory / "o"
    stdout.write_bytes(content)
    outputs = Outputs(directory, {"stdout": [stdout]}, 0, {})
    for reading in read_all(
        {f"y{n}": as_reader("y", spec) for n, spec in enumerate(specs)}, outputs, "stdout"
    ).values():
        assert math.isfinite(reading.value) != bool(reading.problem)


def test_a_users_function_reads_the_directory(tmp_path: Path) -> None:
    """What it raises is the reason in the row."""
    (tmp_path / "f").write_text("41")
    assert read(lambda directory: int((directory / "f").read_text()) + 1, tmp_path).value == 42.0
    assert "KeyError: 'x'" in read(lambda _: {}["x"], tmp_path).problem  # type: ignore[index]
    assert "float" in read(lambda _: "abc", tmp_path).problem


def test_a_file_from_before_the_run_is_never_read(tmp_path: Path) -> None:
    """Stale output is impossible: same time, size and inode mean that this run did not write it."""
    file = tmp_path / "out"
    file.write_text("y = 1\n")
    before = stamp(file)
    assert before is not None
    outputs = Outputs(tmp_path, {}, 0, {"out": before})
    with pytest.raises(ReadError, match="from before the program ran"):
        outputs.text("out")
    with file.open("a") as more:
        more.write("y = 1\n")
    assert Outputs(tmp_path, {}, 0, {"out": before}).text("out") == "y = 1\ny = 1\n"


def test_what_is_no_ordinary_file_is_not_read(tmp_path: Path) -> None:
    """A pipe would hang the evaluator, a link could lead out of the directory."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/hostname")
    outputs = Outputs(tmp_path, {}, 0, {})
    for name in ("pipe", "folder", "link"):
        with pytest.raises(ReadError, match="is not an ordinary file"):
            outputs.text(name)
    with pytest.raises(ReadError, match="none was not written"):
        outputs.text("none")


@pytest.mark.parametrize(("spec", "message"), [
    ("MASS 25", "does not say how to read it"),
    ("regexp:x", "does not say how to read it"),
    ({"slha": "MASS 25", "flie": "x"}, "unknown key 'flie'; did you mean 'file'"),
    ({"file": "x"}, "does not say how to read it"),
    ({"slha": "MASS 25", "regex": "x"}, "does not say how to read it"),
    ({"slha": 25}, "expected a text"),
    ("slha:25", "SLHA address '25'"),
    ("regex:(", "is no regular expression"),
    ("regex:x", "has no group 1"),
    ({"regex": "(x)", "group": "name"}, "has no group 'name'"),
    ({"key": "x", "which": "second"}, "expected 'only', 'first' or 'last'"),
    ("label:", "the label is empty"),
    ("key:", "the key is empty"),
    ({"column": "x", "row": 0}, "count from 1"),
    (None, "does not say how to read it"),
])  # fmt: skip
def test_a_wrong_entry_is_refused_before_anything_runs(spec: Any, message: str) -> None:
    """Every mistake in read= names the observable and the next step."""
    with pytest.raises(ConfigError, match="observable 'y': ") as error:
        as_reader("y", spec)
    assert message in str(error.value)


def test_readers_are_described_in_plain_types() -> None:
    """What is saved with the data changes when the reading changes."""
    one = [Column("x", row=2), SLHAEntry("MASS 25"), ExitCode(), Custom(len)]  # type: ignore[arg-type]
    described = [json.dumps(reader.describe(), sort_keys=True) for reader in one]
    assert len(set(described)) == 4
    assert json.loads(described[0]) == {"kind": "column", "column": "x", "row": 2, "file": None, "optional": False}
