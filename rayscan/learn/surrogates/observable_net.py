"""The network that learns observables and validity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.perceptron import perceptron

BANDWIDTH = 12.0
"""Of the plane waves; see `ObservableNet`."""


class ObservableNet(nn.Module):
    """A multilayer perceptron with one linear output per observable and a logit of validity.

    Parameters
    ----------
    features : Features
    outputs : int
        Observables.
    hidden : sequence of int
        Neurons of each hidden layer.
    waves : int
        Plane waves ``sin(w·x), cos(w·x)`` with trained wave vectors beside the inputs; 0 for none. They help where
        observables oscillate and hurt elsewhere.
    bandwidth : float
        Largest standard deviation of a wave vector's components at the start, in radians per half-width of the cube.
    seed : int or sequence of int
    """

    def __init__(
        self,
        features: Features,
        outputs: int,
        hidden: Sequence[int],
        *,
        waves: int = 0,
        bandwidth: float = BANDWIDTH,
        seed: int | Sequence[int] = 0,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        scales = bandwidth * 8.0 ** -rng.random(waves)
        self.waves = nn.Parameter(torch.from_numpy((rng.normal(size=(features.d, waves)) * scales).astype(np.float32)))
        self.body = perceptron(features.k + 2 * waves, hidden, outputs + 1, rng)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outputs + 1)``: scaled observables, and the logit of validity in the last column.

        Parameters
        ----------
        x : Tensor, shape (n, k)
            `Features` of the points.
        """
        if self.waves.shape[1]:
            phase = x[:, : len(self.waves)] @ self.waves
            x = torch.cat([x, torch.sin(phase), torch.cos(phase)], dim=1)
        answer: Tensor = self.body(x)
        return answer
