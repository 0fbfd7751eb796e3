"""The user's side of a running scan: starts the driver, follows it, passes on requests to stop."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rayscan.engine.evaluator import Evaluator
from rayscan.engine.pool import SerialPool
from rayscan.engine.session import Session
from rayscan.errors import ClusterError, RayscanError
from rayscan.options import ScanOptions
from rayscan.problem import Problem
from rayscan.progress import Goal, Progress

logger = logging.getLogger("rayscan")

POLL = 0.5
"""Seconds between two looks at the driver."""
MAX_REVIVALS = 5
"""Drivers that may die without a new row in between."""

Follow = Callable[[Progress], None]


class Client(Protocol):
    """What a `Scan` holds while it is open."""

    def open(self) -> Progress:
        """Open the run directory and start the evaluators."""

    def run(self, goal: Goal, follow: Follow, stopping: Callable[[], str | None]) -> Progress:
        """Scan until `goal`, showing progress to `follow`; `stopping` says ``"drain"``, ``"now"`` or None."""

    def close(self) -> None:
        """Give everything up."""


class LocalClient:
    """A session in this process, with one evaluator and no Ray."""

    def __init__(self, problem: Problem, options: ScanOptions, out: str, config_toml: str) -> None:
        self._arguments = (problem, options, out, config_toml)
        self._session: Session | None = None

    def open(self) -> Progress:
        problem, options, out, config_toml = self._arguments
        scratch = Path(options.scratch) if options.scratch else None

        def make_pool(run_id: str) -> SerialPool:
            return SerialPool(Evaluator(problem.tool, problem.space.names, run_id, scratch=scratch))

        self._session = Session(problem, options, out, make_pool, background=False, config_toml=config_toml)
        return self._session.loop.progress()

    def run(self, goal: Goal, follow: Follow, stopping: Callable[[], str | None]) -> Progress:
        assert self._session is not None
        loop = self._session.loop

        def look(progress: Progress) -> None:
            wish = stopping()
            if wish is not None:
                loop.stop(now=wish == "now")
            follow(progress)

        loop.watcher = look
        return loop.run(goal)

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class RayClient:
    """A driver actor, started anew from its run directory when it dies."""

    def __init__(self, problem: Problem, options: ScanOptions, out: str, config_toml: str) -> None:
        self._arguments = (problem, options, str(Path(out).resolve()), config_toml)
        self._driver: Any = None

    def open(self) -> Progress:
        import ray

        from rayscan.engine.cluster import connect
        from rayscan.engine.driver import start_driver

        problem, options, out, config_toml = self._arguments
        cluster = connect(options.evaluators)
        gpu = options.learn.device != "cpu"
        self._driver = start_driver(cluster, problem, options, out, config_toml, gpu=gpu)
        progress: Progress = _unwrap(ray.get(self._driver.open.remote()))
        return progress

    def run(self, goal: Goal, follow: Follow, stopping: Callable[[], str | None]) -> Progress:
        from ray.exceptions import RayActorError

        best, deaths = -1, 0
        while True:
            try:
                return self._follow(goal, follow, stopping)
            except RayActorError as error:
                wish = stopping()
                self._kill()
                progress = self.open()
                deaths = 0 if progress.evaluations > best else deaths + 1
                best = max(best, progress.evaluations)
                if deaths >= MAX_REVIVALS:
                    msg = f"the driver died {deaths} times without a new row; the last time: {error}"
                    raise ClusterError(msg) from error
                if wish is not None:
                    return progress
                logger.warning("the driver died (%s); resumed from %s", type(error).__name__, self._arguments[2])

    def _follow(self, goal: Goal, follow: Follow, stopping: Callable[[], str | None]) -> Progress:
        import ray

        running = self._driver.run.remote(goal)
        asked: str | None = None
        while True:
            done, _ = ray.wait([running], timeout=POLL)
            wish = stopping()
            if wish is not None and wish != asked:
                ray.get(self._control("stop", now=wish == "now"))
                asked = wish
            if done:
                progress: Progress = _unwrap(ray.get(running))
                follow(progress)
                return progress
            follow(ray.get(self._control("status")))

    def _control(self, method: str, **arguments: Any) -> Any:
        return getattr(self._driver, method).options(concurrency_group="control").remote(**arguments)

    def close(self) -> None:
        import ray

        if self._driver is not None and ray.is_initialized():
            with contextlib.suppress(Exception):
                ray.get(self._driver.close.remote(), timeout=60)
        self._kill()

    def _kill(self) -> None:
        import ray

        if self._driver is not None and ray.is_initialized():
            with contextlib.suppress(Exception):
                ray.kill(self._driver, no_restart=True)
        self._driver = None


def _unwrap(answer: Any) -> Any:
    if isinstance(answer, RayscanError):
        raise answer
    return answer


def make_client(problem: Problem, options: ScanOptions, out: str, config_toml: str) -> Client:
    """Return the client for `options`: without Ray when no evaluators beside this process are wanted."""
    kind = LocalClient if options.evaluators == 0 else RayClient
    return kind(problem, options, out, config_toml)
