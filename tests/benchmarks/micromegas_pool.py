"""Many evaluators on one micrOMEGAs installation, from a cleared cache: no clash, and the values of a serial run.

Run as ``python -m tests.benchmarks.micromegas_pool [MAIN] [--points 300] [--evaluators 8] [--clear]``. ``MAIN``, or
``RAYSCAN_MICROMEGAS``, is the main of the bundled SingletDM. ``--clear`` empties the model's cache of compiled
processes first (``work/so_generated``, and nothing else); it is compiled anew by the scan's first point.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

import rayscan as rs

READ = {"omega": "Omega", "xf": "Xf", "proton_SI": "proton_SI", "neutron_SI": "neutron_SI"}
SPACE = rs.Space(Mdm1=rs.Log(10, 3000), laSH=rs.Log(1e-4, 2))
COMPARED = ("Mdm1", "laSH", "status", *READ)
Differences = dict[str, int]


@dataclass(frozen=True)
class Comparison:
    """What a pool and a serial run made of the same points.

    Attributes
    ----------
    seconds : mapping of str to float
        Wall time of ``pool`` and ``serial``, warm-up included.
    statuses : mapping of str to int
        Points of the pool by status.
    workers : int
        Evaluators that took part.
    different : mapping of str to int
        Column to the number of rows in which the runs disagree; empty when they agree in everything.
    compiled : int
        Libraries in the model's cache at the end.
    leftovers : tuple of str
        Temporary directories of micrOMEGAs that stayed in the model's ``work``.
    """

    seconds: Mapping[str, float]
    statuses: Mapping[str, int]
    workers: int
    different: Differences
    compiled: int
    leftovers: tuple[str, ...]


def scan(main: Path, out: Path, points: np.ndarray, evaluators: int) -> pa.Table:
    """Evaluate given points ``(n, 2)`` and return their rows."""
    tool = rs.MicrOMEGAs(main, parameters={"Mh": 125.0, "laS": 0.1}, write=["Mdm1", "laSH"], read=READ, timeout=600)
    problem = rs.Scan(
        SPACE, tool, rs.Target(omega=(0.118, 0.122)), out=out, initial=points, evaluators=evaluators, seed=1
    )
    return problem.run(evaluations=len(points), progress=None).table


def clear_cache(main: Path) -> int:
    """Remove the compiled processes of one model, and say how many there were."""
    cache = main.parent / "work" / "so_generated"
    libraries = sorted(cache.iterdir())
    for path in libraries:
        if path.is_file():
            path.unlink()
    return len(libraries)


def compare(main: Path, points: int = 300, evaluators: int = 8) -> Comparison:
    """Evaluate the same points with a pool and one after another."""
    sample = SPACE.to_physical(np.random.default_rng(7).random((points, SPACE.d)))
    place = Path(tempfile.mkdtemp(prefix="rayscan-micromegas-"))
    seconds: dict[str, float] = {}
    tables: dict[str, pa.Table] = {}
    try:
        for name, count in (("pool", evaluators), ("serial", 0)):
            start = time.perf_counter()
            tables[name] = scan(main, place / name, sample, count)
            seconds[name] = time.perf_counter() - start
    finally:
        shutil.rmtree(place)
    pool, serial = tables["pool"], tables["serial"]
    assert pool.num_rows == serial.num_rows == points
    work = main.parent / "work"
    return Comparison(
        seconds,
        {str(pair["values"]): int(pair["counts"]) for pair in pool["status"].value_counts().to_pylist()},
        len(pool["worker"].unique()),
        _differences(pool, serial),
        sum(path.suffix == ".so" for path in (work / "so_generated").iterdir()),
        tuple(sorted(path.name for path in work.glob("_*_*") if path.is_dir())),
    )


def _differences(pool: pa.Table, serial: pa.Table) -> Differences:
    different = {}
    for name in COMPARED:
        pairs = zip(pool[name].to_pylist(), serial[name].to_pylist(), strict=True)
        # NaN is no value that two runs could agree on, but both may lack one.
        count = sum(one != other and not (one != one and other != other) for one, other in pairs)
        if count:
            different[name] = count
    return different


def main(arguments: list[str] | None = None) -> int:
    """Print what the comparison found; the exit code is 1 when the runs disagree or a point failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("main", nargs="?", default=os.environ.get("RAYSCAN_MICROMEGAS"))
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--evaluators", type=int, default=8)
    parser.add_argument("--clear", action="store_true")
    given = parser.parse_args(arguments)
    if not given.main:
        sys.exit("give the main of SingletDM, or set RAYSCAN_MICROMEGAS")
    program = Path(given.main).resolve()
    if given.clear:
        print(f"cleared the cache: {clear_cache(program)} files")
    found = compare(program, given.points, given.evaluators)
    print(
        f"{given.points} points: {found.seconds['pool']:.1f} s with {given.evaluators} evaluators "
        f"({found.workers} took part), {found.seconds['serial']:.1f} s one after another"
    )
    print(f"statuses: {dict(found.statuses)}; compiled processes: {found.compiled}; left over: {found.leftovers}")
    print(f"different values: {found.different or 'none'}")
    return int(bool(found.different) or not set(found.statuses) <= {"ok", "unphysical"} or bool(found.leftovers))


if __name__ == "__main__":
    raise SystemExit(main())
