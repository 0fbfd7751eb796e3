"""What a program leaves behind, by accident or on purpose, costs its point and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.plain_file import open_plain, read_plain, write_new
from rayscan.slha import Address, read_texts, read_values

SECONDS = 100.0
"""More than any of these takes; a hang takes for ever."""
LEAVE = """
import os, socket, sys
mode = sys.argv[1]
if mode == "fifo":
    os.mkfifo("out")
elif mode == "link":
    os.symlink(sys.argv[2], "out")
elif mode == "loop":
    os.symlink("out", "out")
elif mode == "directory":
    os.mkdir("out")
elif mode == "socket":
    socket.socket(socket.AF_UNIX).bind("out")
elif mode == "device":
    os.symlink("/dev/zero", "out")
elif mode == "huge":
    os.truncate(os.open("out", os.O_CREAT | os.O_RDWR), 2**40)
elif mode == "nul":
    open("out", "wb").write(b"\\0" * 10**6)
elif mode == "stdout-fifo":
    name = next(n for n in os.listdir(".") if n.endswith(".stdout"))
    os.unlink(name)
    os.mkfifo(name)
elif mode == "stderr-fifo":
    for name in [n for n in os.listdir(".") if n.endswith((".stdout", ".stderr"))]:
        os.unlink(name)
        os.mkfifo(name)
    sys.exit(3)
"""


def scan(tmp_path: Path, tool: rs.Tool) -> rs.Scan:
    return rs.Scan(
        rs.Space(x=(0, 1)), tool, rs.Target(y=(0, 1)), out=tmp_path / "run", evaluators=0, initial=5, keep="all",
        scratch=str(tmp_path / "scratch"), max_tool_errors=1.0,
    )  # fmt: skip


def rows(tmp_path: Path, tool: rs.Tool) -> list[dict[str, Any]]:
    """Evaluate two points and return their rows."""
    start = time.monotonic()
    table = scan(tmp_path, tool).run(evaluations=2, progress=None).table
    assert time.monotonic() - start < SECONDS
    result: list[dict[str, Any]] = table.select(["status", "message", "kept", "y"]).to_pylist()
    return result


MODES = ["fifo", "link", "loop", "directory", "socket", "device", "huge", "nul", "stdout-fifo", "stderr-fifo"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reader", ["regex:y = (.+)", "slha:MASS 25", "json:y", "column:1", "label:y"])
def test_what_is_no_ordinary_output_is_a_tool_error(tmp_path: Path, mode: str, reader: str) -> None:
    """Pipes, links, devices, sockets, sparse terabytes and zeros: no reader hangs, follows or swallows them."""
    (tmp_path / "secret").write_text("y = 0.5\nBLOCK MASS\n 25 125.0\n")
    tool = rs.Command(
        ["python", "-c", LEAVE, mode, str(tmp_path / "secret"), "{x}"], read={"y": reader}, output="out",
        keep="all", keep_files=["out"], timeout=10,
    )  # fmt: skip
    for row in rows(tmp_path, tool):
        assert row["status"] == "tool_error"
        assert row["y"] is None or row["y"] != row["y"]
        assert "125.0" not in row["message"]
        # Zeros are an ordinary file, if not a useful one.
        assert bool(row["kept"]) is (mode == "nul")


@pytest.mark.parametrize("mode", ["fifo", "link", "device", "huge", "directory"])
def test_the_next_stage_of_a_chain_does_not_read_them_either(tmp_path: Path, mode: str) -> None:
    """A file that is handed on is copied only if it is one."""
    (tmp_path / "secret").write_text("secret")
    first = rs.Command(
        ["python", "-c", LEAVE, mode, str(tmp_path / "secret"), "{x}"], read={"code": "exit"}, name="first"
    )
    second = rs.Command(
        ["cat", "{input}"], files={"copy": {"stage": "out"}}, read={"y": "regex:(.+)"}, name="second", timeout=10
    )
    for row in rows(tmp_path, rs.Chain([first, second])):
        assert row["status"] == "tool_error"
        assert "copy" in row["message"]


@pytest.mark.parametrize("mode", ["fifo", "link", "hard"])
def test_an_input_file_is_new_whatever_a_stage_before_left_under_its_name(tmp_path: Path, mode: str) -> None:
    """A pipe would block, a link would have a file of the user's overwritten: both are replaced."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    leave = {
        "fifo": "import os, sys; os.mkfifo('in')",
        "link": f"import os, sys; os.symlink({str(precious)!r}, 'in')",
        "hard": f"import os, sys; os.link({str(precious)!r}, 'in')",
    }[mode]
    first = rs.Command(["python", "-c", leave, "{x}"], read={"code": "exit"}, name="first")
    second = rs.Command(
        ["cat", "{input}"], files={"in": "y = {x}\n"}, read={"y": r"regex:y = (\S+)"}, name="second", timeout=10
    )
    assert [row["status"] for row in rows(tmp_path, rs.Chain([first, second]))] == ["ok", "ok"]
    assert precious.read_text() == "precious"


