"""Parameters get into files where they belong, with every digit, or the mistake is named before anything runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import ConfigError
from rayscan.slha import Address, read_values
from rayscan.tools.inputs import FromStage, InputFile, Labelled, NameValue, SLHAFile, Template, as_input
from rayscan.tools.number import format_number, parse_number

CARD = """\
Block MINPAR     # inputs
 1   7.0E+01     # m0
 2   2.5E+02     # m12
 3   1.0E+01     # tanb
 4   1           # sign(mu)
 5  -3.0E+02     # A0
Block MSQ2IN
 1 1  1.0E+06    # mq2(1,1)
 3 3  4.0E+06    # mq2(3,3)   third generation
Block EXTRA
 7   1.0         # m0 heavy
"""
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card.in"
    path.write_text(CARD)
    return path


def text(file: InputFile, point: dict[str, float], directory: Path) -> str:
    return file.content(point, directory).decode()


@given(finite)
def test_a_template_writes_a_value_that_reads_back_as_the_same_double(value: float) -> None:
    """What the program gets is the very number in the table."""
    assert float(Template("x = {x}\n").render({"x": value}).split()[-1]) == value


@given(finite)
def test_numbers_survive_writing_and_reading(value: float) -> None:
    """Formatting and parsing are inverse."""
    assert parse_number(format_number(value)) == value


@pytest.mark.parametrize(("word", "value"), [("1.0D+03", 1000.0), ("-2d0", -2.0), ("0.25-102", 0.25e-102), (".5", 0.5),
                                             ("1.5E+02", 150.0), ("7.", 7.0), ("1Q2", 100.0)])  # fmt: skip
def test_fortran_numbers_are_read(word: str, value: float) -> None:
    """Exponents with D, and three-digit ones without a letter, are numbers."""
    assert parse_number(word) == value


@pytest.mark.parametrize("word", ["", "12abc", "1,5", "2,0", "1.2.3", "--1", "0x10", "1_000", "1-2", "e5"])
def test_what_is_wholly_a_number_is_the_only_number(word: str) -> None:
    """Half a number is none: 12abc must not be read as 12."""
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(word)


def test_only_braces_around_a_name_are_placeholders(tmp_path: Path) -> None:
    """JSON can be a template; doubled braces stand for themselves."""
    template = Template('{"mass": {m}, "list": {"a": [1]}, "n": {n:d}, "as is": "{{m}}"}\n')
    assert template.parameters == ("m", "n")
    assert (
        text(template, {"m": 0.1, "n": 3.0}, tmp_path) == '{"mass": 0.1, "list": {"a": [1]}, "n": 3, "as is": "{m}"}\n'
    )


@pytest.mark.parametrize("hole", ["{x:.5e}", "{x:.3f}", "{x:g}"])
def test_a_format_that_loses_digits_is_refused(hole: str) -> None:
    """The table would hold another number than the program got (S10)."""
    with pytest.raises(ConfigError, match="too few digits"):
        Template(f"a line\nx = {hole}\n").check()
    Template("x = {x:.10e}\n").check()


def test_a_format_that_is_none_is_refused() -> None:
    """A typing mistake in a format is found before anything runs."""
    with pytest.raises(ConfigError, match=r"line 2: placeholder \{x:zz\}.*no format"):
        Template("\nx = {x:zz}\n").check()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_never_written(value: float) -> None:
    """Programs stop at NaN, or read something else."""
    with pytest.raises(ValueError, match="finite"):
        Template("x = {x}\n").render({"x": value})


def test_a_whole_number_is_demanded_where_the_format_says_so() -> None:
    """Rounding silently would evaluate another point."""
    with pytest.raises(ValueError, match="whole"):
        Template("n = {n:d}\n").render({"n": 2.5})


def test_a_label_is_the_whole_comment_not_a_piece_of_it(card: Path, tmp_path: Path) -> None:
    """'m0' is on one line although 'm0 heavy' contains it, and replaces the value, not the index (S9)."""
    written = text(Labelled(card, {"a": "m0", "b": "tanb"}), {"a": 123.456789012345, "b": 5.0}, tmp_path)
    changed = [(old, new) for old, new in zip(CARD.splitlines(), written.splitlines(), strict=True) if old != new]
    assert changed == [
        (" 1   7.0E+01     # m0", " 1   123.456789012345     # m0"),
        (" 3   1.0E+01     # tanb", " 3   5.0     # tanb"),
    ]


def test_a_matrix_entry_can_be_named_by_its_label(card: Path, tmp_path: Path) -> None:
    """The last number before the comment is the value, with any number of indices (S9)."""
    written = text(Labelled(card, {"x": "third generation"}), {"x": 9.5}, tmp_path)
    assert " 3 3  9.5    # mq2(3,3)   third generation" in written.splitlines()


def test_a_label_on_two_lines_is_refused_with_their_numbers(tmp_path: Path) -> None:
    """An ambiguous label is never guessed (S9)."""
    path = tmp_path / "c"
    path.write_text(CARD + " 9 1.0 # m0\n")
    with pytest.raises(ConfigError, match=r"label 'm0' .* on 2 lines \(2, 12\)"):
        Labelled(path, {"x": "m0"}).check()
    path.write_text(" 1 2.0 # mass of h\n 2 3.0 # mass of H\n")
    with pytest.raises(ConfigError, match="on 2 lines"):
        Labelled(path, {"x": "mass"}).check()


def test_a_label_that_is_nowhere_names_the_nearest(card: Path) -> None:
    """The message helps to correct the label."""
    with pytest.raises(ConfigError, match=r"no line with a number has the label 'tanbeta'.*did you mean 'tanb'"):
        Labelled(card, {"x": "tanbeta"}).check()


def test_two_parameters_in_one_place_are_refused(card: Path) -> None:
    """One of the two would silently be lost."""
    with pytest.raises(ConfigError, match="same place, line 2"):
        Labelled(card, {"a": "m0", "b": "# m0"}).check()
    with pytest.raises(ConfigError, match="both written to MINPAR 1"):
        SLHAFile(card, {"a": "MINPAR 1", "b": "minpar 1"}).check()
    with pytest.raises(ConfigError, match="both written to MINPAR 1"):
        SLHAFile(card, {"a": "MINPAR 1"}, fixed={"MINPAR 1": 3}).check()


def test_name_value_lines_keep_their_layout(tmp_path: Path) -> None:
    """Names are compared as a whole; comments, order and spacing stay."""
    path = tmp_path / "data.par"
    path.write_text("# a comment\nMdm1   700  \nMdm = 3\nlaSH\t0.15\n")
    file = NameValue(path, {"m": "Mdm1", "x": "laSH"})
    file.check()
    assert text(file, {"m": 55.25, "x": 1e-7}, tmp_path) == "# a comment\nMdm1   55.25  \nMdm = 3\nlaSH\t1e-07\n"
    assert [(c.parameter, c.line, c.old, c.new) for c in file.changes({"m": 55.25, "x": 1e-7})] == [
        ("m", 2, "700", "55.25"),
        ("x", 4, "0.15", "1e-07"),
    ]


def test_name_value_lines_from_values(tmp_path: Path) -> None:
    """Without a file, the fixed values and the scanned ones are all there is."""
    file = NameValue({"Mh": 125.0, "Mdm1": 1.0}, ["Mdm1"])
    assert text(file, {"Mdm1": 55.0}, tmp_path).split() == ["Mh", "125.0", "Mdm1", "55.0"]


@pytest.mark.parametrize(("content", "message"), [("Mdm2 1\n", "no line 'Mdm1 <value>'.*did you mean 'Mdm2'"),
                                                  ("Mdm1 1\nMdm1 2\n", r"on 2 lines \(1, 2\)")])  # fmt: skip
def test_a_name_that_is_not_there_once_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Missing and double names are found before anything runs."""
    path = tmp_path / "data.par"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        NameValue(path, ["Mdm1"]).check()


