"""The watcher: reads a run directory again and again, each time only what is new, and sums up what there is to see."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.errors import StoreError
from rayscan.plain_file import open_plain
from rayscan.progress import Progress, clock, published
from rayscan.results.failures import Failures
from rayscan.store import RunDirectory, live_holder, refresh
from rayscan.store.arrays import column, labels
from rayscan.store.files import disk_error
from rayscan.store.follow import Follower
from rayscan.store.run_directory import LOG
from rayscan.tools.base import Status
from rayscan.watch.crew import Crew
from rayscan.watch.marginals import Marginals
from rayscan.watch.pending import Pending
from rayscan.watch.view import Origin, View, goals

FETCH_PERIOD = 5.0
"""Seconds between two looks into an object store."""
PERIOD, SHARE = 1.0, 0.05
"""Seconds between two looks at least, and the share of the time that looking may take beside a scan at work."""
RECENT = 1000
FAILURES, SLOWEST, MESSAGES = 6, 6, 8
"""Entries of a view at most."""
LOG_TAIL = 4096
PARTS = ("point_id", "status", "valid", "origin", "u", "started", "ended", "host", "worker", "message")


class Watcher:
    """Looks at a run from outside: any shell that can read the directory will do, and nothing is left in it.

    Parameters
    ----------
    path : Path or str
        A run directory.

    Attributes
    ----------
    rest : float
        Seconds after which to look again.

    Raises
    ------
    StoreError
        It is none.
    """

    def __init__(self, path: Path | str) -> None:
        self._run = RunDirectory(path)
        self._marginals = Marginals(self._run)
        # The journal first: a point that is answered in between is no longer under way.
        self._issued = Follower(self._run, "issued", ("point_id", "origin", "issued"))
        self._rows = Follower(self._run, "points", (*PARTS, *self._marginals.columns))
        self._pending, self._crew, self._failures = Pending(), Crew(), Failures()
        self.rest = PERIOD
        self._statuses: Counter[str] = Counter()
        self._points: Counter[str] = Counter()
        self._valid: Counter[str] = Counter()
        self._recent: deque[tuple[str, bool]] = deque(maxlen=RECENT)

    def look(self) -> View:
        """Return what there is to see now.

        Raises
        ------
        StoreError
            A file is damaged, or cannot be read now; the next look begins where this one did.
        """
        start = time.monotonic()
        try:
            return self._look()
        except StoreError:
            raise
        except OSError as error:
            raise disk_error(self._run.path, "read the run", error, "it may be away for a moment") from error
        finally:
            self.rest = max(PERIOD, (time.monotonic() - start) / SHARE)

    def _look(self) -> View:
        refresh(self._run.path, FETCH_PERIOD)
        live, news = live_holder(self._run.path) is not None, published(self._run.path)
        issued = self._issued.news()
        self._pending.issue(column(issued, "point_id"), labels(issued, "origin"), column(issued, "issued"))
        self._take(self._rows.news())
        progress = Progress.of(news) if news is not None else None
        age = max(0.0, time.time() - news.get("time", 0.0)) if news is not None else None
        now = time.time() if live else self._crew.latest
        evaluations, valid = sum(self._points.values()), sum(self._valid.values())
        return View(
            path=str(self._run.path),
            state=_state(progress, age, live=live),
            live=live,
            progress=progress,
            line=progress.line() if progress is not None else "",
            evaluations=evaluations,
            valid=valid,
            acceptance=sum(good for _, good in self._recent) / max(len(self._recent), 1),
            goals=goals(progress, evaluations, valid) if progress is not None else (),
            statuses={status.label: self._statuses[status.label] for status in Status if self._statuses[status.label]},
            origins=self._origins(),
            crew=progress.crew if progress is not None and live else {},
            workers=self._crew.workers(now),
            failures=tuple(self._failures.most_common(FAILURES)),
            marginals=self._marginals.now(),
            under_way=len(self._pending),
            slowest=self._pending.oldest(SLOWEST, now),
            messages=tail(self._run.path / LOG, MESSAGES),
        )

    def _take(self, rows: Any) -> None:
        if not rows.num_rows:
            return
        ids, valid = column(rows, "point_id"), column(rows, "valid").astype(bool)
        origin, status = labels(rows, "origin"), labels(rows, "status")
        self._pending.answer(ids)
        self._statuses.update(status.tolist())
        self._points.update(origin.tolist())
        self._valid.update(origin[valid].tolist())
        self._recent.extend(zip(origin[-RECENT:].tolist(), valid[-RECENT:].tolist(), strict=True))
        failed = status != Status.OK.label
        self._failures.add(status[failed], labels(rows, "message")[failed], ids[failed].tolist())
        name = labels(rows, "host") + "/" + labels(rows, "worker")
        self._crew.saw(name, column(rows, "started"), column(rows, "ended"))
        self._marginals.add(rows, valid)

    def _origins(self) -> tuple[Origin, ...]:
        of_late: dict[str, list[bool]] = {}
        for name, good in self._recent:
            of_late.setdefault(name, []).append(good)
        return tuple(
            Origin(name, n, self._valid[name], float(np.mean(of_late[name])) if name in of_late else None)
            for name, n in self._points.most_common()
        )


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """Return the last lines of a log; none where there is no log."""
    try:
        with open_plain(path) as file:
            start = max(0, os.fstat(file.fileno()).st_size - LOG_TAIL)
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    whole = text.splitlines()[1 if start else 0 :]
    return tuple(whole[-lines:])


def _state(progress: Progress | None, age: float | None, *, live: bool) -> str:
    if progress is None or age is None:
        return "starting, no news yet" if live else "not running, no news was left"
    if live:
        return progress.state if age < 10 else f"{progress.state} (news of {clock(age)} ago)"
    # An older version told no ending.
    over = bool(progress.ending) or progress.state.startswith(("done", "failed"))
    done = progress.state if over else f"ended while {progress.state}"
    return f"not running: {done}, {_ago(age)}"


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds > 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
