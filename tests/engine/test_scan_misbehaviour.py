"""Whole scans of a program that misbehaves in every known way."""

from __future__ import annotations

import collections
import sys
from pathlib import Path

import psutil

import rayscan as rs

PROGRAM = """
import os, signal, sys, time

mode = int(float(open("in").read()))
if mode == 0:
    open("out", "w").write("y = 1.5\\n")
elif mode == 1:
    time.sleep(600)
elif mode == 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    time.sleep(600)
elif mode == 3:
    os.kill(os.getpid(), signal.SIGSEGV)
elif mode == 4:
    open("out", "wb").write(os.urandom(2000) + b"\\ny = \\xff\\xfe\\n")
elif mode == 5:
    open("out", "w").write("y = NaN\\n")
elif mode == 6:
    open("out", "w").close()
elif mode == 7:
    # Would leave the result of an earlier point in place, were there one.
    open("left behind", "w").write("y = 1.5\\n")
elif mode == 8:
    open("out", "w").write("y = 1.5\\n")
    sys.exit(3)
"""
EXPECTED = {
    0: {"ok"}, 1: {"timeout"}, 2: {"timeout"}, 3: {"tool_error"}, 4: {"tool_error"}, 5: {"unphysical", "tool_error"},
    6: {"tool_error"}, 7: {"tool_error"}, 8: {"tool_error"},
}  # fmt: skip


def test_every_misbehaviour_is_a_row_of_its_own_and_nothing_stays(tmp_path: Path) -> None:
    """Each point gets the right status, the scan goes on to its goal, and no process or directory is left."""
    program, scratch = tmp_path / "program.py", tmp_path / "scratch"
    program.write_text(PROGRAM)
    scratch.mkdir()
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    scan = rs.Scan(
        space=rs.Space(mode=rs.Choice(*EXPECTED), x=(0, 1)),
        tool=rs.Command(
            [sys.executable, "-S", "-E", str(program)],
            files={"in": "{mode}\n"},
            read={"y": {"key": "y", "file": "out"}},
            timeout=1.5,
            unused=["x"],
        ),
        target=rs.Target(y=(1, 2)),
        initial=32,
        evaluators=0,
        scratch=str(scratch),
        max_tool_errors=1.0,
        out=tmp_path / "run",
    )
    table = scan.run(evaluations=32, progress=None).table

    seen = collections.defaultdict(set)
    for mode, status in zip(table["mode"].to_pylist(), table["status"].to_pylist(), strict=True):
        seen[int(mode)].add(status)
    assert seen.keys() == EXPECTED.keys()
    for mode, statuses in seen.items():
        assert statuses <= EXPECTED[mode], f"mode {mode}"
        assert len(statuses) == 1
    assert table["valid"].to_pylist() == [mode == 0 for mode in table["mode"].to_pylist()]
    crashed = [
        text for mode, text in zip(table["mode"].to_pylist(), table["message"].to_pylist(), strict=True) if mode == 3
    ]
    assert all("SIGSEGV" in text for text in crashed)
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []
    assert not any(str(program) in " ".join(_command(process)) for process in psutil.process_iter())


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
