"""How many points a second one driver hands out and takes back: ``python -m tests.benchmarks.pool_rate [SECONDS]``.

The pool alone, without learning or store. Evaluators ask for no CPU, so that many fit on a small machine. Tools: one
that does nothing, one that takes 20 ms without using a processor, and one that takes blocks and does nothing. Beside
each rate stands what no pool can exceed on this machine: an evaluator without Ray on each core, or evaluators that
never wait. *Driver µs* is the driver's own processor time a point, *driver max* the rate at which that fills a core.
The last column is bare Ray: messages a second from as many actors that stream small numbers.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray

import rayscan as rs
from rayscan.engine.cluster import connect
from rayscan.engine.evaluator import Evaluator
from rayscan.engine.ray_pool import RayPool
from rayscan.engine.roster import Bounds, Demand
from rayscan.tools.base import Points, Tool

NAP = 0.02
TOOLS: dict[str, Callable[[], Tool]] = {
    "nothing": lambda: rs.Function(lambda x: x, outputs=["y"]),
    "20 ms": lambda: rs.Function(lambda x: time.sleep(NAP) or x, outputs=["y"]),
    "blocks": lambda: rs.Function(lambda x: x[:, 0], outputs=["y"], vectorized=True),
}
EVALUATORS = (2, 8, 32)


def points(first: int, n: int) -> Points:
    """Return points of one parameter."""
    ids = np.arange(first, first + n)
    return Points(ids, ids[:, None] * 1e-6, np.ones(n, np.int32))


def through_pool(tool: Tool, evaluators: int, seconds: float, scratch: str) -> tuple[float, float]:
    """Return points a second and the driver's processor seconds a point, once all evaluators are at work."""
    bounds, demand = Bounds(evaluators, evaluators), Demand(cpus=0.0)
    pool = RayPool(tool, ("x",), f"rate-{time.time_ns()}", bounds, demand, scratch, keep="never")
    issued, done, begun, used = 0, 0, 0.0, 0.0
    try:
        while not begun or time.perf_counter() < begun + seconds:
            if n := pool.room():
                pool.submit(points(issued, n))
                issued += n
            done += sum(len(outcomes) for outcomes in pool.collect(0.1))
            if not begun and pool.size == evaluators and done > 20 * evaluators:
                begun, used, done = time.perf_counter(), time.process_time(), 0
        return done / (time.perf_counter() - begun), (time.process_time() - used) / max(done, 1)
    finally:
        pool.abandon()
        pool.close()


def alone(tool: Tool, seconds: float, scratch: str) -> float:
    """Return points per processor second of one evaluator in this process: other programs may have the rest."""
    evaluator = Evaluator(tool, ("x",), "alone", "0", Path(scratch), keep="never")
    end, used, done = time.perf_counter() + seconds, time.process_time(), 0
    size = 4096 if tool.vectorized else 64
    try:
        while time.perf_counter() < end:
            done += sum(len(outcomes) for outcomes in evaluator.evaluate(points(done, size)))
        return done / (time.process_time() - used)
    finally:
        evaluator.close()


class Chatterbox:
    """Streams numbers."""

    def talk(self, n: int) -> Any:
        """Yield `n` numbers."""
        for number in range(n):  # noqa: UP028 - Ray streams true generators only
            yield number


def bare_ray(actors: int, seconds: float) -> float:
    """Return messages a second that one process takes from so many streams."""
    crew = [ray.remote(num_cpus=0)(Chatterbox).remote() for _ in range(actors)]
    ray.get([next(actor.talk.options(num_returns="streaming").remote(1)) for actor in crew])
    streams = {actor.talk.options(num_returns="streaming").remote(200): actor for actor in crew}
    begun, done = time.perf_counter(), 0
    while time.perf_counter() < begun + seconds:
        for stream in ray.wait(list(streams), num_returns=1, fetch_local=False)[0]:
            try:
                ray.get(next(stream))
                done += 1
            except StopIteration:
                actor = streams.pop(stream)
                streams[actor.talk.options(num_returns="streaming").remote(200)] = actor
    rate = done / (time.perf_counter() - begun)
    for actor in crew:
        ray.kill(actor)
    return rate


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    connect()
    cores = os.cpu_count() or 1
    print(f"{cores} cores, {seconds:g} s each; load of the machine at the start {os.getloadavg()[0]:.1f}")
    print("tool      evaluators   points/s      limit  share  driver µs  driver max  bare Ray messages/s")
    with tempfile.TemporaryDirectory() as scratch:
        messages = {evaluators: bare_ray(evaluators, seconds / 2) for evaluators in EVALUATORS}
        for name, make in TOOLS.items():
            one = alone(make(), seconds / 2, scratch)
            for evaluators in EVALUATORS:
                rate, cost = through_pool(make(), evaluators, seconds, scratch)
                limit = evaluators / NAP if name == "20 ms" else one * min(cores, evaluators)
                print(
                    f"{name:9} {evaluators:10} {rate:10,.0f} {limit:10,.0f} {rate / limit:6.1%} {1e6 * cost:10.1f} "
                    f"{1 / cost:11,.0f} {messages[evaluators]:20,.0f}",
                    flush=True,
                )
    ray.shutdown()


if __name__ == "__main__":
    main()
