"""SPheno, classic and SARAH-generated: judged by content, failure kinds told apart, the user's card left alone.

The numbers S8 to S20 are the faults of the predecessor's SPheno module that each test makes impossible.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rayscan.errors import ConfigError
from rayscan.problem.target import Target
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Outcome, Status
from rayscan.tools.inputs import Template
from rayscan.tools.spheno import SPheno, failure, find_program

Evaluate = Callable[..., Outcome]
Program = Callable[..., Path]
PMSSM5 = {"tanb": "EXTPAR 25", "MA": "EXTPAR 26", "At": "EXTPAR 11", "mQ3": "EXTPAR 43", "mU3": "EXTPAR 46"}
DEMO = ["python", "-m", "rayscan.demo.mssm_higgs"]
POINT = {"tanb": 27.48149, "MA": 1088.644, "At": -1849.023, "mQ3": 3761.152, "mU3": 2255.289}


@pytest.fixture
def fake(program: Program, data: Path) -> Callable[..., Path]:
    """Make an SPheno that copies a sample to its output and prints another, with other files beside."""

    def make(
        spectrum: str | None,
        stdout: str = "",
        stderr: str = "",
        messages: str | None = None,
        code: int = 0,
        name: str = "SPheno",
        extra: str = "",
    ) -> Path:
        lines = [extra]
        if spectrum:
            lines.append(f"open(args[1], 'wb').write(open({str(data / 'slha' / spectrum)!r}, 'rb').read())")
        for stream, sample in (("stdout", stdout), ("stderr", stderr)):
            text = (data / "spheno" / sample).read_text() if sample.endswith(("stdout", "stderr")) else sample
            lines.append(f"sys.{stream}.write({text!r})")
        if messages:
            lines.append(f"open('Messages.out', 'wb').write(open({str(data / 'spheno' / messages)!r}, 'rb').read())")
        return program("\n".join([*lines, f"sys.exit({code})"]), name)

    return make


def tool(path: Any, data: Path, read: dict[str, Any] | None = None, **options: Any) -> SPheno:
    """The five-parameter card with some program."""
    return SPheno(
        path, data / "spheno" / "pmssm5.in", write=PMSSM5, read=read or {"mh": "MASS 25"}, **{"timeout": 30, **options}
    )


def test_the_demo_program_runs_in_the_place_of_spheno(
    evaluate: Evaluate, data: Path, unchanged: Callable[[Path], None]
) -> None:
    """A spectrum from a Python program, with the same card and addresses."""
    unchanged(data / "spheno" / "pmssm5.in")
    spheno = tool(DEMO, data, {"mh": "MASS 25", "mst1": "MASS 1000006", "alpha": "ALPHA"})
    spheno.check(list(PMSSM5))
    outcome = evaluate(spheno, POINT)
    assert outcome.status is Status.OK, outcome.message
    assert 118 < outcome.observables["mh"] < 130
    assert outcome.observables["mst1"] < 3761
    assert outcome.kept.keys() == {"SPheno.spc"}
    assert spheno.commands[0].argv({}, {})[0] == sys.executable


def test_a_point_refused_by_the_demo_is_unphysical_in_its_own_words(evaluate: Evaluate, data: Path) -> None:
    """SPINFO 4 holds the reason."""
    outcome = evaluate(tool(DEMO, data), {**POINT, "At": 60000.0})
    assert outcome.status is Status.UNPHYSICAL
    assert outcome.message.startswith("tachyon: SPINFO 4: Higgs tachyon: m_h^2 = -")
    assert (outcome.observables, outcome.kept) == ({}, {})


def test_classic_spheno_says_nothing_on_success(evaluate: Evaluate, data: Path, fake: Callable[..., Path]) -> None:
    """A spectrum and silence is a good point: no word on stdout is waited for (S16)."""
    read = {"mh": "MASS 25", "q": "EXTPAR 43", "width": "DECAY 25", "n11": "NMIX 1 1"}
    outcome = evaluate(tool(fake("spheno_decays.spc"), data, read), POINT)
    assert outcome.status is Status.OK
    assert outcome.message == ""
    assert 100 < outcome.observables["mh"] < 135


def test_a_tachyon_is_unphysical_with_the_reason_from_messages_out(
    evaluate: Evaluate, data: Path, fake: Callable[..., Path]
) -> None:
    """Classic SPheno ends with 0 and a stub; its SPINFO 4 only points to Messages.out (S16)."""
    stdout = " There has been a problem during the run.\n"
    outcome = evaluate(tool(fake("spheno_tachyon.spc", stdout, messages="tachyon.Messages.out"), data), POINT)
    assert outcome.status is Status.UNPHYSICAL
    assert outcome.exit_code == 0
    assert outcome.message == (
        "tachyon: SPINFO 4: internal problem, see Messages.out for infos: "
        "Routine SfermionMass1MSSM: negative mass squared 1"
    )


@pytest.mark.parametrize(("options", "status", "message"), [
    ({"stderr": "nan.stderr", "messages": "nan.Messages.out"}, Status.UNPHYSICAL, "NaN: matrix contains NaN (SPheno"),
    ({"stderr": "STOP Subroutine TerminateProgram\n"}, Status.UNPHYSICAL, "stopped: STOP Subroutine TerminateProgram"),
    ({"stderr": "Fortran runtime error: Bad real number in item 1\n", "code": 2}, Status.TOOL_ERROR, "bad card: "),
    ({"stdout": " No input file has been found\n"}, Status.TOOL_ERROR, "bad card: No input file has been found"),
    ({}, Status.TOOL_ERROR, "SPheno.spc was not written"),
    ({"code": 99, "messages": "tachyon.Messages.out"}, Status.UNPHYSICAL, "tachyon: Routine SfermionMass1MSSM"),
    ({"stderr": "cannot load shared libraries: libgfortran.so\n", "code": 127}, Status.TOOL_ERROR, "libgfortran"),
])  # fmt: skip
def test_a_missing_spectrum_is_judged_by_what_was_said(
    evaluate: Evaluate, data: Path, fake: Callable[..., Path], options: dict[str, Any], status: Status, message: str
) -> None:
    """The point's fault, the card's and the installation's are different rows (S15)."""
    outcome = evaluate(tool(fake(None, **options), data), POINT)
    assert outcome.status is status
    assert message in outcome.message


