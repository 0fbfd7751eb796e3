"""Parameters that belong together: what moves of a population move at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

SLIGHT = 0.03
"""A slope that is so small beside the steepest does not count."""
OBLIQUE = 1.5
"""So many times more parameters than directions make an observable oblique."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What each of several observables depends on.

    Attributes
    ----------
    axes : Tensor of bool, shape (b, d)
        Parameters.
    planes : Tensor, shape (p, d, d)
        Projections onto the directions of those observables that depend on few, none of them an axis.
    """

    axes: Tensor
    planes: Tensor

    @classmethod
    def whole(cls, d: int) -> Blocks:
        """Return one block of all parameters."""
        return cls(torch.ones((1, d), dtype=torch.bool), torch.empty((0, d, d), dtype=torch.float64))

    @classmethod
    def of_slopes(cls, slopes: Tensor) -> Blocks:
        """Return what observables depend on, given their slopes ``(b, n, d)`` at some places.

        The directions are those of the largest eigenvalues of the mean outer product of the slopes [1]_.

        References
        ----------
        .. [1] P. G. Constantine, "Active Subspaces", SIAM 2015.
        """
        size = slopes.square().mean(1).sqrt()
        axes = size > SLIGHT * size.amax(1, keepdim=True)
        values, directions = torch.linalg.eigh((slopes.mT @ slopes) / slopes.shape[1])
        steep = values.clamp(min=0).sqrt() > SLIGHT * values[:, -1:].clamp(min=0).sqrt()
        oblique = axes.sum(1) > OBLIQUE * steep.sum(1)
        chosen = directions * steep[:, None]
        planes = (chosen @ chosen.mT)[oblique]
        return cls(axes, planes)

    def to(self, device: torch.device) -> Blocks:
        """Return the same on a device."""
        return Blocks(self.axes.to(device), self.planes.to(device))

    def state_dict(self) -> dict[str, Any]:
        """Return plain arrays."""
        return {"axes": self.axes.cpu().numpy(), "planes": self.planes.cpu().numpy()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Blocks:
        """Return what `state_dict` described."""
        axes, planes = np.array(state["axes"], dtype=np.bool_), np.array(state["planes"], dtype=np.float64)
        return cls(torch.from_numpy(axes), torch.from_numpy(planes))
