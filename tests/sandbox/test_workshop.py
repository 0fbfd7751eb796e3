"""Where sandboxes are, who may use the place, and who cleans up."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.errors import ToolError
from rayscan.sandbox import scratch as module
from rayscan.sandbox.scratch import choose_scratch, own_folder, safe_name, sweep, take_lock
from rayscan.sandbox.workshop import Workshop
from rayscan.testing.programs import command


class Space(NamedTuple):
    f_bavail: int
    f_frsize: int
    f_flag: int


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, dict[str, Any]]:
    """Stand-ins for the file system in memory and for the disk, and what the former says of itself."""
    memory, disk = tmp_path / "shm", tmp_path / "tmp"
    memory.mkdir()
    disk.mkdir()
    state = {"space": Space(2**22, 4096, 0)}
    real = os.statvfs
    monkeypatch.setattr(module, "MEMORY", memory)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(disk))
    monkeypatch.setattr(os, "statvfs", lambda path: state["space"] if Path(path).is_relative_to(memory) else real(path))
    return memory, disk, state


def test_memory_is_preferred_when_there_is_room(places: tuple[Path, Path, dict[str, Any]]) -> None:
    """With room in memory sandboxes go there, without remark."""
    memory, _, _ = places
    assert choose_scratch() == (memory, "")
    with Workshop(run_id="run") as workshop:
        assert workshop.directory.is_relative_to(memory)
        assert workshop.notice == ""


@pytest.mark.parametrize(
    ("space", "reason"), [(Space(2**8, 4096, 0), "1 MiB free"), (Space(2**22, 4096, os.ST_NOEXEC), "run from")]
)
def test_the_disk_is_chosen_when_memory_will_not_do(
    places: tuple[Path, Path, dict[str, Any]], space: Space, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Too little room, or programs may not run from there: the disk, and a message that says why."""
    _, disk, state = places
    state["space"] = space
    with Workshop(run_id="run") as workshop:
        assert workshop.directory.is_relative_to(disk)
        assert reason in workshop.notice
        assert reason in caplog.text


def test_sandboxes_move_to_the_disk_when_memory_runs_short(
    places: tuple[Path, Path, dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """A scan that fills the memory goes on, on the disk, and leaves nothing in memory."""
    memory, disk, state = places
    with Workshop(run_id="run") as workshop:
        with workshop.sandbox(1) as sandbox:
            assert sandbox.directory.is_relative_to(memory)
            state["space"] = Space(2**10, 4096, 0)
            with workshop.sandbox(1) as other:
                assert other.directory.is_relative_to(memory)
            assert sandbox.directory.exists()
        with workshop.sandbox(2) as sandbox:
            assert sandbox.directory.is_relative_to(disk)
            assert sandbox.run(command("exit", "3")).exit_code == 3
    assert "4 MiB left" in caplog.text
    assert not list(memory.iterdir())
    assert not list(disk.iterdir())


def test_closing_leaves_nothing_and_twice_is_harmless(tmp_path: Path) -> None:
    """Directory, lock and folders go; then the workshop refuses work."""
    workshop = Workshop(tmp_path, "run", "worker")
    assert workshop.directory == tmp_path / f"rayscan-{os.getuid()}" / "run" / "worker"
    workshop.close()
    workshop.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ToolError, match="is closed"), workshop.sandbox(1):
        pass


def test_two_evaluators_of_one_name_are_refused(tmp_path: Path) -> None:
    """The second is told who has the place, and disturbs nothing."""
    with Workshop(tmp_path, "run", "worker") as first:
        with first.sandbox(1) as sandbox:
            with pytest.raises(ToolError, match=f"another evaluator.*{os.getpid()}"):
                Workshop(tmp_path, "run", "worker")
            assert sandbox.directory.exists()
        with Workshop(tmp_path, "run", "other") as second:
            assert second.directory != first.directory
    with Workshop(tmp_path, "run", "worker") as again:
        assert again.directory.exists()


@given(st.text(max_size=80), st.text(max_size=80))
def test_names_are_harmless_and_distinct(one: str, other: str) -> None:
    """Any text names a plain file, and different texts different files."""
    for name in (one, other):
        safe = safe_name(name)
        assert safe.isascii()
        assert len(safe) <= 40
        assert not set(safe) & set("/\n\0 ")
        assert safe not in {"", ".", ".."}
        assert not safe.startswith(".")
    assert (safe_name(one) == safe_name(other)) == (one == other)


def test_odd_run_names_work(tmp_path: Path) -> None:
    """A run called ``../x`` or with a newline stays below its scratch directory."""
    for name in ("../x", "a/b\nc", "", "x.lock"):
        with Workshop(tmp_path / "scratch", name, name) as workshop, workshop.sandbox(1) as sandbox:
            assert len(sandbox.directory.relative_to(tmp_path / "scratch").parts) == 4
            assert sandbox.run(command("exit", "0")).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_foreign_folder_is_not_used(tmp_path: Path) -> None:
    """Somebody else's, or one that others can write to, or a link: refused, not used and not changed."""
    folder = tmp_path / f"rayscan-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ToolError, match="only this user can write"):
        Workshop(tmp_path, "run")
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ToolError, match="choose another scratch"):
        own_folder(tmp_path)


