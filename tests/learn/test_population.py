"""Tempering: right densities and constants, in any dimension, from moves that leave a density as it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from rayscan.learn.population.blocks import Blocks
from rayscan.learn.population.moves import Moves, Particles
from rayscan.learn.population.population import Population
from rayscan.learn.population.tempering import Level, temper


class Pairs:
    """Two equal boxes along each of some coordinates, apart from each other, with walls as steep as `wall`."""

    def __init__(self, wall: float = 200.0) -> None:
        self.wall = wall
        self.asked = 0

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        fresh = (u - 0.5).abs().sub(0.3).abs()
        if before is None or moved is None:
            self.asked += u.numel()
            return fresh
        self.asked += int(moved.sum())
        return torch.where(moved, fresh, before)

    def log(self, answer: Tensor) -> Tensor:
        return -(self.wall * (answer - 0.05).clamp(min=0.0)).sum(1)

    def constant(self, d: int) -> float:
        """Return the logarithm of the normalising constant."""
        x = np.linspace(0, 1, 400_001)
        return d * math.log(np.exp(-self.wall * np.maximum(np.abs(np.abs(x - 0.5) - 0.3) - 0.05, 0)).mean())


def axes(d: int) -> Blocks:
    """Return one block for each parameter."""
    return Blocks(torch.eye(d, dtype=torch.bool), torch.empty((0, d, d), dtype=torch.float64))


def generator(seed: int) -> torch.Generator:
    made = torch.Generator()
    made.manual_seed(seed)
    return made


def test_the_constant_is_that_of_the_density() -> None:
    """Over seeds, the estimate of Z scatters around the truth without bias, and by little, in 12 dimensions."""
    density, ratios = Pairs(), []
    for seed in range(12):
        moves = Moves(axes(12), density, generator(seed))
        u = torch.rand((400, 12), generator=moves.generator, dtype=torch.float64)
        level = temper(Level(Particles.at(u, density), 0.0, 0.0), 1.0, moves, 4)
        ratios.append(math.exp(level.log_z - density.constant(12)))
    assert np.std(ratios) < 0.6
    assert np.mean(ratios) == pytest.approx(1, abs=3 * np.std(ratios) / math.sqrt(12))


def test_every_combination_of_islands_gets_its_share() -> None:
    """Of 64 equal boxes each holds its part of the particles: as uneven as chance, and no more."""
    density = Pairs()
    moves = Moves(axes(6), density, generator(1))
    u = torch.rand((2000, 6), generator=moves.generator, dtype=torch.float64)
    level = temper(Level(Particles.at(u, density), 0.0, 0.0), 1.0, moves, 4)
    code = ((level.particles.u > 0.5).numpy() @ (2 ** np.arange(6))).astype(int)
    counts = np.bincount(code, minlength=64)
    assert (counts > 0).all()
    assert ((counts - 2000 / 64) ** 2 / (2000 / 64)).sum() < 63 + 5 * math.sqrt(2 * 63)


@pytest.mark.parametrize(
    "blocks",
    [axes(4), Blocks.whole(4), Blocks(torch.ones((1, 4), dtype=torch.bool), torch.eye(4, dtype=torch.float64)[None])],
)
def test_moves_leave_a_density_as_it_is(blocks: Blocks) -> None:
    """Particles that sample a density still do after many sweeps, with whatever blocks and planes."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.05, 0.05, (3000, 4)) + rng.choice([0.2, 0.8], (3000, 4))
    density = Pairs(wall=1e5)
    particles = Particles.at(torch.from_numpy(x.copy()), density)
    moves = Moves(blocks, density, generator(2))
    for _ in range(10):
        moves.sweep(particles, 1.0)
    u = particles.u.numpy()
    np.testing.assert_array_equal(particles.answer.numpy(), density.answer(particles.u).numpy())
    assert (np.abs(np.abs(u - 0.5) - 0.3) < 0.051).all()
    assert np.abs((u > 0.5).mean(axis=0) - 0.5).max() < 0.06
    inside = (np.abs(u - 0.5) - 0.25) / 0.1
    assert np.abs(inside.mean(axis=0) - 0.5).max() < 0.05
    assert np.abs(inside.std(axis=0) - 12**-0.5).max() < 0.03
    assert (u != x).any(axis=1).mean() > 0.8


def test_blocks_are_what_observables_depend_on() -> None:
    """Slopes tell parameters from idle ones, and few directions from many axes."""
    rng = np.random.default_rng(0)
    slopes = np.zeros((2, 300, 6))
    slopes[0, :, :2] = rng.normal(size=(300, 2))
    oblique = np.linalg.qr(rng.normal(size=(6, 6)))[0][:, :2]
    slopes[1] = rng.normal(size=(300, 2)) @ oblique.T
    blocks = Blocks.of_slopes(torch.from_numpy(slopes))
    assert blocks.axes[0].tolist() == [True, True, False, False, False, False]
    assert blocks.axes[1].all()
    assert len(blocks.planes) == 1
    np.testing.assert_allclose(blocks.planes[0].numpy(), oblique @ oblique.T, atol=1e-6)


def test_probes_have_the_density_that_they_are_said_to_have() -> None:
    """The mean of one over it is the part of the cube where they are; none is drawn twice before all were."""
    population, density = Population(3, torch.device("cpu")), Pairs(wall=60.0)
    population.descend(density, axes(3), 3)
    drawn = population.draw(1000, np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) == 1000
    q = population.density(drawn, density)
    valid = (np.abs(np.abs(drawn - 0.5) - 0.3) < 0.05).all(axis=1)
    assert np.mean(valid / q) == pytest.approx(0.2**3, rel=0.2)


def test_a_restored_population_goes_on_the_same() -> None:
    """State out and in: the same places, and the same next ones."""
    density, blocks = Pairs(), axes(3)
    first, second = (Population(3, torch.device("cpu")) for _ in range(2))
    first.descend(density, blocks, 5)
    first.sharpen(density, 4.0, blocks, 6)
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first.u, second.u)
    np.testing.assert_array_equal(first.visit(3000, density, blocks, 7), second.visit(3000, density, blocks, 7))
    np.testing.assert_array_equal(*(each.draw(20, np.random.default_rng(1)) for each in (first, second)))


def test_only_what_depends_on_moved_parameters_is_asked_again() -> None:
    """A sweep asks for about one parameter of many a particle, but for moves of all."""
    density = Pairs()
    particles = Particles.at(torch.rand((500, 40), generator=generator(0), dtype=torch.float64), density)
    density.asked = 0
    Moves(axes(40), density, generator(1)).sweep(particles, 1.0)
    assert density.asked < 0.5 * 4 * 500 * 40
