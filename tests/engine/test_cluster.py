"""Scans on a cluster of several nodes that somebody else has started: nodes go and come, and the cluster stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.engine.nodes import inspect_cluster
from rayscan.errors import ConfigError
from rayscan.testing.chaos import survivors
from rayscan.tools.base import Outcome, Status

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(120)]

HEALTH = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""A dead node is known as such after two seconds, not after fifteen."""
MEMORY = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster(ray_token: None) -> Iterator[Any]:
    """A head with three CPUs, to which this process is connected."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 3, "include_dashboard": False, "_system_config": HEALTH, **MEMORY},
        )
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "scratch"
    end = time.monotonic() + 10
    while survivors(tmp_path / "scratch") and time.monotonic() < end:
        time.sleep(0.1)
    assert survivors(tmp_path / "scratch") == []


class Sum(rs.Tool):
    """A tool that some nodes lack."""

    outputs = ("y",)

    def check(self, parameters: Sequence[str]) -> None:
        if "WITHOUT_SUM" in os.environ:
            msg = "there is no program that adds"
            raise ConfigError(msg)

    def evaluate(self, point: Mapping[str, float], sandbox: Any) -> Outcome:
        time.sleep(0.05)
        return Outcome(Status.OK, {"y": point["a"] + point["b"]})


def test_evaluators_follow_the_nodes(cluster: Any, scratch: Path, tmp_path: Path) -> None:
    """A node that joins gets evaluators, one that cannot run the tool is left out, and points of a lost one are not."""
    scan = rs.Scan(
        space=rs.Space(a=(0, 1), b=(0, 1)), tool=Sum(), target=rs.Target(y=(0.9, 1.1)), out=tmp_path / "run",
        scratch=str(scratch), surrogate="classifier", proposal="random", K=40, L=400, steps=10, hidden=(8,),
    )  # fmt: skip

    def until(enough: Callable[[set[str]], bool]) -> set[str]:
        """Scan on until those who evaluated something since now are enough, and return them."""
        known, end = scan.result().table.num_rows, time.monotonic() + 40
        workers: set[str] = set()
        while not enough(workers) and time.monotonic() < end:
            workers = set(scan.advance(1).table["worker"].to_pylist()[known:])
        assert enough(workers), (workers, scan.progress())
        return workers

    with scan:
        scan.advance(1)
        cluster.add_node(num_cpus=2, env_vars={"WITHOUT_SUM": "1"}, **MEMORY)
        lost = cluster.add_node(num_cpus=2, **MEMORY)
        first = until(lambda workers: len(workers) == 4)
        assert scan.progress().left_out == 1
        # In the midst of its points.
        threading.Timer(0.3, cluster.remove_node, (lost, False)).start()
        scan.advance(3)
        assert scan.progress().lost > 0
        cluster.add_node(num_cpus=2, **MEMORY)
        until(lambda workers: len(workers - first) >= 2)
        table = scan.result().table
    assert table["point_id"].to_pylist() == list(range(len(table)))
    assert table["y"].to_pylist() == [a + b for a, b in zip(*(table[n].to_pylist() for n in "ab"), strict=True)]
    assert set(table["status"].to_pylist()) == {"ok"}
    log = (tmp_path / "run" / "log").read_text()
    assert log.count("left out: there is no program that adds") == 1
    complaints = [report.complaint for report in inspect_cluster(Sum(), ("a", "b"), str(scratch))]
    assert sorted(complaints) == ["", "", "there is no program that adds"]


SCRIPT = """
import json, sys
import ray
import rayscan as rs

scan = rs.Scan(
    space=rs.Space(a=(0, 1)), tool=rs.Function(lambda a: a, outputs=["y"]), target=rs.Target(y=(0.4, 0.6)),
    out=sys.argv[1], scratch=sys.argv[2], surrogate="classifier", proposal="random", K=20, L=100, steps=5, hidden=(8,),
    evaluators=2,
)
rows = scan.run(evaluations=30, progress=None).table.num_rows
print(json.dumps({"rows": rows, "address": ray.get_runtime_context().gcs_address}))
"""


def test_a_running_cluster_is_used_and_left_running(cluster: Any, scratch: Path, tmp_path: Path) -> None:
    """``RAY_ADDRESS`` alone takes a script to the cluster; when it ends the cluster is there, and empty."""
    import ray

    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), str(scratch)], env=environment, capture_output=True,
        text=True, timeout=100, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1]) == {"rows": 30, "address": cluster.address}
    end = time.monotonic() + 10
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"] and time.monotonic() < end:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"]
