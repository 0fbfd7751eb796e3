"""The scan: what a user holds."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rayscan.ending import End
from rayscan.errors import ConfigError, RunLockedError
from rayscan.learn.options import LearnOptions
from rayscan.markup import html_table
from rayscan.options import ScanOptions
from rayscan.problem.space import Space
from rayscan.problem.statement import Problem
from rayscan.problem.target import Target
from rayscan.progress import Goal, Progress, make_goal, require_measurable, whole
from rayscan.results.result import ScanResult
from rayscan.seeds import unit_points
from rayscan.tools.base import Tool
from rayscan.watch.console import follower, stand_in

if TYPE_CHECKING:
    from rayscan.config import Configuration
    from rayscan.engine.client import Client
    from rayscan.engine.fork import Fork, Parent

_open_scans: weakref.WeakSet[Scan] = weakref.WeakSet()
"""Scans of this process that hold evaluators. Starting another closes them; they resume when they are used again."""
_temporary_runs: set[Path] = set()
"""Run directories that nobody asked to keep."""


class Scan:
    """A scan of a space, through a tool, for a target.

    Everything is checked here; nothing is started or written before `run` or `advance`.

    Parameters
    ----------
    space : Space
    tool : Tool
    target : Target
    out : str or Path, optional
        Run directory, or its place in an object store (``s3://bucket/runs/mssm``, ``gs://``, ``abfs://``; this machine
        keeps a copy). The same problem is resumed, another is refused. Without it the run lives in a temporary
        directory as long as this object does.
    fork : str or Path, optional
        An older run, of another target or space: a new run begins with all rows of it that fit this problem. It is only
        read. Where `out` is that fork already, it is resumed.
    same_tool : bool
        Whether a fork takes rows of a tool that is described differently (another card, binary or version).
    surrogate : {"auto", "classifier", "regressor", "similarity"} or torch.nn.Module
    proposal : {"vegas", "random"}
    selection : {"default", "fast", "paper"}
    K : int
        Points a step.
    L : int, optional
        Candidates a step.
    random_share : float
        Share of ``K`` drawn blindly from the prior.
    initial : int or array_like (n, d) or (n, p), optional
        The first points: how many, or which (physical values).
    seeds : sequence of mapping, array_like (n, d) or (n, p), str or Path, optional
        Points known before, such as maxima of the likelihood or valid points of another study, in physical values:
        evaluated first, in addition to the initial ones. A list of mappings of names to values, an array, or a table
        in a .csv, .parquet or .arrow file.
    evaluators : int or (int, int), optional
        Evaluators at work; two numbers are the least and the most. None: one per free core, also of nodes that join
        later. 0: one in this process, without Ray.
    seed : int
    deterministic : bool
        Rounds of ``K`` in fixed order: same seed, same points.
    keep : {"never", "valid", "all"}
        Whose output files are kept in the run directory.
    max_tool_errors : float
        Share of technical failures among recent points that ends the scan.
    scratch : str, optional
        Root of the scratch directories.
    drain : float
        Seconds that points under way get when the scan is interrupted.
    labels, units : mapping of str to str, optional
        What parameters and observables are called in figures, in TeX, and their units: ``{"mh": "$m_h$"}``, ``{"mh":
        "GeV"}``. Entries of well-known SLHA blocks have their own.
    **learning
        Any other field of `rayscan.learn.options.LearnOptions`.

    Raises
    ------
    ConfigError
        For every mistake that can be found before the first evaluation.

    Examples
    --------
    >>> import rayscan as rs
    >>> scan = rs.Scan(
    ...     space=rs.Space(x=(-1, 1), y=(-1, 1)),
    ...     tool=rs.Function(lambda x, y: x * x + y * y, outputs=["r2"]),
    ...     target=rs.Target(r2=(0.24, 0.26)),
    ...     evaluators=0,
    ... )
    >>> scan.run(evaluations=50, progress=None).table.num_rows
    50
    """

    def __init__(
        self,
        space: Space,
        tool: Tool,
        target: Target,
        out: str | Path | None = None,
        surrogate: Any = "auto",
        proposal: str = "vegas",
        selection: str = "default",
        K: int = 300,  # noqa: N803 - the field's symbol
        L: int | None = None,  # noqa: N803 - as above
        random_share: float = 0.1,
        initial: Any = None,
        evaluators: int | tuple[int, ...] | None = None,
        seed: int = 0,
        deterministic: bool = False,
        *,
        keep: str = "never",
        max_tool_errors: float = 0.5,
        scratch: str | None = None,
        drain: float = 30.0,
        labels: dict[str, str] | None = None,
        units: dict[str, str] | None = None,
        fork: str | Path | None = None,
        same_tool: bool = False,
        seeds: Any = None,
        **learning: Any,
    ) -> None:
        from rayscan.store import place_of

        self.problem = Problem(space, tool, target)
        unknown = sorted(set(learning) - set(LearnOptions.__dataclass_fields__))
        if unknown:
            from rayscan.errors import did_you_mean

            hint = did_you_mean(unknown[0], [*LearnOptions.__dataclass_fields__, *ScanOptions.__dataclass_fields__])
            msg = f"Scan: unknown option {unknown[0]!r}{hint}"
            raise ConfigError(msg)
        if initial is not None and not isinstance(initial, int | np.integer):
            initial = unit_points(space, initial, "initial")
        if seeds is not None:
            seeds = unit_points(space, seeds, "seeds")
        learn = LearnOptions(
            surrogate=surrogate, proposal=proposal, selection=selection, K=K, L=L, random_share=random_share,
            initial=initial, seeds=seeds, deterministic=deterministic, **learning,
        )  # fmt: skip
        self.options = ScanOptions(
            learn=learn, evaluators=evaluators, seed=seed, deterministic=deterministic, keep=keep,
            max_tool_errors=max_tool_errors, scratch=scratch, drain=drain, labels=labels, units=units,
        )  # fmt: skip
        self.problem.check()
        self.problem.check_keep(keep)
        self.problem.written(labels, units)
        if not isinstance(surrogate, str):
            from rayscan.learn.own_module import check_module

            check_module(surrogate, space.free)
        self._temporary = out is None
        self._path, self.uri = place_of(out)
        self._fork = None if fork is None else _plan_fork(fork, self._path, self.problem, same_tool=same_tool)
        self._client: Client | None = None
        self._last = Progress("idle")
        self._wish: str | None = None
        self._busy = threading.Lock()

    @classmethod
    def from_file(cls, config: str | Path | Configuration, out: str | Path | None = None, **overrides: Any) -> Scan:
        """Make the scan that a configuration file describes.

        Parameters
        ----------
        config : str, Path or Configuration
            A ``scan.toml``, a directory with one, or what was read from it.
        out : str or Path, optional
            Run directory in place of the file's.
        **overrides
            Other arguments of `Scan` in place of the file's.

        Raises
        ------
        ConfigError
            For every mistake that can be found before the first evaluation, with the name of the file.
        """
        from rayscan.config import Configuration, load_config

        found = config if isinstance(config, Configuration) else load_config(config)
        arguments = {**found.options, **overrides}
        try:
            return cls(found.space, found.tool, found.target, out=out or found.out, **arguments)
        except ConfigError as error:
            raise found.blame(error) from None

    # Running --------------------------------------------------------------------------------------------------------

    def run(
        self,
        valid: int | None = None,
        evaluations: int | None = None,
        steps: int | None = None,
        time_limit: float | None = None,
        coverage: float | None = None,
        volume_error: float | None = None,
        progress: Callable[[Progress], None] | bool | None = True,
    ) -> ScanResult:
        """Scan until the first of the goals is reached; again with a higher goal, or after a crash, it goes on.

        Parameters
        ----------
        valid : int, optional
            Valid points in the run directory.
        evaluations : int, optional
            Points issued, in the run directory.
        steps : int, optional
            Further steps of ``K`` points, after the initial ones.
        time_limit : float, optional
            Wall time in seconds.
        coverage : float, optional
            The share of the valid region that is within reach of the points found, in (0, 1), as points drawn blindly
            and with a known density see it: their estimate has to exceed it by its error, which takes some 20
            of them. See `rayscan.results.saturation.estimate_coverage`.
        volume_error : float, optional
            The relative standard error of `ScanResult.volume`, in (0, 1).
        progress : bool or callable
            A line on the terminal or bars under the cell of a notebook, nothing, or a function of `Progress`.

        Returns
        -------
        ScanResult

        Raises
        ------
        ConfigError
            No goal.
        ResumeMismatchError, StoreError
            The run directory cannot be used.
        FailureRateError
            Too many technical failures.
        """
        goal = make_goal(valid, evaluations, time_limit, steps, coverage, volume_error)
        require_measurable(goal, self.options.learn, self.problem.space.d)
        with self._at_work(), self._signals():
            try:
                self._scan(goal, whole(steps), progress)
            finally:
                self.close()
        return self.result()

    def advance(self, steps: int = 1, progress: Callable[[Progress], None] | bool | None = False) -> ScanResult:
        """Go on for `steps` steps and stay open for the next call; end with `close`, or use the scan in a ``with``.

        Returns
        -------
        ScanResult
        """
        with self._at_work(), self._signals():
            self._scan(make_goal(None, None, None, steps), whole(steps), progress)
        return self.result()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Keep other scans from closing this one, and refuse a second run of it meanwhile."""
        if not self._busy.acquire(blocking=False):
            msg = f"{self.out}: this scan is running already; expected one run at a time, stop() ends it"
            raise RunLockedError(msg)
        stand_in()
        try:
            yield
        finally:
            self._busy.release()

    def _scan(self, goal: Goal, steps: int | None, progress: Callable[[Progress], None] | bool | None) -> None:
        client = self._open()
        if steps is not None:
            first = 0 if self._last.issued else self.options.learn.initial_count
            more = self._last.issued + first + steps * self.options.learn.K
            goal = replace(goal, evaluations=min(more, goal.evaluations or more))
        from rayscan.engine.batch_job import job_end

        goal = replace(goal, ends=job_end())
        try:
            with follower(progress) as show, self._signals(again=True):
                self._last = client.run(goal, self._remember(show), lambda: self._wish)
        except BaseException:
            self.close()
            raise
        if self._wish == "now":
            # What was cut short can only go on from the disk.
            self.close()

    def _remember(self, show: Callable[[Progress], None]) -> Callable[[Progress], None]:
        def follow(progress: Progress) -> None:
            self._last = progress
            show(progress)

        return follow

    def stop(self, *, now: bool = False) -> None:
        """Ask a running scan to end, from another thread or a signal handler."""
        self._wish = "now" if now or self._wish else "drain"

    @contextlib.contextmanager
    def _signals(self, *, again: bool = False) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and SIGUSR1 into a graceful end; a second one ends at once.

        With `again` only the handlers are set anew: Ray, when it starts, puts one of its own in place of ours.
        """
        if not again:
            self._wish = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        before = {number: signal.signal(number, self._on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                # None: a handler that was not set from Python, and cannot be set back from it.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a handler
        first, last = self._wish is None, self._wish == "now"
        self.stop()
        advice = "finishing the points under way and saving; once more to stop at once" if first else "stopping at once"
        # Not sys.stderr: the signal may have come in the middle of its write.
        with contextlib.suppress(OSError):
            os.write(2, f"\n{signal.Signals(number).name}: {advice}\n".encode())
        must_finish = self._client is not None and not self._client.interruptible
        if last or not (first or must_finish):
            raise KeyboardInterrupt

    # Looking --------------------------------------------------------------------------------------------------------

    @property
    def out(self) -> Path:
        """The run directory; of a run in an object store, the copy of this machine."""
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="rayscan-run-"))
            _temporary_runs.add(self._path)
        return self._path

    @property
    def interrupted(self) -> bool:
        """Whether the last run was ended by a signal, by `stop` or with its batch job before its goal."""
        return self.ending in {End.STOPPED, End.JOB_OVER}

    @property
    def ending(self) -> End | None:
        """How the last run ended; None before it has."""
        return End[self._last.ending] if self._last.ending else None

    def progress(self) -> Progress:
        """Return the latest snapshot."""
        return self._last

    def result(self) -> ScanResult:
        """Return what there is so far."""
        from rayscan.store import for_reading, is_run

        # The driver of a run in an object store may be on another machine.
        return ScanResult(for_reading(self.uri) if self.uri and not is_run(self.out) else self.out, owner=self)

    # DLScanner's names for the same things: parameters in target, and parameters out of it -------------------------

    @property
    def samples(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Parameters ``(n, p)`` of the points in target."""
        return self._parameters(valid=True)

    @property
    def samples_out(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Parameters ``(n, p)`` of the points out of target."""
        return self._parameters(valid=False)

    def _parameters(self, *, valid: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
        table = self.result().table
        keep = table["valid"].to_numpy() == valid
        return np.column_stack([table[name].to_numpy()[keep] for name in self.problem.space.names])

    # Opening and closing --------------------------------------------------------------------------------------------

    def _open(self) -> Client:
        if self._client is None:
            for other in list(_open_scans):
                other.release()
            from rayscan.config import dump_config
            from rayscan.engine.client import make_client

            self.take_over()
            text = dump_config(self.problem, self.options)
            client = make_client(self.problem, self.options, str(self.out), text, self.uri)
            try:
                self._last = client.open()
            except BaseException:
                client.close()
                raise
            self._client = client
            _open_scans.add(self)
        return self._client

    def take_over(self) -> Parent | None:
        """Make the run directory of a fork, with the rows that fit; `run` and `advance` do it, too.

        Returns
        -------
        Parent or None
            How many rows were taken and why the others were not; None for a scan that is no fork, or was begun before.
        """
        fork, self._fork = self._fork, None
        if fork is None:
            return None
        from rayscan.config import dump_config

        return fork.take_over(self.out, self.options, dump_config(self.problem, self.options))

    def close(self) -> None:
        """End the evaluators and finish the run directory. A closed scan can be used again; it resumes."""
        client, self._client = self._client, None
        _open_scans.discard(self)
        if client is not None:
            client.close()

    def release(self) -> None:
        """Give evaluators up that nobody uses at the moment."""
        if self._busy.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._busy.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
            if self._temporary and self._path is not None:
                _discard(self._path)

    def __repr__(self) -> str:
        where = "temporary" if self._temporary else self.uri or str(self._path)
        return f"Scan({self.problem.space!r}, {self.problem.tool!r}, {self.problem.target!r}, out={where})"

    def _repr_html_(self) -> str:
        rows = [("tool", repr(self.problem.tool)), ("out", "temporary" if self._temporary else self.uri or self._path)]
        if self._last.issued:
            rows.append(("last", self._last.line()))
        return html_table("Scan", ("", ""), rows) + self.problem.space._repr_html_() + self.problem.target._repr_html_()


@atexit.register
def _close_all() -> None:
    for scan in list(_open_scans):
        with contextlib.suppress(Exception):
            scan.close()
    for path in list(_temporary_runs):
        _discard(path)


def _plan_fork(old: str | Path, out: Path | None, problem: Problem, *, same_tool: bool) -> Fork | None:
    """Return what a fork will do; None where it was done before."""
    from rayscan.engine.fork import Fork, is_fork_of
    from rayscan.store import for_reading, is_run

    old = for_reading(old)
    if out is None or not is_run(out):
        return Fork(old, problem, same_tool=same_tool)
    if not is_fork_of(out, old):
        msg = (
            f"{out} holds a run already, and it is no fork of {old}; expected a new directory. Leave the fork out to "
            "resume it, or choose another directory"
        )
        raise ConfigError(msg)
    return None


def _discard(path: Path) -> None:
    _temporary_runs.discard(path)
    shutil.rmtree(path, ignore_errors=True)
