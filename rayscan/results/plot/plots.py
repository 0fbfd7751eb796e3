"""Figures of a scan, from its table alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import corner as corner_package
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.results.profile import FAR, Profile, profile_likelihood
from rayscan.store.arrays import column, labels, names_of, scanned_in_log, unit_of
from rayscan.store.run_directory import RunDirectory

Array = NDArray[np.float64]

# The Okabe-Ito palette and a further colour, which colour-blind readers can tell apart.
VALID, INVALID, DARK = "#0072B2", "#B8B8B8", "#333333"
ORIGIN_COLOURS = {
    "given": "#000000", "initial": "#999999", "uniform": "#E69F00", "map": "#0072B2", "local": "#009E73",
    "chain": "#CC79A7", "growth": "#D55E00", "audit": "#56B4E9", "fork": "#F0E442",
    "transplant": "#882255",
}  # fmt: skip
CONFIDENCES = (0.68, 0.95)
MAX_DRAWN = 20_000
DENSE = 500


class Plots:
    """Draws figures of a table of evaluated points.

    Every method returns the `matplotlib.figure.Figure`, and saves it if a path is given; the ending of the path chooses
    the format. Figures are drawn without pyplot: nothing has to be closed, no display is needed.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    parameters : sequence of str, optional
        The scanned parameters; by default all that vary.
    constrained : sequence of str, optional
        Observables that belong into the corner plot; by default none.
    """

    def __init__(self, table: Any, parameters: Sequence[str] | None = None, constrained: Sequence[str] = ()) -> None:
        self.table = table
        self.valid: NDArray[np.bool_] = column(table, "valid").astype(bool)
        for name in (*(parameters or ()), *constrained):
            self._require(name)
        self.parameters = list(parameters) if parameters is not None else self._varying(names_of(table, "parameter"))
        self.constrained = [name for name in constrained if name not in self.parameters]

    @classmethod
    def of_run(cls, table: Any, run: RunDirectory) -> Plots:
        """Make figures of a run: its scanned parameters, and the observables that its target constrains."""
        space, target = run.description.get("space", {}), run.description.get("target", {})
        scanned = [
            name
            for name in run.schema.parameters
            if name in space and space[name].get("prior") not in {"fixed", "derived"}
        ]
        return cls(table, scanned or None, [name for name in run.schema.observables if name in target])

    def corner(self, path: str | Path | None = None, *, columns: Sequence[str] | None = None) -> Figure:
        """Draw every pair of columns of the valid points, over the range that was scanned.

        Parameters
        ----------
        path : str or Path, optional
        columns : sequence of str, optional
            By default the scanned parameters and the constrained observables.

        Raises
        ------
        ConfigError
            A column that is not in the table.
        """
        names = list(columns) if columns is not None else [*self.parameters, *self.constrained]
        values = [self._scaled(name) for name in names]
        points = np.column_stack([value[self.valid] for value, _ in values]) if names else np.empty((0, 0))
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return self._finish(self._empty(f"no valid point among {len(self.valid):,} evaluations yet"), path)
        size = float(np.clip(1.9 * len(names) + 0.8, 4.0, 30.0))
        figure = Figure(figsize=(size, size))
        axis_labels = [label for _, label in values]
        ranges = [self._range(name, value) for name, (value, _) in zip(names, values, strict=True)]
        self._draw_corner(figure, _thinned(points), axis_labels, ranges)
        few = "" if len(points) > len(names) else "\ntoo few for densities: each one is drawn"
        figure.suptitle(
            f"{_count(len(points), 'valid point')} of {_count(len(self.valid), 'evaluation')}{few}",
            x=0.98, ha="right", fontsize=13,
        )  # fmt: skip
        return self._finish(figure, path)

    def progress(self, path: str | Path | None = None) -> Figure:
        """Draw the number of valid points and the acceptance against the number of evaluations."""
        if not len(self.valid):
            return self._finish(self._empty("no evaluation yet"), path)
        figure = Figure(figsize=(7.5, 5.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
        n = len(self.valid)
        counted = np.concatenate([[0], np.cumsum(self.valid)])
        kept = np.unique(np.linspace(0, n, 2000).astype(int))
        upper.plot(kept, counted[kept], color=VALID, lw=2, label="this scan")
        uniform = self.valid[labels(self.table, "origin") == "uniform"]
        if len(uniform) >= 20 and uniform.any():
            rate = uniform.mean()
            upper.plot([0, n], [0, rate * n], color=ORIGIN_COLOURS["uniform"], lw=1.3, ls="--",
                       label=f"uniform sampling ({rate:.2%} valid)")  # fmt: skip
        upper.set_ylabel("valid points")
        upper.set_ylim(bottom=0)
        upper.legend(frameon=False, fontsize=10, loc="upper left")
        window = max(1, min(n, max(n // 50, 20)))
        inside = (counted[window:] - counted[:-window]) / window
        middle = np.arange(len(inside)) + window / 2
        kept = np.unique(np.linspace(0, len(inside) - 1, 2000).astype(int))
        lower.plot(middle[kept], inside[kept], color=VALID, lw=1.3)
        lower.set(xlabel="evaluations", ylim=(0, 1.03), xlim=(0, n))
        lower.set_ylabel(f"acceptance\n(last {window:,})")
        lower.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        for axes in (upper, lower):
            _tidy(axes)
        return self._finish(figure, path)

    def acceptance(self, path: str | Path | None = None) -> Figure:
        """Draw the acceptance of each proposal, in all and generation by generation."""
        if not len(self.valid):
            return self._finish(self._empty("no evaluation yet"), path)
        figure = Figure(figsize=(9.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        origin, generation = labels(self.table, "origin"), column(self.table, "generation")
        present = [name for name in ORIGIN_COLOURS if (origin == name).any()]
        rates = [self.valid[origin == name].mean() for name in present]
        left.barh(present, rates, color=[ORIGIN_COLOURS[name] for name in present], height=0.65)
        for row, (name, rate) in enumerate(zip(present, rates, strict=True)):
            left.text(rate + 0.02, row, f"{rate:.1%} of {(origin == name).sum():,}", va="center", fontsize=9)
        left.set(xlim=(0, 1.45), xlabel="acceptance", ylim=(len(present) - 0.4, -0.6))
        left.set_xticks([0, 0.25, 0.5, 0.75, 1.0])
        left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        for name in present:
            steps, rate = _by_group(generation[origin == name], self.valid[origin == name])
            right.plot(steps, rate, "o-", ms=3.5, lw=1.3, color=ORIGIN_COLOURS[name], label=name)
        right.set(xlabel="generation (refits of the surrogate)", ylabel="acceptance", ylim=(-0.02, 1.03))
        right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.legend(frameon=False, fontsize=9, ncols=2)
        for axes in (left, right):
            _tidy(axes)
        left.grid(visible=False, axis="y")
        return self._finish(figure, path)

    def scatter(
        self, x: str, y: str, *, colour: str | None = None, path: str | Path | None = None, only_valid: bool = False
    ) -> Figure:
        """Draw two columns against each other, the valid points coloured by a third.

        Parameters
        ----------
        x, y : str
        colour : str, optional
            A column of numbers.
        path : str or Path, optional
        only_valid : bool
            Leave the other points out.

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        across, along = self._numbers(x), self._numbers(y)
        shade = self._numbers(colour) if colour else None
        figure = Figure(figsize=(6.6, 5.2), layout="constrained")
        axes = figure.subplots()
        if not only_valid:
            others = _thinned(np.flatnonzero(~self.valid))
            axes.scatter(across[others], along[others], s=5, color=INVALID, lw=0, alpha=0.6, label="not valid")
        shown = _thinned(np.flatnonzero(self.valid))
        size = 14 if len(shown) < DENSE else 6
        if shade is None:
            axes.scatter(across[shown], along[shown], s=size, color=VALID, lw=0, label="valid")
        else:
            dots = axes.scatter(
                across[shown], along[shown], s=size, c=shade[shown], cmap="viridis", lw=0, label="valid"
            )
            bar = figure.colorbar(dots, ax=axes, pad=0.02)
            bar.set_label(self._label(str(colour)), fontsize=12)
            bar.outline.set_visible(False)
        axes.set(xlabel=self._label(x), ylabel=self._label(y))
        for name, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
            if self._is_log(name):
                scale("log")
        axes.set_title(
            f"{_count(int(self.valid.sum()), 'valid point')} of {len(self.valid):,}", fontsize=11, loc="right"
        )
        _tidy(axes)
        return self._finish(figure, path)

    def profile(
        self, x: str, y: str | None = None, path: str | Path | None = None, *, bins: Any = None, most: float = FAR
    ) -> Figure:
        """Draw the profile likelihood of one or two columns, with the regions of 68 and 95 % confidence.

        Parameters
        ----------
        x, y : str
        path : str or Path, optional
        bins : int or sequence of float, or a pair of these, optional
            As in `rayscan.results.profile.profile_likelihood`.
        most : float
            The largest difference of chi-squared that is shown.

        Raises
        ------
        ConfigError
            A column that is not in the table, or not of numbers.
        """
        found = profile_likelihood(self.table, x, y, bins)
        if not np.isfinite(found.delta_chi2).any():
            return self._finish(self._empty("no point has a likelihood yet"), path)
        figure = Figure(figsize=(6.6, 5.2), layout="constrained")
        axes = figure.subplots()
        if y is None:
            _draw_line(axes, found, most)
        else:
            mesh = _draw_map(axes, found, most)
            bar = figure.colorbar(mesh, ax=axes, pad=0.02)
            bar.set_label(r"$\Delta\chi^2 = -2\,\ln(L/L_{max})$", fontsize=12)
            bar.outline.set_visible(False)
            axes.set_ylabel(self._label(y))
        best = np.flatnonzero(column(self.table, "point_id") == found.best)
        across = self._numbers(x)[best]
        axes.plot(across, np.zeros(1) if y is None else self._numbers(y)[best], "*", color=DARK, ms=13, mec="w")
        axes.set_xlabel(self._label(x))
        for name, scale in ((x, axes.set_xscale), (y, axes.set_yscale)):
            if name is not None and self._is_log(name):
                scale("log")
        axes.set_title("from the points found: the true likelihood is at least this", fontsize=9, loc="left")
        _tidy(axes)
        return self._finish(figure, path)

    def _draw_corner(
        self, figure: Figure, points: Array, axis_labels: list[str], ranges: list[tuple[float, float]]
    ) -> None:
        n, k = points.shape
        dense = n >= DENSE
        if n > k:
            corner_package.corner(
                points, fig=figure, labels=axis_labels, range=ranges, bins=40 if dense else 15, color=VALID,
                plot_contours=False, plot_density=False, plot_datapoints=True, labelpad=-0.04, max_n_ticks=4,
                label_kwargs={"fontsize": 12}, hist_kwargs={"histtype": "stepfilled", "alpha": 0.75, "lw": 0},
                data_kwargs={"alpha": float(np.clip(1500 / n, 0.06, 0.8)), "ms": 2.4 if dense else 4.5, "mew": 0},
            )  # fmt: skip
            grid = np.array(figure.axes).reshape(k, k)
        else:
            # corner refuses fewer points than columns; a scan that has just begun has them.
            grid = figure.subplots(k, k, squeeze=False)
            figure.subplots_adjust(left=0.13, right=0.97, bottom=0.12, top=0.94, wspace=0.06, hspace=0.06)
            _draw_few(grid, points, axis_labels, ranges)
        for axes in grid.ravel():
            axes.tick_params(labelsize=9, length=3, direction="in")

    def _varying(self, names: Sequence[str]) -> list[str]:
        varying = []
        for name in names:
            values = column(self.table, name)
            if len(values) < 2 or np.ptp(values) > 0:
                varying.append(name)
        return varying

    def _scaled(self, name: str) -> tuple[Array, str]:
        values = self._numbers(name)
        if not self._is_log(name):
            return values, self._label(name)
        unit = unit_of(self.table, name)
        return np.log10(values), f"log$_{{10}}$ {name}{f' / {unit}' if unit else ''}"

    def _is_log(self, name: str) -> bool:
        return name in self.parameters and scanned_in_log(self.table, name)

    def _range(self, name: str, values: Array) -> tuple[float, float]:
        """Return the scanned range of a parameter, or the range of the valid points of an observable."""
        of_interest = values if name in self.parameters else values[self.valid]
        of_interest = of_interest[np.isfinite(of_interest)]
        low, high = float(of_interest.min()), float(of_interest.max())
        margin = 0.04 * (high - low) if high > low else max(abs(low), 1.0) * 0.05
        return low - margin, high + margin

    def _require(self, name: str) -> None:
        if name not in self.table.column_names:
            msg = f"plot: no column {name!r} in the table{did_you_mean(name, self.table.column_names)}"
            raise ConfigError(msg)

    def _numbers(self, name: str) -> Array:
        self._require(name)
        values = column(self.table, name) if name != "u" else np.empty(0, dtype=object)
        if values.dtype.kind not in "bif":
            msg = f"plot: column {name!r} holds no numbers; choose a parameter, an observable or another number"
            raise ConfigError(msg)
        return values.astype(np.float64)

    def _label(self, name: str) -> str:
        unit = unit_of(self.table, name)
        return f"{name} [{unit}]" if unit else name

    @staticmethod
    def _empty(message: str) -> Figure:
        figure = Figure(figsize=(6, 3))
        figure.text(0.5, 0.5, message, ha="center", va="center", fontsize=13, color=DARK)
        return figure

    @staticmethod
    def _finish(figure: Figure, path: str | Path | None) -> Figure:
        if path is not None:
            where = Path(path).expanduser()
            where.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(where, dpi=150)
        return figure


