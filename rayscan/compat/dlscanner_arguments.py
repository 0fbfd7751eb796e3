"""The arguments of DLScanner's ``sampler``: checked, and turned into ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, did_you_mean

Array = NDArray[np.float64]
_SURROGATES = {"Classifier": "classifier", "Regressor": "regressor", "Similarity": "similarity", "Custom": ""}
_LOSSES = {
    "classifier": ("binary_crossentropy", "BinaryCrossentropy"),
    "regressor": ("mean_squared_error", "mse", "MSE", "MeanSquaredError"),
}


def check_limits(ndim: int, limits: Any) -> Array:
    """Return the limits ``(ndim, 2)``.

    Raises
    ------
    ConfigError
        If there is not one finite pair with min < max for each parameter.
    """
    try:
        box = np.array(limits, dtype=np.float64)
    except (TypeError, ValueError):
        box = np.empty(0)
    if box.shape != (ndim, 2) or not np.isfinite(box).all() or not (box[:, 0] < box[:, 1]).all():
        msg = f"limits = {limits!r}: expected ndim = {ndim!r} finite pairs [min, max] with min < max"
        raise ConfigError(msg)
    return box


def check_method(method: str, model: Any, optimizer: Any, loss: Any, callbacks: Any) -> Any:
    """Return the surrogate that a method means.

    Raises
    ------
    ConfigError
        For an unknown method, and for what cannot be had: another optimiser or loss, callbacks, a foreign network.
    """
    if method not in _SURROGATES:
        near = did_you_mean(str(method), _SURROGATES, listed=True)
        msg = f"method = {method!r}; expected one of {', '.join(_SURROGATES)}{near}"
        raise ConfigError(msg)
    surrogate = _SURROGATES[method] or model
    if method == "Custom" and model is None:
        msg = "method = 'Custom' needs model=, a torch.nn.Module that maps (n, ndim) to (n, 1) logits"
        raise ConfigError(msg)
    if method != "Custom" and model not in (None, surrogate):
        msg = f"model= goes with method = 'Custom', not with {method!r}, which makes its own network; leave one out"
        raise ConfigError(msg)
    if str(optimizer).lower() != "adam":
        msg = f"optimizer = {optimizer!r}; expected 'Adam' (its learning_rate can be set)"
        raise ConfigError(msg)
    losses = _LOSSES["regressor" if surrogate == "regressor" else "classifier"]
    if loss is not None and loss not in losses:
        msg = f"loss = {loss!r}: method {method!r} is trained with {losses[0]!r}; leave loss out"
        raise ConfigError(msg)
    if callbacks:
        msg = "callbacks: those of another package's networks cannot be called here; leave them out"
        raise ConfigError(msg)
    return surrogate


def learning_options(
    surrogate: Any,
    *,
    K: int,  # noqa: N803 - the field's symbol
    L: int,  # noqa: N803 - as above
    randpts: int | None,
    neurons: int,
    hlayers: int,
    learning_rate: float,
    epochs: int,
    batch_size: int,
    use_vegas_map: bool,
    vegas_frac: float | None,
    vegas_ninc: int,
    threshold: float,
) -> dict[str, Any]:
    """Return the keyword arguments of `Scan` beside the problem.

    Raises
    ------
    ConfigError
        For more blind points than points, and numbers of layers and neurons that are none.
    """
    for name, value in (("K", K), ("neurons", neurons), ("hlayers", hlayers)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
            msg = f"{name} = {value!r}; expected a whole number >= 1"
            raise ConfigError(msg)
    blind = (K + 5) // 10 if randpts is None else randpts
    if not 0 <= blind <= K:
        msg = f"randpts = {randpts!r}; expected a number of points from 0 to K = {K}"
        raise ConfigError(msg)
    layers = (int(neurons),) * int(hlayers)
    options: dict[str, Any] = {
        "surrogate": surrogate,
        "proposal": "vegas" if use_vegas_map else "random",
        "K": K,
        "L": L,
        "random_share": blind / K,
        "map_share": 0.1 if vegas_frac is None else float(vegas_frac),
        "ninc": vegas_ninc,
        "hidden": layers,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "batch": batch_size,
    }
    if surrogate == "similarity":
        options["encoder"] = layers
    if surrogate != "regressor":
        options["confident"] = threshold
    return options


def first_points(samples0: Any, out0: Any, limits: Array, outdim: int) -> tuple[Array | None, Array | None]:
    """Return the given first points ``(n0, ndim)`` and their values ``(n0, outdim)``, None for what is not given.

    Raises
    ------
    ConfigError
        For another shape, values without points, or a point out of the limits.
    """
    if samples0 is None:
        if out0 is not None:
            msg = "out0 holds values of points that are not given; expected samples0 with it"
            raise ConfigError(msg)
        return None, None
    points = _numbers("samples0", samples0)
    if points.ndim != 2 or points.shape[1] != len(limits) or not len(points):
        msg = f"samples0 has the shape {points.shape}; expected (n, {len(limits)})"
        raise ConfigError(msg)
    outside = np.flatnonzero(~((points >= limits[:, 0]) & (points <= limits[:, 1])).all(axis=1))
    if len(outside):
        msg = f"samples0: point {outside[0]}, {points[outside[0]].tolist()}, lies outside the limits"
        raise ConfigError(msg)
    if out0 is None:
        return points, None
    values = _numbers("out0", out0)
    if values.shape not in {(len(points), outdim), (len(points),) if outdim == 1 else ()}:
        msg = f"out0 has the shape {values.shape}; expected ({len(points)}, {outdim}), a row for each point of samples0"
        raise ConfigError(msg)
    return points, values.reshape(len(points), outdim)


def _numbers(name: str, values: Any) -> Array:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        msg = f"{name}: expected an array of numbers, got {type(values).__name__}"
        raise ConfigError(msg) from None
