"""BSMArt's scans on the problems: the package as it is, with the problem as one of its tools."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cloudpickle
import numpy as np
import psutil

from rayscan.learn.data import Array
from tests.benchmarks.loop import Trace
from tests.benchmarks.problem import Problem
from tests.benchmarks.samplers import NOWHERE, STEEPNESS

SCANS = {"bsmart-cmaes": ("CMAES", "cmaes"), "bsmart-mcmc": ("MCMC", "")}
"""BSMArt's name of the scan, and the package that it needs besides."""
ROOT = Path(__file__).parents[2]
VARIANCE = 0.1
"""BSMArt's name for the width of a step of its Markov chain, in units of the range."""
TOOL = f"""
from pathlib import Path

import cloudpickle
import numpy as np
from bsmart.HEPRun import HepTool
from tests.benchmarks.peers import MADE

folder = Path(__file__).parents[1]
known = (folder / "name").read_text()
problem = MADE[known]() if known in MADE else cloudpickle.loads((folder / "problem").read_bytes())

class NewTool(HepTool):
    def run(self, spc_file, temp_dir, log, data_point):
        u = np.array([[float(value) for value in data_point.inputs]])
        with (folder / "asked").open("ab") as file:
            file.write(u.tobytes())
        values = problem.evaluate(u)
        judged = problem.target.judge({{name: values[:, j] for j, name in enumerate(problem.observables)}})
        known = np.isfinite(values).all()
        penalty = {STEEPNESS} * float(judged.penalty[0])
        data_point.obs_dict["NLL"] = min(penalty**2 / 2, {-NOWHERE}) if known else {-NOWHERE}
"""


def missing(method: str) -> str:
    """Return why a scan cannot be run here, or nothing."""
    absent = [name for name in ("bsmart", SCANS[method][1]) if name and importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} cannot be imported" if absent else ""


def trace(problem: Problem, method: str, budget: int, goal: int, seconds: float) -> Trace:
    """Run a scan in a process of its own until `budget` points, `goal` valid ones or `seconds` of CPU time."""
    found = Trace(problem.d)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, problem, method, budget)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-c",
            "from bsmart.scripts.bsmart_run import main; main()",
            "in.json",
            "--NoMPI",
            "--csv",
        ]
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:  # fmt: skip
            spent, begun = 0.0, time.monotonic()
            while process.poll() is None:
                spent = max(spent, _cpu(process.pid))
                over = spent > seconds or time.monotonic() - begun > 4 * seconds
                if (
                    over
                    or _asked(folder, problem.d, budget).shape[0] >= budget
                    or _enough(folder, problem, budget, goal)
                ):
                    found.ended = "out of time" if over else ""
                    os.killpg(process.pid, signal.SIGKILL)
                    break
                time.sleep(0.2)
            else:
                found.ended = f"ended by itself, exit code {process.returncode}"
        u = _asked(folder, problem.d, budget)
    found.add(u, _valid(problem, u), spent)
    return found


def _write(folder: Path, problem: Problem, method: str, budget: int) -> None:
    observable = {"FUNCTION": "NLL", "SCALING": "MINUSEXPUSER"}
    setup = {
        "RunName": "run", "Type": SCANS[method][0], "Cores": 1, "Points": budget, "CMAESPopulationSize": 20,
        "CMAESEpisodes": 10**6, "Skip SLHA Files": "True", "StoreAllPoints": "True",
        "Temporary Directory": str(folder / "temp"),
    }  # fmt: skip
    code = {"Run": "True", "InputFile": "", "OutputFile": "", "Observables": {"NLL": observable}}
    variables = {f"u{k}": {"RANGE": [0, 1], "VARIANCE": VARIANCE} for k in range(problem.d)}
    (folder / "in.json").write_text(
        json.dumps({"Setup": setup, "Codes": {"asked_problem": code}, "Variables": variables})
    )
    (folder / "name").write_text(problem.name)
    # One that runs a program cannot be sent; it is made anew, as all that have a name.
    with contextlib.suppress(TypeError, AttributeError):
        (folder / "problem").write_bytes(cloudpickle.dumps(problem))
    (folder / "Tools").mkdir()
    (folder / "Tools" / "asked_problem.py").write_text(TOOL)


def _asked(folder: Path, d: int, budget: int) -> Array:
    try:
        raw = (folder / "asked").read_bytes()
    except FileNotFoundError:
        raw = b""
    return np.frombuffer(raw[: len(raw) // (8 * d) * 8 * d]).reshape(-1, d)[:budget]


def _valid(problem: Problem, u: Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return problem.valid(u) if len(u) else np.zeros(0, dtype=bool)


def _enough(folder: Path, problem: Problem, budget: int, goal: int) -> bool:
    """Whether a goal is reached; only the goal of one point is worth looking for while it runs."""
    return goal == 1 and bool(_valid(problem, _asked(folder, problem.d, budget)).any())


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process and its children, past and present."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:4]) for one in family[:1]) + sum(sum(one.cpu_times()[:2]) for one in family[1:])
    return 0.0
