"""Kill anything, at any moment: ``python -m tests.benchmarks.chaos_run [--points 20000] [--seeds 10] ...``.

A scan on a cluster of three nodes whose evaluators die at random (3 % a point), with five points that kill their
evaluator every time and five at which it hangs, while the driver is killed three times and one node once. Afterwards
the table must hold every id exactly once, every value right, poison and hangs set aside, and nothing may be left
running or lying about. Prints one line a seed; ends with 1 if any check failed.

A point that dies three times by chance, alone, is set aside as poison, too: the pool cannot know better. That happens
to one point in some thousands of those whose evaluator died, and is counted.
"""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import rayscan as rs
from rayscan.testing.chaos import DriverKiller, Frail, survivors


def start_cluster(evaluators: int) -> tuple[Any, Any]:
    """Return a cluster of three nodes on this machine, and the node that will be killed."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    share = -(-evaluators // 3)
    memory = {"object_store_memory": 128 * 2**20}
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": share + 1, "include_dashboard": False, **memory}
    )
    cluster.add_node(num_cpus=share, **memory)
    victim = cluster.add_node(num_cpus=share, **memory)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    return cluster, victim


def choose_bad(points: int, each: int, seed: int) -> tuple[list[int], list[int]]:
    """Return ids of poison and of hanging points, anywhere in the scan."""
    chosen = np.random.default_rng(seed).choice(points, size=2 * each, replace=False).tolist()
    return chosen[:each], chosen[each:]


def check(table: Any, tool: Frail, points: int) -> dict[str, Any]:
    """Return what the table shows; ``wrong`` lists every broken promise."""
    ids = table["point_id"].to_numpy()
    a, b, y = (table[name].to_numpy() for name in ("a", "b", "y"))
    status = np.array(table["status"].to_pylist())
    poison, hangs = np.isin(ids, tool.poison), np.isin(ids, tool.hangs)
    unlucky = int((status[~poison & ~hangs] == "poison").sum())
    wrong = []
    if not np.array_equal(ids, np.arange(points)):
        wrong.append(f"{len(ids)} ids, {len(np.unique(ids))} different, up to {ids.max(initial=-1)}")
    if not np.array_equal((a + b)[status == "ok"], y[status == "ok"]):
        wrong.append("values")
    if set(status[poison]) != {"poison"} or not set(status[hangs]) <= {"timeout", "poison"}:
        wrong.append(f"poison {set(status[poison])}, hangs {set(status[hangs])}")
    if (others := (status[~poison & ~hangs] != "ok").sum() - unlucky) > 0:
        wrong.append(f"{others} good points did not end ok")
    again = int((table["attempt"].to_numpy() > 1).sum())
    return {"poison": int(poison.sum()), "hangs": int(hangs.sum()), "unlucky": unlucky, "again": again, "wrong": wrong}


def run(arguments: argparse.Namespace, seed: int) -> bool:
    """Run one seed; return whether every promise was kept."""
    import ray

    cluster, victim = start_cluster(arguments.evaluators)
    n, pause = arguments.points, arguments.seconds
    function = rs.Function(lambda a, b: time.sleep(pause) or a + b, outputs=["y"])
    poison, hangs = choose_bad(n, 5, seed)
    tool = Frail(function, deaths=0.03, poison=poison, hangs=hangs, deadline=5.0, seed=seed)
    with tempfile.TemporaryDirectory() as directory:
        out, scratch = Path(directory) / "run", Path(directory) / "scratch"
        scan = rs.Scan(
            space=rs.Space(a=(0, 1), b=(0, 1)), tool=tool, target=rs.Target(y=(0.9, 1.1)), out=out,
            scratch=str(scratch), evaluators=arguments.evaluators, surrogate="classifier", proposal="random", steps=50,
            max_tool_errors=1.0, seed=seed,
        )  # fmt: skip
        started = time.monotonic()
        node_death = threading.Timer(arguments.node_after, cluster.remove_node, (victim,), {"allow_graceful": False})
        node_death.start()
        with DriverKiller(out, every=tuple(arguments.every), times=3, seed=seed) as killer:
            table = scan.run(evaluations=n, progress=None).table
        node_death.join()
        seconds = time.monotonic() - started
        found = check(table, tool, n)
        ray.shutdown()
        cluster.shutdown()
        left = wait_for_nobody(scratch)
    wrong = found["wrong"] + ([f"left behind: {left}"] if left else [])
    if len(killer.killed) < 3:
        wrong.append(f"only {len(killer.killed)} drivers were killed: too few points for --every")
    print(
        f"seed {seed}: {n} points in {seconds:.0f} s, {len(killer.killed)} drivers and a node killed, "
        f"{found['again']} points evaluated again, {found['poison']} poison, {found['hangs']} hangs, "
        f"{found['unlucky']} set aside after three random deaths: {'; '.join(wrong) or 'nothing lost'}",
        flush=True,
    )
    return not wrong


def wait_for_nobody(scratch: Path) -> list[str]:
    """Return who is still there after ten seconds."""
    end = time.monotonic() + 10
    while (left := survivors(scratch)) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--evaluators", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.05, help="what a point takes")
    parser.add_argument("--every", type=float, nargs=2, default=[20.0, 90.0], help="seconds between driver kills")
    parser.add_argument("--node-after", type=float, default=60.0, help="seconds until a node is killed")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    kept = [run(arguments, seed) for seed in seeds]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
