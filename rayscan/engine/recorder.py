"""The recorder: between the loop and the run directory. Rows and checkpoints go out, an earlier session comes in."""

from __future__ import annotations

import contextlib
import errno
import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.engine.learner import Lesson
from rayscan.errors import RunLockedError, StoreError
from rayscan.learn.data import Proposals, Rows
from rayscan.learn.snapshot import from_bytes, to_bytes
from rayscan.progress import Progress, publish
from rayscan.store import Store
from rayscan.store.put_off import PutOff
from rayscan.store.run_directory import STOP

LEAST_PERIOD = 10.0
"""Seconds between checkpoints at least; more where one costs more than a twentieth of the time."""
PUBLISH_PERIOD = 2.0
RETRY_PERIOD, LAST_PATIENCE = 5.0, 10.0
"""Seconds until a disk that refused is tried again, and for which it is waited for when all else is done."""
PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT})
"""Refusals of a disk that may pass: it is full, over quota, or a network file system is away."""


class Recorder:
    """Writes what happens, and remembers what happened before.

    Parameters
    ----------
    store : Store
    rows : Rows
        Every row of earlier sessions, in the order of ids. Those that a replay needs are copied, the others not held.
    keep : {"never", "valid", "all"}
        Whose output files are kept.
    deterministic : bool
        Whether unfinished rounds of an earlier session are replayed rather than issued again.
    method : str
        Names the way of learning; a checkpoint of another way is not used.

    Attributes
    ----------
    state : dict or None
        The proposer's state at the last checkpoint.
    told : int
        How many rows it had been told.
    ready : Proposals or None
        The proposals that were being issued then.
    cursor : int
        How many of them were issued.
    again : deque of (Proposals, ndarray)
        Points that were issued and have no row, with their ids.
    trouble : str
        Why rows cannot be written at present; empty while they can.
    evicted : bool
        Whether another scan has taken the run directory over; nothing is written any more.
    """

    def __init__(self, store: Store, rows: Rows, *, keep: str, deterministic: bool, method: str) -> None:
        self._store, self._keep, self._deterministic, self._method = store, keep, deterministic, method
        self._saved: Lesson | None = None
        self._saved_at, self._cost = time.monotonic(), 0.0
        self._published_at = self._tried_at = self._troubled_at = 0.0
        self.trouble, self.evicted, self._published_state = "", False, ""
        checkpoint = self._load(rows.point_id)
        self.state: dict[str, Any] | None = checkpoint.get("state")
        self.told = int(checkpoint.get("told", 0))
        ready = checkpoint.get("ready")
        self.ready = Proposals(**ready) if ready is not None else None
        self.again: deque[tuple[Proposals, NDArray[np.int64]]] = deque()
        self.cursor, self._recent, self._earlier = 0, set[bytes](), store.next_id
        if not deterministic:
            first = int(checkpoint.get("first_id", 0))
            self.cursor = 0 if self.ready is None else min(max(store.next_id - first, 0), len(self.ready))
            self._recent = {place.tobytes() for place in rows.u[rows.point_id >= first]}
            self.again.extend(_unanswered(store))
            self._recent.update(place.tobytes() for proposals, _ in self.again for place in proposals.u)
        # Of a copy: all rows would be held as long as any of them.
        self._replayed = rows[np.arange(self.told, len(rows) if deterministic else self.told)]
        self._index = {one: row for row, one in enumerate(self._replayed.point_id.tolist())}
        self._last_replayed = max(self._index, default=-1)
        with contextlib.suppress(OSError):
            # Meant for a scan that has ended since.
            (store.path / STOP).unlink()

    def _load(self, known: NDArray[np.int64]) -> dict[str, Any]:
        saved = self._store.load_checkpoint()
        if saved is None or saved[1].get("method") != self._method:
            return {}
        checkpoint: dict[str, Any] = from_bytes(saved[0])
        told = int(checkpoint["told"])
        whole = 0 <= told <= len(known) and (not self._deterministic or (known[:told] == np.arange(told)).all())
        if not whole:
            self._store.log("rows that the checkpoint had learnt from are missing: it is not used")
            return {}
        return checkpoint

    def unseen(self, proposals: Proposals) -> Proposals:
        """Return the proposals without those that an earlier session evaluated.

        A learner set back to its last checkpoint, or to its beginning because another method is asked for, proposes
        again what it proposed after it.
        """
        if not self._recent:
            return proposals
        return proposals[np.array([place.tobytes() not in self._recent for place in proposals.u], dtype=bool)]

    def caught_up(self, told: int) -> None:
        """Note how many rows the learner has been told; what earlier sessions did need not be remembered for ever."""
        if told >= self._earlier:
            self._recent.clear()

    # An earlier session ---------------------------------------------------------------------------------------------

    def replaying(self, next_id: int) -> bool:
        """Whether the point that gets `next_id` may have been evaluated by an earlier session."""
        return self._deterministic and next_id <= self._last_replayed

    def recall(self, point_id: int, u: NDArray[np.float64]) -> Rows | None:
        """Return the stored row of a point that is issued anew, or None if it has none.

        Raises
        ------
        StoreError
            If the stored point lies elsewhere: the run was not made by this configuration on this kind of machine.
        """
        row = self._index.pop(point_id, None)
        if row is None:
            return None
        if not np.array_equal(self._replayed.u[row], u):
            msg = (
                f"point {point_id} of the interrupted round comes out at another place than the stored one; a "
                "deterministic scan resumes only with the same options, package versions and processor type. "
                "Resume it with deterministic = false, or start in a new directory"
            )
            raise StoreError(msg)
        return self._replayed[row : row + 1]

    # This session ---------------------------------------------------------------------------------------------------

    def issued(self, point_id: NDArray[np.int64], batch: Proposals) -> None:
        """Note points before they are dispatched, so that none is ever forgotten."""
        with self._patience():
            self._store.journal(point_id, batch.u, batch.origin, batch.density, batch.score, batch.generation)

    def record(self, columns: dict[str, Any]) -> None:
        """Write rows, and those of the files in ``kept`` that are to be kept."""
        kept = [
            files if self._keep == "all" or (self._keep == "valid" and valid) else {}
            for files, valid in zip(columns["kept"], columns["valid"], strict=True)
        ]
        with self._patience():
            self._store.append({**columns, "kept": kept})

    def flush(self) -> bool:
        """Hand the rows so far to the operating system, where they survive this process; return whether it took them.

        While the disk refuses, it is tried again at the next tick that is due.
        """
        if not self.trouble:
            with self._patience():
                self._store.flush()
        return not self.trouble

    def tick(self, lesson: Lesson | None) -> None:
        """Flush and checkpoint when it is time."""
        if self.trouble and time.monotonic() - self._tried_at < RETRY_PERIOD:
            return
        with self._patience():
            if self.trouble:
                # Not only written: what had failed may have been the fsync.
                self._store.sync()
                # With the reason once more: a full disk takes no log either.
                seconds = time.monotonic() - self._troubled_at
                self._store.log(f"the disk takes rows again, after {seconds:.0f} s; paused: {self.trouble}")
                self.trouble = ""
            self._store.flush_due()
            # The first at once: without it a resumed scan would begin with the initial points again.
            due = self._saved is None or time.monotonic() - self._saved_at > max(LEAST_PERIOD, 19 * self._cost)
            if lesson is not None and lesson is not self._saved and due:
                self.save(lesson)

    def settle(self, lesson: Lesson | None) -> bool:
        """Make everything so far durable, at the end; return whether the disk took it.

        While the disk refuses, it is tried again at the next tick that is due.
        """
        self.tick(lesson)
        if not self.trouble:
            with self._patience():
                self.save(lesson)
        return not self.trouble

    def save(self, lesson: Lesson | None) -> None:
        """Make everything so far durable.

        Raises
        ------
        StoreError
            When the disk refuses.
        """
        if self.evicted:
            return
        start = time.monotonic()
        self._store.flush()
        if lesson is not None and lesson is not self._saved:
            proposals = lesson.proposals
            ready = {name: getattr(proposals, name) for name in ("u", "origin", "density", "score", "generation")}
            checkpoint = {
                "state": lesson.state, "told": lesson.told, "ready": ready, "first_id": lesson.first_id,
            }  # fmt: skip
            self._store.save_checkpoint(to_bytes(checkpoint), {"method": self._method})
            self._saved = lesson
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - start

    @contextlib.contextmanager
    def _patience(self) -> Any:
        """Turn a disk that refuses for now into a pause: the store keeps the rows in memory and tries again."""
        try:
            yield
        except RunLockedError:
            self.evicted = True
            raise
        except OSError as error:
            if error.errno not in PASSING:
                raise
            self._tried_at = time.monotonic()
            if not self.trouble:
                self._troubled_at = self._tried_at
                self._store.log(f"paused: {error}")
            self.trouble = str(error)

    def rows(self) -> Rows:
        """Return every row so far, from the disk."""
        return self._store.learner_rows()

    def note(self, text: str) -> None:
        """Add a line to the run's log."""
        self._store.log(text)

    def put_off(self, one: PutOff) -> None:
        """Record a point that was ended because it took suspiciously long."""
        self._store.put_off(one)

    # Other terminals ------------------------------------------------------------------------------------------------

    def publish(self, progress: Progress, *, now: bool = False) -> bool:
        """Write the progress where ``rayscan status`` looks for it, and return whether ``rayscan stop`` was called."""
        if self.evicted:
            # Another scan holds the directory, and says how it is getting on itself.
            return False
        news = now or progress.state != self._published_state
        if not news and time.monotonic() - self._published_at < PUBLISH_PERIOD:
            return False
        self._published_at, self._published_state = time.monotonic(), progress.state
        with contextlib.suppress(OSError):
            publish(self._store.path, progress)
        request = self._store.path / STOP
        with contextlib.suppress(OSError):
            request.unlink()
            return True
        return False


def close(store: Store) -> None:
    """Close a store, and try again for a while if the disk refuses the last rows.

    Raises
    ------
    StoreError
        It goes on refusing.
    """
    latest = time.monotonic() + LAST_PATIENCE
    while True:
        try:
            return store.close()
        except StoreError as error:
            if error.errno not in PASSING or time.monotonic() > latest:
                raise
        time.sleep(RETRY_PERIOD)


def _unanswered(store: Store) -> list[tuple[Proposals, NDArray[np.int64]]]:
    """Return the journal's points without a row, one generation at a time."""
    issued = store.issued()
    batches = []
    for generation in np.unique(issued.generation):
        these = issued.generation == generation
        proposals = Proposals(
            issued.u[these], issued.origin[these], issued.density[these], issued.score[these], int(generation)
        )
        batches.append((proposals, issued.point_id[these]))
    return batches
