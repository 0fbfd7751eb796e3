"""The killers find whom they should, and spare everybody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine.evaluator import Evaluator
from rayscan.errors import ConfigError
from rayscan.sandbox.workshop import Workshop
from rayscan.testing.chaos import EvaluatorKiller, Frail, survivors
from rayscan.testing.killers import evaluators
from rayscan.tools.base import Points

WORKER = """
import sys, time
from rayscan.sandbox.workshop import Workshop
Workshop(scratch=sys.argv[1], run_id="run", worker=sys.argv[2])
print("ready", flush=True)
time.sleep(60)
"""


def start(scratch: Path, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(scratch), name], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_evaluators_are_killed_one_after_another(tmp_path: Path) -> None:
    """As many as were asked for, each once, and their reapers leave nothing behind."""
    processes = [start(tmp_path, name) for name in ("0", "1", "2")]
    try:
        assert sorted(evaluators(tmp_path)) == sorted(process.pid for process in processes)
        end = time.monotonic() + 20
        with EvaluatorKiller(tmp_path, every=(0.0, 0.2), times=2, seed=1) as killer:
            while len(killer.killed) < 2 and time.monotonic() < end:
                time.sleep(0.05)
        dead = {process.pid for process in processes if process.poll() is not None}
        assert len(dead) == 2
        assert set(killer.killed) == dead
        assert evaluators(tmp_path) == [process.pid for process in processes if process.pid not in dead]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    while survivors(tmp_path) and time.monotonic() < end:
        time.sleep(0.1)
    assert survivors(tmp_path) == []


def test_nobody_kills_himself_or_a_stranger(tmp_path: Path) -> None:
    """An evaluator in this process is spared, and so is a process that got a dead evaluator's number."""
    with Workshop(scratch=tmp_path, run_id="run", worker="own") as workshop:
        assert evaluators(tmp_path) == []
        stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        lock = workshop.directory.with_name("gone.lock")
        lock.write_text(json.dumps({"host": "here", "pid": stranger.pid}))
        long_ago = time.time() - 3600
        os.utime(lock, (long_ago, long_ago))
        assert evaluators(tmp_path) == []
        os.utime(lock)
        assert evaluators(tmp_path) == [stranger.pid]
        stranger.communicate()
        lock.unlink()


def test_bad_points_by_id(tmp_path: Path) -> None:
    """A frail tool can be bad at chosen points, wherever they lie, and only there."""
    tool = Frail(rs.Function(lambda x: x, outputs=["y"]), poison=[3], hangs=[5], deadline=1.0)
    assert [i for i in range(9) if tool.is_poison({"x": 0.1}, i)] == [3]
    assert [i for i in range(9) if tool.is_hanging({"x": 0.1}, i)] == [5]
    child = os.fork()
    if not child:
        evaluator = Evaluator(tool, ("x",), "test", scratch=tmp_path)
        for point_id in (2, 3):
            list(evaluator.evaluate(Points(np.array([point_id]), np.ones((1, 1)), np.ones(1, np.int32))))
            (tmp_path / f"survived {point_id}").touch()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert [path.name for path in tmp_path.glob("survived*")] == ["survived 2"]


def test_a_vectorised_tool_knows_no_ids() -> None:
    """Ids of bad points are refused where the tool would never hear of them."""
    tool = rs.Function(lambda x: x[:, 0], outputs=["y"], vectorized=True)
    with pytest.raises(ConfigError, match="blocks of places"):
        Frail(tool, poison=[3])