@pytest.mark.parametrize(("stdout", "spectrum", "status", "message"), [
    ("sarah_ok.stdout", "sarah.spc", Status.OK, ""),
    ("sarah_no_ewsb.stdout", None, Status.UNPHYSICAL, "no EWSB: "),
    ("sarah_tachyon.stdout", None, Status.UNPHYSICAL, "tachyon: occurred a negative mass squared!"),
    ("sarah_nan.stdout", None, Status.UNPHYSICAL, "NaN: NaN appearing in GToParameters213"),
    ("sarah_nan.stdout", "sarah.spc", Status.UNPHYSICAL, "SPhenoMSSM did not print 'Finished!'"),
])  # fmt: skip
def test_sarah_generated_spheno_must_have_finished(
    evaluate: Evaluate,
    data: Path,
    fake: Callable[..., Path],
    stdout: str,
    spectrum: str | None,
    status: Status,
    message: str,
) -> None:
    """Every failure has exit code 0; only 'Finished!' with a new spectrum is a good point (S16)."""
    path = fake(
        spectrum, stdout, "" if status is Status.OK else "STOP Subroutine TerminateProgram\n", name="SPhenoMSSM"
    )
    spheno = SPheno(path, data / "slha" / "sarah.in", write={"t33": "TUIN 3 3"}, read={"mh": "MASS 25"})
    assert spheno.model == "MSSM"
    outcome = evaluate(spheno, {"t33": -2500.0})
    assert outcome.status is status
    assert message in outcome.message
    assert ("mh" in outcome.observables) == (status is Status.OK)


def test_an_old_spectrum_is_never_taken_for_a_new_one(
    evaluate: Evaluate, data: Path, fake: Callable[..., Path]
) -> None:
    """A failed SARAH run leaves the old file alone; what an earlier stage left is gone before the program runs."""

    def leave_old(directory: Path) -> None:
        (directory / "SPheno.spc").write_bytes((data / "slha" / "sarah.spc").read_bytes())
        (directory / "Messages.out").write_text("tachyon\n")

    outcome = evaluate(tool(fake(None, stderr="STOP Subroutine TerminateProgram\n"), data), POINT, before=leave_old)
    assert outcome.status is Status.UNPHYSICAL
    assert "SPheno.spc was not written" in outcome.message
    assert "tachyon" not in outcome.message


