"""The fake programs do what their table says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rayscan.testing import programs
from rayscan.testing.programs import command


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(*words), capture_output=True, cwd=cwd, check=False, timeout=60)


def test_every_mode_is_in_the_table() -> None:
    """What can be run is described, and what is described can be run."""
    described = re.findall(r"^``(\w+)", programs.__doc__ or "", flags=re.MULTILINE)
    assert sorted(described) == sorted(programs.MODES)


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    """Exit code 2 and the list of modes."""
    done = run("slep", cwd=tmp_path)
    assert done.returncode == 2
    assert b"unknown mode 'slep'; known: daemon" in done.stderr


def test_it_runs_as_a_module_and_imports_nothing_heavy(tmp_path: Path) -> None:
    """``python -m rayscan.testing.programs`` works and starts no NumPy."""
    (tmp_path / "in").write_text("1 2 3")
    environment = {**os.environ, "PYTHONPATH": str(Path(programs.__file__).parents[2])}
    words = [sys.executable, "-X", "importtime", "-m", "rayscan.testing.programs", "sum", "in", "out"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (tmp_path / "out").read_text() == "sum = 6.0\n"
    assert b"numpy" not in done.stderr


def test_bad_outputs_are_as_bad_as_promised(tmp_path: Path) -> None:
    """NaN, an empty file, nothing, and bytes that are no text."""
    (tmp_path / "in").write_text("1")
    assert run("nan", "in", "nan", cwd=tmp_path).returncode == 0
    assert run("empty", "empty", cwd=tmp_path).returncode == 0
    assert run("garbage", "garbage", cwd=tmp_path).returncode == 0
    assert run("nothing", cwd=tmp_path).stdout == b""
    assert (tmp_path / "nan").read_text() == "sum = NaN\n"
    assert (tmp_path / "empty").read_bytes() == b""
    assert b"\0" in (tmp_path / "garbage").read_bytes()
    assert len(run("loud", "100000", cwd=tmp_path).stdout) == 100_000


def test_stale_writes_once_only(tmp_path: Path) -> None:
    """The second run ends well and leaves the old output as it was."""
    for content in ("1 1", "5 5"):
        (tmp_path / "in").write_text(content)
        assert run("stale", "in", "out", "memory", cwd=tmp_path).returncode == 0
        assert (tmp_path / "out").read_text() == "sum = 2.0\n"


def test_flaky_fails_for_its_share_and_repeats_itself(tmp_path: Path) -> None:
    """Never, sometimes, always; and the same input with the same seed always does the same."""

    def outcome(share: str, seed: str, content: str) -> tuple[int, bool]:
        (tmp_path / "in").write_text(content)
        (tmp_path / "out").unlink(missing_ok=True)
        return run("flaky", share, seed, "in", "out", cwd=tmp_path).returncode, (tmp_path / "out").exists()

    inputs = [str(number) for number in range(8)]
    assert {outcome("0", "1", content) for content in inputs[:3]} == {(0, True)}
    assert not any(wrote for _, wrote in (outcome("1", "1", content) for content in inputs[:3]))
    first = [outcome("0.5", "1", content) for content in inputs]
    assert first == [outcome("0.5", "1", content) for content in inputs]
    assert 0 < sum(wrote for _, wrote in first) < len(inputs)
