"""Nothing that a program starts outlives it, its time-out, its evaluator or its reaper."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rayscan.errors import ToolError
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.scratch import sweep
from rayscan.sandbox.workshop import Workshop
from rayscan.testing.programs import command

LIMITS = Limits(timeout=0.5, grace=0.3)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a program can leave its session for good")

EVALUATOR = """
import sys
from rayscan.testing.programs import command
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.workshop import Workshop
workshop = Workshop(sys.argv[1], "run", "worker")
print(workshop._lifeline.pid, flush=True)
with workshop.sandbox(7) as sandbox:
    sandbox.run(command(sys.argv[2], sys.argv[3]), limits=Limits(grace=0.5))
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with Workshop(tmp_path / "scratch", "run", "worker") as workshop:
        yield workshop
    assert list((tmp_path / "scratch").iterdir()) == []
    assert ours(tmp_path) == []


def ours(scratch: Path) -> list[int]:
    """Return the living processes that were started for a sandbox below a directory."""
    found = []
    for process in psutil.process_iter():
        try:
            place = process.environ().get("RAYSCAN_SANDBOX", "")
            if place.startswith(str(scratch)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def read_pids(path: Path) -> list[int]:
    assert wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


def test_a_hanging_program_ends_at_its_time_out(workshop: Workshop) -> None:
    """A program that only sleeps goes at the first SIGTERM, without waiting for the grace."""
    with workshop.sandbox(1) as sandbox:
        started = time.monotonic()
        done = sandbox.run(command("sleep", "60"), limits=Limits(timeout=0.4, grace=30))
        assert 0.4 <= time.monotonic() - started < 5
    assert done.timed_out
    assert "timed out" in done.describe()
    assert done.signal == signal.SIGTERM


@pytest.mark.parametrize("mode", ["fork", pytest.param("escape", marks=linux)])
def test_a_time_out_ends_the_whole_tree(workshop: Workshop, tmp_path: Path, mode: str) -> None:
    """A child that ignores SIGTERM goes with its parent, also one that has left the session as a daemon."""
    pids = tmp_path / "pids"
    with workshop.sandbox(1) as sandbox:
        done = sandbox.run(command(mode, str(pids)), limits=LIMITS)
        family = read_pids(pids)
        assert done.timed_out
        assert len(family) == 2
        assert not any(alive(pid) for pid in family)
    assert done.seconds < 5


@linux
def test_a_daemon_left_behind_is_ended(workshop: Workshop, tmp_path: Path) -> None:
    """A program that ends well but leaves a daemon is a success, and the daemon is gone before the next point."""
    pids = tmp_path / "pids"
    with workshop.sandbox(1) as sandbox:
        done = sandbox.run(command("daemon", str(pids)), limits=Limits(timeout=20, grace=0.2))
        assert (done.exit_code, done.timed_out, done.left_behind) == (0, False, 1)
        assert not alive(read_pids(pids)[1])
    assert "left behind" in done.describe()


def test_the_scan_goes_on_after_every_kind_of_failure(workshop: Workshop) -> None:
    """One workshop survives them all, and each attempt reports how it ended."""
    before = set(psutil.Process().children(recursive=True))
    endings = []
    for point, words in enumerate(
        [["fork"], ["segfault"], ["garbage", "out"], ["nothing"], ["exit", "4"], ["empty", "o"]]
    ):
        with workshop.sandbox(point) as sandbox:
            done = sandbox.run(command(*words), limits=LIMITS if words == ["fork"] else Limits(timeout=60))
            endings.append("timeout" if done.timed_out else done.signal or done.exit_code)
    assert endings == ["timeout", signal.SIGSEGV, 0, 0, 4, 0]
    assert [path for path in workshop.directory.iterdir() if path.is_dir()] == []
    assert not any(alive(child.pid) for child in set(psutil.Process().children(recursive=True)) - before)


def test_stop_from_another_thread_ends_the_program(workshop: Workshop) -> None:
    """An evaluator that is told to stop need not wait for its program; without one it does nothing."""
    workshop.stop()
    with workshop.sandbox(1) as sandbox:
        assert sandbox.run(command("exit", "5")).exit_code == 5
        timer = threading.Timer(0.3, workshop.stop)
        timer.start()
        done = sandbox.run(command("sleep", "60"))
        timer.join()
        assert (done.signal, done.timed_out) == (signal.SIGTERM, False)
        assert sandbox.run(command("exit", "6")).exit_code == 6


def test_closing_ends_a_running_program(tmp_path: Path) -> None:
    """An evaluator that is closed from another thread does not wait for its program, which goes at once."""
    workshop = Workshop(tmp_path / "scratch", "run")
    timer = threading.Timer(0.3, workshop.close)
    timer.start()
    started = time.monotonic()
    with workshop.sandbox(1) as sandbox:
        assert sandbox.run(command("sleep", "60")).signal == signal.SIGTERM
    timer.join()
    assert time.monotonic() - started < 10
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_interrupt_ends_the_program_first(workshop: Workshop) -> None:
    """Ctrl-C in the main thread ends the running program, and the workshop can be used again."""
    with workshop.sandbox(1) as sandbox:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        timer.start()
        try:
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                sandbox.run(command("sleep", "60"), limits=Limits(grace=0.3))
            assert time.monotonic() - started < 5
        finally:
            timer.join()
            signal.signal(signal.SIGINT, before)
        assert not ours(sandbox.directory)
        assert sandbox.run(command("exit", "3")).exit_code == 3


def test_a_killed_reaper_costs_one_attempt(workshop: Workshop, tmp_path: Path) -> None:
    """When the reaper is killed, its program goes, the attempt fails with a clear error, and the next one works."""
    pids = tmp_path / "pids"
    assert workshop._lifeline is not None
    reaper = workshop._lifeline.pid
    with workshop.sandbox(1) as sandbox:
        killer = threading.Thread(target=lambda: (read_pids(pids), os.kill(reaper, signal.SIGKILL)))
        killer.start()
        with pytest.raises(ToolError, match="was killed"):
            sandbox.run(command("fork", str(pids)))
        killer.join()
        assert not any(alive(pid) for pid in read_pids(pids))
        assert sandbox.run(command("exit", "3")).exit_code == 3


@pytest.mark.parametrize("mode", ["fork", pytest.param("escape", marks=linux)])
def test_a_killed_evaluator_takes_everything_with_it(tmp_path: Path, mode: str) -> None:
    """After SIGKILL of an evaluator its programs, its reaper and its directory are gone within seconds."""
    pids = tmp_path / "pids"
    scratch = tmp_path / "scratch"
    words = [sys.executable, "-c", EVALUATOR, str(scratch), mode, str(pids)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment()) as evaluator:
        assert evaluator.stdout is not None
        reaper = int(evaluator.stdout.readline())
        family = read_pids(pids)
        assert all(alive(pid) for pid in (*family, reaper))
        assert sweep(scratch) == []
        assert all(alive(pid) for pid in family)
        evaluator.kill()
    assert wait_for(lambda: not any(alive(pid) for pid in (*family, reaper)))
    assert list(scratch.iterdir()) == []


def test_the_next_start_sweeps_when_even_the_reaper_was_killed(tmp_path: Path) -> None:
    """Evaluator and reaper killed at once: programs and directory stay until a sweep, which finds and ends them."""
    pids = tmp_path / "pids"
    scratch = tmp_path / "scratch"
    words = [sys.executable, "-c", EVALUATOR, str(scratch), "escape", str(pids)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment()) as evaluator:
        assert evaluator.stdout is not None
        reaper = int(evaluator.stdout.readline())
        family = read_pids(pids)
        os.kill(reaper, signal.SIGSTOP)
        evaluator.kill()
        os.kill(reaper, signal.SIGKILL)
    assert wait_for(lambda: not alive(reaper))
    assert all(alive(pid) for pid in family)
    assert sweep(scratch, "another run") == []
    place = next(iter(scratch.iterdir())) / "run" / "worker"
    assert sweep(scratch, "run") == [place]
    assert wait_for(lambda: not any(alive(pid) for pid in family))
    assert list(scratch.iterdir()) == []


def environment() -> dict[str, str]:
    """Return an environment in which a child finds the package that is under test."""
    import rayscan

    return {**os.environ, "PYTHONPATH": str(Path(rayscan.__file__).parents[1])}
