"""How many evaluators a cluster has room for, and where: plain arithmetic, without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

ANYWHERE = ""
"""The place of evaluators that no node has room for yet: they wait, which an autoscaler takes for demand."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Demand:
    """What one evaluator asks of a node.

    Attributes
    ----------
    cpus : float
    memory : float
        Bytes; 0 asks for none.
    resources : mapping of str to float
        Custom resources, which only some nodes have.
    """

    cpus: float = 1.0
    memory: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)

    def of_ray(self) -> dict[str, float]:
        """Return it under Ray's names."""
        return {"CPU": self.cpus, **({"memory": self.memory} if self.memory else {}), **self.resources}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many evaluators are wanted.

    Attributes
    ----------
    low : int
        So many are asked for, whether the cluster has room or not.
    high : int or None
        More are never started; None: as many as there is room for.
    """

    low: int = 1
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster.

    Attributes
    ----------
    node_id, name : str
        Ray's id; the host's name or address.
    resources : mapping of str to float
        What it has in all, under Ray's names, less what the driver takes.
    """

    node_id: str
    name: str
    resources: Mapping[str, float]

    def seats(self, demand: Demand) -> int:
        """Return how many evaluators fit."""
        wants = {name: much for name, much in demand.of_ray().items() if much > 0}
        if not wants:
            return 0
        return int(min(self.resources.get(name, 0.0) / much + _ROUNDING for name, much in wants.items()))


def plan(nodes: Sequence[Node], demand: Demand, bounds: Bounds) -> dict[str, int]:
    """Return how many evaluators each node should have.

    Parameters
    ----------
    nodes : sequence of Node
        Those that may be used.
    demand : Demand
        Of each evaluator.
    bounds : Bounds

    Returns
    -------
    dict of str to int
        By node id; under `ANYWHERE` those that there is no room for. Where there is room for more than may be started,
        nodes get them in turn.
    """
    room = {node.node_id: node.seats(demand) for node in nodes}
    most = sum(room.values()) if bounds.high is None else min(bounds.high, sum(room.values()))
    shares = dict.fromkeys(room, 0)
    while most > 0:
        for node_id in room:
            if most > 0 and shares[node_id] < room[node_id]:
                shares[node_id] += 1
                most -= 1
    missing = bounds.low - sum(shares.values())
    return {**shares, ANYWHERE: max(0, missing)}
