"""The valid points as a weighted sample, the way that programs for Monte Carlo samples take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError
from rayscan.results.described import limits, scanned
from rayscan.results.weights import effective_size, prior_weights
from rayscan.store.arrays import ORIGIN_CODES, codes, column, label_of, names_of, unit_points
from rayscan.store.run_directory import RunDirectory

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Points of a posterior: prior times likelihood, within what counts as valid.

    Attributes
    ----------
    parameters, derived : tuple of str
        Columns that were scanned, and those that follow from them: derived parameters and observables.
    values : mapping of str to ndarray, shape (n,)
    weight : ndarray, shape (n,)
        Positive, with mean 1: the weight of `rayscan.results.weights.prior_weights` times the likelihood.
    log_likelihood : ndarray, shape (n,)
    point_id : ndarray of int64, shape (n,)
    labels : mapping of str to str
        In TeX, with its dollars; the name itself where there is none.
    limits : mapping of str to (float, float)
        What each parameter was scanned in.

    Notes
    -----
    The weights are estimates, as good as `prior_weights` says; a scan is no sampler. Where every valid point is equally
    likely, under windows alone, the sample is one of the prior within the target.
    """

    parameters: tuple[str, ...]
    derived: tuple[str, ...]
    values: dict[str, Array]
    weight: Array
    log_likelihood: Array
    point_id: NDArray[np.int64]
    labels: dict[str, str]
    limits: dict[str, tuple[float, float]]

    @property
    def effective_size(self) -> float:
        """How many points of equal weight they are worth."""
        return effective_size(self.weight)

    def resampled(self, draws: int, seed: int = 0) -> NDArray[np.int64]:
        """Return rows ``(draws,)`` drawn in proportion to the weights, each as often as is nearest to its share."""
        edges = np.cumsum(self.weight) / self.weight.sum()
        at = (np.random.default_rng(seed).random() + np.arange(draws)) / draws
        return np.minimum(np.searchsorted(edges, at), len(edges) - 1)


def samples_of(table: Any, run: RunDirectory) -> Samples:
    """Return the valid points of a run as a sample.

    Parameters
    ----------
    table : pyarrow.Table
        Every row, from `rayscan.store.read_table`.
    run : RunDirectory

    Raises
    ------
    ConfigError
        There is no valid point of positive likelihood.
    """
    valid = column(table, "valid").astype(bool)
    origin, density = codes(table, "origin", ORIGIN_CODES), column(table, "density")
    likelihood = column(table, "likelihood")[valid]
    # A tool that only says which points are valid has no likelihood: they are equally likely.
    likelihood = np.where(np.isnan(likelihood), 1.0, likelihood)
    weight = prior_weights(unit_points(table, run.schema.d), origin, density, valid) * likelihood
    some = weight > 0
    if not some.any():
        msg = f"{run.path}: a sample needs valid points; expected at least one, got none of {len(valid):,} evaluations"
        raise ConfigError(msg)
    every = [*names_of(table, "parameter"), *names_of(table, "observable")]
    free = [name for name in scanned(run.description) if name in every]
    values = {name: column(table, name)[valid][some] for name in every}
    return Samples(
        tuple(free),
        tuple(name for name in every if name not in free and np.isfinite(values[name]).all() and np.ptp(values[name])),
        values,
        weight[some] / weight[some].mean(),
        np.log(likelihood[some]),
        column(table, "point_id")[valid][some],
        {name: label_of(table, name) or name for name in every},
        {name: limits(run.description, name) for name in free},
    )
