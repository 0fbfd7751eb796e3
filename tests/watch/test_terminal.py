"""The view on a terminal, and the command that shows it."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rayscan.cli import app
from rayscan.errors import StoreError
from rayscan.store import follow
from rayscan.store.segments import read_segment
from rayscan.watch import live
from rayscan.watch.live import await_run
from rayscan.watch.terminal import drawn, sparkline
from rayscan.watch.view import Marginal
from rayscan.watch.watcher import Watcher
from tests.watch.conftest import publish


def text(view: object, width: int, height: int | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn(view, width, height), soft_wrap=True)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [36, 80, 160])
@pytest.mark.parametrize("height", [5, 24, 60])
def test_the_view_fits_the_terminal(store, answer, width, height):
    """No line is longer and no more lines are shown than there is room for; the goal comes first."""
    answer(range(100), message="a very long failure, " * 20)
    publish(store.path, goal={"valid": 60}, time=time.time(), rate=3.2, busy=0.9)
    lines = text(Watcher(store.path).look(), width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    assert "30 / 60" in lines[1]
    store.abandon()


def test_what_programs_say_cannot_command_the_terminal(store, answer):
    """Escape sequences in messages, and the markup of the library that draws, are shown, not obeyed."""
    answer(range(10), message="\x1b[31mred\x1b]0;title\x07 [bold]x[/bold] [/]")
    shown = "\n".join(text(Watcher(store.path).look(), 160))
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[bold]x[/bold] [/]" in shown
    store.abandon()


def test_a_bin_that_is_not_empty_is_never_blank():
    """One point in ten thousand is still seen."""
    bars = sparkline(Marginal("x", "", 0, 1, "linear", (0, 1, 10_000, 0)), 4)
    assert (bars[0], bars[3]) == (" ", " ")
    assert bars[1] != " "


def test_evaluators_of_a_host_with_a_long_name_are_told_apart(store, answer):
    """It is the host that is cut."""
    answer(range(10), host="a-very-long-name.of.a.cluster.example")
    shown = text(Watcher(store.path).look(), 80)
    assert [line.split()[0] for line in shown if line.startswith("a-very-long")] == [
        "a-very-long-name.o…/w0",
        "a-very-long-name.o…/w1",
    ]
    store.abandon()


def test_a_terminal_without_bars_is_no_trouble(store, answer):
    """Where the encoding has no such characters, others take their place."""
    answer(range(10))
    store.close()
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from rayscan.cli import app; app()", "watch", str(store.path)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "3 valid of 10" in shown.stdout


def test_a_finished_run_is_shown_once(store, answer):
    """Into a file or a pipe the view is plain text."""
    answer(range(30))
    publish(store.path, state="done: 30 evaluations")
    store.close()
    result = CliRunner().invoke(app, ["watch", str(store.path)])
    assert result.exit_code == 0
    assert "not running: done: 30 evaluations" in result.output
    assert "where the valid points lie" in result.output


def test_no_run_is_an_error_where_nobody_looks(tmp_path):
    """A script does not wait for ever."""
    result = CliRunner().invoke(app, ["watch", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "there is no such run directory" in result.output


def test_on_a_terminal_a_run_is_waited_for(store, tmp_path, monkeypatch):
    """One may look before the scan has begun; a place where none can begin is an error at once."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    coming = tmp_path / "coming"
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            store.path.rename(coming)

    monkeypatch.setattr(live.time, "sleep", nap)
    await_run(coming, console)
    assert len(naps) == 3
    assert console.file.getvalue().count("no scan has begun here yet") == 1
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OSError, match="expected a directory"):
        await_run(tmp_path / "notes.txt", console)
    store.abandon()


def test_the_terminal_is_redrawn_until_the_scan_ends(store, answer, monkeypatch):
    """The last view, of the finished run, stays on the terminal."""
    answer(range(10))
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    left = [lambda: answer(range(10, 20)), store.abandon]
    monkeypatch.setattr(live.time, "sleep", lambda _: left.pop(0)())
    live.watch_terminal(Watcher(store.path), console)
    last = console.file.getvalue().rpartition("\x1b[?1049l")[2]
    assert not left
    assert "6 valid of 20" in last
    assert "not running" in last


def test_a_file_system_that_is_away_for_a_moment_ends_nothing(store, answer, monkeypatch):
    """What was seen stays, the trouble is told, and afterwards nothing is missing; a run that is gone is an error."""
    answer(range(10))

    def gone(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def break_it() -> None:
        answer(range(10, 20))
        monkeypatch.setattr(follow, "read_segment", gone)

    def mend_it() -> None:
        monkeypatch.setattr(follow, "read_segment", read_segment)

    console = Console(file=io.StringIO(), force_terminal=True, width=200, height=30)
    left = [break_it, mend_it, store.abandon]
    monkeypatch.setattr(live.time, "sleep", lambda _: left.pop(0)())
    live.watch_terminal(Watcher(store.path), console)
    shown, _, last = console.file.getvalue().rpartition("\x1b[?1049l")
    assert "cannot read the run: Stale file handle" in shown
    assert "6 valid of 20" in last


def test_a_run_that_is_removed_ends_the_watching_with_a_message(store, answer, monkeypatch, tmp_path):
    """There is nothing to wait for."""
    answer(range(10))
    console = Console(file=io.StringIO(), force_terminal=True, width=200, height=30)
    monkeypatch.setattr(live.time, "sleep", lambda _: store.path.rename(tmp_path / "elsewhere"))
    with pytest.raises(StoreError, match="cannot read the run"):
        live.watch_terminal(Watcher(store.path), console)


def test_ctrl_c_leaves_quietly(store, monkeypatch):
    """Looking away is no failure, and no business of the scan's."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "watch_terminal", interrupt)
    result = CliRunner().invoke(app, ["watch", str(store.path)])
    assert (result.exit_code, result.output) == (0, "")
    store.abandon()
