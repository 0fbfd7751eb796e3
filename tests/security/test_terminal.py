"""What programs, files and names say is shown as text: it steers no terminal and is no markup."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import rayscan as rs
from rayscan.cli import app
from rayscan.errors import printable
from rayscan.progress import Progress
from rayscan.watch.console import LiveLine, PlainLines

ROOT = Path(__file__).parents[2]
EVIL = "\x1b[2J\x1b]0;pwned\x07\x9b31m\r\x08[bold red]x[/bold red]"
CONFIG = """
parameters.x = [0, 1]
target.y = [0, 1]
scan = { evaluators = 0, initial = 9, max_tool_errors = 1.0 }
[tool]
kind = "command"
read.y = "regex:y = (.+)"
command = [
  "python", "-c", "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr); sys.exit(3)", "EVIL", "{x}"
]
"""


def cli(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False, color=True)


def harmless(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


@given(st.text())
def test_printable_leaves_text_and_spells_out_control(text: str) -> None:
    """Nothing that steers a terminal is left, and nothing else is changed."""
    shown = printable(text)
    assert not any(
        (ord(character) < 32 and character not in "\n\t") or 127 <= ord(character) < 160 for character in shown
    )
    assert printable(shown) == shown
    if text.isascii() and text.isprintable():
        assert shown == text


@pytest.fixture
def config(tmp_path: Path) -> Path:
    escaped = "".join(f"\\u{ord(c):04x}" if not c.isprintable() else c for c in EVIL)
    (tmp_path / "scan.toml").write_text(CONFIG.replace("EVIL", escaped))
    return tmp_path / "scan.toml"


def test_words_of_a_program_are_shown_as_they_are(config: Path, tmp_path: Path) -> None:
    """`check`, `run`, `report` and `status` show escape codes and markup as characters; so does the report on disk."""
    out = tmp_path / "run"
    shown = [
        cli("check", config),
        cli("run", config, "--out", out, "--evaluations", "3"),
        cli("run", config, "--out", out, "--evaluations", "3", "--no-preflight"),
        cli("report", out),
        cli("status", out),
        cli("check", config, "--json"),
    ]
    assert [done.exit_code for done in shown] == [1, 2, 0, 0, 0, 1]
    for done in shown:
        assert harmless(done.stdout)
        assert harmless(done.stderr)
    assert "\\x1b[2J" in shown[0].stdout
    assert "[bold red]x[/bold red]" in shown[0].stdout
    assert "[bold red]x[/bold red]" in shown[1].stderr
    assert harmless((out / "report.txt").read_text())
    assert all(harmless(text) for text in rs.open_run(out).table["message"].to_pylist())


@pytest.mark.parametrize("name", [f"{EVIL}.toml", "[red]no[/red].toml", "a\nb.toml"])
def test_names_on_the_command_line_are_shown_as_they_are(name: str, tmp_path: Path) -> None:
    """A path, an option or a subcommand with escape codes in it comes back as text."""
    for arguments in (
        ["check", tmp_path / name],
        ["status", tmp_path / name],
        ["run", tmp_path / name, "--valid", "3"],
    ):
        done = cli(*arguments)
        assert done.exit_code in {1, 2}
        assert harmless(done.stderr)
    assert "[red]no[/red]" in cli("check", tmp_path / "[red]no[/red].toml").stderr


def test_progress_shows_what_a_scan_waits_for_as_text() -> None:
    """A message in the live line, whatever is in it, neither moves the cursor nor is markup."""
    for stream in (io.StringIO(), type("Terminal", (io.StringIO,), {"isatty": lambda self: True})()):
        line = LiveLine(stream) if stream.isatty() else PlainLines(stream)
        line(Progress(f"paused: {EVIL}"))
        line.close()
        last = stream.getvalue().splitlines()[-1]
        assert "\\x1b[2J" in last
        assert "[bold red]x[/bold red]" in last
        assert "\x1b[2J" not in stream.getvalue()
        assert "\x1b]0;" not in stream.getvalue()


def test_warnings_of_a_scan_are_shown_as_text() -> None:
    """The command line spells out control characters in logged warnings, too."""
    code = (
        "import logging, sys\nfrom rayscan.cli import main\nsys.argv = ['rayscan', '--version']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"logging.getLogger('rayscan.engine').warning('%s', {EVIL!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.startswith("rayscan: \\x1b[2J")
    assert harmless(done.stderr)
