"""Long runs in miniature: ``python -m tests.benchmarks.soak [--points 1000000] [--evaluators 2]``.

Trivial points through the whole engine. Prints the memory of the driver against the points so far, its slope after the
first fifth, points a second and bytes a point on the disk; then what ``rayscan status``, ``rayscan report`` and
reopening take on the run directory, in time and memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

import rayscan as rs
from rayscan.progress import Progress
from rayscan.store import live_holder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--evaluators", type=int, default=2)
    parser.add_argument("--K", type=int, default=10_000)
    parser.add_argument("--one-by-one", action="store_true", help="a function of one point instead of a block")
    arguments = parser.parse_args()
    block = rs.Function(lambda x: (x**2).sum(axis=1), outputs=["r2"], vectorized=True)
    single = rs.Function(lambda a, b, c: a * a + b * b + c * c, outputs=["r2"])
    seen: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "run"

        def watch(progress: Progress) -> None:
            holder = live_holder(out)
            if holder and (not seen or progress.evaluations - seen[-1][0] >= arguments.points / 50):
                process = psutil.Process(holder["pid"])
                workers = [child.memory_info().rss for child in process.parent().children() if is_evaluator(child)]
                seen.append((progress.evaluations, process.memory_info().rss, max(workers, default=0)))
                print(f"{seen[-1][0]:>9,} points  driver {seen[-1][1] / 2**20:7.1f} MiB  "
                      f"evaluator {seen[-1][2] / 2**20:7.1f} MiB", flush=True)  # fmt: skip

        scan = rs.Scan(
            space=rs.Space(a=(-1, 1), b=(-1, 1), c=(-1, 1)), tool=single if arguments.one_by_one else block,
            target=rs.Target(r2=(0.2, 0.3)), out=out, K=arguments.K, evaluators=arguments.evaluators,
            surrogate="classifier", proposal="random", steps=20, hidden=(16,),
        )  # fmt: skip
        started = time.monotonic()
        result = scan.run(evaluations=arguments.points, progress=watch)
        seconds = time.monotonic() - started
        assert np.array_equal(result.table["point_id"].to_numpy(), np.arange(arguments.points))
        del result
        for command in ("status", "report"):
            print(cost(f"rayscan {command}", f"import sys; from rayscan.cli import main; "
                       f"sys.argv = ['rayscan', {command!r}, {str(out)!r}]; main()"))  # fmt: skip
        print(cost("reopening", f"from rayscan.store import Store; Store.open({str(out)!r}).learner_rows()"))
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{arguments.points / seconds:,.0f} points/s with start and end, {size / arguments.points:.0f} bytes a point")
    for name, column in (("driver", 1), ("evaluator", 2)):
        points, memory = np.array([(row[0], row[column]) for row in seen if row[0] > arguments.points / 5]).T
        slope = np.polyfit(points, memory, 1)[0]
        print(f"{name}: {slope:.0f} bytes a point after the first fifth")


def cost(what: str, program: str) -> str:
    """Return what a program of Python takes, in a process of its own."""
    after = (
        "import atexit, resource, time; start = time.monotonic(); atexit.register(lambda: print('\\n%.1f s, %d MiB' % ("
    )
    after += "time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))"
    done = subprocess.run([sys.executable, "-c", f"{after}\n{program}"], capture_output=True, text=True, check=True)
    return f"{what}: {done.stdout.splitlines()[-1]}"


def is_evaluator(process: psutil.Process) -> bool:
    try:
        return "EvaluatorActor" in process.name() or any("EvaluatorActor" in word for word in process.cmdline())
    except psutil.Error:
        return False


if __name__ == "__main__":
    main()
