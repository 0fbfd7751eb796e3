"""The user's side of a running scan: starts the driver, follows it, passes on requests to stop."""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rayscan.ending import End, Ending, by_count
from rayscan.engine.evaluator import Evaluator
from rayscan.engine.pool import SerialPool
from rayscan.engine.session import Session
from rayscan.errors import ClusterError, RayscanError, RunLockedError
from rayscan.options import ScanOptions
from rayscan.problem.statement import Problem
from rayscan.progress import Goal, Progress, publish
from rayscan.sandbox.workshop import sweep

if TYPE_CHECKING:
    import psutil

    from rayscan.engine.cluster import Cluster

logger = logging.getLogger("rayscan")

POLL = 0.5
"""Seconds between two looks at the driver."""
MAX_REVIVALS = 4
"""Drivers that may die without a new row in between."""
LOCK_PATIENCE = 20.0
"""Seconds that a dead driver may go on holding the run directory."""
START_PATIENCE = 30.0
"""Seconds after which a user should be told what a scan waits for."""
NOW_SECONDS = 5.0
"""Seconds that a driver gets to end at once before it is killed: it may be learning, and its rows are safe."""
CLOSE_SECONDS = 120.0
HEAD_PERIOD = 5.0
"""Seconds between two looks whether Ray's head is still there."""

Follow = Callable[[Progress], None]
Stopping = Callable[[], str | None]


class Client(Protocol):
    """What a `Scan` holds while it is open."""

    def open(self) -> Progress:
        """Open the run directory and start the evaluators."""

    @property
    def interruptible(self) -> bool:
        """Whether a ``KeyboardInterrupt`` raised now ends the scan in good order."""

    def run(self, goal: Goal, follow: Follow, stopping: Stopping) -> Progress:
        """Scan until `goal`, showing progress to `follow`; `stopping` says ``"drain"``, ``"now"`` or None."""

    def close(self) -> None:
        """Give everything up."""


class LocalClient:
    """A session in this process, with one evaluator and no Ray."""

    def __init__(self, problem: Problem, options: ScanOptions, out: str, config_toml: str, uri: str = "") -> None:
        self._arguments = (problem, options, out, config_toml)
        self._uri = uri
        self._session: Session | None = None

    @property
    def interruptible(self) -> bool:
        return self._session is not None and self._session.loop.interruptible

    def open(self) -> Progress:
        problem, options, out, config_toml = self._arguments
        scratch = Path(options.scratch) if options.scratch else None

        def make_pool(run_id: str) -> SerialPool:
            sweep(scratch)
            tool, keep = problem.tool, options.keep
            if tool.deadline is not None:
                logger.warning(
                    "evaluators = 0: nobody ends a point that runs longer than the %g s that %s allows",
                    tool.deadline,
                    tool.name,
                )
            return SerialPool(Evaluator(tool, problem.space.names, run_id, scratch=scratch, keep=keep))

        self._session = Session(
            problem, options, out, make_pool, background=False, config_toml=config_toml, uri=self._uri
        )
        return self._session.loop.progress()

    def run(self, goal: Goal, follow: Follow, stopping: Stopping) -> Progress:
        assert self._session is not None
        loop = self._session.loop

        def look(progress: Progress) -> None:
            wish = stopping()
            if wish is not None:
                loop.stop(now=wish == "now")
            follow(progress)

        loop.watcher = look
        progress = loop.run(goal)
        follow(progress)
        return progress

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


_at_work: weakref.WeakSet[RayClient] = weakref.WeakSet()
"""Those of this process whose scan is open."""


