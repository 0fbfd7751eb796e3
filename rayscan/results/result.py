"""What a scan has found so far: the table of every point, and views of it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayscan.markup import html_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from rayscan.results.diagnostics import Diagnostics
    from rayscan.results.plot import Plots
    from rayscan.results.profile import Profile
    from rayscan.results.samples import Samples
    from rayscan.results.saturation import Coverage
    from rayscan.results.surrogate import Surrogate
    from rayscan.results.volume import Volume


class ScanResult:
    """The contents of a run directory at the moment it was read.

    Attributes
    ----------
    path : Path
        The run directory.
    table : pyarrow.Table
        Every evaluated point: one row per ``point_id``, in the order of issue.
    valid : pyarrow.Table
        The rows in target.
    parameters, observables : tuple of str
        Names of the columns.

    Examples
    --------
    >>> result = rayscan.open_run("runs/mssm")  # doctest: +SKIP
    >>> result.table.to_pandas()  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, owner: object = None) -> None:
        from rayscan.store import RunDirectory, read_table

        self.path = Path(path)
        # A temporary run directory lives as long as its scan.
        self._owner = owner
        self._run = RunDirectory(self.path)
        self.table: pa.Table = read_table(self.path)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Every parameter, fixed and derived ones included."""
        return self._run.schema.parameters

    @property
    def observables(self) -> tuple[str, ...]:
        """Every observable, derived ones included."""
        return self._run.schema.observables

    @cached_property
    def valid(self) -> pa.Table:
        """The rows in target."""
        return self.table.filter(self.table["valid"])

    @property
    def description(self) -> dict[str, Any]:
        """Space, target and tool, as saved with the data."""
        return self._run.description

    @property
    def acceptance(self) -> float:
        """The valid share of all evaluations."""
        return self.valid.num_rows / self.table.num_rows if self.table.num_rows else 0.0

    @property
    def best(self) -> dict[str, Any]:
        """The best fit: likelihood, parameters and observables by name; see `rayscan.results.profile.best_point`."""
        from rayscan.results.profile import best_point

        return best_point(self.table)

    def profile(self, x: str, y: str | None = None, bins: Any = None) -> Profile:
        """Return the profile likelihood of one or two columns; see `rayscan.results.profile.profile_likelihood`."""
        from rayscan.results.profile import profile_likelihood

        return profile_likelihood(self.table, x, y, bins)

    def volume(self) -> Volume:
        """Return the valid fraction of the prior, with its error; see `rayscan.results.volume.estimate_volume`."""
        from rayscan.results.volume import estimate_volume

        rows = self._rows
        return estimate_volume(rows["origin"], rows["density"], rows["valid"], self._generation)

    def coverage(self) -> Coverage:
        """Return the share of the valid region within reach; see `rayscan.results.saturation.estimate_coverage`."""
        from rayscan.results.saturation import estimate_coverage

        return estimate_coverage(**self._rows)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Weights ``(n,)`` of the rows of `valid` that make them a sample of the prior within the target.

        Their mean is 1; for their accuracy see `rayscan.results.weights.prior_weights`.
        """
        from rayscan.results.weights import prior_weights

        return prior_weights(**self._rows)

    def diagnostics(self) -> Diagnostics:
        """Return how the scan went, what it covers, and whether it still finds new territory; print it to read it."""
        from rayscan.results.diagnostics import diagnose

        rows = self._rows
        return diagnose(
            rows["u"], rows["origin"], rows["density"], rows["valid"], self._surrogate, generation=self._generation
        )

    @property
    def surrogate(self) -> Surrogate:
        """What the run's surrogates say of places that no program has seen; see `rayscan.results.surrogate.Surrogate`.

        Raises
        ------
        ConfigError
            The run has none that can be read: another method, a target by a function of the user's, no checkpoint.
        """
        from rayscan.results.surrogate import Surrogate

        return self._surrogate or Surrogate(self._run)

    @cached_property
    def _surrogate(self) -> Surrogate | None:
        from rayscan.results.surrogate import Surrogate

        return Surrogate.of(self._run)

    @property
    def _generation(self) -> NDArray[Any]:
        from rayscan.store.arrays import column

        return column(self.table, "generation")

    @cached_property
    def _rows(self) -> dict[str, NDArray[Any]]:
        from rayscan.store.arrays import ORIGIN_CODES, codes, column, unit_points

        return {
            "u": unit_points(self.table, self._run.schema.d),
            "origin": codes(self.table, "origin", ORIGIN_CODES),
            "density": column(self.table, "density"),
            "valid": column(self.table, "valid").astype(bool),
        }

    @property
    def plot(self) -> Plots:
        """Figures: ``result.plot.corner("mh.png")`` and others."""
        from rayscan.results.plot import Plots

        return Plots.of_run(self.table, self._run)

    def report(self) -> str:
        """Return a summary as text."""
        from rayscan.results.report import text_report

        return text_report(self.path, self.table)

    def report_html(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the summary with its figures as one HTML file; see `rayscan.results.report.write_page`."""
        from rayscan.results.report import Report, write_page

        return write_page(Report(self.table, self._run), path, overwrite=overwrite)

    def to_getdist(self, root: str | Path, *, overwrite: bool = False) -> Path:
        """Write the valid points as a weighted chain for GetDist; see `rayscan.results.getdist.write_getdist`."""
        from rayscan.results.getdist import write_getdist

        return write_getdist(self.samples(), root, overwrite=overwrite)

    def to_arviz(self, draws: int | None = None, seed: int = 0) -> Any:
        """Return the valid points as ArviZ takes them; see `rayscan.results.inference_data.to_inference_data`."""
        from rayscan.results.inference_data import to_inference_data

        return to_inference_data(self.samples(), draws, seed)

    def samples(self) -> Samples:
        """Return the valid points as a weighted sample; see `rayscan.results.samples.Samples`."""
        from rayscan.results.samples import samples_of

        return samples_of(self.table, self._run)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"ScanResult({str(self.path)!r}: {self.valid.num_rows:,} valid of {len(self):,} evaluations)"

    def _repr_html_(self) -> str:
        from pyarrow import compute

        rows: list[tuple[str, ...]] = []
        for name in (*self.parameters, *self.observables):
            ends = compute.min_max(compute.drop_null(self.valid[name].combine_chunks())).as_py()
            inside = ends["min"] is not None
            span = (f"{ends['min']:.6g}", f"{ends['max']:.6g}") if inside else ("", "")
            rows.append((name, *span, self._run.schema.units.get(name, "")))
        caption = f"{self.path}: {self.valid.num_rows:,} valid of {len(self):,} evaluations"
        return html_table(caption, ("column", "valid points from", "to", "unit"), rows)


def tally(table: pa.Table) -> dict[str, int]:
    """Return how many rows have each status, the most frequent first."""
    from collections import Counter

    from rayscan.store.arrays import labels

    return {str(status): count for status, count in Counter(labels(table, "status").tolist()).most_common()}


def open_run(path: str | Path) -> ScanResult:
    """Read a run directory, also while its scan goes on.

    Parameters
    ----------
    path : str or Path
        The directory; or its place in an object store, of which a copy is made.

    Returns
    -------
    ScanResult

    Raises
    ------
    StoreError
        If it is not a run directory.
    """
    from rayscan.store import for_reading

    return ScanResult(for_reading(path))
