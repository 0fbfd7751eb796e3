"""Every method keeps to where the conditions hold, and knows the density there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.coverage import sampler
from rayscan.learn.data import Origin, Rows
from rayscan.learn.initial import InitialDesign
from rayscan.learn.options import LearnOptions
from rayscan.learn.population import population
from rayscan.learn.population.blocks import Blocks
from rayscan.learn.population.population import Population
from rayscan.learn.proposer import Proposer, make_proposer
from rayscan.learn.surrogates import contest
from rayscan.learn.surrogates.labels import alike, jury
from rayscan.problem.domain import Domain
from rayscan.problem.space import Space
from rayscan.problem.target import Target
from rayscan.results.volume import estimate_volume

from .conftest import WINDOW, make_rows

Array = NDArray[np.float64]
QUICK = {"steps": 100, "hidden": (24, 24), "encoder": (24, 24), "embedding": 8, "head": 8, "device": "cpu", "L": 1000}
UPPER = Space(x=(0, 1), y=(0, 1), where="x < y").domain


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps and particles: the problems here are easy."""
    monkeypatch.setattr(contest, "STEPS", 60)
    monkeypatch.setattr(contest, "FIRST_STEPS", 100)
    monkeypatch.setattr(contest, "BATCH", 128)
    monkeypatch.setattr(jury, "FIRST_STEPS", 60)
    monkeypatch.setattr(jury, "STEPS", 40)
    monkeypatch.setattr(alike, "PART_STEPS", 40)
    monkeypatch.setattr(sampler, "PLACED", 200)
    monkeypatch.setattr(population, "SIZE", 300)


def observable(u: Array) -> Array:
    """A disc of radius 0.2 around a place on the border, so that half of what would be valid violates the condition."""
    return np.asarray(1.0 - np.hypot(u[:, 0] - 0.5, u[:, 1] - 0.5))


def scan(proposer: Proposer, steps: int, n: int, target: Target = WINDOW) -> Rows:
    """Ask, evaluate, tell and refit; return all rows."""
    told: list[Rows] = []
    for step in range(steps):
        proposed = proposer.ask(n, np.empty((0, 2)))
        assert len(proposed) == n
        value = observable(proposed.u)
        value = np.where(value > 0.8, 1.0, 0.0) if target.labels else value
        rows = make_rows(proposed.u, value, target, first=n * step)
        told.append(replace(rows, origin=proposed.origin, density=proposed.density, score=proposed.score))
        proposer.tell(told[-1])
        proposer.refit()
    return Rows.concatenate(told)


@pytest.mark.parametrize(
    "given",
    [
        {"labels": True},
        {"surrogate": "classifier", "selection": "paper"},
        {"surrogate": "regressor", "selection": "default", "proposal": "random"},
        {"surrogate": "similarity"},
    ],
    ids=["labels", "paper", "random", "similarity"],
)
def test_no_point_violates_a_condition(given: dict[str, object]) -> None:
    """Blind points, the population with labels alone, climbs, and the draws of a map: all of them keep to it."""
    target = Target(labels="y") if "labels" in given else WINDOW
    options = {key: value for key, value in {**QUICK, **given}.items() if key != "labels"}
    proposer = make_proposer(UPPER, target, ["y"], LearnOptions(K=60, **options), seed=2)  # type: ignore[arg-type]

    every = scan(proposer, 3 if "labels" in given else 5, 60, target)

    assert UPPER.inside(every.u).all()
    if "proposal" not in given:
        assert set(every.origin.tolist()) - {Origin.INITIAL, Origin.UNIFORM}
    assert every.valid[-120:].mean() > 1.5 * every.valid[:60].mean()


def test_the_first_points_cover_what_is_left_evenly() -> None:
    """As many as asked for, better spread over the triangle than draws; without a condition the sequence is as ever."""
    u = InitialDesign(UPPER, LearnOptions(K=256), 3).u

    assert len(u) == 256
    assert UPPER.inside(u).all()
    assert abs((u[:, 1] < 0.5).mean() - 0.25) < 0.02
    assert abs((u[:, 0] > 0.5).mean() - 0.25) < 0.02
    assert np.array_equal(InitialDesign(Domain(2), LearnOptions(), 3).u, InitialDesign(2, LearnOptions(), 3).u)


class Sum:
    """A density that falls off from one corner of the triangle, ``exp(-6 (x + y))``."""

    def answer(self, u: Tensor, before: Tensor | None = None, moved: Tensor | None = None) -> Tensor:
        return u.sum(1, keepdim=True)

    def log(self, answer: Tensor) -> Tensor:
        return -6 * answer[:, 0]


def test_a_population_samples_the_density_where_the_condition_holds() -> None:
    """Mean, and normalising constant with respect to the prior there, are those of the triangle."""
    grid = (np.arange(400) + 0.5) / 400
    x, y = (a[np.less(*np.meshgrid(grid, grid, indexing="ij"))] for a in np.meshgrid(grid, grid, indexing="ij"))
    exact = np.exp(-6 * (x + y))
    means, constants = [], []
    for seed in range(4):
        particles = Population(UPPER, torch.device("cpu"))
        particles.descend(Sum(), Blocks.whole(2), seed, 1000)
        assert particles.level is not None
        u = particles.level.particles.u.numpy()
        assert UPPER.inside(u).all()
        means.append(u.mean(axis=0))
        constants.append(np.exp(particles.level.log_z))

    assert np.mean(means, axis=0) == pytest.approx([exact @ x / exact.sum(), exact @ y / exact.sum()], abs=0.02)
    assert np.mean(constants) == pytest.approx(exact.mean(), rel=0.1)


def test_the_default_method_keeps_to_a_condition_and_the_volume_is_that_of_the_prior_there() -> None:
    """Half of a disc in half of the square: its share is that of the disc in the square."""
    proposer = make_proposer(UPPER, WINDOW, ["y"], LearnOptions(K=100, hidden=(24, 24), device="cpu"), seed=1)

    every = scan(proposer, 5, 100)
    volume = estimate_volume(every.origin, every.density, every.valid)

    assert UPPER.inside(every.u).all()
    assert {Origin.POPULATION, Origin.PROBE, Origin.UNIFORM, Origin.LOCAL} <= set(every.origin.tolist())
    assert every.valid[-200:].mean() > 0.5
    assert volume.known
    assert volume.relative < 0.3
    assert abs(volume.value - 0.04 * np.pi) < 3 * volume.error
