"""Each way in which a scan ends says one thing: in its state, in the last line of the command, and to the shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from ray.exceptions import RayActorError
from typer.testing import CliRunner

import rayscan as rs
from rayscan.cli import app
from rayscan.ending import End
from rayscan.engine.client import RayClient
from rayscan.engine.loop import SAVE_SECONDS
from rayscan.progress import Goal, Progress, published

CONFIG = """
parameters.x = [0, 1]
target.y = [0.5, 2]
scan = { evaluators = 0, initial = 200, surrogate = "classifier", proposal = "random", K = 10, L = 100, holdout = 0 }
tool = { kind = "function", f = "ending_model:y", outputs = ["y"] }
"""
MODEL = """
import os, signal, time

calls = 0

def y(x):
    global calls
    calls += 1
    if calls == {at}:
        {event}
    return {value}
"""
ONCE = "os.kill(os.getpid(), signal.SIGTERM)"
TWICE = "os.kill(os.getpid(), signal.SIGINT); time.sleep(0.05); os.kill(os.getpid(), signal.SIGINT); time.sleep(5)"


class Case(NamedTuple):
    """What happens at the fifth point, what each point is worth, and how it has to end."""

    goal: str
    event: str
    value: float
    end: End
    state: str
    rows: int | None


CASES = {
    "a goal of valid points": Case("--valid 5", "pass", 1, End.REACHED, "done: 5 valid points", 5),
    "a goal of evaluations": Case("--evaluations 7", "pass", 0, End.REACHED, "done: 7 evaluations", 7),
    "a time limit": Case("--valid 5 --time-limit 0.3", "time.sleep(0.4)", 0, End.REACHED, "done: the time limit", None),
    "SIGTERM at the last valid point": Case("--valid 5", ONCE, 1, End.REACHED, "done: 5 valid points", 5),
    "SIGTERM at the last evaluation": Case("--evaluations 5", ONCE, 0, End.REACHED, "done: 5 evaluations", 5),
    "SIGTERM before": Case("--valid 9", ONCE, 1, End.STOPPED, "stopped before the goal", 5),
    "SIGINT twice": Case("--valid 9", TWICE, 1, End.STOPPED, "stopped before the goal", 4),
    "SIGINT twice in the last point": Case("--evaluations 5", TWICE, 1, End.STOPPED, "stopped before the goal", 4),
    "a batch job that ends": Case(
        "--valid 5", "pass", 1, End.JOB_OVER, "stopped before the goal, the batch job ends", 0
    ),
    "failures": Case("--valid 5", "pass", 0, End.FAILED, "failed: 100% of the last 20 points failed", 20),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for a model of which each test has its own."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "scan.toml").write_text(CONFIG)
    yield tmp_path
    sys.modules.pop("ending_model", None)


@pytest.mark.parametrize("name", CASES)
def test_an_end_says_one_thing(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, last line and exit code agree, and say what is there rather than who asked for what."""
    case = CASES[name]
    if case.end is End.JOB_OVER:
        monkeypatch.setenv("RAYSCAN_JOB_END", str(time.time() + SAVE_SECONDS - 1))
    value = "1 / 0" if case.end is End.FAILED else str(case.value)
    (folder / "ending_model.py").write_text(MODEL.format(at=5, event=case.event, value=value))
    command = ["run", str(folder / "scan.toml"), "--out", str(folder / "run"), "--no-plot", "--no-preflight"]
    ended = CliRunner().invoke(app, [*command, *case.goal.split()])
    assert ended.exit_code == case.end.code, ended.output
    news = published(folder / "run")
    assert news is not None
    assert news["ending"] == case.end.name
    assert news["state"].startswith(case.state)
    assert ("stopped before the goal" in ended.output) == (case.end.code == 3)
    assert ("done: " in ended.output) == (case.end is End.REACHED)
    if case.end.advice:
        assert ended.stdout.splitlines()[-1] == case.end.advice
    if case.rows is not None:
        assert len(rs.open_run(folder / "run")) == case.rows
    assert case.state in CliRunner().invoke(app, ["status", str(folder / "run")]).output


@pytest.mark.parametrize(("found", "answered", "end"), [(5, 9, End.REACHED), (4, 10, End.REACHED), (4, 9, End.STOPPED)])
def test_a_driver_that_dies_with_its_job_ends_by_what_it_had(
    found: int, answered: int, end: End, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch system ends all processes of a job at once: what was reached by then is reached."""
    scan = rs.Scan(rs.Space(x=(0, 1)), rs.Function(lambda x: x, outputs=["y"]), rs.Target(y=(0, 1)))
    client = RayClient(scan.problem, scan.options, str(tmp_path), "")

    def die(goal: Goal, follow: Callable[[Progress], None], stopping: object) -> Progress:
        follow(Progress("scanning", evaluations=answered, valid=found))
        raise RayActorError

    monkeypatch.setattr(client, "_follow", die)
    last = client.run(Goal(valid=5, evaluations=10), lambda progress: None, lambda: "drain")
    assert last.ending == end.name
    assert last.state.startswith(end.words)
    assert (published(tmp_path) or {})["state"] == last.state
