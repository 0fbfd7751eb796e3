"""The driver actor: the one place that owns network, map, ledger and store of a scan on a cluster."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayscan.engine.batch_job import cores
from rayscan.engine.cluster import Cluster, evaluator_share
from rayscan.engine.freight import Cargo
from rayscan.engine.ray_pool import AHEAD_SECONDS, RayPool
from rayscan.engine.roster import Bounds, Demand
from rayscan.engine.session import Session
from rayscan.errors import ConfigError, RayscanError
from rayscan.options import ScanOptions
from rayscan.problem.statement import Problem
from rayscan.progress import Goal, Progress

Crew = tuple[Bounds, Demand, float]
"""How many evaluators, what each asks for, and the CPUs of the driver itself."""


class Driver:
    """A `Session` as a Ray actor. Runs in one thread; status and stop requests are answered in another."""

    def __init__(
        self,
        problem: Problem,
        options: ScanOptions,
        out: str,
        crew: Crew,
        threads: int,
        config_toml: str,
        cargo: Cargo | None = None,
        uri: str = "",
    ) -> None:
        # Ray gave this process the threads of its logical CPUs; the network may use more while evaluators wait.
        os.environ["OMP_NUM_THREADS"] = str(threads)
        self._session: Session | None = None
        self._arguments = (problem, options, out, crew, threads, config_toml, cargo, uri)

    def open(self) -> Progress | RayscanError:
        """Open the run directory, start the evaluators, restore what was saved."""
        problem, options, out, (bounds, demand, mine), threads, config_toml, cargo, uri = self._arguments
        tool, names, scratch = problem.tool, problem.space.names, options.scratch
        ahead = 0.0 if options.deterministic else AHEAD_SECONDS
        try:
            self._session = Session(
                problem,
                options,
                out,
                lambda run_id: RayPool(tool, names, run_id, bounds, demand, scratch, ahead, options.keep, mine, cargo),
                background=True,
                threads=threads,
                config_toml=config_toml,
                uri=uri,
            )
        except RayscanError as error:
            # Returned, not raised: Ray would wrap it in an error of its own and bury the message.
            return _portable(error)
        return self._session.loop.progress()

    def run(self, goal: Goal) -> Progress | RayscanError:
        """Scan until `goal`; blocks."""
        assert self._session is not None
        try:
            return self._session.loop.run(goal)
        except RayscanError as error:
            return _portable(error)

    def status(self) -> Progress | None:
        """Return a snapshot."""
        return self._session.loop.progress() if self._session else None

    def stop(self, *, now: bool = False) -> None:
        """Ask the scan to end."""
        if self._session:
            self._session.loop.stop(now=now)

    def close(self) -> RayscanError | None:
        """End evaluators, compact the store and give up the run directory."""
        session, self._session = self._session, None
        try:
            if session:
                session.close()
        except RayscanError as error:
            return _portable(error)
        return None


def _portable(error: RayscanError) -> RayscanError:
    """Make sure that an error survives the journey: its cause may not be picklable."""
    clean = type(error)(*[argument if isinstance(argument, int) else str(argument) for argument in error.args])
    clean.__notes__ = ["".join(traceback.format_exception(error))]
    return clean


def start_driver(
    cluster: Cluster, problem: Problem, options: ScanOptions, out: str, config_toml: str, *, gpu: bool, uri: str = ""
) -> Any:
    """Start the driver actor.

    Parameters
    ----------
    cluster : Cluster
    problem : Problem
    options : ScanOptions
    out : str
        Run directory. The driver is kept on this node, where the user can read it, unless only another has a GPU, or
        this one has no CPU to give.
    config_toml : str
        The resolved configuration, for a new run directory.
    gpu : bool
        Whether the network wants a GPU.
    uri : str
        The object store that the run directory is a copy of, if it is one.

    Returns
    -------
    actor handle

    Raises
    ------
    ConfigError
        The problem cannot be sent to another process.
    """
    bounds, demand = evaluator_share(cluster, options.evaluators, problem.tool)
    crew = (bounds, demand, cluster.driver_cpus)
    # A cluster that this process has started is this machine, where everything is in its place.
    cargo = None if cluster.started else Cargo.of(problem.tool)
    mine = cores()
    threads = min(8, mine) if problem.tool.vectorized else max(1, min(8, mine // 4))
    elsewhere = (gpu and cluster.gpus > 0) or cluster.here < cluster.driver_cpus
    here = NodeAffinitySchedulingStrategy(cluster.node_id, soft=elsewhere)
    demands: dict[str, Any] = {
        "num_cpus": cluster.driver_cpus,
        "num_gpus": 1 if gpu and cluster.gpus >= 1 else 0,
        "max_restarts": 0,
        "max_task_retries": 0,
        "scheduling_strategy": here,
        "concurrency_groups": {"control": 1},
    }
    actor = ray.remote(**demands)(Driver)
    try:
        return actor.remote(problem, options, out, crew, threads, config_toml, cargo, uri)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        msg = (
            f"the scan cannot be sent to its driver process: {error}. A function of the tool or target refers to "
            "something that belongs to this process (an open file, a lock, a running program); create it inside"
        )
        raise ConfigError(msg) from error
