"""What a scan found and how it went, as text or Markdown, from its table alone."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import printable
from rayscan.learn.data import Origin
from rayscan.results.diagnostics import diagnose
from rayscan.results.failures import Failures
from rayscan.results.profile import best_point
from rayscan.store.arrays import ORIGIN_CODES, codes, column, labels, names_of, stage_seconds, unit_of, unit_points
from rayscan.store.reader import read_table
from rayscan.store.run_directory import PUT_OFF, RunDirectory
from rayscan.tools.base import Status

MILESTONES = (10, 100, 1000, 10_000)
MAX_GENERATIONS = 10
WIDTH = 110
CITATIONS = (
    "rayscan: cite as in CITATION.cff of the package",
    "A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, DLScanner, arXiv:2412.19675",
    "G. P. Lepage, Adaptive multidimensional integration: VEGAS enhanced, arXiv:2009.05112",
)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of the report; a table without a header is a list of names and values."""

    title: str
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()


class Report:
    """The summary of a scan.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    run : RunDirectory, optional
        Adds the problem, seed and versions.
    evaluators : int, optional
        Size of the pool, for the utilisation; by default the largest number of workers seen busy at once.

    Examples
    --------
    ``print(Report.of("runs/mssm").text())``
    """

    def __init__(self, table: Any, run: RunDirectory | None = None, evaluators: int | None = None) -> None:
        self.table = table
        self.run = run
        self.evaluators = evaluators
        self.valid: NDArray[np.bool_] = column(table, "valid").astype(bool)

    @classmethod
    def of(cls, path: Path | str, evaluators: int | None = None) -> Report:
        """Summarise a run directory, also while the scan goes on.

        Raises
        ------
        StoreError
            Not a run directory.
        """
        run = RunDirectory(path)
        return cls(read_table(run.path), run, evaluators)

    def sections(self) -> list[Section]:
        """Return the report's tables, without those that have nothing to say."""
        parts = [self._problem(), self._summary(), self._statuses()]
        if len(self.valid):
            parts += [self._milestones(), self._origins(), self._generations(), self._timing(), self._stages()]
            parts += [self._failures(), self._ranges(), self._best(), self._coverage()]
        parts.append(self._provenance())
        return [part for part in parts if part.rows]

    def text(self) -> str:
        """Return the report for a terminal."""
        return printable("\n\n".join(_as_text(section) for section in self.sections()) + "\n")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        title = f"# {self.run.path.name}\n\n" if self.run else "# Scan\n\n"
        return title + "\n\n".join(_as_markdown(section) for section in self.sections()) + "\n"

    def _problem(self) -> Section:
        if self.run is None:
            return Section("Problem", [])
        rows = [["run directory", str(self.run.path)], ["created", self.run.created[:19].replace("T", " ")]]
        rows += _listed(self.run.description)
        return Section("Problem", rows)

    def _summary(self) -> Section:
        n, good = len(self.valid), int(self.valid.sum())
        rows = [["evaluations", f"{n:,}"], ["valid points", f"{good:,}"]]
        if n:
            rows.append(["acceptance", _share(good, n)])
        return Section("Result", rows)

    def _statuses(self) -> Section:
        counts = Counter(labels(self.table, "status"))
        n = max(len(self.valid), 1)
        rows = [[s.label, f"{counts[s.label]:,}", f"{counts[s.label] / n:.2%}"] for s in Status if counts[s.label]]
        return Section("Evaluations by status", rows, ("status", "points", "share"))

    def _milestones(self) -> Section:
        at = np.flatnonzero(self.valid) + 1
        rows = [[f"{goal:,}", f"{at[goal - 1]:,}"] for goal in MILESTONES if goal <= len(at)]
        return Section("Evaluations needed", rows, ("valid points", "evaluations"))

    def _origins(self) -> Section:
        origin = labels(self.table, "origin")
        rows = [
            [o.label, f"{here.sum():,}", f"{self.valid[here].sum():,}", _share(self.valid[here].sum(), here.sum())]
            for o in Origin
            if (here := origin == o.label).any()
        ]
        return Section("Acceptance by origin", rows, ("origin", "points", "valid", "acceptance"))

    def _generations(self) -> Section:
        generation = column(self.table, "generation")
        width = max(1, -(-int(np.ptp(generation) + 1) // MAX_GENERATIONS))
        rows = []
        for first in range(int(generation.min()), int(generation.max()) + 1, width):
            here = (generation >= first) & (generation < first + width)
            if here.any():
                name = str(first) if width == 1 else f"{first}-{first + width - 1}"
                good = self.valid[here].sum()
                rows.append([name, f"{here.sum():,}", f"{good:,}", _share(good, here.sum())])
        return Section("Acceptance by generation", rows, ("generation", "points", "valid", "acceptance"))

    def _timing(self) -> Section:
        issued, started, ended = (column(self.table, name) for name in ("issued", "started", "ended"))
        known = np.isfinite(issued) & np.isfinite(started) & np.isfinite(ended)
        issued, started, ended = issued[known], started[known], ended[known]
        if not len(issued):
            return Section("Time", [])
        took = ended - started
        # A clock that was set back in between must not make it negative.
        span = max(0.0, float(ended.max() - issued.min()))
        rows = [
            ["first issue to last result", _duration(span)],
            ["evaluations per second", f"{len(took) / span:,.2f}" if span > 0 else "-"],
            ["one evaluation, median (95 %)", f"{_duration(np.median(took))} ({_duration(np.quantile(took, 0.95))})"],
        ]
        use = utilisation(self.table, self.evaluators or self._pool_size())
        if use is not None:
            rows.append(["evaluators", f"{use.evaluators}"])
            rows.append(["evaluators busy", f"{use.busy:.1%} between first and last issue ({_duration(use.span)})"])
        hung = [line.removeprefix(PUT_OFF).split(" s: ", 1) for line in self._log() if line.startswith(PUT_OFF)]
        if hung:
            lost = sum(float(seconds) for seconds, _ in hung)
            share = lost / (lost + float(took.sum()))
            rows.append(
                ["lost to points that hang", f"{_duration(lost)} of {len(hung)}, {share:.0%} of all evaluation"]
            )
            rows.append(["one of them", hung[0][1]])
        return Section("Time", rows)

    def _log(self) -> list[str]:
        return self.run.log_lines() if self.run else []

    def _pool_size(self) -> int | None:
        details = self.run.details if self.run else {}
        size = {**details, **details.get("options", {})}.get("evaluators")
        return size if isinstance(size, int) and size > 0 else None

    def _stages(self) -> Section:
        rows = [
            [name, f"{len(t):,}", _duration(t.mean()), _duration(np.median(t)), _duration(np.quantile(t, 0.95)),
             _duration(t.sum())]
            for name, t in stage_seconds(self.table).items() if len(t)
        ]  # fmt: skip
        return Section("Programs", rows, ("stage", "runs", "mean", "median", "95 %", "total"))

    def _failures(self) -> Section:
        status, message = labels(self.table, "status"), labels(self.table, "message")
        failed = status != Status.OK.label
        kinds = Failures()
        kinds.add(status[failed], message[failed], column(self.table, "point_id")[failed].tolist())
        rows = [[f"{kind.count:,}", kind.status, kind.example] for kind in kinds.most_common(5)]
        return Section("Most frequent failures", rows, ("points", "status", "for example"))

    def _ranges(self) -> Section:
        rows = []
        for name in [*names_of(self.table, "parameter"), *names_of(self.table, "observable")]:
            values = column(self.table, name)[self.valid]
            values = values[np.isfinite(values)]
            if len(values) and np.ptp(column(self.table, name)) != 0:
                low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
                unit = unit_of(self.table, name)
                rows.append([name, f"{low:.6g}", f"{middle:.6g}", f"{high:.6g}", unit])
        return Section("Valid points", rows, ("", "5 %", "median", "95 %", "unit"))

    def _best(self) -> Section:
        if not (labels(self.table, "status") == Status.OK.label).any():
            return Section("Best point", [])
        best = best_point(self.table)
        title = "Best point, by likelihood" if best["valid"] else "Closest point, by penalty"
        quality = "likelihood" if best["valid"] else "penalty"
        names = [*names_of(self.table, "parameter"), *names_of(self.table, "observable")]
        rows = [["point_id", str(best["point_id"])], [quality, f"{_digits(best[quality], 6)}"]]
        rows += [[name, f"{_digits(best[name])} {unit_of(self.table, name)}".rstrip()] for name in names]
        return Section(title, rows)

    def _coverage(self) -> Section:
        d = self.table.schema.field("u").type.list_size
        origin, density = codes(self.table, "origin", ORIGIN_CODES), column(self.table, "density")
        seen = diagnose(unit_points(self.table, d), origin, density, self.valid)
        # These have tables of their own in the report.
        told = ("evaluations", "valid points", "acceptance")
        rows = [list(row) for row in seen.rows() if not row[0].startswith(told)]
        return Section("Coverage of the valid region", rows)

    def _provenance(self) -> Section:
        rows: list[list[str]] = []
        if self.run is not None:
            rows += _listed(self.run.details)
            rows.append(["versions", ", ".join(f"{name} {version}" for name, version in self.run.versions.items())])
            rows.append(["fingerprint", self.run.fingerprint[:16]])
        rows += [["please cite" if not index else "", text] for index, text in enumerate(CITATIONS)]
        return Section("Provenance", rows)


def text_report(path: Path | str, table: Any = None) -> str:
    """Return the report of a run directory as text.

    Parameters
    ----------
    path : Path or str
    table : pyarrow.Table, optional
        Its rows, if they have been read already.
    """
    run = RunDirectory(path)
    return Report(read_table(run.path) if table is None else table, run).text()


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How busy the evaluators were.

    Attributes
    ----------
    busy : float
        Evaluation time over evaluators times span, in [0, 1].
    evaluators : int
    span : float
        From the first to the last issue, in seconds.
    """

    busy: float
    evaluators: int
    span: float


def utilisation(table: Any, evaluators: int | None = None) -> Utilisation | None:
    """Return the share of the evaluators' time spent evaluating, between the first and the last issue.

    Overlapping evaluations of one worker (a block evaluated at once) count once.

    Parameters
    ----------
    table : pyarrow.Table
    evaluators : int, optional
        By default the largest number of workers busy at once.

    Returns
    -------
    Utilisation or None
        None where there is no time between the first and the last issue.
    """
    issued, started, ended = (column(table, name) for name in ("issued", "started", "ended"))
    known = np.isfinite(issued) & np.isfinite(started) & np.isfinite(ended)
    if not known.any() or not (span := float(np.ptp(issued[known]))) > 0:
        return None
    first, last = issued[known].min(), issued[known].max()
    worker = (labels(table, "host") + "/" + labels(table, "worker"))[known]
    begins, ends = [], []
    names, number = np.unique(worker, return_inverse=True)
    for one in range(len(names)):
        here = number == one
        low, high = _union(started[known][here], ended[known][here])
        begins.append(np.clip(low, first, last))
        ends.append(np.clip(high, first, last))
    begin, end = np.concatenate(begins), np.concatenate(ends)
    times = np.concatenate([begin, end])
    change = np.concatenate([np.ones(len(begin), int), -np.ones(len(end), int)])
    # At equal times an end comes before a beginning: a worker that goes on at once is one worker.
    most = int(np.cumsum(change[np.lexsort((change, times))]).max())
    pool = evaluators or max(most, 1)
    return Utilisation(float((end - begin).sum()) / (pool * span), pool, span)


def _union(started: Array, ended: Array) -> tuple[Array, Array]:
    """Return the beginnings and ends of the stretches that the intervals cover together."""
    order = np.argsort(started, kind="stable")
    started, ended = started[order], np.maximum.accumulate(ended[order])
    fresh = np.concatenate([[True], started[1:] > ended[:-1]])
    return started[fresh], ended[np.concatenate([fresh[1:], [True]])]


def _share(part: int, whole: int) -> str:
    """Return a share with its binomial standard error."""
    share = part / whole
    return f"{share:.2%} ± {math.sqrt(share * (1 - share) / whole):.2%}"


def _duration(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 120:
        return f"{minutes:.1f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def _listed(description: Mapping[str, Any]) -> list[list[str]]:
    """Return one row for each entry of a description, and of a mapping in it one for each of its own."""
    rows = []
    for name, value in description.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        rows += [[f"{name} {key}".strip(), _inline(entry)] for key, entry in inner]
    return rows


def _digits(value: float | None, digits: int = 10) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def _inline(value: object) -> str:
    """Return a nested description on one line."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} ({_inline(entry)})" if isinstance(entry, Mapping) else f"{key} = {_inline(entry)}"
            for key, entry in value.items()
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(entry) for entry in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_text(section: Section) -> str:
    if section.header:
        return "\n".join([section.title, "-" * len(section.title), *_as_table(section)])
    names = max(len(row[0]) for row in section.rows)
    lines = [section.title, "-" * len(section.title)]
    for row in section.rows:
        line = "  " + "  ".join([row[0].ljust(names), *row[1:]]).rstrip()
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * (4 + names), break_on_hyphens=False)
    return "\n".join(lines)


def _as_table(section: Section) -> list[str]:
    """Return the lines of a table; a last column that is too wide is wrapped inside itself."""
    rows = [section.header, *section.rows]
    widths = [max(len(row[col]) for row in rows) for col in range(len(section.header))]
    before = 2 + sum(width + 2 for width in widths[:-1])
    widths[-1] = min(widths[-1], max(WIDTH - before, 20))
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if _numeric(section, col) else cell.ljust(width)
            for col, (cell, width) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        last = textwrap.wrap(row[-1], widths[-1], break_on_hyphens=False) or [""]
        if _numeric(section, len(widths) - 1):
            last[0] = last[0].rjust(widths[-1])
        lines.append("  " + "  ".join([*cells, last[0]]).rstrip())
        lines += [" " * before + more for more in last[1:]]
    return [line.rstrip() for line in lines]


def _as_markdown(section: Section) -> str:
    header = section.header or ("", "")
    rule = ["---:" if _numeric(section, col) else "---" for col in range(len(header))]
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in section.rows]
    return f"## {section.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def _numeric(section: Section, col: int) -> bool:
    return bool(section.header) and all(row[col][:1].isdigit() or row[col][:1] in "+-" for row in section.rows)
