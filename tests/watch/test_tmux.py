"""A real terminal: what tmux shows of the view and of the progress line."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.watch.conftest import publish

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="no tmux on this machine: nothing was shown on a real terminal")
LINE = """
import time
from rayscan.progress import Goal, Progress
from rayscan.watch.console import follower
with follower(True) as show:
    for n in range(1, 10_000):
        show(Progress("scanning", evaluations=1_230_000 + n, issued=1_240_000, valid=456_000 + n, acceptance=0.4,
                      rate=345.6, busy=0.97, lag=512, refit_seconds=31.2, elapsed=5000.0, evaluators=64, wanted=64,
                      statuses={"ok": 1_200_000, "tool_error": 30_000 + n}, goal=Goal(valid=1_000_000)))
        time.sleep(0.1)
"""

Screen = Callable[[list[str], int], Callable[[], list[str]]]


@pytest.fixture
def screen() -> Iterator[Screen]:
    """Run commands in terminals of some width and 40 lines, and return what looks at each."""
    server = f"rayscan-{uuid.uuid4().hex[:8]}"
    # pytest-xdist tells its workers a width, which is not that of these terminals.
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}

    def tmux(*arguments: str) -> str:
        ran = subprocess.run(
            [str(TMUX), "-L", server, "-f", "/dev/null", *arguments], capture_output=True, text=True, timeout=30,
            check=True, env={**environment, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        return ran.stdout

    def start(command: list[str], width: int) -> Callable[[], list[str]]:
        name = uuid.uuid4().hex
        tmux("-u", "new-session", "-d", "-s", name, "-x", str(width), "-y", "40", shlex.join(command) + "; sleep 60")
        return lambda: [line.rstrip() for line in tmux("capture-pane", "-p", "-t", name).splitlines()]

    yield start
    subprocess.run([str(TMUX), "-L", server, "kill-server"], capture_output=True, timeout=30, check=False)


def test_a_terminal_shows_the_view_and_the_line_without_a_break(store, answer, screen: Screen):
    """At 80 and at 160 columns: the view has all its parts, and the line stays one line, rewritten in place."""
    answer(range(100), message="a very long failure, " * 20)
    publish(store.path, goal={"valid": 60}, time=time.time() + 3600, rate=3.2, busy=0.9, crew={"working": 2})
    watch = [sys.executable, "-c", "from rayscan.cli import app; app()", "watch", str(store.path)]
    shown = {
        (kind, width): screen(command, width)
        for width in (80, 160)
        for kind, command in (("watch", watch), ("line", [sys.executable, "-c", LINE]))
    }
    wanted = {"watch": ("30 / 60", "failure"), "line": ("valid", "/1,000,000")}
    end = time.monotonic() + 60
    waiting = dict(shown)
    while waiting:
        assert time.monotonic() < end, {place: look() for place, look in waiting.items()}
        waiting = {
            place: look
            for place, look in waiting.items()
            if not all(part in "\n".join(look()) for part in wanted[place[0]])
        }
        time.sleep(0.2)
    for (kind, width), look in shown.items():
        lines = look()
        if kind == "line":
            before = [line for line in lines if line]
            time.sleep(0.5)
            after = [line for line in look() if line]
            assert len(before) == len(after) == 1
            assert before != after
            assert len(after[0]) <= width
        else:
            assert sum("30 / 60" in line for line in lines) == 1
            assert max(map(len, lines)) > 0.9 * width
    store.abandon()