def test_scratch_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the way of the scratch directory is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match=r"cannot use .*file/below for scratch"):
        Workshop(tmp_path / "file" / "below", "run")


def test_the_sweep_takes_only_what_is_dead_and_ours(tmp_path: Path) -> None:
    """The live, the locked, other hosts', those without a lock file and foreign files stay; the dead go."""
    folder = own_folder(tmp_path) / "run"
    held = take_lock(folder / "busy.lock")
    take = {"dead": {"host": os.uname().nodename}, "torn": "", "elsewhere": {"host": "another-host"}, "odd": "[]"}
    for name in ("busy", "stranger", *take):
        (folder / name / "1-1-1").mkdir(parents=True)
    for name, content in take.items():
        (folder / f"{name}.lock").write_text(content if isinstance(content, str) else json.dumps(content))
    try:
        assert sweep(tmp_path, "other") == []
        assert sweep(tmp_path) == [folder / "dead", folder / "torn"]
        assert sorted(path.name for path in folder.iterdir()) == [
            "busy", "busy.lock", "elsewhere", "elsewhere.lock", "odd", "odd.lock", "stranger",
        ]  # fmt: skip
    finally:
        os.close(held)
    assert sweep(tmp_path) == [folder / "busy"]


def test_the_sweep_follows_no_link(tmp_path: Path) -> None:
    """A link in place of a dead worker's directory, or of the whole folder, leads nowhere."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    folder = own_folder(tmp_path / "scratch") / "run"
    folder.mkdir()
    (folder / "worker.lock").write_text("")
    (folder / "worker").symlink_to(precious)
    assert sweep(tmp_path / "scratch") == []
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / f"rayscan-{os.getuid()}").symlink_to(folder.parent)
    assert sweep(tmp_path / "other") == []
    assert (precious / "file").read_text() == "precious"


def test_a_workshop_takes_over_what_a_dead_one_left(tmp_path: Path) -> None:
    """A new evaluator of the same name starts with an empty directory."""
    left = own_folder(tmp_path) / "run" / "worker"
    (left / "7-1-1").mkdir(parents=True)
    with Workshop(tmp_path, "run", "worker") as workshop:
        assert list(workshop.directory.iterdir()) == []


def test_a_user_who_forgets_to_close_leaves_nothing(tmp_path: Path) -> None:
    """At the end of the interpreter the directory goes, also when a forked child of it lives on."""
    script = """
import os, sys, time
from rayscan.sandbox.workshop import Workshop
workshop = Workshop(sys.argv[1], "run")
print(workshop.directory.is_dir(), flush=True)
if not os.fork():
    os.close(1)
    time.sleep(2.0)
    os._exit(0)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])}
    words = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(words, stdout=subprocess.PIPE, env=environment, check=True)
    assert done.stdout == b"True\n"
    ended = time.monotonic()
    while list(tmp_path.iterdir()):
        assert time.monotonic() - ended < 1.0
        time.sleep(0.01)


def test_a_lock_on_a_removed_file_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last holder removes the file between our opening and our locking it, a new file is made and locked."""
    path = tmp_path / "run" / "worker.lock"
    real = fcntl.flock
    calls: list[int] = []

    def flock(held: int, operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(held)
        real(held, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = take_lock(path)
    try:
        assert os.path.samestat(path.stat(), os.fstat(held))
        with pytest.raises(ToolError, match="another evaluator"):
            take_lock(path)
    finally:
        os.close(held)