def test_nan_where_it_was_asked_for_is_unphysical_and_elsewhere_a_remark(
    evaluate: Evaluate, data: Path, fake: Callable[..., Path]
) -> None:
    """A NaN width does not end the scan, and does not pass for a number (S15)."""
    path = fake("spheno_nan_widths.spc")
    assert evaluate(tool(path, data), POINT).message == "warning: the spectrum holds NaN"
    spectrum = (data / "slha" / "spheno_nan_widths.spc").read_text()
    particle = next(line.split()[1] for line in spectrum.splitlines() if line.startswith("DECAY") and "NaN" in line)
    outcome = evaluate(tool(path, data, {"mh": "MASS 25", "width": f"DECAY {particle}"}), POINT)
    assert outcome.status is Status.UNPHYSICAL
    assert f"observable 'width': DECAY {particle} in SPheno.spc is NaN" in outcome.message


def test_messages_of_a_good_point_are_kept_and_can_be_forbidden(
    evaluate: Evaluate, data: Path, fake: Callable[..., Path]
) -> None:
    """|mu|^2 < 0 comes with a full spectrum; only Messages.out tells, and the user decides."""
    path = fake("spheno_decays.spc", messages="m0big.Messages.out")
    outcome = evaluate(tool(path, data), POINT)
    assert outcome.status is Status.OK
    assert "|mu|^2 < 0 in the 1-loop calculation" in outcome.message
    outcome = evaluate(tool(path, data, forbid_messages=[r"\|mu\|\^2 < 0"]), POINT)
    assert outcome.status is Status.UNPHYSICAL


def test_messages_out_is_read_within_bounds(evaluate: Evaluate, program: Program, data: Path) -> None:
    """It grows without end and holds NUL bytes: only its end is read, and the row's message is short text."""
    content = "b'tachyon\\n' + 50000 * b'x \\n' + b'\\0no\\0 conver\\0gence\\0 ' + b'y' * 5000"
    path = program(f"open('Messages.out', 'wb').write({content}); sys.stderr.write('STOP')", "SPheno")
    outcome = evaluate(tool(path, data), POINT)
    assert outcome.status is Status.UNPHYSICAL
    assert outcome.message.startswith("no convergence: no convergence yyyy")
    assert len(outcome.message) == 400


@pytest.mark.parametrize("decays", [True, False])
def test_a_failed_decay_calculator_refuses_what_is_read_of_decays(
    evaluate: Evaluate, program: Program, data: Path, decays: bool
) -> None:
    """DCINFO 4 is to decays what SPINFO 4 is to the spectrum."""
    text = "Block DCINFO\n 4 widths failed\nBlock MASS\n 25 125.0\nDECAY 25 4.0E-03\n"
    path = program(f"open(args[1], 'w').write({text!r})", "SPheno")
    outcome = evaluate(tool(path, data, read={"mh": "DECAY 25" if decays else "MASS 25"}), POINT)
    expected = (Status.UNPHYSICAL, "refused: DCINFO 4: widths failed") if decays else (Status.OK, "")
    assert (outcome.status, outcome.message) == expected


def test_the_user_names_forbidden_spinfo_codes(evaluate: Evaluate, program: Program, data: Path) -> None:
    """SPINFO 3 is a remark unless it is forbidden; SPINFO 4 can be allowed."""
    text = "Block SPINFO\n 1 SPheno\n 3 stop LSP # Warning\n 4 [ stau tachyon ]\nBlock MASS\n 25 125.0\n"
    path = program(f"open(args[1], 'w').write({text!r})", "SPheno")
    outcome = evaluate(tool(path, data), POINT)
    assert outcome.message == "tachyon: SPINFO 4: [ stau tachyon ] (SPINFO 3: stop LSP)"
    outcome = evaluate(tool(path, data, forbid=()), POINT)
    assert (outcome.status, outcome.message) == (Status.OK, "warning: SPINFO 3: stop LSP")
    assert evaluate(tool(path, data, forbid=(3,)), POINT).message == "refused: SPINFO 3: stop LSP"


