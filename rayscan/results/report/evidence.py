"""What a report is made from: the table of a scan, and what follows from it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rayscan.progress import Progress, published
from rayscan.results.diagnostics import Diagnostics, diagnose
from rayscan.results.report.cases import failure_cases
from rayscan.results.report.citations import Citation, citations
from rayscan.results.report.section import Case
from rayscan.results.surrogate import Surrogate
from rayscan.results.weights import Population, population_of
from rayscan.store.arrays import ORIGIN_CODES, codes, column, unit_points
from rayscan.store.reader import read_table
from rayscan.store.run_directory import RunDirectory

FAILURES = 5


class Evidence:
    """What a report is made from: the table of a scan, and what follows from it.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    run : RunDirectory, optional
        Adds the problem, seed and versions.
    evaluators : int, optional
        Size of the pool, for the utilisation; by default the largest number of workers seen busy at once.

    """

    def __init__(self, table: Any, run: RunDirectory | None = None, evaluators: int | None = None) -> None:
        self.table = table
        self.run = run
        self.evaluators = evaluators
        self.valid: NDArray[np.bool_] = column(table, "valid").astype(bool)

    @classmethod
    def of(cls, path: Path | str, evaluators: int | None = None) -> Self:
        """Read a run directory, also while the scan goes on.

        Raises
        ------
        StoreError
            Not a run directory.
        """
        run = RunDirectory(path)
        return cls(read_table(run.path), run, evaluators)

    @property
    def name(self) -> str:
        """What the scan is called: the name of its run directory."""
        return self.run.path.absolute().name if self.run else "Scan"

    @property
    def description(self) -> Mapping[str, Any]:
        """Space, target and tool, as saved with the data."""
        return self.run.description if self.run else {}

    @cached_property
    def openings(self) -> list[float]:
        """When each of its sessions began."""
        return self.run.opened_at() if self.run else []

    @cached_property
    def progress(self) -> Progress | None:
        """What the scan last said of itself."""
        found = published(self.run.path) if self.run else None
        return Progress.of(found) if found is not None else None

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """What the rows say about the coverage of the valid region."""
        d = self.table.schema.field("u").type.list_size
        origin, density = codes(self.table, "origin", ORIGIN_CODES), column(self.table, "density")
        surrogate = Surrogate.of(self.run) if self.run else None
        return diagnose(
            unit_points(self.table, d), origin, density, self.valid, surrogate, weighted=self.population,
            generation=column(self.table, "generation"),
        )  # fmt: skip

    @cached_property
    def population(self) -> Population:
        """The valid points, or some of very many, as a sample of the prior within the target."""
        return population_of(self.table)

    @cached_property
    def cases(self) -> list[Case]:
        """The most frequent failures."""
        check = f"rayscan check {shlex.quote(str(self.run.path))}" if self.run else ""
        return failure_cases(self.table, FAILURES, self.description, check)

    @cached_property
    def cited(self) -> list[Citation]:
        """What the scan used."""
        if self.run is None:
            return citations({}, {}, {})
        return citations(self.run.description, self.run.details, self.run.versions)