class RayClient:
    """A driver actor, started anew from its run directory when it dies."""

    interruptible = False

    def __init__(self, problem: Problem, options: ScanOptions, out: str, config_toml: str, uri: str = "") -> None:
        self._arguments = (problem, options, str(Path(out).resolve()), config_toml)
        self._uri = uri
        self._driver: Any = None
        self._cluster: Cluster | None = None
        self._family: list[psutil.Process] = []

    def open(self) -> Progress:
        """Open the run directory and start the evaluators.

        A driver that was killed a moment ago, here or by the end of the script before this one, may still hold the
        directory: it is waited for. One that dies while it opens is replaced.
        """
        from ray.exceptions import RayActorError

        end, deaths = time.monotonic() + LOCK_PATIENCE, 0
        while True:
            try:
                return self._open()
            except RunLockedError:
                self._kill()
                if time.monotonic() > end:
                    raise
                time.sleep(POLL)
            except RayActorError as error:
                self._kill()
                deaths += 1
                if deaths >= MAX_REVIVALS:
                    msg = f"the driver died {deaths} times before it could open the run; the last time: {error}"
                    raise ClusterError(msg) from error

    def _open(self) -> Progress:
        import ray

        from rayscan.engine.cluster import connect
        from rayscan.engine.driver import start_driver

        problem, options, out, config_toml = self._arguments
        _at_work.add(self)
        cluster = self._cluster = connect(options.evaluators, shared=len(_at_work) > 1)
        gpu = options.learn.device != "cpu"
        self._driver = start_driver(cluster, problem, options, out, config_toml, gpu=gpu, uri=self._uri)
        opening = self._driver.open.remote()
        while not ray.wait([opening], timeout=START_PATIENCE)[0]:
            logger.warning(
                "the driver has not started yet; it needs %g CPU of the cluster, and a slow machine needs a while",
                cluster.driver_cpus,
            )
        progress: Progress = _unwrap(ray.get(opening))
        return progress

    def run(self, goal: Goal, follow: Follow, stopping: Stopping) -> Progress:
        from ray.exceptions import RayActorError

        started, best, deaths = time.monotonic(), -1, 0
        last = Progress("starting")

        def remember(progress: Progress) -> None:
            nonlocal last
            last = progress
            follow(progress)

        while True:
            try:
                return self._follow(goal.later(time.monotonic() - started), remember, stopping)
            except (RayActorError, _HeadLostError) as error:
                self._kill()
                if stopping() is not None:
                    # A batch system ends every process of a job at once, the driver as well. Its rows are on the disk.
                    return self._ended(last, goal)
                deaths = 0 if last.evaluations > best else deaths + 1
                best = max(best, last.evaluations)
                if deaths >= MAX_REVIVALS:
                    msg = f"the driver died {deaths} times without a new row; the last time: {error}"
                    raise ClusterError(msg) from error
                remember(self.open())
                logger.warning("the driver died (%s); resumed from %s", type(error).__name__, self._arguments[2])

    def _follow(self, goal: Goal, follow: Follow, stopping: Stopping) -> Progress:
        """Wait for the driver, showing its progress; its refit may keep it from answering for a while."""
        import ray

        running = self._driver.run.remote(goal)
        status, hurry, looked = None, None, -1e9
        while True:
            if stopping() is not None or time.monotonic() - looked > HEAD_PERIOD:
                self._look_at_head()
                looked = time.monotonic()
            status = self._control("status") if status is None else status
            done, _ = ray.wait([running, status], num_returns=1, timeout=POLL)
            if running in done:
                progress: Progress = _unwrap(ray.get(running))
                follow(progress)
                return progress
            if status in done:
                follow(ray.get(status))
                status = None
                ray.wait([running], timeout=POLL)
            wish = stopping()
            if wish is not None:
                # Said again until it ends: the first may have come before the driver had begun.
                self._control("stop", now=wish == "now")
            if wish == "now":
                hurry = time.monotonic() + NOW_SECONDS if hurry is None else hurry
                if time.monotonic() > hurry:
                    ray.kill(self._driver, no_restart=True)

    def _control(self, method: str, **arguments: Any) -> Any:
        return getattr(self._driver, method).options(concurrency_group="control").remote(**arguments)

    def close(self) -> None:
        import ray

        _at_work.discard(self)
        if self._driver is not None and self._cluster is not None and ray.is_initialized():
            try:
                self._look_at_head()
                trouble = ray.get(self._driver.close.remote(), timeout=CLOSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - the driver or all of Ray is gone; the rows are on the disk
                trouble = error
            if trouble is not None:
                logger.warning("%s was not closed as it should be: %s", self._arguments[2], trouble)
        self._kill()

    def _look_at_head(self) -> None:
        """Raise when Ray's head is gone; while it is there, remember whom it leaves behind."""
        from rayscan.engine import local_ray

        assert self._cluster is not None
        if not local_ray.answers(self._cluster.address):
            raise _HeadLostError(self._cluster.address)
        if self._cluster.started:
            self._family = local_ray.processes()

    def _kill(self) -> None:
        import ray

        from rayscan.engine import local_ray

        driver, self._driver = self._driver, None
        if driver is None or self._cluster is None or not ray.is_initialized():
            return
        if local_ray.answers(self._cluster.address):
            with contextlib.suppress(Exception):
                ray.kill(driver, no_restart=True)
            return
        # Ray's own functions would wait a minute for its head, and then end this process.
        local_ray.end(self._family)

    def _ended(self, last: Progress, goal: Goal) -> Progress:
        """Return, and publish, how a scan ended whose driver died while it was told to end."""
        ending = by_count(goal.valid, goal.evaluations, last.valid, last.evaluations) or Ending(End.STOPPED)
        last = replace(last, state=ending.state, ending=ending.end.name)
        with contextlib.suppress(OSError):
            publish(Path(self._arguments[2]), last)
        return last


class _HeadLostError(Exception):
    """Ray's head does not listen any more."""


def _unwrap(answer: Any) -> Any:
    if isinstance(answer, RayscanError):
        raise answer
    return answer


def make_client(problem: Problem, options: ScanOptions, out: str, config_toml: str, uri: str = "") -> Client:
    """Return the client for `options`: without Ray when no evaluators beside this process are wanted."""
    kind = LocalClient if options.evaluators == 0 else RayClient
    return kind(problem, options, out, config_toml, uri)
