"""Where scans are started: by a daemon without standard output, with a long TMPDIR, in threads, in a spawned child."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import rayscan as rs
from rayscan.commands import outcome
from rayscan.ending import End
from rayscan.errors import ClusterError, RunLockedError
from rayscan.progress import Progress, published
from rayscan.watch import console

ROOT = Path(__file__).parents[2]
SCRIPT = """
import multiprocessing, pathlib, sys, threading, time, traceback
import rayscan as rs

LOWEST = 0.4

def f(x):
    time.sleep(0.02)
    return max(x, LOWEST)

def scan(name, evaluations):
    scan = rs.Scan(
        rs.Space(x=(0, 1)), rs.Function(f, outputs=["y"]), rs.Target(y=(0.5, 2)), out=name, evaluators=1,
        surrogate="classifier", proposal="random", initial=8, K=8, L=80, holdout=0, hidden=(8,), steps=10,
    )
    try:
        scan.run(evaluations=evaluations)
    except BaseException:
        pathlib.Path(name + ".trouble").write_text(traceback.format_exc())

def both():
    other = threading.Thread(target=scan, args=("two", 20))
    other.start()
    scan("one", 10**6)
    other.join()

if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=both)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_two_scans_of_a_spawned_child_of_a_daemon_with_a_long_tmpdir_in_a_job_that_ends(tmp_path: Path) -> None:
    """What a batch system, a daemon and two threads make of a scan does not keep it from its goal, nor from its end.

    One of two threads' scans reaches its goal; then every process is told to end, Ray's as well: the other scan says
    that it was stopped, has its rows, and leaves no process behind.
    """
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(deep)}
    command = ["bash", "-c", f"exec '{sys.executable}' script.py <&- >&- 2>&-"]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as daemon:
        until(lambda: daemon.poll() is not None or ending(tmp_path / "two"), 100)
        until(lambda: daemon.poll() is not None or rows(tmp_path / "one") >= 20, 30)
        assert [path.read_text() for path in tmp_path.glob("*.trouble")] == []
        assert ending(tmp_path / "two") == End.REACHED.name
        assert rows(tmp_path / "two") == 20
        family = psutil.Process(daemon.pid).children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        assert daemon.wait(40) == 0, "sooner than Ray gives up without its head, and without an error"
    assert [path.read_text() for path in tmp_path.glob("*.trouble")] == []
    assert ending(tmp_path / "one") == End.STOPPED.name
    table = rs.open_run(tmp_path / "one").table
    assert table.num_rows >= 20
    assert table["y"].to_pylist() == [max(x, 0.4) for x in table["x"].to_pylist()]
    assert psutil.wait_procs(family, timeout=10)[1] == []


def until(holds: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)


def ending(run: Path) -> str:
    return str((published(run) or {}).get("ending", ""))


def rows(run: Path) -> int:
    with contextlib.suppress(OSError):
        return len(rs.open_run(run))
    return 0


def test_a_long_tmpdir_has_sockets_go_to_a_short_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray chooses by itself while its sockets fit; a place of another user's, or a link, is not taken."""
    local_ray = pytest.importorskip("rayscan.engine.local_ray")
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert local_ray.temporary() is None
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("d" * 60)))
    link, good = tmp_path / "link", tmp_path / "good"
    for root in (link, good):
        root.mkdir()
    (link / f"ray-{os.getuid()}").symlink_to(good)
    monkeypatch.setattr(local_ray, "SHORT", (str(link), str(good)))
    assert local_ray.temporary() == str(good / f"ray-{os.getuid()}")
    assert Path(local_ray.temporary()).stat().st_mode & 0o077 == 0
    monkeypatch.setattr(local_ray, "SHORT", (str(link),))
    with pytest.raises(ClusterError, match="too long for Ray's sockets"):
        local_ray.temporary()


