"""One evaluator: an opened tool with a workshop of its own, through which points pass one after another."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Outcome, Outcomes, Points, Status, Tool

SCANT = 4 * 2**20
"""Free bytes below which the place of the sandboxes counts as full: programs fail there for reasons of no point."""
ROOM_PATIENCE = 2.0
"""Seconds to wait for room before points are sent back; silence beyond a tool's deadline would look like a hang."""
YIELD_EVERY = 0.05
"""Seconds of work per message. Shorter ones would spend more on the way back than on the point."""


class Evaluator:
    """A tool, opened once, fed with many points.

    Parameters
    ----------
    tool : Tool
    parameters : sequence of str
        The names of the columns of `Points.x`.
    run_id, worker : str
        Names for the scratch directory.
    scratch : Path, optional
        Where scratch directories go; memory-backed if there is room by default.
    keep : {"never", "valid", "all"}
        Whose output files the scan may keep. The others stay here: a spectrum a point would travel for nothing.
    verbose : bool
        Ask the tool for the details that ``rayscan check`` shows.
    remote : bool
        Whether it is a process of its own: a KeyboardInterrupt there is the tool's, not the user's.
    """

    def __init__(
        self,
        tool: Tool,
        parameters: Sequence[str],
        run_id: str,
        worker: str = "0",
        scratch: Path | None = None,
        *,
        keep: str = "all",
        verbose: bool = False,
        remote: bool = False,
    ) -> None:
        # sys.exit() in a tool ends its point, not the evaluator.
        self._caught = (Exception, SystemExit, KeyboardInterrupt) if remote else (Exception, SystemExit)
        if threading.current_thread() is threading.main_thread():
            # A host that ignores SIGCHLD would turn every exit code into 0.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.tool, self.parameters, self.worker = tool, tuple(parameters), worker
        self._keep, self._verbose = keep, verbose
        self._host = socket.gethostname()
        self._workshop = Workshop(scratch=scratch, run_id=run_id, worker=worker)
        try:
            tool.open(self._workshop.directory)
        except BaseException:
            self._workshop.close()
            raise

    def evaluate(self, points: Points) -> Iterator[Outcomes]:
        """Evaluate points in order.

        Parameters
        ----------
        points : Points
            A point on its second attempt or later is answered before the next one starts, so that a crash can be laid
            at the right door.

        Yields
        ------
        Outcomes
            One or more points at a time, in order, every point once. ``LOST``: there was no room, and the point is to
            be issued again.
        """
        if self.tool.vectorized:
            yield self._block(points)
            return
        self.tool.hasten(points.limits)
        first, since, outcomes, times = 0, 0.0, list[Outcome](), list[tuple[float, float]]()
        for row in range(len(points)):
            # Durations by a clock that nobody sets back.
            start, begun = time.time(), time.perf_counter()
            since = begun if row == first else since
            outcomes.append(self._one(points, row))
            now = time.perf_counter()
            times.append((start, start + now - begun))
            last = row + 1 == len(points)
            if last or points.attempt[row + 1] > 1 or now - since >= YIELD_EVERY:
                yield self._pack(points[first : row + 1], outcomes, times)
                first, outcomes, times = row + 1, [], []

    def close(self) -> None:
        """End whatever still runs and remove the scratch directory."""
        try:
            self.tool.close()
        finally:
            self._workshop.close()

    def _pack(self, points: Points, outcomes: list[Outcome], times: list[tuple[float, float]]) -> Outcomes:
        return Outcomes.of(points, outcomes, self.tool.outputs, times, host=self._host, worker=self.worker)

    def _one(self, points: Points, row: int) -> Outcome:
        if self._is_cramped(wait=row == 0):
            return self._sent_back()
        attempt = int(points.attempt[row])
        outcome, cramped = self._try(points, row, attempt)
        # A point that fails for want of room, though there is some without it, may have met others: it goes once more.
        if cramped and (attempt == 1 or self._is_cramped()):
            return self._sent_back()
        wanted = self._keep == "all" or (self._keep == "valid" and outcome.status is Status.OK)
        return outcome if wanted or not outcome.kept else replace(outcome, kept={})

    def _try(self, points: Points, row: int, attempt: int) -> tuple[Outcome, bool]:
        """Return a point's outcome, and whether it failed while there was no room."""
        point = dict(zip(self.parameters, points.x[row].tolist(), strict=True))
        try:
            with self._workshop.sandbox(int(points.point_id[row]), attempt, verbose=self._verbose) as sandbox:
                try:
                    outcome = self.tool.evaluate(point, sandbox)
                except self._caught as error:  # whatever a user's tool raises is that point's row
                    outcome = Outcome(Status.TOOL_ERROR, message=_last_lines(error))
                # Before the sandbox is removed, and with it perhaps what fills the disk.
                return outcome, outcome.status == Status.TOOL_ERROR and self._is_cramped()
        except Exception as error:  # noqa: BLE001 - the sandbox cannot be made
            return Outcome(Status.TOOL_ERROR, message=_last_lines(error)), self._is_cramped()

    def _is_cramped(self, *, wait: bool = False) -> bool:
        """Whether there is no room for sandboxes, after a little while if asked to wait for some."""
        end = time.monotonic() + (ROOM_PATIENCE if wait else 0.0)
        # Where the place itself is gone, the sandbox says so better.
        with contextlib.suppress(OSError):
            while self._workshop.free() < SCANT:
                if time.monotonic() >= end:
                    return True
                time.sleep(0.1)
        return False

    def _sent_back(self) -> Outcome:
        free = self._workshop.free() / 2**20
        where = f"{self._workshop.directory} on {self._host}"
        return Outcome(Status.LOST, message=f"no room for programs in {where}: {free:.1f} MiB free; free some space")

    def _block(self, points: Points) -> Outcomes:
        n, m = len(points), len(self.tool.outputs)
        start, begun = time.time(), time.perf_counter()
        message = ""
        try:
            values = np.asarray(self.tool.evaluate_many(points.x, self.parameters), dtype=np.float64)
            status = np.where(np.isnan(values).any(axis=1), Status.UNPHYSICAL, Status.OK).astype(np.int8)
        except self._caught as error:  # as above
            if n > 1:
                # One bad point must not take its whole block with it.
                halves = [self._block(points[: n // 2]), self._block(points[n // 2 :])]
                return _join(halves)
            values, message = np.full((n, m), np.nan), _last_lines(error)
            status = np.full(n, Status.TOOL_ERROR, dtype=np.int8)
        end = start + time.perf_counter() - begun
        each = np.linspace(start, end, n + 1)
        unset = np.full(n, -1, dtype=np.int32)
        return Outcomes(
            points.point_id, points.attempt, status, values, each[:-1], each[1:], unset, unset, [message] * n,
            [()] * n, [{}] * n, self._host, self.worker,
        )  # fmt: skip


def _join(halves: list[Outcomes]) -> Outcomes:
    a, b = halves
    arrays = ("point_id", "attempt", "status", "observables", "started", "ended", "exit_code", "signal")
    joined: dict[str, Any] = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in arrays}
    joined |= {name: getattr(a, name) + getattr(b, name) for name in ("message", "stages", "kept")}
    return Outcomes(**joined, host=a.host, worker=a.worker)


def _last_lines(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"[:500]


def worker_name(index: int, incarnation: int) -> str:
    """Name one incarnation of an evaluator, unique on its node."""
    return f"{index}.{incarnation}.{os.getpid()}"
