"""How busy evaluators are: ``python -m tests.benchmarks.utilisation [--points 500] [--evaluators 8] ...``.

Points sleep for a log-normal time of 0.2 to 2 s. The busy share is computed from the stored time stamps alone: the time
spent on points between the first and the last issue, divided by that time and the number of evaluators. Refits happen
in between and are included. The batch-synchronous figure (``deterministic=True``) stands beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np

import rayscan as rs
from rayscan.store.arrays import column


def busy_share(table: Any, evaluators: int) -> float:
    """Return the share of the evaluators' time between first and last issue that was spent on points."""
    issued, started, ended = (column(table, name) for name in ("issued", "started", "ended"))
    first, last = issued.min(), issued.max()
    worked = np.clip(np.minimum(ended, last) - np.maximum(started, first), 0, None).sum()
    return float(worked / (evaluators * (last - first)))


def sleepy(low: float, high: float) -> rs.Function:
    """Return a function that sleeps for a time that depends on the point, log-normal between the limits."""

    def evaluate(a: float, b: float, c: float) -> float:
        place = int.from_bytes(np.float64(a * 1e6 + b * 1e3 + c).tobytes(), "little") % 2**32
        draw = np.random.default_rng(place).lognormal(np.log(np.sqrt(low * high)), 0.5)
        time.sleep(float(np.clip(draw, low, high)))
        return a * a + b * b + c * c

    return rs.Function(evaluate, outputs=["r2"])


def run(arguments: argparse.Namespace, k: int, *, deterministic: bool) -> tuple[float, float, rs.Scan]:
    with tempfile.TemporaryDirectory() as out:
        scan = rs.Scan(
            space=rs.Space(a=(-1, 1), b=(-1, 1), c=(-1, 1)),
            tool=sleepy(arguments.low, arguments.high),
            target=rs.Target(r2=(0.2, 0.3)),
            out=f"{out}/run",
            K=k,
            evaluators=arguments.evaluators,
            surrogate=arguments.surrogate,
            deterministic=deterministic,
            seed=arguments.seed,
        )
        started = time.monotonic()
        result = scan.run(evaluations=arguments.points, progress=None)
        return busy_share(result.table, arguments.evaluators), time.monotonic() - started, scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--evaluators", type=int, default=8)
    parser.add_argument("--K", type=int, nargs="+", default=[300, 50])
    parser.add_argument("--low", type=float, default=0.2)
    parser.add_argument("--high", type=float, default=2.0)
    parser.add_argument("--surrogate", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--asynchronous-only", action="store_true")
    arguments = parser.parse_args()
    print(f"{'K':>5} {'mode':<14} {'busy':>7} {'wall s':>7} {'refits':>7} {'refit s':>8}")
    for k in arguments.K:
        for deterministic in (False,) if arguments.asynchronous_only else (False, True):
            share, seconds, scan = run(arguments, k, deterministic=deterministic)
            last = scan.progress()
            mode = "deterministic" if deterministic else "asynchronous"
            print(
                f"{k:>5} {mode:<14} {share:>7.1%} {seconds:>7.1f} {last.generation:>7} {last.refit_seconds:>8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