def test_values_reach_the_card_at_their_address_with_all_digits(
    evaluate: Evaluate, program: Program, data: Path
) -> None:
    """Whatever the order of parameters and of the card's lines, the program gets the table's numbers (S8, S10, S14)."""
    echo = program(
        "card = open(args[0]).read().partition('Block EXTPAR')[2].partition('Block')[0].splitlines()\n"
        "v = {w[0]: w[1] for w in map(str.split, card[1:])}\n"
        "open(args[1], 'w').write('Block MASS\\n' + ''.join(' %s %s\\n' % i for i in v.items()))",
        "SPheno",
    )
    read = {name: f"MASS {address.split()[1]}" for name, address in PMSSM5.items()}
    point = {name: value * (1 + 1e-13) for name, value in POINT.items()}
    for order in (list(PMSSM5), list(reversed(PMSSM5))):
        write = {name: PMSSM5[name] for name in order}
        spheno = SPheno(echo, data / "spheno" / "pmssm5.in", write=write, read={f"{n}_": a for n, a in read.items()})
        spheno.check(sorted(PMSSM5))
        outcome = evaluate(spheno, {name: point[name] for name in sorted(point)})
        assert outcome.observables == {f"{name}_": value for name, value in point.items()}


def test_a_card_with_placeholders_needs_no_addresses(evaluate: Evaluate, data: Path) -> None:
    """The same card, by {name}; another InputFile would do as well."""
    card = data / "spheno" / "pmssm5.in"
    by_address = evaluate(tool(DEMO, data), POINT).observables
    for one in (card, Template(card)):
        spheno = SPheno(DEMO, one, read={"mh": "MASS 25"})
        spheno.check(list(PMSSM5))
        assert evaluate(spheno, POINT).observables == by_address


def test_a_hanging_spheno_does_not_hang_the_scan(evaluate: Evaluate, data: Path, fake: Callable[..., Path]) -> None:
    """It is ended, and the row says so (S17)."""
    outcome = evaluate(tool(fake(None, extra="import time; time.sleep(60)"), data, timeout=0.3), POINT)
    assert outcome.status is Status.TIMEOUT
    assert "timeout 0.3 s" in outcome.message


def test_a_point_out_of_target_is_a_full_row_from_the_first_call_on(evaluate: Evaluate, data: Path) -> None:
    """No point has to be in target for its observables to be recorded and learnt from (S18, S19)."""
    outcome = evaluate(tool(DEMO, data), {**POINT, "At": 0.0, "mQ3": 400.0, "mU3": 400.0})
    target = Target(mh=(124.2, 124.9))
    judgement = target.judge({"mh": [outcome.observables["mh"]]})
    assert outcome.status is Status.OK
    assert not judgement.valid[0]
    assert 0 < judgement.penalty[0] < np.inf


@pytest.mark.parametrize("window", [(-3.0, 1.0), (-5.0, -2.0), (124.2, 124.9), (0.118, 0.122)])
def test_every_window_has_a_scale(window: tuple[float, float]) -> None:
    """Across zero, negative and narrow: finite likelihoods, and reals between integers are inside (S14, S20)."""
    target = Target(y=window)
    middle, outside = sum(window) / 2, window[1] + (window[1] - window[0])
    judgement = target.judge({"y": [middle, outside]})
    assert judgement.valid.tolist() == [True, False]
    assert judgement.likelihood[0] == 1.0
    assert 0 < judgement.likelihood[1] < 1


def test_nothing_of_the_users_is_changed_or_removed(
    evaluate: Evaluate, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, unchanged: Callable[[Path], None]
) -> None:
    """Card, output directory, stray files and working directory are as before, with relative paths (S11, S12)."""
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.chdir(user)
    card = user / "LesHouches.in"
    card.write_bytes((data / "spheno" / "pmssm5.in").read_bytes())
    card.chmod(0o444)
    unchanged(card)
    (user / "SPheno.spc").write_text("my result\n")
    spheno = SPheno(DEMO, "LesHouches.in", write=PMSSM5, read={"mh": "MASS 25"})
    spheno.check(list(PMSSM5))
    for at in (POINT["At"], 60000.0):
        evaluate(spheno, {**POINT, "At": at})
    assert sorted(p.name for p in user.iterdir()) == ["LesHouches.in", "SPheno.spc"]
    assert (user / "SPheno.spc").read_text() == "my result\n"
    assert Path.cwd() == user