def test_output_that_would_go_into_a_pipe_is_captured_all_the_same(tmp_path: Path) -> None:
    """A stage that leaves a pipe where the next one's output is captured neither blocks nor swallows it."""
    leave = "import os; [os.mkfifo('second' + end) for end in ('.stdout', '.stderr')]"
    first = rs.Command(["python", "-c", leave, "{x}"], read={"code": "exit"}, name="first")
    second = rs.Command(
        ["python", "-c", "print('x' * 10**6); print('y = {x}')"], read={"y": r"regex:y = (\S+)"}, name="second",
        timeout=10,
    )  # fmt: skip
    assert [row["status"] for row in rows(tmp_path, rs.Chain([first, second]))] == ["ok", "ok"]


SPECTRA = {
    "one line of ten megabytes": b"BLOCK MASS\n 25 " + b"1" * 10**7 + b"\n 25 125.0\n",
    "ten megabytes without a line": b" " * 10**7,
    "zeros": b"\0" * 10**6 + b"\nBLOCK MASS\n 25 125.0\n",
    "twenty thousand blocks": b"".join(b"BLOCK B%d\n 1 2.0\n" % k for k in range(20_000)) + b"BLOCK MASS\n 25 125.0\n",
    "one block twenty thousand times": b"BLOCK MASS\n 25 1.0\n" * 20_000 + b"BLOCK MASS\n 25 125.0\n",
    "twenty thousand decays": b"".join(b"DECAY %d 1.0\n" % k for k in range(20_000)) + b"BLOCK MASS\n 25 125.0\n",
    "words that look like headers": b"BLOCKBLOCK MASS\nBLOCK\n" * 20_000 + b"BLOCK MASS\n 25 125.0\n",
    "blanks that invite backtracking": (b"BLOCK MASS" + b" " * 20_000 + b"Q=" + b" " * 20_000 + b"x\n") * 10
    + b"BLOCK MASS\n 25 125.0\n",
    "no text": bytes(range(256)) * 4000 + b"\nBLOCK MASS\n 25 125.0\n",
}


@pytest.mark.parametrize("name", SPECTRA)
def test_no_spectrum_takes_long_or_raises(name: str) -> None:
    """Time grows with the size of the file, not with what stands in it."""
    wanted = [Address.parse("MASS 25"), Address.parse("DECAY 25"), Address.parse("NMIX 1 2")]
    start = time.process_time()
    values = read_values(SPECTRA[name], wanted)
    texts = read_texts(SPECTRA[name], wanted[:1])
    assert time.process_time() - start < 3.0
    if SPECTRA[name].endswith(b" 25 125.0\n") and "line" not in name:
        assert values[wanted[0]] == 125.0
        assert texts[wanted[0]][-1] == "125.0"


def test_reading_waits_for_nobody(tmp_path: Path) -> None:
    """Only ordinary files of bounded size are read; links only where a user's own path may be one."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert read_plain(tmp_path / "file") == read_plain(tmp_path / "link", follow=True) == b"12345"
    assert read_plain(tmp_path / "file", 5) == b"12345"
    for name, limit, said in (
        ("file", 4, "expected at most 4"), ("link", 9, "a link"), ("pipe", 9, "not an ordinary file"),
        ("folder", 9, "directory"), ("nothing", 9, "No such file"),
    ):  # fmt: skip
        with pytest.raises(OSError, match=said):
            read_plain(tmp_path / name, limit)
    with pytest.raises(OSError, match="not an ordinary file"):
        open_plain(Path("/dev/null"))
    assert len(read_plain(Path("/proc/self/status"))) > 100


def test_a_new_file_replaces_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    """What is written under a name is written there and nowhere else."""
    (tmp_path / "precious").write_text("precious")
    for make in (os.symlink, os.link):
        (tmp_path / "name").unlink(missing_ok=True)
        make(tmp_path / "precious", tmp_path / "name")
        write_new(tmp_path / "name", b"new")
        assert (tmp_path / "name").read_text() == "new"
        assert (tmp_path / "precious").read_text() == "precious"
