"""The measured table of ``docs/method.md``, from the benchmark's JSON: ``python -m docs.tables bars.json [more.json]``.

Each file is what ``python -m tests.benchmarks.efficiency --json FILE`` wrote. Medians over the seeds replace whatever
stands between the two markers of the page; ``--print`` shows them instead.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.bars import BARS, median
from tests.benchmarks.problems import PROBLEMS

PAGE = Path(__file__).parent / "method.md"
BEGIN, END = "<!-- results: python -m docs.tables -->", "<!-- end of results -->"
HEAD = (
    "| problem | method | seeds | to 1,000 | to 10,000 | coverage a/b | islands | AUC | CPU s a batch |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
QUALITY = ("share", "uniform", "islands", "auc")
Run = Mapping[str, Any]


def table(runs: Sequence[Run]) -> str:
    """Return one row for each problem and method, problems in the order of the suite, the default method first."""
    known = list(PROBLEMS)

    def place(run: Run) -> tuple[int, str, bool, str]:
        problem = run["problem"]
        return (known.index(problem) if problem in known else len(known), problem, run["method"] != "default",
                run["method"])  # fmt: skip

    rows = [_row(list(group)) for _, group in groupby(sorted(runs, key=place), key=place)]
    return "\n".join([HEAD, *rows])


def _row(runs: Sequence[Run]) -> str:
    problem, method = runs[0]["problem"], runs[0]["method"]
    bar = BARS.get(problem) if method == "default" else None
    reached = []
    for goal, limit in ((1000, bar and bar.first), (10_000, bar and bar.last)):
        value = median([run["evaluations"].get(str(goal), math.inf) for run in runs])
        reached.append(f"{value:,.0f}" if math.isfinite(value) else "-")
        reached[-1] += f" (≤ {limit:,})" if limit else ""
    share, uniform, islands, auc = _quality(runs)
    cost = median([float(np.median(run["seconds"][1:])) for run in runs if len(run["seconds"]) > 1])
    cells = [problem, method, str(len(runs)), *reached, f"{share}/{uniform}", islands, auc, f"{cost:.2f}"]
    return f"| {' | '.join(cells)} |"


def _quality(runs: Sequence[Run]) -> list[str]:
    """Return coverage, that of a uniform sample, islands and AUC at the largest number of points that most reached."""
    goals = {int(goal) for run in runs for goal in run["coverage"]}
    common = [goal for goal in goals if sum(str(goal) in run["coverage"] for run in runs) > len(runs) / 2]
    if not common:
        return ["-"] * 4
    at = str(max(common))
    each = [[run["coverage"][at][name] for name in QUALITY] for run in runs if at in run["coverage"]]
    share, uniform, islands, auc = np.median(each, axis=0)
    return [f"{share:.3f}", f"{uniform:.3f}", f"{islands:.0f}", f"{auc:.2f}"]


def with_table(page: str, text: str) -> str:
    """Return a page with the text between its markers.

    Raises
    ------
    ValueError
        If there are no markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        msg = f"the page has no lines {BEGIN!r} and {END!r} to put the table between"
        raise ValueError(msg)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(argv: list[str] | None = None) -> None:
    """Write the table into the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--print", action="store_true", dest="only_print", help="show the table, leave the page alone")
    options = parser.parse_args(argv)
    text = table([run for path in options.results for run in json.loads(path.read_text())])
    if options.only_print:
        print(text)
        return
    versions = (
        f"\nMedians over the seeds; K = 300, a tenth uniform, the start counted; in brackets the bars.\n\n{text}\n"
    )
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), versions), encoding="utf-8")


if __name__ == "__main__":
    main()
