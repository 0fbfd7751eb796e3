"""The command line, as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

import rayscan
import rayscan as rs
from rayscan.check import point_of
from rayscan.cli import app
from rayscan.config.reference import reference
from rayscan.results.result import open_run

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "mssm_higgs" / "scan.toml"
QUICK = """
parameters.x = [0.5, 1.0]
parameters.y = [0.5, 1.0]
target.h = [0.9, 1.2]

[tool]
kind = "function"
f = "quick_model:h"
outputs = ["h"]

[scan]
initial = 200                 # more than any test here evaluates: nothing is ever trained
evaluators = 0
"""


def rayscan_cli(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A scan of a Python function that takes no time."""
    (tmp_path / "quick_model.py").write_text("def h(x, y):\n    return (x * x + y * y) ** 0.5\n")
    (tmp_path / "scan.toml").write_text(QUICK)
    return tmp_path / "scan.toml"


@pytest.fixture
def importable(quick: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, with its folder where Python imports from."""
    monkeypatch.syspath_prepend(quick.parent)
    monkeypatch.delitem(sys.modules, "quick_model", raising=False)
    return quick


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """`rayscan --help` imports no Ray, torch, pyarrow, matplotlib, pydantic or NumPy."""
    code = (
        "import sys\nfrom rayscan.cli import main\nsys.argv = ['rayscan', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('ray', 'torch', 'pyarrow', 'matplotlib', 'pydantic', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.endswith("[]\n")
    assert "Exit codes: 0 done" in done.stdout


def test_version() -> None:
    """`rayscan --version` prints name and version."""
    assert rayscan_cli("--version").output == f"rayscan {rayscan.__version__}\n"


def test_run_scans_reports_plots_and_resumes(importable: Path) -> None:
    """`run` ends with a few lines that say what was found and where table, report and plot are; more goes on."""
    out = importable.parent / "r"
    first = rayscan_cli("run", importable, "--out", out, "--evaluations", 60)
    assert first.exit_code == 0
    valid = open_run(out).valid.num_rows
    closing = first.stdout.splitlines()[1:]
    assert [line.partition(":")[0] for line in closing] == ["valid", "volume", "report", "table", "plot"]
    assert closing[0] == f"valid:  {valid} of 60 evaluations, {valid / 60:.1%}"
    assert closing[2].startswith(f"report: {out / 'report.txt'}")
    assert closing[4] == f"plot:   {out / 'corner.png'}"
    assert "Acceptance by origin" in (out / "report.txt").read_text()
    assert (out / "corner.png").read_bytes().startswith(b"\x89PNG")
    assert open_run(out).table.num_rows == 60
    assert rayscan_cli("run", importable, "--out", out, "--evaluations", 80, "--no-plot").exit_code == 0
    assert open_run(out).table.num_rows == 80


def test_run_takes_the_options_of_the_command_line(importable: Path) -> None:
    """Seed and --deterministic override the file and decide the points."""
    tables = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = importable.parent / name
        done = rayscan_cli(
            "run", importable, "--out", out, "--evaluations", 30, "--seed", seed, "--deterministic", "--no-plot"
        )
        assert done.exit_code == 0
        tables.append(open_run(out).table["x"].to_pylist())
    assert tables[0] == tables[1] != tables[2]


def test_run_saves_the_configuration_that_was_run(importable: Path) -> None:
    """The run directory's scan.toml can be run again by itself and is the same problem."""
    out = importable.parent / "r"
    rayscan_cli("run", importable, "--out", out, "--evaluations", 20, "--no-plot")
    again = rayscan_cli("run", out / "scan.toml", "--out", out, "--evaluations", 30, "--no-plot")
    assert again.exit_code == 0
    assert open_run(out).table.num_rows == 30


def test_run_without_a_goal_is_refused(importable: Path) -> None:
    """Without a goal in the file or on the command line nothing starts, and the message says what to add."""
    done = rayscan_cli("run", importable, "--out", importable.parent / "r")
    assert done.exit_code == 2
    assert "give --valid N" in done.stderr
    assert not (importable.parent / "r").exists()


def test_bad_input_is_a_message_and_not_a_traceback(quick: Path) -> None:
    """Every mistake in a file ends with exit code 2, one message on standard error and nothing written."""
    quick.write_text(quick.read_text().replace("initial = 200", "initail = 200"))
    done = rayscan_cli("run", quick, "--valid", 5, "--out", quick.parent / "r")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"rayscan: {quick}: scan: unknown key 'initail'; did you mean 'initial'?\n"
    assert rayscan_cli("run", quick.parent / "nothing.toml", "--valid", 5).exit_code == 2
    assert rayscan_cli("run", quick, "--time-limit", "soon").exit_code == 2
    assert not (quick.parent / "r").exists()


def test_foreign_directory_is_refused_and_left_alone(importable: Path) -> None:
    """A run directory with other files in it is refused with exit code 1; nothing in it is touched."""
    foreign = importable.parent / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("42")
    done = rayscan_cli("run", importable, "--out", foreign, "--valid", 5)
    assert done.exit_code == 1
    assert "nothing was changed" in done.stderr
    assert [path.name for path in foreign.iterdir()] == ["chapter.tex"]


def test_check_shows_what_was_written_run_and_read() -> None:
    """`check` on the example tells every value written, the command, every value read and the verdict."""
    done = rayscan_cli("check", EXAMPLE, "--point", "tanb=10", "--point", "At=4000")
    assert done.exit_code == 0
    for text in (
        "EXTPAR 25: 2.000000E+01 → 1.000000000000E+01",
        "mssm_higgs.py LesHouches.in SPheno.spc",
        "ended    exit code 0",
        "from MASS 25 in SPheno.spc",
        "wants [124, 126]",
        "alid: likelihood",
    ):
        assert text in done.output
    assert "tanb = 10.0\n" in done.output


def test_check_as_json_for_machines() -> None:
    """`check --json` is JSON with the point, the stages and the verdict."""
    details = json.loads(rayscan_cli("check", EXAMPLE, "--point", "tanb=10", "--json").stdout)
    assert details["point"]["tanb"] == 10.0
    assert details["status"] == "ok"
    stage = details["stages"][0]
    assert stage["read"]["mh"]["value"] == details["observables"]["mh"] == details["constraints"]["mh"]["value"]
    changes = stage["written"]["LesHouches.in"]["changes"]
    assert {change["parameter"] for change in changes} == {"tanb", "mA", "At", "mQ3", "mU3"}
    inside = 124 <= details["observables"]["mh"] <= 126
    assert details["valid"] is inside
    assert (details["constraints"]["mh"]["distance"] == 0) is inside


def test_check_of_a_failing_program_says_why(tmp_path: Path) -> None:
    """A program that fails ends with exit code 1, and its last words are shown."""
    (tmp_path / "scan.toml").write_text(
        'parameters.x = [0, 1]\ntarget.y = [0, 1]\n[tool]\nkind = "command"\nread.y = "regex:y = (.+)"\n'
        'command = ["python", "-c", "import sys; sys.exit(\'no such model at {x}\')"]\n'
    )
    done = rayscan_cli("check", tmp_path)
    assert done.exit_code == 1
    assert "ended    exit code 1" in done.output
    assert "| no such model at 0.5" in done.output
    assert "Result: tool_error" in done.output
    assert "Not valid" in done.output


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("tanb=1000", "expected a value in the range of 'tanb', 2 to 50"),
        ("tanb=nan", "expected a value in the range"),
        ("tanbeta=10", "'tanbeta' is no parameter; did you mean 'tanb'?"),
        ("tanb", "expected name=value"),
        ("tanb=ten", "expected name=value"),
    ],
)
def test_check_refuses_an_impossible_point(point: str, said: str) -> None:
    """A point outside the space, or no point at all, is bad input."""
    done = rayscan_cli("check", EXAMPLE, "--point", point)
    assert done.exit_code == 2
    assert said in done.stderr


