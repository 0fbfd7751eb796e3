"""micrOMEGAs: numbers by name, silent defaults and NaN caught, one installation for all."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rayscan.errors import ConfigError
from rayscan.problem.target import Target
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Outcome, Status
from rayscan.tools.chain import Chain
from rayscan.tools.command import Command
from rayscan.tools.micromegas import MicrOMEGAs, model_variables

Evaluate = Callable[..., Outcome]
Program = Callable[..., Path]
ALL = {
    "omega": "Omega", "xf": "Xf", "mass": "mass", "p_si": "proton_SI", "p_sd": "proton_SD", "n_si": "neutron_SI",
    "n_sd": "neutron_SD", "amp": "proton_SI_amplitude", "amp_n": "neutron_SI_amplitude",
}  # fmt: skip
POINT = {"Mdm1": 700.0, "laSH": 0.15}


@pytest.fixture
def fake(program: Program, data: Path) -> Callable[..., Path]:
    """Make a main that prints a sample, after it has read its parameter file."""

    def make(sample: str, code: int = 0, extra: str = "") -> Path:
        text = (data / "micromegas" / sample).read_text() if sample else ""
        return program(f"open(args[0])\n{extra}\nprint({text!r}, end='')\nsys.exit({code})", "model/main")

    return make


def tool(path: Any, read: Mapping[str, Any] | None = None, **options: Any) -> MicrOMEGAs:
    given = {"write": ["Mdm1", "laSH"], "parameters": {"Q": 14.0, "Mh": 125.0, "laS": 0.1}, "timeout": 20, **options}
    return MicrOMEGAs(path, read=read or {"omega": "Omega"}, **given)


def test_every_number_has_a_name(evaluate: Evaluate, fake: Callable[..., Path]) -> None:
    """Relic density, freeze-out, cross sections in pb and amplitudes are told apart although they look alike."""
    read = {**ALL, "ww": "channel:~x1 ~x1 -> W+ W-", "bb": "channel:~x1 ~x1 ->b B"}
    micromegas = tool(fake("singletdm.stdout"), read)
    micromegas.check(["Mdm1", "laSH"])
    outcome = evaluate(micromegas, POINT)
    assert outcome.status is Status.OK, outcome.message
    assert outcome.observables == {
        "omega": 6.14e-2, "xf": 25.5, "mass": 700.0, "p_si": 1.615e-9, "p_sd": 0.0, "n_si": 1.648e-9, "n_sd": 0.0,
        "amp": 1.925e-9, "amp_n": 1.944e-9, "ww": 49.0,
    }  # fmt: skip


@pytest.mark.parametrize(("sample", "values"), [
    ("idm.stdout", {"omega": 0.112, "p_si": 9.767e-14, "n_si": 9.962e-14, "amp": 1.497e-11, "vw": 1.0}),
    ("mssm1.stdout", {"omega": 0.107, "err": 0.0, "mass": 193.0, "p_si": 4.212e-9, "n_sd": 7.534e-6, "amp": -3.119e-9}),
    ("singletdm_hp.stdout", {"omega": 6.13886077e-2, "xf": 25.46037, "err": 0.0}),
])  # fmt: skip
def test_mains_print_in_several_ways(
    evaluate: Evaluate, fake: Callable[..., Path], sample: str, values: dict[str, float]
) -> None:
    """Omega, darkOmega, complex dark matter with brackets, err at the end or none."""
    names = {**ALL, "vw": "VWdecay", "err": "err"}
    outcome = evaluate(tool(fake(sample), {name: names[name] for name in values}), POINT)
    assert outcome.observables == values
    if "idm" in sample:
        assert evaluate(tool(fake(sample), {"omega": "darkOmega"}), POINT).observables == {"omega": 0.112}


@pytest.mark.parametrize(("sample", "code", "status", "message"), [
    ("singletdm_nan.stdout", 0, Status.UNPHYSICAL, "no relic density: Omega = NAN"),
    ("singletdm_fail.stdout", 1, Status.UNPHYSICAL, "cannot calculate the point: Can't calculate muSq1"),
    ("", 1, Status.TOOL_ERROR, "exit code 1"),
    ("", 0, Status.TOOL_ERROR, "observable 'omega': "),
])  # fmt: skip
def test_failures_are_told_apart(
    evaluate: Evaluate, fake: Callable[..., Path], sample: str, code: int, status: Status, message: str
) -> None:
    """What the model cannot calculate is the point's own fault; silence and refusal are not."""
    outcome = evaluate(tool(fake(sample, code)), POINT)
    assert outcome.status is status
    assert message in outcome.message
    assert outcome.observables == {}


