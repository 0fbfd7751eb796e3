"""The network to which all islands are one: each place is seen from the middle of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rayscan.learn.data import Array
from rayscan.learn.surrogates.perceptron import perceptron

SLOWLY = 0.1
"""How far a middle moves when its weight moves by one, in units of the islands' radius."""


class AlikeNet(nn.Module):
    """A multilayer perceptron with a logit of validity, of where a place lies on its island.

    Which of the islands it is does not matter, so that what is learned on one holds on all. Where their middles are is
    learned with the weights: of an island of which few points are known it cannot be seen.

    Parameters
    ----------
    middle : ndarray, shape (m, d)
        Of each island, in [-1, 1].
    radius : float
        Of a typical island.
    hidden : sequence of int
        Neurons of each hidden layer.
    seed : int or sequence of int
    """

    start: Tensor

    def __init__(self, middle: Array, radius: float, hidden: Sequence[int], seed: int | Sequence[int]) -> None:
        super().__init__()
        self.radius = radius
        self.body = perceptron(middle.shape[1], hidden, 1, np.random.default_rng(seed))
        self.move(middle)

    def move(self, middle: Array) -> None:
        """Take over the middles ``(m, d)`` of islands."""
        start = torch.from_numpy(middle.astype(np.float32)).to(next(self.body.parameters()).device)
        self.register_buffer("start", start, persistent=False)
        self.shift = nn.Parameter(torch.zeros_like(start))

    @property
    def middle(self) -> Tensor:
        """Of each island ``(m, d)``, as learned so far."""
        return self.start + SLOWLY * self.radius * self.shift

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(n, 1)`` of validity.

        Parameters
        ----------
        x : Tensor, shape (n, k)
            `Features` of the points, of which only the coordinates as they are are used.
        """
        middle = self.middle
        at = x[:, : middle.shape[1]]
        nearest = torch.cdist(at.detach(), middle.detach()).argmin(dim=1)
        return self._seen(at - middle[nearest])

    @torch.no_grad()
    def were(self, middle: Array, at: Array) -> Array:
        """Return logits ``(t, n)`` of points ``(n, d)`` in [-1, 1], were ``(t, d)`` the middle of their island."""
        device = self.start.device
        away = torch.from_numpy((at - middle[:, None]).astype(np.float32)).to(device)
        return self._seen(away)[..., 0].double().cpu().numpy()

    def _seen(self, away: Tensor) -> Tensor:
        logit: Tensor = self.body(away / self.radius)
        return logit