def _thinned(points: NDArray[Any]) -> NDArray[Any]:
    """Return at most `MAX_DRAWN` of the rows, the same ones each time."""
    if len(points) <= MAX_DRAWN:
        return points
    return points[np.random.default_rng(0).choice(len(points), MAX_DRAWN, replace=False)]


def _draw_few(grid: NDArray[Any], points: Array, axis_labels: list[str], ranges: list[tuple[float, float]]) -> None:
    k = len(axis_labels)
    for row in range(k):
        for col in range(k):
            axes: Axes = grid[row, col]
            if col > row:
                axes.set_axis_off()
                continue
            if row == col:
                axes.plot(points[:, col], np.zeros(len(points)), "|", color=VALID, ms=18, mew=2)
                axes.set_ylim(-1, 1)
            else:
                axes.plot(points[:, col], points[:, row], "o", color=VALID, ms=5)
                axes.set_ylim(ranges[row])
            axes.set_xlim(ranges[col])
            axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
            axes.yaxis.set_major_locator(MaxNLocator(4, prune="both"))
            axes.tick_params(rotation=45)
            if row == k - 1:
                axes.set_xlabel(axis_labels[col], fontsize=12)
            else:
                axes.set_xticklabels([])
            if col == 0 and row > 0:
                axes.set_ylabel(axis_labels[row], fontsize=12)
            else:
                axes.set_yticklabels([])
            if row == col:
                axes.set_yticks([])


