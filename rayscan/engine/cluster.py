"""Finding a running Ray cluster, or starting one on this machine."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from rayscan.engine import local_ray
from rayscan.engine.address import check_address
from rayscan.engine.batch_job import cores
from rayscan.engine.roster import Bounds, Demand
from rayscan.errors import ClusterError
from rayscan.tools.base import Tool

logger = logging.getLogger("rayscan")


@dataclass(frozen=True)
class Cluster:
    """What there is to work with.

    Attributes
    ----------
    started : bool
        Whether this process started it, so that it ends with this process.
    cpus : float
        Logical CPUs of all nodes.
    gpus : float
    node_id : str
        The node of this process.
    here : float
        Logical CPUs of that node.
    largest : float
        Logical CPUs of the node that has most.
    address : str
        Where Ray's head listens.
    shared : bool
        Whether another scan of this process has the CPUs that Ray counts: this one asks for none, and the operating
        system shares them out.
    """

    started: bool
    cpus: float
    gpus: float
    node_id: str
    here: float
    largest: float = 0.0
    address: str = ""
    shared: bool = False

    @property
    def driver_cpus(self) -> float:
        """Logical CPUs for the driver: one, but never so many that nothing is left for an evaluator."""
        if self.shared:
            return 0.0
        return 1.0 if self.cpus >= 2 else self.cpus / 2


_connecting = threading.Lock()
_started_sessions: set[str] = set()
"""Sessions that this process started, so that a second scan in it knows them for its own."""


def connect(evaluators: int | Sequence[int] | None = None, *, shared: bool = False) -> Cluster:
    """Use the cluster that is there, else start one on this machine.

    ``RAY_ADDRESS``, or running inside a cluster's job, decides; nothing in a user's script changes.

    Parameters
    ----------
    evaluators : int or (int, int), optional
        How many evaluators a cluster of our own should have room for.
    shared : bool
        Whether another scan of this process is at work.

    Raises
    ------
    ClusterError
        If there is no cluster where ``RAY_ADDRESS`` says, or it does not let this user in.
    """
    # Ray does not mind its own state where two threads start it at once.
    with _connecting, local_ray.handlers_kept():
        ours = _join_or_start(evaluators)
        _pickle_a_spawned_main()
    local_ray.silence(always=ours)
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    node_id = ray.get_runtime_context().get_node_id()
    nodes: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
    here: dict[str, float] = next((node["Resources"] for node in nodes if node["NodeID"] == node_id), {})
    started = _session() in _started_sessions
    return Cluster(
        started=started,
        address=_session(),
        shared=shared and started,
        cpus=float(resources.get("CPU", 0.0)),
        gpus=float(resources.get("GPU", 0.0)),
        node_id=node_id,
        here=float(here.get("CPU", 0.0)),
        largest=max((float(node["Resources"].get("CPU", 0.0)) for node in nodes if node["Alive"]), default=0.0),
    )


def _join_or_start(evaluators: int | Sequence[int] | None) -> bool:
    """Have a Ray, and return whether it was left to this package what it says on the terminal."""
    if ray.is_initialized():
        if local_ray.answers(_session()):
            return _session() in _started_sessions
        # It died, and its functions would wait for a minute and then end this process.
        ray.shutdown()
    address = os.environ.get("RAY_ADDRESS")
    if address:
        check_address(address)
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            most = evaluators if evaluators is None or isinstance(evaluators, int) else evaluators[0]
            local_ray.start(max(cores(), most or 0) + 1)
            _started_sessions.add(_session())
    except ClusterError:
        raise
    except Exception as error:
        # Ray raises bare Exceptions, too, such as when a busy machine does not start it within half a minute.
        where = f"the cluster at RAY_ADDRESS={address}" if address else "a local Ray"
        advice = (
            "Unset RAY_ADDRESS to run on this machine alone"
            if address
            else "Try again when the machine is less busy, or scan without Ray: evaluators = 0"
        )
        msg = f"{where} could not be used: {error}. {advice}"
        raise ClusterError(msg) from error
    return True


def _session() -> str:
    """Return where Ray's head listens; empty behind ``ray://``, where it is not this process that speaks to it."""
    behind = ray.util.client.ray.is_connected()  # type: ignore[no-untyped-call]
    return "" if behind else str(ray.get_runtime_context().gcs_address)


def _pickle_a_spawned_main() -> None:
    """Have functions of the script sent by value in a process that `multiprocessing` spawned, too.

    There the script is a module of another name, which evaluators would look for in vain.
    """
    script = sys.modules.get("__mp_main__")
    if script is not None and script.__name__ == "__mp_main__":
        ray.cloudpickle.register_pickle_by_value(script)  # type: ignore[no-untyped-call]


def evaluator_share(cluster: Cluster, evaluators: int | Sequence[int] | None, tool: Tool) -> tuple[Bounds, Demand]:
    """Decide how many evaluators are wanted and what each asks of a node.

    Parameters
    ----------
    cluster : Cluster
    evaluators : int, (int, int) or None
        As the user asked: so many; at least and at most so many; None means as many as there is room for.
    tool : Tool
        Says how many processor cores, how much memory and which custom resources one evaluation takes.

    Returns
    -------
    tuple of (Bounds, Demand)
    """
    free = max(cluster.cpus - cluster.driver_cpus, 0.01)
    # A cluster of our own is this machine, where the tool was checked: it has no custom resources, and needs none.
    resources = {} if cluster.started else dict(tool.resources)
    demand = Demand(float(tool.cores), float(tool.memory), resources)
    if cluster.shared:
        low, high = (
            (1, None) if evaluators is None else (evaluators,) * 2 if isinstance(evaluators, int) else evaluators
        )
        count = max(low, min(high or sys.maxsize, cores() // tool.cores))
        return Bounds(count, count), replace(demand, cpus=0.0)
    if evaluators is None:
        # A node that is smaller than one evaluation: it gets one all the same.
        largest = min(free, cluster.largest or free)
        high = max(1, cores() // tool.cores) if cluster.started else None
        return Bounds(1, high), replace(demand, cpus=min(float(tool.cores), largest))
    if not isinstance(evaluators, int):
        return Bounds(*evaluators), demand
    if evaluators * tool.cores <= free:
        return Bounds(evaluators, evaluators), demand
    if not cluster.started:
        logger.warning(
            "%d evaluators of %d core(s) each were asked for, but the cluster has %g CPUs besides the driver's; they "
            "share. For an autoscaler that is to add nodes give the least and the most: evaluators = (%d, %d)",
            evaluators,
            tool.cores,
            free,
            evaluators,
            evaluators,
        )
    if evaluators <= free:
        cpus = free / evaluators // 0.001 / 1000
    else:
        # So many to a CPU that they fit whatever the nodes' sizes.
        cpus = 1.0 / math.ceil(evaluators / free) // 0.001 / 1000
    return Bounds(evaluators, evaluators), replace(demand, cpus=cpus)
