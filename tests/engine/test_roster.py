"""How many evaluators a cluster gets."""

from __future__ import annotations

import pytest

from rayscan.engine.roster import Bounds, Demand, Node, wanted

GIB = 2.0**30
NODES = [
    Node("a", "small", {"CPU": 4.0, "memory": 8 * GIB}),
    Node("b", "large", {"CPU": 16.0, "memory": 32 * GIB, "spheno": 1.0}),
]


@pytest.mark.parametrize(
    ("demand", "bounds", "expected"),
    [
        (Demand(), Bounds(), 20),
        (Demand(cpus=3.0), Bounds(), 1 + 5),
        (Demand(memory=4 * GIB), Bounds(), 2 + 8),
        (Demand(resources={"spheno": 0.25}), Bounds(), 4),
        (Demand(cpus=0.1), Bounds(), 200),
        (Demand(), Bounds(6, 6), 6),
        (Demand(), Bounds(2, 10), 10),
        (Demand(), Bounds(50, 100), 50),
        (Demand(resources={"gpu": 1}), Bounds(), 1),
    ],
)
def test_as_many_as_there_is_room_for_within_the_bounds(demand: Demand, bounds: Bounds, expected: int) -> None:
    """Cores, memory and custom resources limit each node by itself; the least is asked for without room, too."""
    assert wanted(NODES, demand, bounds) == expected
