"""A tool of one's own in 15 lines: ``python examples/own_tool.py``.

`open` loads what is needed once in each evaluator, `evaluate` takes one point at a time. A program is started with
``sandbox.run``, in a directory of the point's own, with limits, and leaves no process behind.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import rayscan as rs
from rayscan.tools.base import Outcome, Status

PROGRAM = "import sys; m, g = map(float, sys.argv[1:]); print(0.12 * (0.1 / g) ** 4 * (m / 100) ** 2)"
"""What stands for a program: it prints a relic density for a mass and a coupling."""


class Relic(rs.Tool):
    name, outputs = "relic", ("omega",)

    def open(self, scratch: Path) -> None:  # noqa: ARG002 - where there is room for files
        self.unit = 1.0  # a package, a data base: loaded once in each evaluator

    def evaluate(self, point: Any, sandbox: Any) -> Outcome:
        if point["coupling"] > 0.9:
            return Outcome(Status.UNPHYSICAL, message="not perturbative")
        ran = sandbox.run([sys.executable, "-c", PROGRAM, str(point["mass"]), str(point["coupling"])])
        if ran.exit_code != 0:
            return Outcome(Status.TOOL_ERROR, message=ran.stderr.read_text())
        return Outcome(Status.OK, {"omega": self.unit * float(ran.stdout.read_text())})


def make(out: Path, evaluators: int | None = None) -> rs.Scan:
    """Return the scan."""
    space = rs.Space(mass=rs.Log(10, 1000), coupling=rs.Log(0.01, 1))
    return rs.Scan(space, Relic(), rs.Target(omega=(0.03, 0.3)), out=out, evaluators=evaluators, units={"mass": "GeV"})


def main(argv: list[str] | None = None) -> None:
    """Scan and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/own_tool"))
    parser.add_argument("--valid", type=int, default=200)
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--evaluators", type=int)
    parser.add_argument("--picture", type=Path, default=Path("own_tool.png"))
    asked = parser.parse_args(argv)
    result = make(asked.out, asked.evaluators).run(valid=asked.valid, evaluations=asked.evaluations)
    print(f"valid points: {len(result.valid):,} of {len(result.table):,}")
    result.plot.scatter("mass", "coupling", colour="omega", path=asked.picture)
    print(f"picture: {asked.picture}")


if __name__ == "__main__":
    main()
