"""Who may write a run directory, what is refused, and what a checkpoint promises."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rayscan
from rayscan.errors import ResumeMismatchError, RunLockedError, StoreError
from rayscan.store import RunDirectory, Store, compare, fingerprint, live_holder, read_table
from rayscan.store import lock as lock_module

DESCRIPTION = {"space": {"tanb": {"prior": "uniform", "lo": 2.0, "hi": 50.0}}, "tool": {"card": {"sha256": "a" * 64}}}

HOLD = """
import sys, time
from rayscan.store import Store
store = Store.open(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def held(new_store):
    """A run directory that another process is scanning into."""
    path = new_store().path
    _release_all(path)
    root = Path(rayscan.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield path, process
    process.kill()
    process.wait()
    process.stdout.close()


def _release_all(path: Path) -> None:
    """Leave the directory as a dead process would: the lock file names somebody, the kernel's lock is free."""
    (path / "lock").unlink()


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_second_process_is_refused_by_name_until_the_first_dies(held):
    """The message names the holder; a killed holder needs no clean-up."""
    path, process = held
    with pytest.raises(RunLockedError, match=rf"process {process.pid} on {socket.gethostname()} since .*rayscan stop"):
        Store.open(path)
    holder = live_holder(path)
    assert holder is not None
    assert (holder["host"], holder["pid"]) == (socket.gethostname(), process.pid)
    assert read_table(path).num_rows == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert live_holder(path) is None
    Store.open(path).close()


def test_the_same_process_cannot_open_a_run_twice(new_store):
    """A second writer in this process is refused, too; after closing it may."""
    store = new_store()
    with pytest.raises(RunLockedError):
        Store.open(store.path)
    assert live_holder(store.path)["pid"] == os.getpid()
    store.close()
    assert live_holder(store.path) is None
    Store.open(store.path).close()


def test_a_holder_on_another_machine_counts_as_long_as_it_gives_signs_of_life(new_store):
    """Where the kernel's lock does not reach, the time stamp of the lock file decides."""
    path = new_store().path
    _release_all(path)
    lock = path / "lock"
    lock.write_text(json.dumps({"rayscan": "lock", "host": "node77", "pid": 4, "since": 1.7e9, "token": "x"}))
    with pytest.raises(RunLockedError, match=r"process 4 on node77 since .*or wait 120 s if that machine is dead"):
        Store.open(path)
    assert live_holder(path)["host"] == "node77"
    old = time.time() - lock_module.STALE - 1
    os.utime(lock, (old, old))
    assert live_holder(path) is None
    Store.open(path).close()


def test_without_kernel_locks_the_holder_file_protects_on_one_machine(new_store, monkeypatch):
    """On a file system without locks, a living process on this machine is still respected."""

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock_module.fcntl, "flock", unsupported)
    store = new_store()
    with pytest.raises(RunLockedError, match=f"process {os.getpid()}"):
        Store.open(store.path)
    store.close()
    Store.open(store.path).close()


def test_a_scan_whose_directory_was_taken_over_stops(new_store, monkeypatch):
    """A writer that was suspended notices that another one works here, and says so."""
    now = [0.0]
    monkeypatch.setattr(lock_module.time, "monotonic", lambda: now[0])
    store = new_store()
    before = (store.path / "lock").stat().st_mtime_ns
    now[0] += lock_module.BEAT + 1
    store.flush_due()
    assert (store.path / "lock").stat().st_mtime_ns > before
    (store.path / "lock").write_text(json.dumps({"host": "node78", "pid": 5, "token": "other"}))
    now[0] += lock_module.BEAT + 1
    with pytest.raises(RunLockedError, match="process 5 on node78 took this run over"):
        store.flush_due()
    store.abandon()
    assert json.loads((store.path / "lock").read_text())["host"] == "node78"


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"scan.toml": "K = 1"}, {"lock": "", "thesis.tex": "mine"}])
def test_a_directory_with_something_else_in_it_is_refused_untouched(tmp_path, schema, content):
    """Nothing of the user's is overwritten, moved or deleted, and nothing is added."""
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match=r"expected an empty or new directory.*nothing was changed") as caught:
        Store.create(tmp_path, schema, "", DESCRIPTION)
    assert caught.value.errno == errno.ENOTEMPTY
    with pytest.raises(StoreError, match="expected a run directory of rayscan"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="expected a run directory of rayscan"):
        read_table(tmp_path)
    assert snapshot(tmp_path) == before


def test_paths_that_cannot_be_run_directories_are_named(tmp_path, schema):
    """A file, a missing directory and an unwritable place each get their own message."""
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StoreError, match="expected a directory to create or resume, got a file"):
        Store.create(file, schema, "", DESCRIPTION)
    with pytest.raises(StoreError, match="there is no such run directory"):
        Store.open(tmp_path / "absent")
    with pytest.raises(StoreError, match=r"cannot create the run directory: Not a directory") as caught:
        Store.create(file / "below", schema, "", DESCRIPTION)
    assert caught.value.errno == errno.ENOTDIR


def test_a_run_is_not_created_over_a_run(new_store, schema):
    """Creating where a run lies is refused, and the run stays as it is."""
    store = new_store()
    store.close()
    before = snapshot(store.path)
    with pytest.raises(StoreError, match="holds a run already; open it to resume") as caught:
        Store.create(store.path, schema, "", DESCRIPTION)
    assert caught.value.errno == errno.EEXIST
    assert snapshot(store.path) == before


