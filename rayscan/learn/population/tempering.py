"""Tempering: particles of the prior become particles of a density, and tell its normalising constant."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rayscan.learn.population.moves import Moves, Particles

ALIVE = 0.7
"""The effective share of the particles that each step keeps."""
MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Level:
    """Particles of the density ``exp(power * log) / Z``.

    Attributes
    ----------
    particles : Particles
    power : float
    log_z : float
        Estimate of ``ln Z`` with respect to the prior.
    """

    particles: Particles
    power: float
    log_z: float

    def density(self, log: Tensor) -> Tensor:
        """Return the density ``(k,)`` with respect to the prior of places with a logarithm ``(k,)``."""
        return torch.exp(self.power * log.double() - self.log_z)


def temper(start: Level, power: float, moves: Moves, sweeps: int) -> Level:
    """Carry particles on to a higher power of a density.

    Parameters
    ----------
    start : Level
        Independent draws from the prior have power 0 and ``log_z`` 0. Its particles are not moved.
    power : float
    moves : Moves
    sweeps : int
        After each step.

    Notes
    -----
    Each step raises the power as far as the weights ``exp(step * log)`` leave an effective share `ALIVE` of the
    particles, draws as many anew by their weights, and moves them. The product of the mean weights estimates the
    normalising constant without bias, whatever the moves [1]_; poor mixing makes it scatter from run to run.

    References
    ----------
    .. [1] P. Del Moral, A. Doucet, A. Jasra, J. R. Stat. Soc. B 68 (2006) 411: sequential Monte Carlo samplers.
    """
    particles, reached, log_z = start.particles.clone(), start.power, start.log_z
    for _ in range(MOST_STEPS):
        if reached >= power:
            break
        step = _step(particles.log, power - reached)
        particles, rise = resampled(particles, step * particles.log.double(), moves.generator)
        reached, log_z = min(reached + step, power), log_z + rise
        for _ in range(sweeps):
            moves.sweep(particles, reached)
    return Level(particles, reached, log_z)


def resampled(particles: Particles, log_weight: Tensor, generator: torch.Generator) -> tuple[Particles, float]:
    """Draw as many particles by their weights ``(n,)``, systematically, and tell the logarithm of the mean weight."""
    n, share = len(particles), torch.softmax(log_weight, 0).cumsum(0)
    shift = torch.rand((), generator=generator, device=share.device, dtype=share.dtype)
    at = (torch.arange(n, device=share.device, dtype=share.dtype) + shift) / n
    chosen = torch.searchsorted(share, at).clamp(max=n - 1)
    return particles[chosen], float(torch.logsumexp(log_weight, 0)) - math.log(n)


def _step(log: Tensor, most: float) -> float:
    """Return how far the power may rise, at most `most`."""
    below = (log - log.max()).double()

    def alive(step: float) -> float:
        weight = torch.exp(step * below)
        return float(weight.sum() ** 2 / (weight**2).sum()) / len(log)

    if alive(most) >= ALIVE:
        return most
    low, high = math.log(most) - 40.0, math.log(most)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if alive(math.exp(middle)) > ALIVE else (low, middle)
    return math.exp(high)