def _draw_line(axes: Axes, found: Profile, most: float) -> None:
    delta = found.delta_chi2
    axes.stairs(np.where(np.isfinite(delta), delta, np.nan), found.edges[0], color=VALID, lw=1.8, baseline=None)
    for confidence in CONFIDENCES:
        level = found.level(confidence)
        axes.axhline(level, color=DARK, lw=0.9, ls="--")
        axes.text(1.0, level, f" {confidence:.0%}", transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.set(ylim=(0, most), xlim=(found.edges[0][0], found.edges[0][-1]))
    axes.set_ylabel(r"$\Delta\chi^2 = -2\,\ln(L/L_{max})$")


def _draw_map(axes: Axes, found: Profile, most: float) -> Any:
    delta = found.delta_chi2.T
    mesh = axes.pcolormesh(*found.edges, delta, cmap="viridis_r", vmin=0.0, vmax=most, rasterized=True)
    levels = [found.level(confidence) for confidence in CONFIDENCES]
    if min(delta.shape) > 1:
        # A bin without a point is outside, and so is what lies beyond the edges, for regions are closed.
        closed = np.pad(np.where(np.isfinite(delta), delta, 1e3), 1, constant_values=1e3)
        lines = axes.contour(*(_padded(middle) for middle in found.centres), closed, levels, colors=["w", DARK],
                             linewidths=1.4)  # fmt: skip
        names = {level: f"{confidence:.0%}" for level, confidence in zip(levels, CONFIDENCES, strict=True)}
        axes.clabel(lines, fmt=names, fontsize=9)
    axes.set(xlim=found.edges[0][[0, -1]], ylim=found.edges[1][[0, -1]])
    return mesh


def _padded(middle: Array) -> Array:
    """Return the middles of bins with one more on either side, for logarithmic axes a positive one."""
    low, high = 2 * middle[0] - middle[1], 2 * middle[-1] - middle[-2]
    if middle[0] > 0 >= low:
        low = middle[0] ** 2 / middle[1]
    return np.concatenate([[low], middle, [high]])


def _by_group(group: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], Array]:
    """Return the groups, at most about 60 of neighbouring ones joined, and the share of valid points in each."""
    width = max(1, -(-int(np.ptp(group) + 1) // 60))
    found, member = np.unique(group // width, return_inverse=True)
    return found * width + (width - 1) / 2, np.bincount(member, weights=valid) / np.bincount(member)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _tidy(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(12)
    axes.yaxis.label.set_fontsize(12)
    axes.grid(visible=True, color="#E6E6E6", lw=0.7)
    axes.set_axisbelow(True)