def test_an_interrupted_creation_can_be_repeated(tmp_path, schema, monkeypatch):
    """A crash before run.json is there leaves a directory that counts as new."""
    from rayscan.store import run_directory

    def crash(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_directory, "write_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            Store.create(tmp_path / "run", schema, "K = 300\n", DESCRIPTION)
    assert (tmp_path / "run" / "lock").exists()
    with Store.create(tmp_path / "run", schema, "K = 300\n", DESCRIPTION) as store:
        assert store.run.config_toml == "K = 300\n"


def test_what_defines_the_run_is_saved_with_it(new_store):
    """Configuration, description, fingerprint and versions are there for a reader."""
    store = new_store()
    store.log("one line\nand no second")
    store.close()
    run = RunDirectory(store.path)
    assert run.config_toml == "K = 300\n"
    assert run.description == DESCRIPTION
    assert run.details == {"seed": 7}
    assert run.fingerprint == fingerprint(DESCRIPTION)
    assert run.versions["rayscan"] == rayscan.__version__
    assert run.versions["numpy"]
    assert run.schema == store.schema
    assert run.free_bytes > 0
    assert (store.path / "log").read_text().endswith("Z one line and no second\n")


def test_another_problem_is_refused_with_the_differences(new_store):
    """Each difference is a readable line; the same problem opens."""
    store = new_store()
    store.close()
    other = {"space": {"tanb": {"prior": "log", "lo": 2.0, "hi": 60.0}}, "tool": {"card": {"sha256": "b" * 64}}}
    with pytest.raises(ResumeMismatchError) as caught:
        Store.open(store.path, other)
    message = str(caught.value)
    assert "space.tanb.prior: uniform → log\n" in message
    assert "space.tanb.hi: 50 → 60\n" in message
    assert "tool.card: sha256 changed\n" in message
    assert "choose another directory" in message
    Store.open(store.path, DESCRIPTION).close()


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"tool": {}}, {"tool": {"timeout": 5}}, ["tool.timeout: added (5)"]),
        ({"tool": {"name": "SPheno"}}, {"tool": {}}, ["tool.name: removed (was SPheno)"]),
        ({"tools": [{"v": 1}, {"v": 2}]}, {"tools": [{"v": 1}, {"v": 3}]}, ["tools[1].v: 2 → 3"]),
        ({"out": ["a"]}, {"out": ["a", "b"]}, ['out: ["a"] → ["a", "b"]']),
        ({"a": 2, "b": [np.float64(0.5)]}, {"a": 2.0, "b": [0.5]}, []),
        ({"a": np.int64(2), "p": Path("x")}, {"a": 2, "p": "x"}, []),
        ({"x": 1}, {"x": True}, ["x: 1 → true"]),
        ({"x": float("inf")}, {"x": 5.0}, ["x: Infinity → 5"]),
    ],
)
def test_differences_are_readable(old, new, lines):
    """One line for each difference, by path; the fingerprints agree exactly when there is none."""
    assert compare(old, new) == lines
    assert (fingerprint(old) == fingerprint(new)) is (not lines)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"rayscan": "run"}', '{"name": "package"}', "\x00\x01", '{"rayscan": "run", "format": "9"}'],
)
def test_a_foreign_or_damaged_run_json_is_an_error_of_ours(tmp_path, content):
    """Whatever lies in run.json, the reader says what is wrong with it."""
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StoreError, match=r"run\.json|format '9'"):
        RunDirectory(tmp_path)


def test_the_checkpoint_is_replaced_in_one_step(new_store, rows, monkeypatch):
    """A crash while saving leaves the previous one; saving makes the rows durable first."""
    store = new_store()
    assert store.load_checkpoint() is None
    store.append(rows(range(3)))
    store.save_checkpoint(b"one", {"rows": 3})
    assert read_table(store.path).num_rows == 3
    store.save_checkpoint(b"two" * 1000, {"rows": 4})
    assert store.load_checkpoint() == (b"two" * 1000, {"rows": 4})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError) as caught:
            store.save_checkpoint(b"three", {})
        assert caught.value.errno == errno.ENOSPC
    assert store.load_checkpoint() == (b"two" * 1000, {"rows": 4})
    store.close()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(new_store, damage):
    """Damage is noticed by the checksum; only if all are damaged is it an error, with a way out."""
    with new_store() as store:
        store.save_checkpoint(b"one" * 100, {"n": 1})
        store.save_checkpoint(b"two" * 100, {"n": 2})

    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes({
            "truncate": data[:-1], "flip": data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "empty": b"",
            "foreign": b"\x80\x04\x95pickle",
        }[damage])  # fmt: skip

    spoil(store.path / "checkpoint" / "state")
    assert RunDirectory(store.path).load_checkpoint() == (b"one" * 100, {"n": 1})
    spoil(store.path / "checkpoint" / "state.previous")
    with pytest.raises(StoreError, match=r"expected a whole checkpoint.*remove the folder"):
        RunDirectory(store.path).load_checkpoint()


def test_the_store_never_unpickles():
    """No module of the store can execute what a run directory from elsewhere contains."""
    import rayscan.store

    for source in Path(rayscan.store.__file__).parent.glob("*.py"):
        text = source.read_text()
        for word in ("pickle", "eval(", "exec(", "marshal", "shelve", "allow_pickle"):
            assert word not in text, f"{source.name} uses {word}"
