"""The nodes of a cluster: who is there, and whether the tool works there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rayscan.engine.cluster import connect
from rayscan.engine.freight import Cargo, Freight
from rayscan.engine.node_report import NodeReport, clock_complaint, fingerprint, inspect_here
from rayscan.engine.roster import Node
from rayscan.errors import RayscanError
from rayscan.sandbox.shelf import clear_shelves
from rayscan.tools.base import Tool

LOOK_EVERY = 1.0
"""Seconds between two looks at the list of nodes."""
AGAIN_AFTER = 60.0
"""Seconds after which a node that failed is tried again."""
TIDY_SECONDS = 3.0
"""Seconds for which a node waits for evaluators that are about to end."""
PATIENCE = 60.0
"""Seconds that a node may take for its check; the first process on a slow file system takes a while."""


class Inspector:
    """Looks at the node it runs on."""

    def inspect(
        self, freight: Freight, parameters: tuple[str, ...], scratch: str | None, expected: str, name: str
    ) -> Any:
        """Return a `NodeReport`. What was unpacked is kept until this process ends, when evaluators may have come."""
        try:
            self._unpacked = freight.unpack(scratch)
        except (RayscanError, OSError) as error:
            return NodeReport(name, str(error))
        return inspect_here(self._unpacked.tool, parameters, scratch, expected, name, self._unpacked.origins)

    def clock(self) -> float:
        """Return the time here."""
        return time.time()


@dataclass
class _Visit:
    """An inspection under way."""

    actor: Any
    begun: float
    answer: Any
    report: NodeReport | None = None
    sent: float = 0.0


class NodeWatch:
    """Follows the nodes of the cluster, and checks each that joins.

    Parameters
    ----------
    tool : Tool
    parameters : tuple of str
    scratch : str or None
    driver_cpus : float
        What the driver takes of its own node.
    cargo : Cargo or None
        What the tool brings along.
    careful : bool
        Whether the node of this process is checked even while it is the only one, for who wants to see the table.

    Attributes
    ----------
    reports : dict of str to NodeReport
        Of the nodes that were checked and are there, by node id.
    news : list of str
        What happened since somebody cleared it.
    """

    def __init__(
        self,
        tool: Tool,
        parameters: tuple[str, ...],
        scratch: str | None,
        driver_cpus: float,
        *,
        cargo: Cargo | None = None,
        careful: bool = False,
    ) -> None:
        self._tool, self._packed = tool, ray.put(Freight(tool, cargo))
        self._shipped = cargo is not None
        self._patience = PATIENCE + (cargo.seconds if cargo is not None else 0.0)
        self._parameters, self._scratch = parameters, scratch
        self._driver_cpus, self._careful = driver_cpus, careful
        self._here = ray.get_runtime_context().get_node_id()
        self._expected: str | None = None
        self._looked = -LOOK_EVERY
        self._nodes: dict[str, Node] = {}
        self._visits: dict[str, _Visit] = {}
        self._failed_at: dict[str, float] = {}
        self.reports: dict[str, NodeReport] = {}
        self.news: list[str] = []

    @property
    def good(self) -> list[Node]:
        """The nodes that evaluators may be put on."""
        return [node for one, node in self._nodes.items() if one in self.reports and not self.reports[one].complaint]

    @property
    def bad(self) -> tuple[str, ...]:
        """The ids of nodes that are left out."""
        return tuple(sorted(one for one, report in self.reports.items() if report.complaint))

    @property
    def settled(self) -> bool:
        """Whether every node has been checked."""
        return bool(self._nodes) and all(one in self.reports for one in self._nodes)

    def look(self, *, now: bool = False) -> bool:
        """Look who is there, if it is time; return whether it was."""
        if not now and time.monotonic() - self._looked < LOOK_EVERY:
            return False
        self._looked = time.monotonic()
        self._list_nodes()
        for one, node in self._nodes.items():
            failed = self._failed_at.get(one)
            overdue = failed is not None and self._looked - failed > AGAIN_AFTER
            if one not in self._visits and (one not in self.reports or overdue):
                self._visit(node)
        for one in list(self._visits):
            self._hear(one)
        return True

    def close(self) -> None:
        """End the inspections that are under way."""
        for one in list(self._visits):
            self._leave(one)

    def tidy(self) -> None:
        """Have what the tool brought along removed from every node, when its evaluators have been ended."""
        if not self._shipped:
            return
        task: Any = ray.remote(num_cpus=0, max_retries=0)(clear_shelves)
        there = [NodeAffinitySchedulingStrategy(node.node_id, soft=False) for node in self._nodes.values()]
        with contextlib.suppress(RayError):
            tasks = [task.options(scheduling_strategy=one).remote(self._scratch, TIDY_SECONDS) for one in there]
            ray.wait(tasks, num_returns=len(tasks), timeout=2 * TIDY_SECONDS)

    def _list_nodes(self) -> None:
        there: dict[str, Node] = {}
        listed: list[Any] = ray.nodes()  # type: ignore[no-untyped-call]
        for entry in listed:
            if not entry["Alive"]:
                continue
            one, resources = str(entry["NodeID"]), dict(entry["Resources"])
            if one == self._here:
                resources["CPU"] = max(resources.get("CPU", 0.0) - self._driver_cpus, 0.0)
            there[one] = Node(one, f"{entry['NodeManagerHostname']} ({entry['NodeManagerAddress']})", resources)
        for one in [*self._nodes]:
            if one not in there:
                self.news.append(f"node {self._nodes[one].name} has left")
                self.reports.pop(one, None)
                self._failed_at.pop(one, None)
                if one in self._visits:
                    self._leave(one)
        self._nodes = there

    def _visit(self, node: Node) -> None:
        if list(self._nodes) == [self._here] and not self._careful:
            # The tool was checked here before anything started; its evaluators say what is wrong by themselves.
            self.reports[node.node_id] = NodeReport(node.name)
            return
        if self._expected is None:
            # Where the programs are not on the driver's node, there is nothing to compare with.
            self._expected = ""
            with contextlib.suppress(Exception):
                self._tool.check(self._parameters)
                self._expected = fingerprint(self._tool)
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        actor: Any = ray.remote(num_cpus=0, max_restarts=0)(Inspector).options(scheduling_strategy=there).remote()
        answer = actor.inspect.remote(self._packed, self._parameters, self._scratch, self._expected, node.name)
        self._visits[node.node_id] = _Visit(actor, time.monotonic(), answer)

    def _hear(self, one: str) -> None:
        visit, name = self._visits[one], self._nodes[one].name
        try:
            # The clock's answer is waited for: how long it takes to come is how well the clock is known.
            if not ray.wait([visit.answer], timeout=0)[0]:
                if time.monotonic() - visit.begun > self._patience:
                    self._conclude(one, NodeReport(name, f"it did not answer within {self._patience:.0f} s"))
                return
            report: NodeReport = ray.get(visit.answer)
            sent = time.time()
            ahead, complaint = clock_complaint(sent, ray.get(visit.actor.clock.remote(), timeout=5.0), time.time())
        except RayError as error:
            self._conclude(one, NodeReport(name, f"no process could be started there: {_first_line(error)}"))
            return
        complaint = report.complaint or complaint
        self._conclude(one, NodeReport(name, complaint, report.program, report.scratch, report.free, ahead))

    def _conclude(self, one: str, report: NodeReport) -> None:
        if report.complaint:
            self._failed_at[one] = time.monotonic()
            old = self.reports.get(one)
            if old is None or old.complaint != report.complaint:
                self.news.append(f"node {report.name} is left out: {report.complaint}")
        else:
            self._failed_at.pop(one, None)
            self.news.append(f"node {report.name} has joined")
        self.reports[one] = report
        self._leave(one)

    def _leave(self, one: str) -> None:
        with contextlib.suppress(Exception):
            ray.kill(self._visits[one].actor, no_restart=True)
        del self._visits[one]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def inspect_cluster(tool: Tool, parameters: Sequence[str], scratch: str | None = None) -> list[NodeReport]:
    """Check the tool on every node of the cluster that is there, or that is started on this machine.

    Raises
    ------
    ClusterError
        The cluster that ``RAY_ADDRESS`` names is not there.
    """
    cargo = None if connect().started else Cargo.of(tool)
    watch = NodeWatch(tool, tuple(parameters), scratch, 0.0, cargo=cargo, careful=True)
    try:
        while not watch.settled:
            watch.look(now=True)
            time.sleep(0.1)
    finally:
        watch.close()
    return list(watch.reports.values())
