"""Fill the disk under a running scan: ``python -m tests.benchmarks.disk_full [--evaluators 0]``.

On real file systems of a few megabytes. First the run directory is on the one that fills up, then scratch. Each time
the scan must pause, say so in its progress, to ``rayscan status`` and in its log, issue nothing meanwhile, go on when
space returns, and end with every id exactly once, every value right and no point failed. Needs the right to mount
(root, or ``unshare -rm`` before the command). Prints one line each; ends with 1 if a promise was broken, with 2 if
nothing can be mounted.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import rayscan as rs
from rayscan.progress import Progress
from rayscan.testing.disk import small_disk
from rayscan.tools.base import Outcome, Status, Tool

BLOCK = 16 * 2**10


class Writer(Tool):
    """A program that leaves a file, and fails where it cannot."""

    name, outputs = "writer", ("r2",)

    def __init__(self, size: int, kept: int) -> None:
        self.size, self.kept = size, kept

    def describe(self) -> dict[str, Any]:
        return {"tool": "writer"}

    def evaluate(self, point: Mapping[str, float], sandbox: Any) -> Outcome:
        if self.size:
            command = ["head", "-c", str(self.size), "/dev/zero"]
            done = sandbox.run(command, name="out")
            if done.exit_code or done.stdout.stat().st_size != self.size:
                return Outcome(Status.TOOL_ERROR, message=done.describe())
        r2 = point["a"] * point["a"] + point["b"] * point["b"]
        return Outcome(Status.OK, {"r2": r2}, kept={"out.txt": bytes(self.kept)})


class Filler:
    """Fills a disk when the scan has come so far, and frees it again when the scan has paused for a while."""

    def __init__(self, disk: Path, run: Path, after: int, paused: float) -> None:
        self.ballast, self.run, self.after, self.paused = disk / "ballast", run, after, paused
        self.states: list[tuple[float, str, int, int]] = []
        self.status = ""
        self.filled = self.freed = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        self.states.append((now, progress.state, progress.evaluations, progress.issued))
        if not self.filled and progress.evaluations >= self.after:
            self.filled = now
        if self.filled and not self.freed:
            # Again and again: what a point gives back when it ends would otherwise be room for the next.
            with contextlib.suppress(OSError), self.ballast.open("ab", buffering=0) as file:
                while file.write(bytes(BLOCK)) == BLOCK:
                    pass
        since = next((at for at, state, *_ in self.states if state.startswith("paused")), None)
        if since is not None and not self.freed and now - since > self.paused:
            command = [sys.executable, "-m", "rayscan.cli", "status", str(self.run)]
            self.status = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            self.ballast.unlink()
            self.freed = time.monotonic()

    def wrong(self) -> list[str]:
        """Return which promises were broken while the disk was full."""
        broken = []
        if not self.freed:
            broken.append(f"never paused; the last state was {self.states[-1][1]!r}")
            return broken
        if "paused: " not in self.status:
            broken.append(f"rayscan status said {self.status!r}")
        full = [(evaluations, issued) for at, state, evaluations, issued in self.states
                if state.startswith("paused") and at < self.freed]  # fmt: skip
        if full[-1][1] > full[0][1]:
            broken.append(f"{full[-1][1] - full[0][1]} points were issued while it paused")
        if not any(at > self.freed and state == "scanning" for at, state, *_ in self.states):
            broken.append("never went on")
        log = (self.run / "log").read_text()
        if "paused: " not in log:
            broken.append("the log says nothing")
        return broken


def scan_once(what: str, disk: Path, other: Path, arguments: argparse.Namespace) -> list[str]:
    """Scan with either the run directory or scratch on the small disk; return what is wrong."""
    store = what == "run directory"
    run, scratch = (disk / "run", other / "scratch") if store else (other / "run", disk / "scratch")
    filler = Filler(disk, run, arguments.points // 3, arguments.paused)
    scan = rs.Scan(
        space=rs.Space(a=(-1, 1), b=(-1, 1)), tool=Writer(0 if store else 2**17, 200 if store else 0),
        target=rs.Target(r2=(0.2, 0.4)), out=run, scratch=str(scratch), keep="valid", evaluators=arguments.evaluators,
        surrogate="classifier", proposal="random", K=100, L=500, steps=10, hidden=(8,),
    )  # fmt: skip
    started = time.monotonic()
    table = scan.run(evaluations=arguments.points, progress=filler).table
    wrong = filler.wrong()
    ids, a, b, r2 = (table[name].to_numpy() for name in ("point_id", "a", "b", "r2"))
    if not np.array_equal(ids, np.arange(arguments.points)):
        wrong.append(f"{len(ids)} rows, {len(np.unique(ids))} ids")
    if not np.array_equal(a * a + b * b, r2):
        wrong.append("values")
    if set(table["status"].to_pylist()) != {"ok"}:
        wrong.append(f"statuses {set(table['status'].to_pylist())}")
    kept = [name for names in table["kept"].to_pylist() for name in names]
    if store and not all((run / "kept" / name).read_bytes() == bytes(200) for name in kept):
        wrong.append("kept outputs")
    pause = next((state for _, state, *_ in filler.states if state.startswith("paused")), "")
    seconds = filler.freed - filler.filled
    after = next((at - filler.freed for at, state, *_ in filler.states if at > filler.freed and state == "scanning"), 0)
    print(f"{what}: {len(ids)} points in {time.monotonic() - started:.0f} s, {seconds:.0f} s of them full, on again "
          f"{after:.1f} s after: {'; '.join(wrong) or 'nothing lost'}\n  {pause}", flush=True)  # fmt: skip
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=3000)
    parser.add_argument("--evaluators", type=int, default=0)
    parser.add_argument("--paused", type=float, default=10.0, help="seconds of pause before space returns")
    parser.add_argument("--megabytes", type=int, default=24)
    arguments = parser.parse_args()
    broken = False
    for what in ("run directory", "scratch"):
        try:
            with small_disk(arguments.megabytes * 2**20) as disk, tempfile.TemporaryDirectory() as other:
                broken |= bool(scan_once(what, disk, Path(other), arguments))
        except PermissionError as error:
            print(error)
            return 2
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