def test_file_names_are_short_and_relative(data: Path, program: Program) -> None:
    """SPheno cuts names at 60 or 120 characters, however deep the installation lies."""
    deep = program("", f"{'d' * 100}/{'e' * 100}/SPheno")
    assert tool(deep, data).commands[0].argv({}, {})[1:] == ["LesHouches.in", "SPheno.spc"]


def test_the_executable_is_found_in_its_directory(program: Program, tmp_path: Path, data: Path) -> None:
    """A directory with bin/SPheno, or with one or several SARAH models in it."""
    classic = program("", "SPheno-4.0.5/bin/SPheno")
    program("", "SPheno-3.3.7/bin/SPhenoMSSM")
    program("", "SPheno-3.3.7/bin/SPhenoNMSSM")
    assert find_program(tmp_path / "SPheno-4.0.5") == [str(classic)]
    spheno = tool("SPheno-3.3.7", data, model="NMSSM", base=tmp_path)
    assert spheno.commands[0].program.endswith("bin/SPhenoNMSSM")
    assert spheno.describe()["version"] == "3.3.7"
    assert spheno.model == "NMSSM"
    assert tool(classic, data).model is None
    with pytest.raises(ConfigError, match="holds SPhenoMSSM, SPhenoNMSSM, but not SPhenoTHDM; choose with model="):
        find_program(tmp_path / "SPheno-3.3.7", "THDM")
    with pytest.raises(ConfigError, match="but not SPheno; choose with model="):
        find_program(tmp_path / "SPheno-3.3.7")
    with pytest.raises(ConfigError, match="no executable bin/SPheno in the directory"):
        find_program(data)


@pytest.mark.parametrize(("options", "message"), [
    ({"write": {**PMSSM5, "tanb": "EXTPAR 27"}}, r"no entry EXTPAR 27; nearest: EXTPAR 2"),
    ({"write": {**PMSSM5, "tanb": "EXTPAR 26"}}, "both written to EXTPAR 26"),
    ({"write": {**PMSSM5, "tanb": "tan beta"}}, "parameter 'tanb': SLHA address"),
    ({"card": "Block EXTPAR\n 25 1\n", "write": {"tanb": "EXTPAR 25"}}, "parameter 'MA' is written nowhere"),
    ({"write": {**PMSSM5, "mA": "EXTPAR 1"}}, r"nothing is known as \{mA\}; did you mean 'MA'"),
    ({"read": {"mh": "25"}}, "observable 'mh': SLHA address '25'"),
    ({"read": {}}, "nothing is read"),
    ({"path": "/no/such/SPheno"}, "program /no/such/SPheno does not exist"),
    ({"card": "/no/such/card"}, "cannot read the file /no/such/card"),
    ({"fixed": {"SPhenoInput 99": 1}}, "no entry SPHENOINPUT 99"),
    ({"forbid_messages": ["("]}, "is no regular expression"),
    ({"card": "Block MINPAR\n 1 2.0\n", "write": None}, "write= is missing"),
    ({"write": {"MA": "EXTPAR 26"}}, r"line 15: nothing is written in place of \{At\}; add its entry to write="),
    ({"card": Template("{tanb}\n")}, "write= and fixed= do not go with a card"),
])  # fmt: skip
def test_mistakes_are_found_before_anything_runs(data: Path, options: dict[str, Any], message: str) -> None:
    """Binary, card, addresses and parameters are checked without a point."""
    given = {"path": DEMO, "card": data / "spheno" / "pmssm5.in", "write": PMSSM5, "read": {"mh": "MASS 25"}, **options}

    def describe_and_check() -> None:
        SPheno(given.pop("path"), given.pop("card"), **given).check(list(PMSSM5))

    with pytest.raises(ConfigError, match=message):
        describe_and_check()


def test_an_optional_observable_may_be_missing(evaluate: Evaluate, data: Path) -> None:
    """In TOML: {name = "DECAY 25", optional = true}."""
    outcome = evaluate(tool(DEMO, data, {"mh": "MASS 25", "w": {"name": "DECAY 25", "optional": True}}), POINT)
    assert outcome.status is Status.OK
    assert outcome.observables.keys() == {"mh"}
    assert evaluate(tool(DEMO, data, {"mh": "MASS 25", "w": "DECAY 25"}), POINT).status is Status.TOOL_ERROR