@given(st.permutations(["m0", "tanb", "a0", "q33"]))
def test_values_go_to_their_address_whatever_the_order(order: list[str]) -> None:
    """Neither the order of the parameters nor that of the card's lines decides where a value goes (S8)."""
    write = {"m0": "MINPAR 1", "tanb": "MINPAR 3", "a0": "MINPAR 5", "q33": "MSQ2IN 3 3"}
    point = {"m0": 1234.5678901234, "tanb": 3.3, "a0": -1e-5, "q33": 2.0}
    file = SLHAFile(CARD, {name: write[name] for name in order})
    file.check()
    read = read_values(file.render(point), [Address.parse(address) for address in write.values()])
    assert {name: read[Address.parse(address)] for name, address in write.items()} == point


@given(finite)
def test_slha_values_keep_every_digit(value: float) -> None:
    """The card holds the number of the table, not five digits of it (S10)."""
    rendered = SLHAFile(CARD, {"x": "MINPAR 5"}).render({"x": value})
    assert read_values(rendered, [Address.parse("MINPAR 5")])[Address.parse("MINPAR 5")] == value
    digits = next(line for line in rendered.splitlines() if line.endswith("# A0")).split()[1]
    assert sum(c.isdigit() for c in digits.split("E")[0]) >= 10


