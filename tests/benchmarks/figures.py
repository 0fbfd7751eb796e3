"""How long figures and the report take, up to a million rows: ``python -m tests.benchmarks.figures --out pictures``.

The scans are invented ones of 2, 5 and 20 parameters. The pictures lie in the folder that is named, to be looked at.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

from rayscan.errors import ConfigError
from rayscan.results.plot import Plots
from rayscan.results.report import Report
from rayscan.results.report.page import page
from tests.results.invented import FAMILIES, GRADED, NAMES, drawn, invented

LIMIT = 10.0
"""Seconds of a processor that a figure may take: on a machine that others use, too, the clock says more."""


def report(table: Any, where: Path) -> None:
    where.with_suffix(".html").write_text(page(Report(table)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parameters", type=int, nargs="+", default=[2, 5, 20])
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 3000, 1_000_000])
    parser.add_argument("--only", nargs="+", choices=[*FAMILIES, "report"], default=[*FAMILIES, "report"])
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print(f"{'figure':14s} {'parameters':>10s} {'rows':>10s} {'clock':>8s} {'CPU':>8s}")
    for d, n in itertools.product(asked.parameters, asked.rows):
        tables = {graded: invented(d, n, graded=graded) for graded in (False, True)}
        plots = {graded: Plots(table, NAMES[:d], ["mh", "omega"]) for graded, table in tables.items()}
        for family in asked.only:
            where, said = asked.out / f"{family}-{d}-{n}.png", ""
            start, begun = time.perf_counter(), time.process_time()
            try:
                if family == "report":
                    report(tables[True], where)
                else:
                    drawn(plots[family in GRADED], family).savefig(where, dpi=80)
            except ConfigError as error:
                said = f"not drawn: {error}"
            took, spent = time.perf_counter() - start, time.process_time() - begun
            if spent > LIMIT and family != "report":
                said = f"MISS: expected < {LIMIT:.0f} s"
            print(f"{family:14s} {d:10d} {n:10,d} {took:8.2f} {spent:8.2f} {said}", flush=True)


if __name__ == "__main__":
    main()
