"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io

import pytest

from rayscan.progress import Goal, Progress
from rayscan.watch.console import follower


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def strftime(self, _: str) -> str:
        return "12:00:00"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("rayscan.watch.console.time", clock)
    return clock


def at(evaluations: int, state: str = "scanning") -> Progress:
    return Progress(state, evaluations=evaluations, goal=Goal(valid=10))


def test_terminal_gets_one_line_that_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the scan runs one line is redrawn in place; only the last one stays."""
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with follower(True, stream) as show:
        for evaluations in range(1000):
            show(at(evaluations))
        assert "\n" not in stream.getvalue().strip("\n")
    assert stream.getvalue().endswith(f"{at(999).line()}\n")
    assert stream.getvalue().count("evaluations") < 20


def test_long_line_is_cut_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it lives the line stays within the window, so that rewriting works; the last one is whole."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    with follower(True, stream) as show:
        show(at(5))
    alive, _, last = stream.getvalue().rpartition(at(5).line())
    assert last == "\n"
    assert "…" in alive
    assert at(5).line() not in alive


def test_log_gets_a_line_a_minute_and_one_for_each_state(clock: Clock) -> None:
    """Elsewhere there are plain lines: the first, one a minute, each new state, and the latest at the end."""
    stream = io.StringIO()
    with follower(True, stream) as show:
        for second in range(0, 150, 10):
            clock.now = second
            show(at(second))
        show(at(141, "draining"))
        show(at(142, "draining"))
    shown = [line.split("evaluations ")[1].split(" ")[0] for line in stream.getvalue().splitlines()]
    assert shown == ["0", "60", "120", "141", "142"]
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_nothing_is_shown_unless_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    """False and None show nothing, a function gets every update."""
    for wish in (False, None):
        with follower(wish) as show:
            show(at(1))
    seen: list[Progress] = []
    with follower(seen.append) as show:
        show(at(1))
    assert seen == [at(1)]
    assert capsys.readouterr() == ("", "")
