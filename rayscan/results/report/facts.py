"""What a scan found and how it went, from its table alone: the facts that every form of the report shows."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rayscan.errors import printable
from rayscan.learn.data import Origin
from rayscan.progress import in_words
from rayscan.results.diagnostics import GROWING, OPEN, SATURATED, UNKNOWN
from rayscan.results.failures import first_line
from rayscan.results.profile import best_point
from rayscan.results.report import figures
from rayscan.results.report.evidence import Evidence
from rayscan.results.report.problem import problem_sections
from rayscan.results.report.section import Chapter, Section
from rayscan.results.report.text import as_markdown, as_text
from rayscan.results.report.timing import sessions, utilisation
from rayscan.results.report.wording import digits, duration, listed, share
from rayscan.store.arrays import column, labels, names_of, stage_seconds, unit_of
from rayscan.store.put_off import PutOff
from rayscan.store.reader import read_table
from rayscan.store.run_directory import RunDirectory
from rayscan.tools.base import Status

MILESTONES = (10, 100, 1000, 10_000)
MAX_GENERATIONS = 10
MANY, RARE = 5, 0.2
"""Points that hang of which a range is told, and the share of the others that it may hold."""
MEANING = {
    SATURATED: "The last valid points lie within reach of earlier ones, and points drawn blindly see no others.",
    GROWING: "A longer scan would find more.",
    OPEN: "",
    UNKNOWN: "",
}
"""Of the verdicts on the coverage."""


class Report(Evidence):
    """The summary of a scan; arguments as of `rayscan.results.report.evidence.Evidence`.

    Examples
    --------
    ``print(Report.of("runs/mssm").text())``
    """

    @cached_property
    def chapters(self) -> list[Chapter]:
        """The report in order, without what there is nothing to say of."""
        some = bool(len(self.valid))
        found = [self._summary()] + ([self._best(), self._ranges()] if some else [])
        went = [self._statuses()] + ([self._milestones(), self._origins(), self._generations()] if some else [])
        parts = [
            Chapter("What was scanned", self._problem()),
            Chapter("What was found", found, figures.of_what_was_found(self)),
            Chapter("How the search went", went, figures.of_the_search(self)),
            Chapter("What failed", [self._failures()], figures.of_failures(self), self.cases),
            Chapter("Coverage", [self._coverage()] if some else [], figures.of_coverage(self)),
            Chapter("Time", [self._timing(), self._stages()] if some else [], figures.of_time(self)),
            Chapter("Provenance", [self._provenance()]),
            Chapter("How to cite", [self._citations()], code="\n\n".join(one.bibtex for one in self.cited)),
        ]
        return [part for part in parts if not part.empty]

    def sections(self) -> list[Section]:
        """Return the report's tables, without those that have nothing to say."""
        return [section for chapter in self.chapters for section in chapter.sections if section.rows]

    def text(self) -> str:
        """Return the report for a terminal."""
        return printable("\n\n".join(as_text(section) for section in self.sections()) + "\n")

    def markdown(self) -> str:
        """Return the report as Markdown."""
        return f"# {self.name}\n\n" + "\n\n".join(as_markdown(section) for section in self.sections()) + "\n"

    def headlines(self) -> list[tuple[str, str]]:
        """Return the numbers that matter most, each with what it counts."""
        n, good = len(self.valid), int(self.valid.sum())
        lines = [(f"{good:,}", "valid points"), (f"{n:,}", "evaluations")]
        if n:
            volume = self.diagnostics.volume
            lines.append((f"{good / n:.1%}", "acceptance"))
            size = f"{volume.value:.2g}" if volume.value > 0 else f"< {volume.upper:.2g}"
            lines.append((size if volume.known else "unknown", "of the prior is valid"))
        return lines

    def verdict(self) -> str:
        """Return in a sentence or two what may be believed of the coverage."""
        if not len(self.valid):
            return "Nothing has been evaluated yet."
        seen = self.diagnostics
        reasons = "; ".join(seen.reasons)
        return f"Coverage: {seen.verdict}{f' ({reasons})' if reasons else ''}. {MEANING[seen.verdict]}".strip()

    def _problem(self) -> list[Section]:
        if self.run is None:
            return []
        rows = [["run directory", str(self.run.path)], ["created", self.run.created[:19].replace("T", " ") + " UTC"]]
        return [Section("Problem", rows), *problem_sections(self.run.description, self.run.schema.units)]

    def _summary(self) -> Section:
        n, good = len(self.valid), int(self.valid.sum())
        rows = [["evaluations", f"{n:,}"], ["valid points", f"{good:,}"]]
        if n:
            rows.append(["acceptance", share(good, n)])
        if self.progress is not None:
            goal = in_words(self.progress.goal)
            rows += [["goal", goal]] if goal else []
            rows.append(["last state", self.progress.state])
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
            [o.label, f"{here.sum():,}", f"{self.valid[here].sum():,}", share(self.valid[here].sum(), here.sum())]
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
                rows.append([name, f"{here.sum():,}", f"{good:,}", share(good, here.sum())])
        return Section("Acceptance by generation", rows, ("generation", "points", "valid", "acceptance"))

    def _timing(self) -> Section:
        issued, started, ended = (column(self.table, name) for name in ("issued", "started", "ended"))
        known = np.isfinite(issued) & np.isfinite(started) & np.isfinite(ended)
        issued, started, ended = issued[known], started[known], ended[known]
        if not len(issued):
            return Section("Time", [])
        took = ended - started
        # A clock that was set back in between must not make it negative.
        whole = max(0.0, float(ended.max() - issued.min()))
        rows = [["first issue to last result", duration(whole)]]
        parts = sessions(np.concatenate([issued, ended]), self.openings)
        span = min(whole, sum(last - first for first, last in parts))
        if len(parts) > 1:
            rows.append(["in sessions", f"{len(parts)}, {duration(span)} of that time"])
        rows += [
            ["evaluations per second", f"{len(took) / span:,.2f}" if span > 0 else "-"],
            ["one evaluation, median (95 %)", f"{duration(np.median(took))} ({duration(np.quantile(took, 0.95))})"],
        ]
        use = utilisation(self.table, self.evaluators or self._pool_size(), self.openings)
        if use is not None:
            rows.append(["evaluators", f"{use.evaluators}"])
            rows.append(["evaluators busy", f"{use.busy:.1%} between first and last issue ({duration(use.span)})"])
        hung = self.run.put_off() if self.run else []
        if hung:
            lost = sum(one.seconds for one in hung)
            share = lost / (lost + float(took.sum()))
            rows.append(["lost to points that hang", f"{duration(lost)} of {len(hung)}, {share:.0%} of all evaluation"])
            rows.append(["one of them", hung[0].by_hand])
            rows += [["all of them have", where] for where in self._where_they_hang(hung)]
        return Section("Time", rows)

    def _where_they_hang(self, hung: list[PutOff]) -> list[str]:
        """Return the ranges of single parameters that hold all points that hang and few of the others."""
        ranges = []
        for name in hung[0].point if len(hung) >= MANY else ():
            values = column(self.table, name)
            there = np.array([one.point.get(name, np.nan) for one in hung])
            inside = float(((values >= there.min()) & (values <= there.max())).mean())
            if inside < RARE:
                ranges.append(f"{there.min():.6g} <= {name} <= {there.max():.6g}, where {inside:.1%} of the points are")
        return ranges

    def _pool_size(self) -> int | None:
        details = self.run.details if self.run else {}
        size = {**details, **details.get("options", {})}.get("evaluators")
        return size if isinstance(size, int) and size > 0 else None

    def _stages(self) -> Section:
        rows = [
            [name, f"{len(t):,}", duration(t.mean()), duration(np.median(t)), duration(np.quantile(t, 0.95)),
             duration(t.sum())]
            for name, t in stage_seconds(self.table).items() if len(t)
        ]  # fmt: skip
        return Section("Programs", rows, ("stage", "runs", "mean", "median", "95 %", "total"))

    def _failures(self) -> Section:
        rows = [[f"{case.count:,}", case.status, first_line(case.message)] for case in self.cases]
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
        rows = [["point_id", str(best["point_id"])], [quality, f"{digits(best[quality], 6)}"]]
        rows += [[name, f"{digits(best[name])} {unit_of(self.table, name)}".rstrip()] for name in names]
        return Section(title, rows)

    def _coverage(self) -> Section:
        # These have tables of their own in the report.
        told = ("evaluations", "valid points", "acceptance")
        rows = [list(row) for row in self.diagnostics.rows() if not row[0].startswith(told)]
        return Section("Coverage of the valid region", rows)

    def _provenance(self) -> Section:
        if self.run is None:
            return Section("Provenance", [])
        rows = listed(self.run.details)
        rows.append(["versions", ", ".join(f"{name} {version}" for name, version in self.run.versions.items())])
        rows.append(["fingerprint", self.run.fingerprint[:16]])
        return Section("Provenance", rows)

    def _citations(self) -> Section:
        return Section("Please cite", [[one.title, one.where] for one in self.cited], ("what was used", "where"))


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
