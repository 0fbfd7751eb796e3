"""The measured tables of ``docs/method.md``, from what the benchmarks wrote: ``python -m docs.tables NAME FILES``.

Each table replaces whatever stands between its two markers on the page; ``--print`` shows it instead.

    python -m docs.tables results bars.json more.json   # tests.benchmarks.efficiency --json
    python -m docs.tables labels labels.json            # tests.benchmarks.labels_only --json
    python -m docs.tables comparison DIRECTORY          # tests.benchmarks.paper_comparison --out
    python -m docs.tables dimension DIRECTORY           # tests.benchmarks.similarity_dimension --out
    python -m docs.tables ablation DIRECTORY            # tests.benchmarks.ablation --out
    python -m docs.tables peers peers.json              # tests.benchmarks.peers --json
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import ablation, paper_comparison, peers, similarity_dimension
from tests.benchmarks.bars import BARS, median
from tests.benchmarks.problems import PROBLEMS

PAGE = Path(__file__).parent / "method.md"
BEGIN, END = "<!-- {0}: python -m docs.tables {0} -->", "<!-- end of {0} -->"
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


def with_table(page: str, name: str, text: str) -> str:
    """Return a page with the text between the markers of a table.

    Raises
    ------
    ValueError
        If there are no markers.
    """
    first, last = BEGIN.format(name), END.format(name)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        msg = f"the page has no lines {first!r} and {last!r} to put the table between"
        raise ValueError(msg)
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def _from_files(paths: Sequence[Path]) -> str:
    return table([run for path in paths for run in json.loads(path.read_text())])


TABLES: dict[str, Callable[[Sequence[Path]], str]] = {
    "results": _from_files,
    "labels": _from_files,
    "comparison": lambda paths: "\n".join(paper_comparison.table(paths[0])),
    "dimension": lambda paths: "\n".join(similarity_dimension.table(paths[0])),
    "ablation": lambda paths: "\n".join(ablation.table(paths[0])),
    "peers": peers.page,
}


def main(argv: list[str] | None = None) -> None:
    """Write a table into the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(TABLES))
    parser.add_argument("paths", type=Path, nargs="+", help="files, or a directory")
    parser.add_argument("--print", action="store_true", dest="only_print", help="show the table, leave the page alone")
    options = parser.parse_args(argv)
    text = TABLES[options.name](options.paths)
    if options.only_print:
        print(text)
        return
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), options.name, text), encoding="utf-8")


if __name__ == "__main__":
    main()
