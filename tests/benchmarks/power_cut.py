"""Pull the plug at any moment: ``python -m tests.benchmarks.power_cut [--copies 200] [--seed 0]``.

A scan runs in a process of its own. At random moments it is stopped, its run directory is copied, and the copy is made
to look like what is left

- after the end of the process (``kill``): everything that was handed to the operating system, with the last write of a
  file cut off anywhere;
- after the end of the machine (``power``): of each file at least what an ``fsync`` had made durable, and of the rest
  any part: cut off anywhere, with pages of zeros in it, or without the file; a rename that may not have happened yet;
  anything at all in files that are never synced.

Each copy must open, hold every row that the policy of `rayscan.store.Store` promises (``kill``: all that were flushed,
which is at most 256 rows or a second behind; ``power``: all that were synced), hold no wrong value, and go on to its
goal with every id exactly once and every kept output in place. Prints one line for every tenth copy and a table at the
end; ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import rayscan as rs
from rayscan.store import Store, writer
from rayscan.tools.base import Outcome, Status, Tool

PAGE = 4096
COPIES_OF_EACH = 40
"""After so many copies another scan begins: a long one takes longer to copy, and says no more."""
BEHIND_ROWS, BEHIND_SECONDS = 256, 1.0
PATIENCE = 3.0
"""Seconds that a busy machine may keep the scan from doing what is due."""
UNSYNCED = ("log", "progress.json", "lock")


class Slow(Tool):
    """A circle, with an output to keep."""

    name, outputs = "slow", ("r2",)

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def describe(self) -> dict[str, Any]:
        return {"tool": "circle"}

    def evaluate(self, point: Mapping[str, float], sandbox: Any) -> Outcome:
        if self.pause:
            time.sleep(self.pause)
        r2 = point["a"] * point["a"] + point["b"] * point["b"]
        return Outcome(Status.OK, {"r2": r2}, kept={"out.txt": spectrum(point["a"], point["b"])})


def spectrum(a: float, b: float) -> bytes:
    return f"{a!r} {b!r}\n".encode() * 20


def make_scan(out: Path, pause: float) -> rs.Scan:
    return rs.Scan(
        space=rs.Space(a=(-1, 1), b=(-1, 1)), tool=Slow(pause), target=rs.Target(r2=(0.2, 0.4)), out=out, keep="valid",
        evaluators=0, surrogate="classifier", proposal="random", K=100, L=500, steps=10, hidden=(8,), seed=3,
    )  # fmt: skip


# The scan that is photographed ----------------------------------------------------------------------------------------


def live(out: Path, trace: Path, pause: float) -> None:
    """Scan for ever, and write down what was appended, flushed and made durable, and when."""
    from rayscan.engine import recorder

    # Everything that usually takes half a minute, every other second.
    writer.SYNC_SECONDS, recorder.LEAST_PERIOD = 2.0, 2.0
    Store.create.__func__.__kwdefaults__["segment_bytes"] = 200_000  # type: ignore[attr-defined]
    log = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    appended = [0]

    def note(**what: Any) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    def name_of(handle: int) -> str:
        return os.path.relpath(Path(f"/proc/self/fd/{handle}").resolve(), out)

    fsync, pwrite, append, flush, sync = os.fsync, os.pwrite, Store.append, Store.flush, Store.sync

    def traced_fsync(handle: int) -> None:
        path, size = name_of(handle), os.fstat(handle).st_size
        fsync(handle)
        note(durable=path, size=size)

    def traced_pwrite(handle: int, data: Any, offset: int) -> int:
        note(writing=name_of(handle), offset=offset, at=time.monotonic())
        return pwrite(handle, data, offset)

    def traced_append(store: Store, columns: Mapping[str, Any]) -> int:
        appended[0] = int(np.max(columns["point_id"])) + 1
        note(appended=appended[0], at=time.monotonic())
        return append(store, columns)

    def traced_flush(store: Store) -> None:
        n = appended[0]
        flush(store)
        note(flushed=n)

    def traced_sync(store: Store) -> None:
        n = appended[0]
        sync(store)
        note(synced=n)

    os.fsync, os.pwrite = traced_fsync, traced_pwrite  # type: ignore[assignment]
    Store.append, Store.flush, Store.sync = traced_append, traced_flush, traced_sync  # type: ignore[method-assign]
    make_scan(out, pause).run(evaluations=10**9, progress=None)


class Promises:
    """What the trace says about the moment at which the scan stands still."""

    def __init__(self, trace: list[dict[str, Any]], now: float) -> None:
        self.flushed = self.synced = self.appended = self.overdue = 0
        self.durable: dict[str, int] = {}
        for entry in trace:
            if "writing" in entry:
                continue
            if "durable" in entry:
                self.durable[entry["durable"].removesuffix(".part")] = entry["size"]
            elif "appended" in entry:
                self.appended = entry["appended"]
                if now - entry["at"] > BEHIND_SECONDS + PATIENCE:
                    self.overdue = entry["appended"]
            else:
                for name, count in entry.items():
                    setattr(self, name, count)

    def rows(self, kind: str) -> int:
        """Return how many rows must be there."""
        if kind == "power":
            return self.synced
        return max(self.flushed, self.overdue, self.appended - BEHIND_ROWS)


# What is left after the cut -------------------------------------------------------------------------------------------


def tear(path: Path, least: int, rng: random.Random) -> None:
    """Let a file lose a random part of what comes after its first `least` bytes."""
    size = path.stat().st_size
    if size <= least:
        return
    how = rng.choice(["whole", "cut", "cut", "zeros", "holes", "gone"])
    if how == "gone" and not least:
        path.unlink()
    elif how == "cut":
        os.truncate(path, rng.randint(least, size))
    elif how in {"zeros", "holes"}:
        data = bytearray(path.read_bytes())
        pages = range(-(-least // PAGE) * PAGE, size, PAGE)
        lost = [page for page in pages if how == "zeros" or rng.random() < 0.5]
        for page in lost[rng.randrange(len(lost)) if lost else 0 :]:
            data[page : page + PAGE] = bytes(min(PAGE, size - page))
        path.write_bytes(data)


def cut_last_write(copy: Path, trace: list[dict[str, Any]], rng: random.Random) -> tuple[list[dict[str, Any]], float]:
    """Undo a part of the last write, if that can still be done; return the trace before it, and when it began."""
    number = max((k for k, entry in enumerate(trace) if "writing" in entry), default=-1)
    last = trace[number] if number >= 0 else {"writing": ""}
    path = copy / last["writing"]
    if not path.is_file() or path.stat().st_size <= last["offset"]:
        return trace, time.monotonic()
    os.truncate(path, rng.randint(last["offset"], path.stat().st_size))
    return trace[:number], last["at"]


def cut_power(copy: Path, promises: Promises, rng: random.Random) -> None:
    """Make a copy look like what is left after the end of the machine."""
    for path in [path for path in sorted(copy.rglob("*")) if path.is_file()]:
        name = str(path.relative_to(copy))
        if path.suffix == ".arrows" or path.parent.name == "kept":
            tear(path, promises.durable.get(name, 0), rng)
        elif name in UNSYNCED or path.suffix == ".part":
            tear(path, 0, rng)
        elif path.suffix == ".parquet" and rng.random() < 0.2:
            path.with_name(path.name + ".part").write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])
    state, previous = copy / "checkpoint" / "state", copy / "checkpoint" / "state.previous"
    if previous.exists() and rng.random() < 0.3:
        # The rename is not durable yet: the one before is still in its place.
        state.replace(state.with_name("state.part"))
        shutil.copyfile(previous, state)
        tear(state.with_name("state.part"), 0, rng)


# The check ------------------------------------------------------------------------------------------------------------


def wrong_values(out: Path, need_kept: int | None) -> list[str]:
    """Return what is wrong with the rows of a run; outputs of the first `need_kept` points must be there, if given."""
    table = rs.open_run(out).table
    a, b, r2, valid, ids = (table[name].to_numpy() for name in ("a", "b", "r2", "valid", "point_id"))
    broken = [] if np.array_equal(a * a + b * b, r2) else ["values"]
    if not np.array_equal((r2 >= 0.2) & (r2 <= 0.4), valid):
        broken.append("validity")
    for name, x, y, point in zip(table["kept"].to_pylist(), a.tolist(), b.tolist(), ids.tolist(), strict=True):
        files = [out / "kept" / one for one in name]
        held = [path.read_bytes() if path.exists() else b"" for path in files]
        if (need_kept is None or point < need_kept) and any(data != spectrum(x, y) for data in held):
            broken.append(f"output of point {point}")
    if need_kept is None:
        named = {one for names in table["kept"].to_pylist() for one in names}
        broken += [f"stray {path.name}" for path in (out / "kept").iterdir() if path.name not in named]
    return broken


def check(copy: Path, kind: str, promises: Promises, more: int) -> tuple[list[str], int, int]:
    """Open a copy and resume it; return what is wrong, how many rows it had, and how many flushed ones were lost."""
    ids = rs.open_run(copy).table["point_id"].to_numpy()
    must = promises.rows(kind)
    wrong = []
    if missing := np.setdiff1d(np.arange(must), ids).tolist():
        wrong.append(f"{len(missing)} of {must} rows are missing, from {missing[0]} on")
    wrong += wrong_values(copy, must)
    goal = promises.appended + more
    with make_scan(copy, 0.0) as scan:
        scan.run(evaluations=goal, progress=None)
    final = rs.open_run(copy).table["point_id"].to_numpy()
    if not np.array_equal(final, np.arange(goal)):
        wrong.append(f"{len(final)} rows, {len(np.unique(final))} ids, up to {final.max()}; expected {goal}")
    if kind == "kill":
        wrong += wrong_values(copy, None)
    else:
        wrong += [text for text in wrong_values(copy, must) if text not in wrong]
    return wrong, len(ids), promises.flushed - int((ids < promises.flushed).sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.004, help="what a point takes, in seconds")
    parser.add_argument("--within", type=float, nargs=2, default=[0.05, 1.0], help="seconds between two moments")
    parser.add_argument("--more", type=int, default=100, help="points that each resumed copy adds")
    parser.add_argument("--live", nargs=2, type=Path, metavar=("RUN", "TRACE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.live:
        live(*arguments.live, arguments.pause)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        return photograph(Path(directory), arguments)


def photograph(directory: Path, arguments: argparse.Namespace) -> int:
    rng = random.Random(arguments.seed)
    found: list[dict[str, Any]] = []
    for first in range(0, arguments.copies, COPIES_OF_EACH):
        with scanning(directory / str(first), arguments.pause) as process:
            for number in range(first, min(first + COPIES_OF_EACH, arguments.copies)):
                time.sleep(rng.uniform(*arguments.within))
                kind = ("kill", "power")[number % 2]
                copied = one_copy(directory / str(first), process, kind, rng, arguments.more)
                found.append({"kind": kind, **copied})
                if (number + 1) % 10 == 0 or copied["wrong"]:
                    print(f"copy {number + 1}: {found[-1]}", flush=True)
    return summarise(found)


@contextlib.contextmanager
def scanning(album: Path, pause: float) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a scan going that has written its first rows."""
    run = album / "run"
    album.mkdir()
    command = [sys.executable, "-m", "tests.benchmarks.power_cut"]
    process = subprocess.Popen([*command, "--pause", str(pause), "--live", run, album / "trace"])
    try:
        while not (run / "run.json").exists() or not any(run.glob("points-*")):
            assert process.poll() is None, "the scan ended"
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def one_copy(album: Path, process: subprocess.Popen[bytes], kind: str, rng: random.Random, more: int) -> dict[str, Any]:
    run, copy = album / "run", album / "copy"
    process.send_signal(signal.SIGSTOP)
    try:
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "Tt":
            time.sleep(0.001)
        trace = [json.loads(line) for line in (album / "trace").read_text().splitlines()]
        now = time.monotonic()
        shutil.copytree(run, copy)
    finally:
        process.send_signal(signal.SIGCONT)
    (copy / "lock").write_bytes(b"")
    if kind == "kill" and rng.random() < 0.5:
        trace, now = cut_last_write(copy, trace, rng)
    promises = Promises(trace, now)
    if kind == "power":
        cut_power(copy, promises, rng)
    try:
        wrong, rows, lost = check(copy, kind, promises, more)
    except Exception as error:  # noqa: BLE001 - a copy that cannot be opened is what this looks for
        wrong, rows, lost = [f"{type(error).__name__}: {error}"], 0, promises.flushed
        if "RAYSCAN_KEEP" in os.environ:
            shutil.copytree(copy, Path(os.environ["RAYSCAN_KEEP"]) / f"copy-{promises.appended}")
    shutil.rmtree(copy)
    return {
        "rows": rows, "appended": promises.appended, "behind": promises.appended - promises.flushed,
        "unsynced": promises.appended - promises.synced, "lost": lost, "wrong": wrong,
    }  # fmt: skip


def summarise(found: list[dict[str, Any]]) -> int:
    head = ("cut", "copies", "rows", "not flushed", "not synced", "flushed rows lost", "broken")
    print("{:>6} {:>6} {:>15} {:>12} {:>11} {:>18}   {}".format(*head))
    for kind in ("kill", "power"):
        these = [one for one in found if one["kind"] == kind]
        if these:
            rows, behind, unsynced, lost = (
                [one[name] for one in these] for name in ("rows", "behind", "unsynced", "lost")
            )
            broken = sum(bool(one["wrong"]) for one in these)
            print(f"{kind:>6} {len(these):>6} {min(rows):>6} -{max(rows):>7} {max(behind):>12} {max(unsynced):>11} "
                  f"{sum(lost):>10} in {sum(1 for n in lost if n):>3}   {broken}")  # fmt: skip
    for text, count in Counter(text for one in found for text in one["wrong"]).most_common(10):
        print(f"{count:>4} x {text}")
    return 1 if any(one["wrong"] for one in found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