def test_an_address_that_is_not_in_the_card_names_the_nearest(card: Path) -> None:
    """A wrong address is found before anything runs, with what is there instead."""
    with pytest.raises(ConfigError, match=r"no entry MINPAR 6; nearest: MINPAR"):
        SLHAFile(card, {"x": "MINPAR 6"}).check()
    with pytest.raises(ConfigError, match="no block MINPA"):
        SLHAFile(card, {"x": "MINPA 1"}).check()
    with pytest.raises(ConfigError, match="parameter 'x': SLHA address"):
        SLHAFile(card, {"x": "25 MASS"})
    SLHAFile(card, {"x": "MINPAR 6"}, add=True).check()


def test_fixed_entries_are_set_for_every_point(card: Path, tmp_path: Path) -> None:
    """A switch of the card can be set for this scan without touching the user's file."""
    file = SLHAFile(card, {"x": "MINPAR 1"}, fixed={"MINPAR 4": -1})
    assert " 4   -1           # sign(mu)" in text(file, {"x": 1.0}, tmp_path).splitlines()
    changes = {c.where: (c.parameter, c.line, c.old) for c in file.changes({"x": 1.0})}
    assert changes == {"MINPAR 1": ("x", 2, "7.0E+01"), "MINPAR 4": ("", 5, "1")}


def test_the_users_file_is_only_read(card: Path, tmp_path: Path, unchanged: Callable[[Path], None]) -> None:
    """Rendering a thousand points leaves the template as it is, also after pickling (S11)."""
    unchanged(card)
    card.chmod(0o444)
    files = [
        SLHAFile(card, {"x": "MINPAR 1"}),
        Labelled(card, {"x": "tanb"}),
        NameValue(card, {"x": "7"}),
        Template(card),
    ]
    for file in files:
        first = text(file, {"x": 1.0}, tmp_path)
        for value in range(1000):
            text(file, {"x": float(value)}, tmp_path)
        assert text(pickle.loads(pickle.dumps(file)), {"x": 1.0}, tmp_path) == first


def test_line_ends_and_bytes_that_are_no_text_stay(tmp_path: Path) -> None:
    """Whatever the user's editor wrote is written again."""
    path = tmp_path / "c"
    content = b"Block MINPAR\r\n 1 {x} # m\xe9 \r\n"
    path.write_bytes(content)
    assert Template(path).content({"x": 1.5}, tmp_path) == content.replace(b"{x}", b"1.5")
    assert SLHAFile(path, {"x": "MINPAR 1"}).content({"x": 1.5}, tmp_path) == content.replace(
        b"{x}", b"1.500000000000E+00"
    )


