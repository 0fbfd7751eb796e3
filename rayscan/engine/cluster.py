"""Finding a running Ray cluster, or starting one on this machine."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants, worker

from rayscan.engine.address import check_address
from rayscan.engine.batch_job import cores
from rayscan.engine.roster import Bounds, Demand
from rayscan.errors import ClusterError
from rayscan.tools.base import Tool

logger = logging.getLogger("rayscan")

_MANY_NODES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")


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
    """

    started: bool
    cpus: float
    gpus: float
    node_id: str
    here: float
    largest: float = 0.0

    @property
    def driver_cpus(self) -> float:
        """Logical CPUs for the driver: one, but never so many that nothing is left for an evaluator."""
        return 1.0 if self.cpus >= 2 else self.cpus / 2


_started_sessions: set[str] = set()
"""Sessions that this process started, so that a second scan in it knows them for its own."""


def connect(evaluators: int | Sequence[int] | None = None) -> Cluster:
    """Use the cluster that is there, else start one on this machine.

    ``RAY_ADDRESS``, or running inside a cluster's job, decides; nothing in a user's script changes.

    Parameters
    ----------
    evaluators : int or (int, int), optional
        How many evaluators a cluster of our own should have room for.

    Raises
    ------
    ClusterError
        If there is no cluster where ``RAY_ADDRESS`` says, or it does not let this user in.
    """
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        if address:
            check_address(address)
        try:
            if address:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                _start_local(evaluators)
                _started_sessions.add(_session())
            _silence()
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
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    node_id = ray.get_runtime_context().get_node_id()
    nodes: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
    here: dict[str, float] = next((node["Resources"] for node in nodes if node["NodeID"] == node_id), {})
    return Cluster(
        started=_session() in _started_sessions,
        cpus=float(resources.get("CPU", 0.0)),
        gpus=float(resources.get("GPU", 0.0)),
        node_id=node_id,
        here=float(here.get("CPU", 0.0)),
        largest=max((float(node["Resources"].get("CPU", 0.0)) for node in nodes if node["Alive"]), default=0.0),
    )


def _silence() -> None:
    """Keep what Ray says of dead nodes and of many processes out of the user's terminal: the scan goes on with it.

    Ray prints it on standard output, whatever was asked for, with the last lines of a dead node's own log.
    """
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _session() -> str:
    return str(ray.get_runtime_context().gcs_address)


def _start_local(evaluators: int | Sequence[int] | None) -> None:
    """Start Ray for this process alone: on the loopback address, with a token that exists only in this process."""
    home_token = Path("~/.ray/auth_token").expanduser()
    if not any(os.environ.get(name) for name in _TOKEN_VARIABLES) and not home_token.exists():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    most = evaluators if evaluators is None or isinstance(evaluators, int) else evaluators[0]
    with _loopback():
        ray.init(
            address="local",
            num_cpus=max(cores(), most or 0) + 1,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=512 * 2**20,
            _node_ip_address="127.0.0.1",
        )


@contextlib.contextmanager
def _loopback() -> Iterator[None]:
    """Have the Ray that is started listen on the loopback address alone.

    Asking for ``127.0.0.1`` is not enough: on Linux, Ray puts the machine's own address in its place, and its servers
    then listen on every interface. This switch is what keeps it local on laptops with a firewall. Ray's processes
    inherit it, so that it need not stay; one that stayed would be in the way of a cluster that is joined later.
    """
    before = os.environ.get(_MANY_NODES)
    constant = getattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    os.environ[_MANY_NODES] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = constant
        if before is None:
            del os.environ[_MANY_NODES]
        else:
            os.environ[_MANY_NODES] = before


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
    demand = Demand(float(tool.cores), float(tool.memory), dict(tool.resources))
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
            "share",
            evaluators,
            tool.cores,
            free,
        )
    if evaluators <= free:
        cpus = free / evaluators // 0.001 / 1000
    else:
        # So many to a CPU that they fit whatever the nodes' sizes.
        cpus = 1.0 / math.ceil(evaluators / free) // 0.001 / 1000
    return Bounds(evaluators, evaluators), replace(demand, cpus=cpus)
