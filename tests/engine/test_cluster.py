"""Scans on a cluster of several nodes that somebody else has started: nodes go and come, and the cluster stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rayscan as rs
from rayscan.testing.chaos import NodeKiller, survivors

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(120)]

MEMORY = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster(ray_token: None) -> Iterator[Any]:
    """A head with three CPUs, to which this process is connected."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False, **MEMORY})
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


def incarnations(workers: list[str]) -> set[int]:
    return {int(worker.split(".")[1]) for worker in workers}


def test_a_node_goes_and_another_comes(cluster: Any, scratch: Path, tmp_path: Path) -> None:
    """The points of a lost node are evaluated elsewhere; its evaluators' places wait until there is room again."""
    cluster.add_node(num_cpus=2, **MEMORY)
    scan = rs.Scan(
        space=rs.Space(a=(0, 1), b=(0, 1)), tool=rs.Function(lambda a, b: time.sleep(0.05) or a + b, outputs=["y"]),
        target=rs.Target(y=(0.9, 1.1)), out=tmp_path / "run", scratch=str(scratch), surrogate="classifier",
        proposal="random", K=40, L=400, steps=10, hidden=(8,), evaluators=4,
    )  # fmt: skip
    killer = NodeKiller(cluster.address, every=(0.0, 0.0), times=1)
    with scan:
        before = scan.advance(2).table.num_rows
        with killer:
            workers = scan.advance(2).table["worker"].to_pylist()
        assert len(killer.killed) == 1
        assert incarnations(workers[:before]) == {0}
        cluster.add_node(num_cpus=2, **MEMORY)
        end = time.monotonic() + 60
        while incarnations(workers) == {0} and time.monotonic() < end:
            workers = scan.advance(2).table["worker"].to_pylist()
        table = scan.result().table
    assert incarnations(workers) >= {0, 1}, "no evaluator was started in place of a lost one"
    assert scan.progress().lost > 0
    assert table["point_id"].to_pylist() == list(range(len(table)))
    assert table["y"].to_pylist() == [a + b for a, b in zip(*(table[n].to_pylist() for n in "ab"), strict=True)]
    assert set(table["status"].to_pylist()) == {"ok"}


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
