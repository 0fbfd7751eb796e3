"""A sample as ArviZ's InferenceData. ArviZ is no requirement: whoever wants this has it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from rayscan.errors import ConfigError
from rayscan.results.samples import Samples


def to_inference_data(samples: Samples, draws: int | None = None, seed: int = 0) -> Any:
    """Return a sample as what ArviZ takes: one chain of equally weighted draws.

    Parameters
    ----------
    samples : Samples
        From `rayscan.results.samples.samples_of`.
    draws : int, optional
        By default as many as the weighted points are worth.
    seed : int

    Returns
    -------
    arviz.InferenceData, or xarray.DataTree from version 1 of ArviZ
        ``posterior`` holds parameters, derived ones and observables; ``sample_stats`` the logarithm of the likelihood
        as ``lp`` and the ``point_id``.

    Raises
    ------
    ConfigError
        ArviZ is not installed, or `draws` is not positive.
    """
    try:
        arviz = importlib.import_module("arviz")
    except ImportError as error:
        msg = f"to_arviz needs ArviZ, which cannot be imported ({error}); pip install arviz"
        raise ConfigError(msg) from error
    count = max(round(samples.effective_size), 1) if draws is None else draws
    if count < 1:
        msg = f"to_arviz(draws={draws!r}); expected a positive number of draws"
        raise ConfigError(msg)
    rows = samples.resampled(count, seed)
    # Drawn in the order of issue: shuffled, their autocorrelation is none of the scan's.
    rows = np.random.default_rng(seed).permutation(rows)
    names = [*samples.parameters, *samples.derived]
    groups = {
        "posterior": {name: samples.values[name][rows][None] for name in names},
        "sample_stats": {"lp": samples.log_likelihood[rows][None], "point_id": samples.point_id[rows][None]},
    }
    if int(arviz.__version__.split(".")[0]) < 1:
        return arviz.from_dict(**groups)
    return arviz.from_dict(groups)
