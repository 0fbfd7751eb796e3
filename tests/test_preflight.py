"""What `rayscan run` and `rayscan check` try before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import rayscan as rs
from rayscan.check import check_point, preflight
from rayscan.cli import app
from rayscan.errors import ToolError
from rayscan.problem.statement import Problem
from rayscan.tools.base import Outcome, Status

PROGRAM = """
parameters.x = [0, 1]
target.y = [0, 2]
scan = { evaluators = 0, initial = 50 }
[tool]
kind = "command"
read.y = "regex:y = (.+)"
command = ["python", "-c", "BODY", "{x}"]
"""


def write(tmp_path: Path, body: str) -> Path:
    (tmp_path / "scan.toml").write_text(PROGRAM.replace("BODY", body))
    return tmp_path / "scan.toml"


def cli(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_a_broken_program_stops_a_new_scan_before_it_starts(tmp_path: Path) -> None:
    """The message says what is wrong and how to see more; no run directory is made; the check can be left out."""
    config = write(tmp_path, "import sys; sys.exit('no such model')")
    done = cli("run", config, "--out", tmp_path / "run", "--evaluations", "3")
    assert done.exit_code == 2
    assert "no such model" in done.stderr
    assert f"rayscan check {config}" in done.stderr
    assert not (tmp_path / "run").exists()
    done = cli("run", config, "--out", tmp_path / "run", "--evaluations", "3", "--no-preflight", "--no-plot")
    assert done.exit_code == 0
    assert rs.open_run(tmp_path / "run").table["status"].to_pylist() == ["tool_error"] * 3


def test_a_running_scan_is_not_tried_again(tmp_path: Path) -> None:
    """One point more at the start of a new scan, none when it is resumed."""
    config = write(tmp_path, f"open(r'{tmp_path}/calls', 'a').write('.'); print('y = 1')")
    for points, calls in ((2, 3), (4, 5)):
        done = cli("run", config, "--out", tmp_path / "run", "--evaluations", str(points), "--no-plot")
        assert done.exit_code == 0, done.output
        assert len((tmp_path / "calls").read_text()) == calls


@pytest.mark.parametrize("body", ["print('y = nan')", "print('y = 99')"])
def test_a_point_that_is_merely_bad_stops_nothing(tmp_path: Path, body: str) -> None:
    """Unphysical, or out of target: the programs ran."""
    done = cli("run", write(tmp_path, body), "--out", tmp_path / "run", "--evaluations", "2", "--no-plot")
    assert done.exit_code == 0, done.output


class Package(rs.Tool):
    """A tool whose package may be broken."""

    outputs = ("y",)
    name = "package"
    broken = False

    def open(self, scratch: Path) -> None:
        if self.broken:
            msg = "libpackage.so.3: no such file"
            raise ImportError(msg)

    def evaluate(self, point: object, sandbox: object) -> Outcome:
        return Outcome(Status.OK, {"y": 0.5})


def test_a_package_that_cannot_be_opened_is_a_message() -> None:
    """Whatever opening raises is told with the tool's name, not as a traceback."""
    problem = Problem(rs.Space(x=(0, 1)), Package(), rs.Target(y=(0, 1)))
    assert preflight(problem) == ""
    problem.tool.broken = True  # type: ignore[attr-defined]
    with pytest.raises(ToolError, match=r"package cannot be opened: ImportError: libpackage\.so\.3"):
        check_point(problem, {})


def test_a_python_tool_has_its_stage_in_the_report() -> None:
    """A tool that starts no program still shows its name, its time and what it gave."""
    details = check_point(Problem(rs.Space(x=(0, 1)), Package(), rs.Target(y=(0, 1))), {})
    assert [(stage["name"], stage["status"]) for stage in details["stages"]] == [("package", "ok")]
    assert details["stages"][0]["read"] == {"y": {"value": 0.5}}
    assert json.loads(json.dumps(details)) == details


def test_every_stage_of_a_chain_is_in_the_machine_readable_report(tmp_path: Path) -> None:
    """Per stage the command, the files written, what was read from where, time and verdict."""
    (tmp_path / "card").write_text("{x}\n")
    (tmp_path / "scan.toml").write_text("""
parameters.x = [0, 1]
target.y = [0, 2]
target.z = [0, 9]
[[stages]]
kind = "command"
name = "one"
files.card = "card"
command = ["python", "-c", "print('y =', float(open('card').read()))"]
read.y = "regex:y = (.+)"
[[stages]]
kind = "command"
name = "two"
when = "y"
command = ["python", "-c", "print('z =', 2 * {y})"]
read.z = "regex:z = (.+)"
""")
    done = cli("check", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    details = json.loads(done.stdout)
    assert details["valid"] is True
    one, two = details["stages"]
    assert one["written"]["card"]["changes"][0]["new"] == "0.5"
    assert one["read"]["y"]["value"] == 0.5
    assert two["command"][-1] == "print('z =', 2 * 0.5)"
    assert two["read"]["z"]["where"]
    assert all(stage["status"] == "ok" and stage["seconds"] > 0 for stage in (one, two))
