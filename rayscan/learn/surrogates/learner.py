"""A network with its optimiser, trained a fixed number of warm-started steps at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rayscan.learn.data import Array
from rayscan.learn.device import pick_device
from rayscan.learn.options import LearnOptions
from rayscan.learn.surrogates.features import Features
from rayscan.learn.surrogates.observable_net import BANDWIDTH, ObservableNet

WAVES = (0, 64)
"""Plane waves of the two networks that learn side by side."""
CHUNK = 65536
"""Points at a time, so that memory does not grow with their number."""
RATES = (6.0, 3.0)
"""Learning rates without and with plane waves, in units of the option's."""


class Learner:
    """A network with its optimiser.

    Parameters
    ----------
    net : Module
        From `Features` ``(n, k)`` to scaled observables, and the logit of validity in the last column.
    learning_rate : float
        At the start of each call of `train`; it falls to a twentieth within the call.
    device : torch.device
    """

    def __init__(self, net: nn.Module, features: Features, learning_rate: float, device: torch.device) -> None:
        self.features, self.device = features, device
        self.net = net.to(self.device)
        self.learning_rate = learning_rate
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)

    def train(self, u: Array, t: Array, ok: Array, batches: NDArray[np.int64]) -> float:
        """Take one gradient step per row of `batches`.

        Parameters
        ----------
        u : ndarray, shape (n, d)
        t : ndarray, shape (n, outputs)
            Scaled observables, NaN where missing.
        ok : ndarray, shape (n,)
            1 valid, 0 not, NaN where it is not known.
        batches : ndarray of int, shape (steps, b)
            Which points each step sees.

        Returns
        -------
        float
            Mean loss of the last tenth of the steps.
        """
        inputs, wanted = self._tensor(self.features(torch.from_numpy(u)).numpy()), self._tensor(t)
        known = ~torch.isnan(wanted)
        wanted = torch.nan_to_num(wanted)
        label, labelled = torch.nan_to_num(self._tensor(ok)), ~torch.isnan(self._tensor(ok))
        index = torch.from_numpy(batches).to(self.device)
        losses: list[float] = []
        for step in range(len(batches)):
            for group in self.optimiser.param_groups:
                group["lr"] = self.learning_rate * (0.05 + 0.95 * math.cos(math.pi / 2 * step / len(batches)) ** 2)
            rows = index[step]
            answer = self.net(inputs[rows])
            error = nn.functional.smooth_l1_loss(answer[:, :-1], wanted[rows], reduction="none", beta=0.5)
            loss = (error * known[rows]).sum() / known[rows].sum().clamp(min=1)
            bce = nn.functional.binary_cross_entropy_with_logits(answer[:, -1], label[rows], reduction="none")
            loss = loss + (bce * labelled[rows]).sum() / labelled[rows].sum().clamp(min=1)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0, foreach=True)
            self.optimiser.step()
            if step >= 0.9 * len(batches):
                losses.append(float(loss.detach()))
        return float(np.mean(losses)) if losses else math.nan

    def answer(self, u: Tensor) -> Tensor:
        """Return ``(n, outputs + 1)`` at points ``(n, d)``: scaled observables, and the logit of validity."""
        parts = [self.net(self.features(part).float()) for part in torch.split(u, CHUNK)] or [
            self.net(self.features(u).float())
        ]
        answer: Tensor = torch.cat(parts).double()
        return answer

    @torch.no_grad()
    def predict(self, u: Array) -> tuple[Array, Array]:
        """Return scaled observables ``(n, outputs)`` and the logit of validity ``(n,)`` at ``(n, d)`` points."""
        answer = self.answer(torch.from_numpy(np.ascontiguousarray(u)).to(self.device)).cpu().numpy()
        return answer[:, :-1], answer[:, -1]

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return weights and optimiser moments."""
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])


def make_learners(
    features: Features,
    outputs: int,
    options: LearnOptions,
    seed: int | Sequence[int],
    *,
    waves: Sequence[int] = WAVES,
    bandwidth: float = BANDWIDTH,
) -> list[Learner]:
    """Return untrained networks, one for each number of plane waves as further inputs."""
    device = pick_device(options)
    nets = [ObservableNet(features, outputs, options.hidden, waves=n, bandwidth=bandwidth, seed=seed) for n in waves]
    return [
        Learner(net, features, RATES[n > 0] * options.learning_rate, device) for n, net in zip(waves, nets, strict=True)
    ]