@pytest.mark.parametrize(("line", "message"), [
    ("Xf=0.00e+00 Omega=0.00E+00", "no relic density: Omega = 0.00E+00"),
    ("Xf=1 Omega=-1.00E+00", "no relic density: Omega = -1.00E+00"),
    ("Xf=1 Omega=1.00E-01 err=2", "relic density not reliable: err = 2"),
])  # fmt: skip
def test_a_relic_density_that_means_failure_is_none(
    evaluate: Evaluate, program: Program, line: str, message: str
) -> None:
    """Also when only cross sections are read, and err is not asked for."""
    path = program(f"print({line!r}); print(' proton  SI 1.0E-09  SD 0.0')", "main")
    for read in ({"omega": "Omega"}, {"si": "proton_SI"}):
        outcome = evaluate(tool(path, read), POINT)
        assert (outcome.status, outcome.message) == (Status.UNPHYSICAL, message)


def test_a_crash_is_an_ordinary_failed_point(evaluate: Evaluate, fake: Callable[..., Path]) -> None:
    """Some modules crash with some compilers."""
    outcome = evaluate(tool(fake("", extra="import os; os.kill(os.getpid(), 11)")), POINT)
    assert outcome.status is Status.TOOL_ERROR
    assert "SIGSEGV" in outcome.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Omega", "no line with Omega= in stdout"),
        ("proton_SI", "no line with proton SI in stdout"),
        ("neutron_SD_amplitude", "no line with neutron: SD in stdout"),
    ],
)
def test_a_missing_quantity_is_named_as_it_is_printed(
    evaluate: Evaluate, fake: Callable[..., Path], name: str, said: str
) -> None:
    """What was looked for is said in micrOMEGAs' words, not as a regular expression."""
    outcome = evaluate(tool(fake(""), {"number": name}), POINT)
    assert outcome.status is Status.TOOL_ERROR
    assert said in outcome.message
    assert "(?" not in outcome.message


def test_the_parameter_file_holds_every_digit_and_never_only_defaults(
    evaluate: Evaluate, fake: Callable[..., Path]
) -> None:
    """An empty file would silently mean the model's defaults: nothing written is refused."""
    seen: list[str] = []
    point = {"Mdm1": 123.4567890123456, "laSH": 1e-4}
    evaluate(tool(fake("singletdm.stdout")), point, look=lambda d: seen.append((d / "data.par").read_text()))
    assert seen[0].split() == ["Q", "14.0", "Mh", "125.0", "laS", "0.1", "Mdm1", "123.4567890123456", "laSH", "0.0001"]
    for options in ({"write": []}, {"write": None}, {"write": {}}):
        with pytest.raises(ConfigError, match=r"nothing is written.*the model's defaults"):
            tool(fake("singletdm.stdout"), **options)


def test_a_users_parameter_file_is_read_and_left_alone(
    evaluate: Evaluate, fake: Callable[..., Path], tmp_path: Path, unchanged: Callable[[Path], None]
) -> None:
    """Its values stay but for those that are scanned; scanned names it lacks are added."""
    path = tmp_path / "user" / "my.par"
    path.parent.mkdir()
    path.write_text("Q 14\nMdm1 5 \n")
    unchanged(path)
    seen: list[str] = []
    write = {"Mdm1": "Mdm1", "laSH": "laSH"}
    micromegas = tool(fake("singletdm.stdout"), parameters=path, write=write)
    evaluate(micromegas, POINT, look=lambda d: seen.append((d / "data.par").read_text()))
    assert seen == ["Q 14\nMdm1 700.0 \nlaSH   0.15\n"]


def test_unknown_names_are_found_before_anything_runs(fake: Callable[..., Path]) -> None:
    """The model's own list of variables is beside its main; an unknown quantity has a nearest name."""
    path = fake("singletdm.stdout")
    models = path.parent / "work" / "models"
    models.mkdir(parents=True)
    rows = "Singlet\n Variables\n Name  | Value |> Comment <|\nMdm1 |1|\n*laSH|2|x\nQ|100|\nMh|125|\nlaS|1|\n%old|1|\n"
    (models / "vars1.mdl").write_text(rows)
    assert model_variables(str(path)) == {"Mdm1", "laSH", "Q", "Mh", "laS"}
    tool(path).check(["Mdm1", "laSH"])
    with pytest.raises(ConfigError, match=r"the model in .*model has no variable 'laHS'; did you mean 'laS"):
        tool(path, write={"Mdm1": "Mdm1", "laSH": "laHS"}).check(["Mdm1", "laSH"])
    with pytest.raises(ConfigError, match="micrOMEGAs prints no 'omega'; did you mean 'Omega'"):
        tool(path, {"omega": "omega"})


