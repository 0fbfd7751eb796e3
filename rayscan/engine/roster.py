"""How many evaluators a cluster has room for: plain arithmetic, without Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
        So many are asked for, whether the cluster has room or not; an autoscaler takes that for demand.
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
        return min((int(self.resources.get(name, 0.0) / much + _ROUNDING) for name, much in wants.items()), default=0)


def wanted(nodes: Sequence[Node], demand: Demand, bounds: Bounds) -> int:
    """Return how many evaluators there should be.

    Parameters
    ----------
    nodes : sequence of Node
        Those that may be used.
    demand : Demand
        Of each evaluator.
    bounds : Bounds
    """
    room = sum(node.seats(demand) for node in nodes)
    return max(bounds.low, room if bounds.high is None else min(room, bounds.high))