def test_check_takes_a_round_middle() -> None:
    """The middle of a logarithmic range has the digits that a person would give it."""
    assert point_of(rs.Space(m0=rs.Log(100, 10_000)), {}).tolist() == [[1000.0]]


def test_check_sets_derived_and_fixed_parameters(importable: Path) -> None:
    """Derived parameters follow the given values; neither they nor constants can be given."""
    importable.write_text(
        QUICK.replace("parameters.y = [0.5, 1.0]", 'parameters.y = {derived = "x / 2"}\nparameters.z = 3')
    )
    details = json.loads(rayscan_cli("check", importable, "--point", "x=0.8", "--json").stdout)
    assert details["point"] == {"x": 0.8, "y": pytest.approx(0.4), "z": 3.0}
    assert rayscan_cli("check", importable, "--point", "z=4").exit_code == 2


def test_status_and_stop_work_from_another_terminal(quick: Path) -> None:
    """`status` shows a running scan, `stop` ends it: saved, exit code 3, resumable."""
    model = "import time\ndef h(x, y):\n    time.sleep(0.02)\n    return 2.0\n"
    (quick.parent / "quick_model.py").write_text(model)
    out = quick.parent / "r"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{quick.parent}"}
    command = [sys.executable, "-m", "rayscan.cli", "run", quick, "--out", out, "--valid", "10", "--no-plot"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as scan:
        end = time.monotonic() + 60
        while not (out / "progress.json").exists() and time.monotonic() < end:
            time.sleep(0.1)
        shown = rayscan_cli("status", out)
        assert f"{out}: running" in shown.output
        assert "valid 0/10" in shown.output
        assert json.loads(rayscan_cli("status", out, "--json").stdout)["live"] is True
        assert "asked to stop" in rayscan_cli("stop", out, "--wait", 60).output
        assert scan.wait(60) == 3
    assert "not running" in rayscan_cli("status", out).output
    assert "no scan is running" in rayscan_cli("stop", out).output
    assert not (out / "stop").exists()
    assert open_run(out).table.num_rows > 0


@pytest.mark.parametrize("command", ["status", "stop", "report", "plot"])
def test_what_is_no_run_is_refused(command: str, tmp_path: Path) -> None:
    """Commands on a run say so when there is none, without a traceback."""
    for path in (tmp_path, tmp_path / "nothing"):
        done = rayscan_cli(command, path)
        assert done.exit_code == 1
        assert str(path) in done.stderr


def test_report_plot_and_export_of_a_run(importable: Path) -> None:
    """Each writes what it says, and export keeps every point in every format."""
    folder = importable.parent
    out = folder / "r"
    rayscan_cli("run", importable, "--out", out, "--evaluations", 40, "--no-plot")
    assert not (out / "corner.png").exists()
    assert rayscan_cli("report", out).output.strip() == (out / "report.txt").read_text().strip()
    assert rayscan_cli("plot", out, "--to", folder / "p.pdf").exit_code == 0
    assert (folder / "p.pdf").read_bytes().startswith(b"%PDF")
    assert rayscan_cli("plot", out, "--profile", "x, y").exit_code == 0
    assert (out / "profile.png").stat().st_size > 1000
    assert rayscan_cli("plot", out, "--profile", "xx").exit_code == 2
    table = open_run(out).table
    for ending in ("parquet", "arrow", "csv"):
        assert rayscan_cli("export", out, "--to", folder / f"p.{ending}").exit_code == 0
    assert pyarrow.parquet.read_table(folder / "p.parquet")["x"].to_pylist() == table["x"].to_pylist()
    header, *lines = (folder / "p.csv").read_text().splitlines()
    assert len(lines) == 40
    assert {'"x"', '"u_0"', '"u_1"', '"status"'} <= set(header.split(","))
    assert float(lines[3].split(",")[header.split(",").index('"u_1"')]) == table["u"][3].as_py()[1]
    refused = rayscan_cli("export", out, "--to", folder / "p.csv")
    assert refused.exit_code == 1
    assert "exists; nothing was changed" in refused.stderr
    assert rayscan_cli("export", out, "--to", folder / "p.csv", "--valid", "--overwrite").exit_code == 0
    assert len((folder / "p.csv").read_text().splitlines()) == 1 + open_run(out).valid.num_rows
    assert rayscan_cli("export", out, "--to", folder / "p.xlsx").exit_code == 2


def test_explain_prints_the_reference() -> None:
    """`explain` is the reference, whole or one section of it."""
    assert rayscan_cli("explain").stdout == reference()
    assert "EXTPAR" not in rayscan_cli("explain", "goal").stdout
    assert rayscan_cli("explain", "gaol").exit_code == 2


def test_import_dlscanner_writes_a_new_file_only(tmp_path: Path) -> None:
    """The imported file is written where asked, and an existing one is not replaced unasked."""
    (tmp_path / "mssm1.par").write_text("mu 350\n")
    (tmp_path / "input.txt").write_text(
        f"path_micromegas: {tmp_path}\ninput: mssm1.par\nVarMin: 200\nVarMax: 400\nVarLabel: mu\n"
        "TargetMin: 0.09\nTargetMax: 0.1\nTargetLabel: Omega\n"
    )
    (tmp_path / "main").write_text("#!/bin/sh\n")
    to = tmp_path / "new.toml"
    assert rayscan_cli("import-dlscanner", tmp_path / "input.txt", "--to", to).exit_code == 0
    assert 'kind = "micromegas"' in to.read_text()
    to.write_text("mine")
    assert rayscan_cli("import-dlscanner", tmp_path / "input.txt", "--to", to).exit_code == 2
    assert to.read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "said"), [("1.5", "valid = 1.5; expected a whole number"), ("0", "expected a positive")]
)
def test_a_goal_that_cannot_be_met_is_said_before_anything_runs(importable: Path, given: str, said: str) -> None:
    """In rayscan's words, with nothing made."""
    done = rayscan_cli("run", importable, "--valid", given, "--out", importable.parent / "none")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (importable.parent / "none").exists()