def test_a_command_without_standard_output_does_its_work(tmp_path: Path) -> None:
    """`rayscan run scan.toml <&- >&- 2>&-`: exit code 0, rows and report are there."""
    (tmp_path / "daemon_model.py").write_text("def y(x):\n    print('hello')\n    return x\n")
    (tmp_path / "scan.toml").write_text(
        "parameters.x = [0, 1]\ntarget.y = [0, 1]\nscan = { evaluators = 0, initial = 8 }\n"
        'tool = { kind = "function", f = "daemon_model:y", outputs = ["y"] }\n'
    )
    command = f"exec '{sys.executable}' -m rayscan.cli run scan.toml --out run --evaluations 8 --no-plot <&- >&- 2>&-"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    done = subprocess.run(["bash", "-c", command], env=environment, cwd=tmp_path, check=False, timeout=100)
    assert done.returncode == 0
    assert len(rs.open_run(tmp_path / "run")) == 8
    assert (tmp_path / "run" / "report.txt").stat().st_size > 0


class Gone:
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    def isatty(self) -> bool:
        return False


def test_a_terminal_that_goes_away_does_not_end_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress and messages to a closed pipe are lost, and nothing else."""
    stream: Any = Gone()
    with console.follower(True, stream) as show:
        show(Progress("scanning"))
        show(Progress("draining"))
    for name, tell in (("stdout", outcome.say), ("stderr", outcome.complain)):
        monkeypatch.setattr(sys, name, Gone())
        tell("nobody hears this")
        instead = getattr(sys, name)
        assert not isinstance(instead, Gone)
        instead.close()


SMALL: dict[str, Any] = {
    "surrogate": "classifier", "proposal": "random", "initial": 8, "K": 8, "L": 80, "holdout": 0, "hidden": (8,),
    "steps": 10,
}  # fmt: skip


def scan(out: Path, f: Any) -> rs.Scan:
    tool = rs.Function(f, outputs=["y"])
    return rs.Scan(rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), out=out, evaluators=0, **SMALL)


def same(x: float) -> float:
    return x


def test_a_scan_does_not_close_one_that_runs_in_another_thread(tmp_path: Path) -> None:
    """Only a scan that is open and idle makes way for another."""
    halfway, other_is_done = threading.Event(), threading.Event()

    def f(x: float) -> float:
        halfway.set()
        assert other_is_done.wait(60)
        return x

    first, second, idle = scan(tmp_path / "one", f), scan(tmp_path / "two", same), scan(tmp_path / "three", same)
    idle.advance()
    thread = threading.Thread(target=first.run, kwargs={"evaluations": 5, "progress": None})
    thread.start()
    assert halfway.wait(60)
    assert second.run(evaluations=5, progress=None).table.num_rows == 5
    with pytest.raises(RunLockedError, match="running already"):
        first.run(evaluations=5)
    other_is_done.set()
    thread.join(60)
    assert first.ending is End.REACHED
    assert len(first.result()) == 5
    assert idle.advance().table.num_rows > 8


def test_scans_that_share_a_ray_of_their_own_ask_it_for_no_cpus() -> None:
    """What the first has taken, the second need not wait for; the operating system shares it out."""
    cluster = pytest.importorskip("rayscan.engine.cluster")
    from rayscan.engine.batch_job import cores

    shared = cluster.Cluster(True, 3.0, 0.0, "node", 3.0, 3.0, "127.0.0.1:1", shared=True)
    assert shared.driver_cpus == 0
    tool = rs.Function(abs, outputs=["y"])
    for asked, expected in ((None, cores()), (7, 7), ((1, 2), min(2, cores()))):
        bounds, demand = cluster.evaluator_share(shared, asked, tool)
        assert (bounds.low, bounds.high, demand.cpus) == (expected, expected, 0.0)


def test_lines_of_ray_on_dead_workers_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan says how many points were issued again; a Ray of the user's own goes on to say everything else."""
    local_ray = pytest.importorskip("rayscan.engine.local_ray")
    shown: list[Any] = []
    monkeypatch.setattr(local_ray.worker, "print_to_stdstream", lambda data, **_: shown.append(data["lines"]))
    local_ray.silence(always=False)
    say = local_ray.worker.print_to_stdstream
    say({"pid": "raylet", "lines": ["A worker died or was killed while executing a task"]}, ignore_prefix=False)
    say({"pid": 17, "lines": ["printed by a user's task in a worker"]}, ignore_prefix=False)
    assert shown == [["printed by a user's task in a worker"]]


def test_ray_does_not_keep_the_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while Ray starts is handled as at any other time."""
    local_ray = pytest.importorskip("rayscan.engine.local_ray")
    before = signal.getsignal(signal.SIGTERM)
    with local_ray.handlers_kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before
