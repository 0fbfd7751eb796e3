"""A directory that evaluators of a node share: filled once, there as long as anybody uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rayscan.sandbox.scratch import sweep
from rayscan.sandbox.shelf import FOLDER, Shelf


def test_many_at_once_fill_it_once(tmp_path: Path) -> None:
    """Whoever comes first fills it; the others wait until it is whole, and the last takes it away."""
    fills: list[Path] = []
    seen: list[str] = []

    def fill(directory: Path) -> None:
        fills.append(directory)
        (directory / "half").write_text("half")
        time.sleep(0.1)
        (directory / "whole").write_text("whole")

    start = threading.Barrier(6)
    done = threading.Barrier(6)

    def use() -> None:
        start.wait()
        with Shelf("abc", fill, tmp_path) as shelf:
            seen.append((shelf.directory / "whole").read_text())
            done.wait()

    users = [threading.Thread(target=use) for _ in range(6)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(fills) == 1
    assert seen == ["whole"] * 6
    assert list(tmp_path.iterdir()) == []


def test_it_stays_while_one_uses_it_and_a_dead_user_counts_for_nothing(tmp_path: Path) -> None:
    """A sweep takes nothing that a process holds; one that was killed holds nothing, filled or half filled."""
    script = (
        "import sys, time; from pathlib import Path; from rayscan.sandbox.shelf import Shelf\n"
        "def fill(d): (d / 'file').write_text('x'); sys.argv[2] == 'half' and wait()\n"
        "def wait(): print('ready', flush=True); time.sleep(60)\n"
        "s = Shelf('abc', fill, Path(sys.argv[1])); wait()"
    )
    for how in ("whole", "half"):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), how], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        sweep(tmp_path, FOLDER)
        assert list(tmp_path.rglob("file"))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if how == "half":
            with Shelf("abc", lambda directory: (directory / "new").touch(), tmp_path) as shelf:
                assert [path.name for path in shelf.directory.iterdir()] == ["new"]
        sweep(tmp_path, FOLDER)
        assert list(tmp_path.iterdir()) == []


def test_a_failed_filling_leaves_nothing(tmp_path: Path) -> None:
    """The error comes through, and the next user tries again."""

    def refuse(directory: Path) -> None:
        (directory / "half").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Shelf("abc", refuse, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.name in ("half", "content")] == []
    with Shelf("abc", lambda directory: (directory / "yes").touch(), tmp_path) as shelf:
        assert (shelf.directory / "yes").exists()
