"""A network of the user's: tried on a few points before anything else is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rayscan.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

TRIED = 4
"""Points of the trial: more than one, since a single one hides a lost axis."""


def check_module(module: Any, names: Sequence[str]) -> None:
    """Refuse a network that cannot learn, or does not map points of the unit cube to one finite logit each.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was: in its mode, with its weights and statistics.
    names : sequence of str, length d
        The scanned parameters.

    Raises
    ------
    ConfigError
        It has nothing to train, ends in a sigmoid, raises, gives another shape, or anything but finite real numbers.
    """
    import copy

    import torch

    name, d = type(module).__name__, len(names)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        msg = f"surrogate {name}: expected a network with trainable parameters, found none"
        raise ConfigError(msg)
    if isinstance([layer for layer in module.modules() if not list(layer.children())][-1], torch.nn.Sigmoid):
        msg = f"surrogate {name}: expected logits, got a sigmoid at the end; leave it out, the loss contains it"
        raise ConfigError(msg)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    points = torch.from_numpy(np.random.default_rng(0).random((TRIED, d)).astype(np.float32)).to(device)
    asked = f"points of shape ({TRIED}, {d}), for the {d} scanned parameters {', '.join(names)}"
    try:
        with torch.no_grad():
            # A copy: layers that keep statistics learn from whatever they see.
            answer: Tensor = copy.deepcopy(module).float()(points)
    except Exception as error:
        msg = (
            f"surrogate {name}: raised {type(error).__name__} at {asked}: {error}. "
            f"Expected a network of {d} inputs with one logit a point"
        )
        raise ConfigError(msg) from error
    shape = tuple(getattr(answer, "shape", ()))
    if shape not in {(TRIED,), (TRIED, 1)}:
        got = str(shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
        msg = (
            f"surrogate {name}: expected shape (n,) or (n, 1), one logit of being valid a point; got {got} for {asked}"
        )
        raise ConfigError(msg)
    if not answer.is_floating_point() or not bool(torch.isfinite(answer).all()):
        got = "NaN or infinity" if answer.is_floating_point() else str(answer.dtype)
        msg = (
            f"surrogate {name}: expected finite real numbers, got {got} for {asked}; "
            "look at its first weights and at logarithms and divisions in it"
        )
        raise ConfigError(msg)
