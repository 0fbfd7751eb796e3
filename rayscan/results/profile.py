"""Best fit and profile likelihood, from the points that were collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from rayscan.errors import ConfigError, did_you_mean
from rayscan.store.arrays import column, labels, names_of, scanned_in_log

Array = NDArray[np.float64]
NONE = -1
FEWEST, MOST = 5, 40
"""Bins of a column by default."""
FAR = 12.0
"""Differences of chi-squared beyond which a point is in no region that anyone draws."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    r"""The profile likelihood on a grid of one or two columns.

    Attributes
    ----------
    names : tuple of str
        The columns, one or two.
    edges : tuple of ndarray
        The edges of their bins: ``(k + 1,)`` for `k` bins.
    delta_chi2 : ndarray, shape (k,) or (k, l)
        :math:`-2 \ln (L_{bin} / L_{max})`, NaN in bins without a point whose likelihood is positive.
    point_id : ndarray of int64, of the same shape
        The best point of each bin; -1 where there is none.
    best : int
        The ``point_id`` of the best point of all.

    Notes
    -----
    The profile likelihood of a bin is the maximum over all parameters that are not shown,
    :math:`L_{bin} = \max_{x \in bin} L(x)`. Taken over collected points it is a lower bound: points between them may be
    better, and so may be the best of all. Regions drawn from it grow as points are added, unless the best point does.
    A scan fills the valid region evenly, so that in many dimensions most points lie at its rim: with 1,400 valid points
    in six dimensions, half of the bins are off by more than 1 (``tests/benchmarks/profiles.py``). Where regions matter
    to better than that, seed a fit of the parameters that are not shown with the points of the bins.

    A region of confidence :math:`p` is where :math:`\Delta\chi^2` is below the quantile of a :math:`\chi^2`
    distribution with one degree of freedom for each column shown [1]_, where the likelihood of the data is regular.

    References
    ----------
    .. [1] S. S. Wilks, Ann. Math. Stat. 9 (1938) 60.
    """

    names: tuple[str, ...]
    edges: tuple[Array, ...]
    delta_chi2: Array
    point_id: NDArray[np.int64]
    best: int

    def level(self, confidence: float) -> float:
        r"""Return the :math:`\Delta\chi^2` below which points are in the region of so much confidence."""
        return float(chi2.ppf(confidence, len(self.names)))

    @property
    def centres(self) -> tuple[Array, ...]:
        """The middle of each bin, for each column."""
        return tuple((edges[1:] + edges[:-1]) / 2 for edges in self.edges)


def best_point(table: Any) -> dict[str, Any]:
    """Return the best-fit point: of the valid ones the most likely, or if none is valid, the nearest to the target.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.

    Returns
    -------
    dict
        ``point_id``, ``valid``, ``likelihood``, ``penalty``, and every parameter and observable by name. Of equally
        good points it is the first.

    Raises
    ------
    ConfigError
        If no point was evaluated successfully.
    """
    ok = np.flatnonzero(labels(table, "status") == "ok")
    if not len(ok):
        msg = f"no best point: none of the {table.num_rows:,} points was evaluated successfully"
        raise ConfigError(msg)
    valid, likelihood, penalty = (column(table, name)[ok] for name in ("valid", "likelihood", "penalty"))
    good = valid.astype(bool)
    rating = np.where(good, likelihood, -1.0) if good.any() else -np.nan_to_num(penalty, nan=np.inf)
    row = int(ok[np.argmax(rating)])
    names = [
        "point_id",
        "valid",
        "likelihood",
        "penalty",
        *names_of(table, "parameter"),
        *names_of(table, "observable"),
    ]
    return {name: table[name][row].as_py() for name in names}


def profile_likelihood(
    table: Any, x: str, y: str | None = None, bins: int | Sequence[float] | tuple[Any, Any] | None = None
) -> Profile:
    """Return the profile likelihood of one or two columns.

    Parameters
    ----------
    table : pyarrow.Table
        From `rayscan.store.read_table`.
    x, y : str
        Parameters, observables or other columns of numbers.
    bins : int or sequence of float, or a pair of these, optional
        How many, over the range of the evaluated points (of the valid ones for an observable), in the logarithm where a
        parameter was scanned in it; or their edges. By default as many as the points that matter can fill.

    Returns
    -------
    Profile

    Raises
    ------
    ConfigError
        For an unknown column, one without numbers, or bins that are none.
    """
    names = (x,) if y is None else (x, y)
    likelihood = column(table, "likelihood").astype(np.float64)
    bins = _bins(likelihood, len(names)) if bins is None else bins
    each = bins if isinstance(bins, tuple) and len(bins) == 2 and len(names) == 2 else (bins,) * len(names)
    values = [_numbers(table, name) for name in names]
    edges = tuple(_edges(table, *one) for one in zip(names, values, each, strict=True))
    return profile_of(names, edges, values, likelihood, column(table, "point_id"))


def profile_of(
    names: tuple[str, ...],
    edges: tuple[Array, ...],
    values: Sequence[Array],
    likelihood: Array,
    point_id: NDArray[np.int64],
) -> Profile:
    """Return the profile likelihood of points in given bins.

    Parameters
    ----------
    names : tuple of str
    edges : tuple of ndarray
        Of the bins of each column.
    values : sequence of ndarray, shape (n,)
        The columns.
    likelihood, point_id : ndarray, shape (n,)

    Returns
    -------
    Profile
    """
    usable = np.isfinite(likelihood) & (likelihood > 0)
    best = float(likelihood[usable].max()) if usable.any() else 1.0
    place = np.zeros(len(likelihood), dtype=np.int64)
    for value, ends in zip(values, edges, strict=True):
        # The last edge belongs to the last bin.
        bin_ = np.where(value == ends[-1], len(ends) - 2, np.searchsorted(ends, value, side="right") - 1)
        usable &= (bin_ >= 0) & (bin_ < len(ends) - 1) & np.isfinite(value)
        place = place * (len(ends) - 1) + bin_
    shape = tuple(len(ends) - 1 for ends in edges)
    return _filled(names, edges, shape, place, likelihood, best, usable, point_id)


def _filled(
    names: tuple[str, ...],
    edges: tuple[Array, ...],
    shape: tuple[int, ...],
    place: NDArray[np.int64],
    likelihood: Array,
    best: float,
    usable: NDArray[np.bool_],
    point_id: NDArray[np.int64],
) -> Profile:
    rows = np.flatnonzero(usable)
    # Of equal places the last assignment stays: the best, and of equally good ones the first.
    rows = rows[::-1][np.argsort(likelihood[rows[::-1]], kind="stable")]
    delta = np.full(int(np.prod(shape)), np.nan)
    ids = np.full(len(delta), NONE, dtype=np.int64)
    delta[place[rows]] = 2 * (np.log(best) - np.log(likelihood[rows]))
    ids[place[rows]] = point_id[rows]
    top = point_id[np.argmax(likelihood)] if len(point_id) else NONE
    return Profile(names, edges, delta.reshape(shape), ids.reshape(shape), int(top))


def _bins(likelihood: Array, dimension: int) -> int:
    """Return how many bins a column gets so that a region has about two points a bin."""
    near = int((likelihood > likelihood.max(initial=0.0) * np.exp(-FAR / 2)).sum())
    return int(np.clip((near / 2) ** (1 / dimension), FEWEST, MOST))


def _numbers(table: Any, name: str) -> Array:
    if name not in table.column_names:
        msg = f"profile: no column {name!r} in the table{did_you_mean(name, table.column_names)}"
        raise ConfigError(msg)
    values = column(table, name) if name != "u" else np.empty(0, dtype=object)
    if values.dtype.kind not in "bif":
        msg = f"profile: column {name!r} holds no numbers; choose a parameter, an observable or another number"
        raise ConfigError(msg)
    return values.astype(np.float64)


def _edges(table: Any, name: str, values: Array, bins: ArrayLike) -> Array:
    if not isinstance(bins, int | np.integer):
        edges = np.asarray(bins, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            msg = f"profile: bins of {name!r} are {bins!r}; expected a number of bins, or two or more growing edges"
            raise ConfigError(msg)
        return edges
    if bins < 1:
        msg = f"profile: {bins} bins of {name!r}; expected one or more"
        raise ConfigError(msg)
    valid = column(table, "valid").astype(bool)
    shown = values[valid] if name in names_of(table, "observable") and valid.any() else values
    shown = shown[np.isfinite(shown)]
    low, high = (float(shown.min()), float(shown.max())) if len(shown) else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    if scanned_in_log(table, name):
        return np.asarray(np.geomspace(low, high, int(bins) + 1), dtype=np.float64)
    return np.linspace(low, high, int(bins) + 1)