def test_the_original_main_is_run_in_the_points_own_directory(evaluate: Evaluate, fake: Callable[..., Path]) -> None:
    """Nothing of the model's folder is copied; processors are limited to what the evaluator has."""
    extra = "import os; print(sys.argv[0], os.getcwd(), os.environ['nParProc'])"
    path = fake("singletdm.stdout", extra=extra)
    seen: list[list[str]] = []
    places: list[Path] = []

    def look(directory: Path) -> None:
        seen.append((directory / "micrOMEGAs.stdout").read_text().split()[:3])
        places.append(directory)

    micromegas = tool(path.parent, processors=2)
    outcome = evaluate(micromegas, POINT, look=look)
    assert outcome.status is Status.OK
    assert seen[0] == [str(path), str(places[0]), "2"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["main"]


def test_warming_up_has_its_own_time(bench: Workshop, fake: Callable[..., Path]) -> None:
    """Compiling takes minutes on the first point, and must not be ended by the time-out of later ones."""
    micromegas = tool(fake("singletdm.stdout", extra="import time; time.sleep(0.6)"), timeout=0.3, warm_up_timeout=20)
    with bench.sandbox(1) as sandbox:
        assert micromegas.warm_up(POINT, sandbox).status is Status.OK
    with bench.sandbox(2) as sandbox:
        assert micromegas.evaluate(POINT, sandbox).status is Status.TIMEOUT
    assert micromegas.needs_warm_up
    assert Chain([micromegas]).needs_warm_up


def test_a_spectrum_of_an_earlier_stage_is_its_input(evaluate: Evaluate, fake: Callable[..., Path], data: Path) -> None:
    """The second stage reads the first one's file, which stays as it is."""
    spectrum = str(data / "slha" / "spheno_decays.spc")
    copy = f"import shutil; shutil.copy({spectrum!r}, 'SPheno.spc')"
    first = Command(["python", "-c", copy], read={"mh": {"slha": "MASS 25", "file": "SPheno.spc"}}, name="first")
    check = "assert 'MASS' in open('SPheno.spc').read(); assert args == ['SPheno.spc']"
    second = MicrOMEGAs(fake("mssm1.stdout", extra=check), read={"omega": "Omega"}, spectrum="SPheno.spc")
    chain = Chain([first, second], when={"micrOMEGAs": "mh"}, target=Target(mh=(100, 140), omega=(0, 1)))
    chain.check([])
    assert evaluate(chain).observables["omega"] == 0.107


def test_a_result_file_in_slha_form_is_read_too(evaluate: Evaluate, fake: Callable[..., Path]) -> None:
    """Users' own mains write blocks."""
    path = fake("singletdm.stdout", extra="open('omg.out','w').write('Block DARKMATTER\\n 1 1.2E-01 # Omega\\n')")
    read = {"omega": {"slha": "DARKMATTER 1", "file": "omg.out"}, "x": r"regex:Xf=(\S+)"}
    assert evaluate(tool(path, read), POINT).observables == {"omega": 0.12, "x": 25.5}


@pytest.mark.parametrize(("options", "message"), [
    ({"spectrum": "s", "parameters": None}, "does not go with spectrum"),
    ({"spectrum": "s", "write": None}, "parameters and spectrum are given; expected one of them"),
    ({"card": "c", "parameters": None}, "expected write={parameter: SLHA address}"),
])  # fmt: skip
def test_contradictions_are_refused(fake: Callable[..., Path], options: dict[str, Any], message: str) -> None:
    """One kind of input at a time."""
    with pytest.raises(ConfigError, match=message):
        tool(fake("singletdm.stdout"), **options)


@pytest.fixture(scope="module")
def real() -> str:
    """The main of a real SingletDM."""
    path = os.environ.get("RAYSCAN_MICROMEGAS", "")
    if not path:
        pytest.skip("RAYSCAN_MICROMEGAS is not set: the real micrOMEGAs was NOT tested")
    return path


@pytest.mark.micromegas
def test_the_real_singlet_model_agrees_with_the_reference_sample(real: str, bench: Workshop, data: Path) -> None:
    """Relic density and cross section are those of an independent run, to the digits that the main prints."""
    micromegas = tool(real, {"omega": "Omega", "si": "proton_SI"}, timeout=600)
    micromegas.check(["Mdm1", "laSH"])
    with (data / "micromegas" / "singletdm_20.csv").open() as file:
        rows = list(csv.DictReader(file))

    def evaluate(number: int) -> Outcome:
        with bench.sandbox(number) as sandbox:
            return micromegas.evaluate({name: float(rows[number][name]) for name in POINT}, sandbox)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(evaluate, range(len(rows))))
    for row, outcome in zip(rows, outcomes, strict=True):
        assert outcome.status is Status.OK, outcome.message
        assert math.isclose(outcome.observables["omega"], float(row["omega"]), rel_tol=6e-3)
        assert math.isclose(outcome.observables["si"], float(row["proton_SI"]), rel_tol=1e-3)


@pytest.mark.micromegas
def test_the_real_program_on_bad_input(real: str, evaluate: Evaluate) -> None:
    """No coupling, no relic density; an unknown name is found before, and a foreign file is refused."""
    assert evaluate(tool(real), {"Mdm1": 700.0, "laSH": 0.0}).message == "no relic density: Omega = NAN"
    assert evaluate(tool(real), {"Mdm1": 0.0, "laSH": 0.1}).status is Status.UNPHYSICAL
    with pytest.raises(ConfigError, match="has no variable 'nonsense'"):
        tool(real, write={"Mdm1": "Mdm1", "laSH": "nonsense"}).check(["Mdm1", "laSH"])
    outcome = evaluate(tool(real, write={"Mdm1": "Mdm1", "laSH": "nonsense"}), POINT)
    assert outcome.status is Status.TOOL_ERROR
