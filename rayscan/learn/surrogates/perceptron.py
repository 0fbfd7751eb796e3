"""Layers of neurons, filled with random weights of our own generator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


def perceptron(inputs: int, hidden: Sequence[int], outputs: int, rng: np.random.Generator) -> nn.Sequential:
    """Return layers of `hidden` neurons between inputs and outputs, filled with random weights."""
    layers: list[nn.Module] = []
    for neurons in hidden:
        layers += [_linear(inputs, neurons, math.sqrt(2), rng), nn.SiLU()]
        inputs = neurons
    return nn.Sequential(*layers, _linear(inputs, outputs, 0.1, rng))


def _linear(inputs: int, outputs: int, gain: float, rng: np.random.Generator) -> nn.Linear:
    # Filled from our own generator, because torch's default initialisation would use (and move) the global one.
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        weight = rng.normal(size=(outputs, inputs)) * gain / math.sqrt(inputs)
        layer.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
        # Spread biases put the bends of the first layers all over the cube instead of at its centre.
        bias = rng.uniform(-1.0, 1.0, outputs) if gain > 1 else np.zeros(outputs)
        layer.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
    return layer