def test_the_report_names_address_line_old_and_new_value(evaluate: Evaluate, data: Path) -> None:
    """What was written where, what was read from where."""
    details = evaluate(tool(DEMO, data), POINT, verbose=True).stages[0].details
    assert json.loads(json.dumps(details)) == details
    assert details["written"]["LesHouches.in"]["changes"][0] == {
        "parameter": "tanb", "address": "EXTPAR 25", "line": 19, "old": "{tanb}", "new": "2.748149000000E+01",
    }  # fmt: skip
    assert details["read"]["mh"]["where"] == "MASS 25 in SPheno.spc"


@pytest.mark.parametrize(("text", "kind"), [
    (" LoopMassesMSSM: m_h0^2 <0 in the 1-loop calculation           1", "tachyon"),
    (" Routine TreeMassesMSSM2: negative pseudoscalar mass squared   1", "tachyon"),
    (" Heavy Higgs boson is tachyonic, m_H^2=  -3.0", "tachyon"),
    (" Routine Boundary_SUSY: more then 100% corrections to Y_d_i    1", "no convergence"),
    (" Mass spectrum converged, but negative |mu|^2 from tadpoles.", "no EWSB"),
    (" LesHouches_Input: model must be specified before parameters  1", "bad card"),
    (" LesHouches_Input: Higgs sector has not been fully specified   1", "bad card"),
    (" Routine LesHouches_Input: Unknown entry for Block MODSEL      1", "bad card"),
    (" LesHouches_Input: model has not been specified completly     1", ""),
    (" matrix contains NaN", "NaN"),
    (" something else", ""),
])  # fmt: skip
def test_failure_kinds_are_told_apart(text: str, kind: str) -> None:
    """In the words that SPheno 4.0.5 and SARAH's SPheno print."""
    assert failure(f"\n{text}\n\n") == (kind, " ".join(text.split()))


@pytest.fixture(scope="module")
def real() -> str:
    """A real SPheno 4."""
    path = os.environ.get("RAYSCAN_SPHENO", "")
    if not path:
        pytest.skip("RAYSCAN_SPHENO is not set: the real SPheno was NOT tested")
    return path


@pytest.mark.spheno
def test_200_points_of_the_reference_sample_are_equal(real: str, data: Path, bench: Workshop) -> None:
    """Status and m_h agree with an independent run of SPheno 4.0.5 to the last printed digit."""
    spheno = tool(real, data)
    spheno.check(list(PMSSM5))
    with (data / "spheno" / "mssm5_200.csv").open() as file:
        rows = list(csv.DictReader(file))
    different = []
    for number, row in enumerate(rows):
        with bench.sandbox(number) as sandbox:
            outcome = spheno.evaluate({name: float(row[name]) for name in PMSSM5}, sandbox)
        expected = (Status.OK, float(row["mh"])) if row["status"] == "ok" else (Status.UNPHYSICAL, None)
        if (outcome.status, outcome.observables.get("mh")) != expected:
            different.append((row, outcome))
    assert len(rows) == 200
    assert not different


@pytest.mark.spheno
def test_the_real_spheno_on_bad_cards(real: str, evaluate: Evaluate, data: Path) -> None:
    """A card that no point can run on is a tool error, not an unphysical point."""
    card = (data / "spheno" / "pmssm5.in").read_text().replace("2   0                    # SPA", "2   zero  # SPA")
    outcome = evaluate(SPheno(real, card, write=PMSSM5, read={"mh": "MASS 25"}), POINT)
    assert outcome.status is Status.TOOL_ERROR
    assert outcome.message.startswith("bad card: ")
    for old, new in (
        (" 1    0       ", " 1    9       "),
        ("Block MODSEL", "Block"),
        ("23   5.000000E+02", "99   1.0"),
    ):
        text = (data / "spheno" / "pmssm5.in").read_text().replace(old, new)
        outcome = evaluate(SPheno(real, text, write=PMSSM5, read={"mh": "MASS 25"}), POINT)
        assert outcome.status is Status.TOOL_ERROR, outcome.message
        assert outcome.message.startswith("bad card: ")
    outcome = evaluate(tool(real, data), {**POINT, "tanb": -3.0})
    assert outcome.status is Status.UNPHYSICAL
