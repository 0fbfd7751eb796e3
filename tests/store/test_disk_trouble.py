"""Scans on disks that refuse, go away for a while, fill up or are slow: they pause, go on, and lose nothing."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

import rayscan as rs
from rayscan.engine import recorder
from rayscan.errors import RunLockedError
from rayscan.progress import Progress
from rayscan.store import Store, lock, writer
from rayscan.testing.disk import OPERATIONS, SickDisk, sick_disk

POINTS = 240


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that takes its time is tried at once."""
    monkeypatch.setattr(recorder, "RETRY_PERIOD", 0.02)
    monkeypatch.setattr(recorder, "LEAST_PERIOD", 0.3)
    monkeypatch.setattr(recorder, "PUBLISH_PERIOD", 0.05)
    monkeypatch.setattr(writer, "SYNC_SECONDS", 0.3)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(lock, "BEAT", 0.1)
    monkeypatch.setitem(Store.create.__func__.__kwdefaults__, "segment_bytes", 20_000)


def scan(out: Path, watch: Callable[[Progress], None] | None, **knobs: Any) -> Any:
    tool = rs.Function(lambda a, b: time.sleep(0.001) or a * a + b * b, outputs=["r2"])
    made = rs.Scan(
        space=rs.Space(a=(-1, 1), b=(-1, 1)), tool=tool, target=rs.Target(r2=(0.2, 0.4)), out=out, evaluators=0,
        surrogate="classifier", proposal="random", K=40, L=200, steps=5, hidden=(4,), **knobs,
    )  # fmt: skip
    return made.run(evaluations=POINTS, progress=watch).table


def complete(table: Any) -> bool:
    """Whether every id is there once, with its right value."""
    a, b, r2 = (table[name].to_numpy() for name in ("a", "b", "r2"))
    return table["point_id"].to_pylist() == list(range(POINTS)) and np.array_equal(a * a + b * b, r2)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_scan_outlives_what_a_disk_refuses(tmp_path, operation, code):
    """Away for a while in the middle, for any one kind of operation: it pauses if it notices, and goes on."""
    states: list[str] = []
    out = tmp_path / "run"
    disks: list[SickDisk] = []

    def watch(progress: Progress) -> None:
        states.append(progress.state)
        if not disks and progress.evaluations >= POINTS // 3:
            disks.append(ill.enter_context(sick_disk(out, code, on=[operation])))
        paused = sum(state.startswith("paused: ") for state in states)
        # What only the progress file needs is no reason to pause.
        if disks and (paused > 2 or (disks[0].refused[operation] > 2 and operation in {"open", "rename"})):
            disks[0].clear()

    with contextlib.ExitStack() as ill:
        table = scan(out, watch)
    assert complete(table)
    assert disks[0].refused[operation] > 0
    if operation in {"write", "fsync"}:
        assert any(state.startswith("paused: ") for state in states)
        assert states[-1].startswith("done")
        assert "the disk takes rows again, after" in (out / "log").read_text()


@pytest.mark.parametrize("seed", range(3))
def test_a_scan_outlives_a_network_file_system_that_comes_and_goes(tmp_path, seed):
    """At random moments everything is refused for a while; the scan still reaches its goal."""
    out = tmp_path / "run"
    with Ill(out, errno.ESTALE, on=OPERATIONS, probability=0.02, lasting=0.05, seed=seed) as ill:
        table = scan(out, ill.begin)
    assert complete(table)
    assert sum(ill.disk.refused.values()) > 10


class Ill:
    """A disk that falls ill once the scan has begun."""

    def __init__(self, out: Path, code: int, **how: Any) -> None:
        self.out, self.code, self.how = out, code, how

    def __enter__(self) -> Self:
        self.sickness: Any = None
        return self

    def begin(self, progress: Progress) -> None:
        if self.sickness is None and progress.evaluations > 10:
            self.sickness = sick_disk(self.out, self.code, **self.how)
            self.disk: SickDisk = self.sickness.__enter__()
        if self.sickness is not None and progress.evaluations > 0.9 * POINTS:
            self.disk.clear()

    def __exit__(self, *_: object) -> None:
        if self.sickness is not None:
            self.sickness.__exit__(None, None, None)


def test_memory_is_bounded_while_the_disk_refuses(tmp_path):
    """Nothing new is issued meanwhile: what waits in memory is what was under way."""
    out = tmp_path / "run"
    issued: list[tuple[bool, int]] = []
    with Ill(out, errno.ENOSPC, on=["write"], probability=1.0) as ill:

        def watch(progress: Progress) -> None:
            paused = progress.state.startswith("paused")
            issued.append((paused, progress.issued))
            ill.begin(progress)
            if sum(was for was, _ in issued) > 20:
                ill.disk.clear()

        table = scan(out, watch)
    assert complete(table)
    while_paused = [count for paused, count in issued if paused]
    assert len(while_paused) > 20
    assert max(while_paused) == min(while_paused)


def test_a_slow_disk_slows_the_scan_and_fills_no_memory(tmp_path, monkeypatch):
    """Points are issued no faster than they are written down, and rows wait no longer than they may."""
    out = tmp_path / "run"
    waiting: list[int] = []
    append = Store.append

    def watched(store: Store, columns: Any) -> int:
        done = append(store, columns)
        waiting.append(store.buffered)
        return done

    monkeypatch.setattr(Store, "append", watched)
    with Ill(out, errno.EIO, latency=0.01) as ill:
        start = time.monotonic()
        table = scan(out, ill.begin)
        assert time.monotonic() - start > 0.9 * (POINTS - 20) * 0.01
    assert complete(table)
    assert max(waiting) < writer.FLUSH_ROWS


@pytest.mark.parametrize("done", [False, True])
def test_a_disk_that_fails_at_the_very_end_is_waited_for(tmp_path, done):
    """When all is evaluated, or even said to be done, but not durable yet, the scan pauses rather than fails."""
    out = tmp_path / "run"
    states: list[str] = []
    with contextlib.ExitStack() as ill:

        def watch(progress: Progress) -> None:
            states.append(progress.state)
            over = progress.state.startswith("done") if done else progress.evaluations == POINTS
            if over and not disks:
                disks.append(ill.enter_context(sick_disk(out, errno.EIO, on=["fsync", "rename"])))
                threading.Timer(0.5, disks[0].clear).start()

        disks: list[SickDisk] = []
        table = scan(out, watch)
    assert complete(table)
    assert sum(disks[0].refused.values()) > 1
    assert states[-1].startswith("done")


def test_a_lock_that_cannot_be_read_is_not_taken_over(tmp_path, new_store, monkeypatch):
    """A file system that is away is no other scan; an emptied or foreign lock file is."""
    store = new_store()
    real = lock.read_plain

    def away(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    time.sleep(0.11)
    monkeypatch.setattr(lock, "read_plain", away)
    store.flush_due()
    monkeypatch.setattr(lock, "read_plain", real)
    (store.path / "lock").write_text("{}")
    time.sleep(0.11)
    with pytest.raises(RunLockedError, match="took this run over"):
        store.flush_due()
    store.abandon()
