"""The population of a scan: particles of what surrogates believe, carried there from the prior after each refit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.data import Array
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.population.moves import Density, Moves, Particles
from rayscan.learn.population.tempering import Level, resampled, temper
from rayscan.problem.domain import Domain

SIZE = 1500
WIDE = 0.25
"""Power of the density that probes are drawn from: where surrogates are wrongly sure of a no, there still are some."""
MOST, MOST_GPU = 12_000, 400_000
"""Particles that are moved at a time at most where many places are wanted, on a CPU and on a GPU."""
SWEEPS, SWEEPS_EACH = 4, 8
"""Sweeps from one place of a particle to the next: so many, and one more for so many parameters."""
MIXING, MIXING_EACH = 3, 4
"""Sweeps after each step of the tempering: so many, and one more for so many parameters of the largest block."""


class Population:
    """Particles that come from the prior and end where a density is largest.

    None of them starts at a known point, so where the population ends depends on what is believed of a place, and not
    on where valid points happened to be found first.

    Parameters
    ----------
    domain : Domain or int
        Where particles may be, with a uniform prior; a number of dimensions stands for all of the cube.
    device : torch.device

    Attributes
    ----------
    probes : Level or None
        Particles of a low power of the density, whose normalising constant is known.
    level : Level or None
        Particles of a power of the density.
    """

    def __init__(self, domain: Domain | int, device: torch.device) -> None:
        self.domain, self.device = Domain.of(domain), device
        self.d = self.domain.d
        self.sweeps = SWEEPS + self.d // SWEEPS_EACH
        self.probes: Level | None = None
        self.level: Level | None = None
        self._order: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._drawn = 0

    @property
    def ready(self) -> bool:
        """Whether there are particles."""
        return self.level is not None

    @property
    def u(self) -> Array:
        """Where the particles are ``(n, d)``."""
        return np.empty((0, self.d)) if self.level is None else self.level.particles.u.cpu().numpy()

    def descend(self, density: Density, blocks: Blocks, seed: int, size: int | None = None) -> None:
        """Carry new particles from the prior to a density, and keep those at a low power of it as probes.

        Parameters
        ----------
        density : Density
        blocks : Blocks
            Parameters that belong together.
        seed : int
        size : int, optional
            Particles; `SIZE` by default.
        """
        moves = self._moves(density, blocks, seed)
        u = self._prior(size or SIZE, moves.generator, seed)
        self.probes = temper(Level(Particles.at(u, density), 0.0, 0.0), WIDE, moves, _mixing(blocks))
        self.level = temper(self.probes, 1.0, moves, _mixing(blocks))
        self._order = np.empty(0, dtype=np.int64)

    def sharpen(self, density: Density, power: float, blocks: Blocks, seed: int) -> None:
        """Carry the particles on to a power of another density, of which theirs is the upper part."""
        assert self.level is not None
        moves, particles, before = self._moves(density, blocks, seed), self.level.particles, self.level.particles.log
        particles = Particles(particles.u, particles.answer, density.log(particles.answer))
        particles, _ = resampled(particles, particles.log - before, moves.generator)
        self.level = temper(Level(particles, 1.0, 0.0), power, moves, _mixing(blocks))

    def place(self, u: Array, density: Density, power: float) -> None:
        """Put all particles on places ``(n, d)``, to move from there by a power of a density."""
        self.level = Level(Particles.at(torch.from_numpy(u).to(self.device), density), power, 0.0)

    def settle(self, u: Array, density: Density, blocks: Blocks, seed: int) -> None:
        """Put some particles on places ``(k, d)`` and let all move on."""
        assert self.level is not None
        moves, particles = self._moves(density, blocks, seed), self.level.particles
        chosen = torch.randperm(len(particles), generator=moves.generator, device=self.device)[: len(u)]
        particles[chosen] = Particles.at(torch.from_numpy(u).to(self.device), density)
        for _ in range(2 * self.sweeps):
            moves.sweep(particles, self.level.power)

    def visit(self, n: int, density: Density, blocks: Blocks, seed: int) -> Array:
        """Move on, and return at least `n` of the places ``(k, d)`` that the particles come to."""
        assert self.level is not None
        moves, particles = self._moves(density, blocks, seed), self.level.particles
        wanted = min(max(n // 4, SIZE), MOST if self.device.type == "cpu" else MOST_GPU)
        if len(particles) < wanted:
            # Copies part ways within a few sweeps, and many particles at a time are moved faster than few.
            particles = particles[torch.arange(wanted, device=self.device) % len(particles)]
        places = []
        for _ in range(-(-n // len(particles))):
            for _ in range(self.sweeps):
                moves.sweep(particles, self.level.power)
            places.append(particles.u.cpu().numpy().copy())
        few = torch.arange(min(SIZE, len(particles)), device=self.device)
        self.level = Level(particles[few], self.level.power, self.level.log_z)
        return np.concatenate(places)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw places ``(n, d)`` of known density, none twice."""
        assert self.probes is not None
        if self._drawn + n > len(self._order):
            self._order, self._drawn = rng.permutation(len(self.probes.particles)), 0
        chosen = self._order[self._drawn : self._drawn + n]
        self._drawn += n
        return self.probes.particles.u[torch.from_numpy(chosen).to(self.device)].cpu().numpy()

    def density(self, u: Array, density: Density) -> Array:
        """Return the density ``(n,)`` with respect to the prior with which places ``(n, d)`` are drawn."""
        assert self.probes is not None
        log = density.log(density.answer(torch.from_numpy(u).to(self.device)))
        return self.probes.density(log).cpu().numpy()

    def _moves(self, density: Density, blocks: Blocks, seed: int) -> Moves:
        generator = torch.Generator(self.device)
        generator.manual_seed(seed)
        return Moves(blocks.to(self.device), density, generator, self.domain)

    def _prior(self, n: int, generator: torch.Generator, seed: int) -> Tensor:
        if self.domain.whole:
            return torch.rand((n, self.d), generator=generator, device=self.device, dtype=torch.float64)
        return torch.from_numpy(self.domain.draw(n, np.random.default_rng(seed))).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Return where the particles are."""
        levels = {name: _packed(getattr(self, name)) for name in ("probes", "level")}
        return {**levels, "order": self._order, "drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self._order, self._drawn = np.array(state["order"], dtype=np.int64), int(state["drawn"])
        for name in ("probes", "level"):
            saved = state[name]
            setattr(self, name, _unpacked(saved, self.device) if saved else None)


def _mixing(blocks: Blocks) -> int:
    """Return after how many sweeps particles have parted from what they were copied from.

    A random walk forgets the slower, the more parameters there are that only move well together.
    """
    return MIXING + int(blocks.axes.sum(1).max()) // MIXING_EACH


def _packed(level: Level | None) -> dict[str, Any] | None:
    if level is None:
        return None
    arrays = {name: getattr(level.particles, name).cpu().numpy() for name in ("u", "answer", "log")}
    return {**arrays, "power": level.power, "log_z": level.log_z}


def _unpacked(saved: dict[str, Any], device: torch.device) -> Level:
    arrays = (torch.from_numpy(np.array(saved[name], dtype=np.float64)).to(device) for name in ("u", "answer", "log"))
    return Level(Particles(*arrays), float(saved["power"]), float(saved["log_z"]))
