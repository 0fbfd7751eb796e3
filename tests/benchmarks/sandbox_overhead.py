"""What a sandbox costs around a program that does nothing, beside what starting that program costs anyway.

Run it as a script. "Bare" is the cheapest start that Python has (``posix_spawn`` and ``waitpid``; no limits, no
directory, no capture, no time-out), "fork" is ``fork`` + ``exec`` + ``waitpid`` in this process, all with the same
environment. The sandbox includes the new directory and its removal, all limits, captured output, the time-out and the
reaper. They take turns in short blocks, so that a busy machine hurts all alike, and a fork's page faults only forks.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable

from rayscan.sandbox.lifeline import chosen_environment
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.workshop import Workshop

PROGRAM = shutil.which("true") or "/bin/true"
LIMITS = Limits(timeout=60, cpu_seconds=60, memory_bytes=2**33, file_bytes=2**30)
ENVIRONMENT = chosen_environment()
BLOCK = 20
WARM_UP = 3
"""Runs at the start of each block that do not count."""


def bare() -> None:
    os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], ENVIRONMENT), 0)


def fork() -> None:
    pid = os.fork()
    if not pid:
        os.execve(PROGRAM, [PROGRAM], ENVIRONMENT)
    os.waitpid(pid, 0)


def measure(repeats: int = 500) -> dict[str, float]:
    """Return the median cost in seconds of each way."""
    with Workshop(run_id="benchmark") as workshop:

        def sandboxed() -> None:
            with workshop.sandbox(1) as sandbox:
                sandbox.run([PROGRAM], limits=LIMITS)

        ways: dict[str, Callable[[], None]] = {"bare": bare, "fork": fork, "sandbox": sandboxed}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        while len(seconds["sandbox"]) < repeats:
            for name, way in ways.items():
                for turn in range(WARM_UP + BLOCK):
                    started = time.perf_counter()
                    way()
                    if turn >= WARM_UP:
                        seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=500)
    medians = measure(parser.parse_args().repeats)
    for way, median in medians.items():
        beside = "   ".join(f"{median / medians[other]:.2f} x {other}" for other in ("bare", "fork"))
        print(f"{way:8s} {median * 1e6:7.0f} us   {beside}")