def test_a_file_that_cannot_be_read_is_named_with_its_neighbours(card: Path) -> None:
    """A wrong path is found when the tool is described."""
    with pytest.raises(ConfigError, match=r"cannot read the file .*card\.inn.*in that directory: card\.in"):
        Template(card.with_name("card.inn"))
    with pytest.raises(ConfigError, match="Is a directory"):
        Template(card.parent)


def test_a_copy_of_an_earlier_stages_file(tmp_path: Path) -> None:
    """A file of the point's directory goes to the next program under another name."""
    (tmp_path / "SPheno.spc").write_bytes(b"\0spectrum")
    assert FromStage("SPheno.spc").content({}, tmp_path) == b"\0spectrum"
    with pytest.raises(FileNotFoundError):
        FromStage("other").content({}, tmp_path)


def test_input_files_from_configuration(card: Path, tmp_path: Path) -> None:
    """TOML tables and Python objects mean the same."""
    kinds = {
        "slha": ({"slha": "card.in", "write": {"x": "MINPAR 1"}, "add": True}, SLHAFile),
        "labels": ({"labels": "card.in", "write": {"x": "tanb"}, "comment": "#"}, Labelled),
        "names": ({"names": "card.in", "write": {"x": "7"}}, NameValue),
        "template": ({"template": "x = {x}"}, Template),
        "stage": ({"stage": "SPheno.spc"}, FromStage),
        "path": ("card.in", Template),
    }
    for name, (spec, kind) in kinds.items():
        assert type(as_input(name, spec, base=tmp_path)) is kind
    assert as_input("f", card).describe()["sha256"] == Template(card).describe()["sha256"]


@pytest.mark.parametrize(("spec", "message"), [
    ({"slha": "card.in", "wirte": {}}, "unknown key 'wirte'; did you mean 'write'"),
    ({"write": {"x": "MINPAR 1"}}, "expected a template"),
    ({"slha": "card.in", "write": {}}, "at least one parameter"),
    ({"slha": "card.in"}, "does not go with these keys"),
    (3, "expected a template"),
])  # fmt: skip
def test_a_wrong_table_is_refused_in_words(card: Path, spec: object, message: str) -> None:
    """Unknown keys are errors with a suggestion."""
    with pytest.raises(ConfigError, match=message):
        as_input("LesHouches.in", spec, base=card.parent)


def test_a_parameter_may_be_written_to_several_entries(tmp_path: Path) -> None:
    """Masses of two generations are one number; each entry has it, and none is written by two parameters."""
    card = tmp_path / "card"
    card.write_text("Block EXTPAR\n 31 1.0 # first\n 32 2.0 # second\n 33 3.0\n", encoding="utf-8")
    file = SLHAFile(str(card), {"mL12": ["EXTPAR 31", "EXTPAR 32"], "mL3": "EXTPAR 33"})
    file.check()
    places = [Address.parse(f"EXTPAR {number}") for number in (31, 32, 33)]
    written = read_values(file.render({"mL12": 700.0, "mL3": 900.0}), places)
    assert list(written.values()) == [700, 700, 900]
    assert file.parameters == ("mL12", "mL3")
    assert file.describe()["write"] == {"mL12": ["EXTPAR 31", "EXTPAR 32"], "mL3": "EXTPAR 33"}
    with pytest.raises(ConfigError, match=r"'mL12' and 'mL3' are both written to EXTPAR 32"):
        SLHAFile(str(card), {"mL12": ["EXTPAR 31", "EXTPAR 32"], "mL3": "EXTPAR 32"}).check()
    with pytest.raises(ConfigError, match="expected an address for at least one parameter"):
        SLHAFile(str(card), {"mL12": []})
