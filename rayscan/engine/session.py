"""A session: one opening of a run directory, from restoring what was saved to closing it again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rayscan.engine.fork import Parent
from rayscan.engine.learner import Learner
from rayscan.engine.ledger import Ledger
from rayscan.engine.loop import Loop
from rayscan.engine.pool import Pool
from rayscan.engine.recorder import Recorder, close
from rayscan.engine.warm_up import warm_up
from rayscan.errors import ResumeMismatchError, StoreError
from rayscan.learn.data import Rows
from rayscan.learn.proposer import make_proposer
from rayscan.learn.snapshot import usable
from rayscan.learn.threads import use_threads
from rayscan.options import ScanOptions
from rayscan.problem.statement import Problem
from rayscan.store import Mirror, Schema, Store, compare, is_run

_ROUND_OPTIONS = ("learn", "seed", "deterministic")
"""What must stay the same for a deterministic scan to go on as if nothing had happened."""


class Session:
    """Everything that a running scan consists of, assembled.

    Parameters
    ----------
    problem : Problem
    options : ScanOptions
    out : str
        Run directory: resumed if it holds this problem, created if it does not exist.
    make_pool : callable
        Takes the run's name for scratch directories and returns a `Pool`.
    background : bool
        Learn beside the loop rather than in it. Always in it in deterministic mode.
    threads : int or None
        Threads of the network; None leaves torch's choice.
    config_toml : str
        The resolved configuration, saved in a new run directory.
    uri : str
        The object store that the run directory is a copy of; empty where it is the run itself.

    Raises
    ------
    ConfigError, StoreError
        Before any evaluator is started.
    """

    def __init__(
        self,
        problem: Problem,
        options: ScanOptions,
        out: str,
        make_pool: Callable[[str], Pool],
        *,
        background: bool,
        threads: int | None = None,
        config_toml: str = "",
        uri: str = "",
    ) -> None:
        mirror = Mirror(uri, Path(out)) if uri else None
        if mirror is not None:
            mirror.prepare()
        self._store = open_store(problem, options, out, config_toml)
        self._store.mirror = mirror
        self._pool: Pool | None = None
        self._recorder: Recorder | None = None
        try:
            if mirror is not None:
                mirror.start(self._store.log)
            rows = self._store.learner_rows()
            with usable():
                recorder = Recorder(
                    self._store, rows, keep=options.keep, deterministic=options.deterministic, method=_method(options)
                )
            ledger = restore_ledger(problem, options, self._store, rows, recorder.told)
            if threads is not None:
                use_threads(threads)
            parent = Parent.of(self._store.run)
            learn, seed = (options.learn, options.seed) if parent is None else parent.learning(options)
            space = problem.space
            proposer = make_proposer(space.domain, problem.target, problem.observables, learn, seed)
            if recorder.state is not None:
                with usable():
                    proposer.load_state_dict(recorder.state, rows[: recorder.told])
            background = background and not options.deterministic
            self._learner = Learner(proposer, background=background, told=recorder.told)
            run_id = f"{self._store.run.fingerprint[:8]}-{secrets.token_hex(4)}"
            warm_up(problem, run_id, options.scratch)
            self._pool = make_pool(run_id)
            self.loop = Loop(options, ledger, self._learner, self._pool, recorder)
            self._recorder = recorder
        except BaseException:
            with contextlib.suppress(StoreError):
                self.close()
            raise

    def close(self) -> None:
        """End the evaluators, compact the store and give up the run directory.

        Raises
        ------
        StoreError
            The disk goes on refusing the last rows. They are given up, and their points are issued again on resume.
        """
        if self._pool is not None:
            self._pool.close()
            self._learner.close()
        if self._recorder is not None and self._recorder.evicted:
            self._store.abandon()
            if self._store.mirror is not None:
                self._store.mirror.abandon()
            return
        try:
            close(self._store)
        except StoreError:
            self._store.abandon()
            raise
        finally:
            if self._store.mirror is not None:
                self._store.mirror.close()


def open_store(problem: Problem, options: ScanOptions, out: str, config_toml: str = "") -> Store:
    """Open the run directory for this problem, or make it.

    Raises
    ------
    ResumeMismatchError
        It holds another problem, or a deterministic scan with other options.
    StoreError
        It is not ours, cannot be written, or another live scan holds it.
    """
    description = problem.describe()
    details = {"options": json.loads(json.dumps(options.to_dict(), default=str))}
    if not is_run(out):
        written = problem.written(options.labels, options.units)
        schema = Schema(problem.space.names, problem.observables, problem.space.d, **written)
        return Store.create(out, schema, config_toml, description, details)
    store = Store.open(out, description)
    old = store.run.details.get("options", {})
    if options.deterministic:
        before = {name: old.get(name) for name in _ROUND_OPTIONS}
        after = {name: details["options"][name] for name in _ROUND_OPTIONS}
        differences = compare(before, after)
        if differences:
            store.close(compact=False)
            msg = (
                f"{Path(out)} holds a deterministic scan with other options (stored → asked for):\n  "
                + "\n  ".join(differences)
                + "\nput the old options back to resume, or choose another directory"
            )
            raise ResumeMismatchError(msg)
    return store


def restore_ledger(problem: Problem, options: ScanOptions, store: Store, rows: Rows, told: int) -> Ledger:
    """Return the ledger as an earlier session left it."""
    if options.deterministic:
        # Rows of the interrupted round come back one by one, when the replay reaches them; rows that a fork took over
        # were there before any round.
        parent = Parent.of(store.run)
        ledger = Ledger(problem, rows, told=len(rows), next_id=told)
        if parent is not None:
            ledger.adopt(rows[told : parent.taken])
        return ledger
    return Ledger(problem, rows, told=told, next_id=store.next_id, gaps=_gaps(store, rows))


def _gaps(store: Store, rows: Rows) -> NDArray[np.int64]:
    """Return ids that were given out and are nowhere on the disk: a machine died before the journal was durable."""
    nowhere = np.ones(store.next_id, dtype=bool)
    nowhere[rows.point_id] = False
    nowhere[store.issued().point_id] = False
    return np.flatnonzero(nowhere).astype(np.int64)


def _method(options: ScanOptions) -> str:
    plain = json.dumps(options.learn.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]
