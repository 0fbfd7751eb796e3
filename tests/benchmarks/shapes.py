"""Further problems, of kinds that the bars lack: narrow bands, degenerate ridges, rare islands, failing points."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import ortho_group

from rayscan.problem.constraints import Above, Window
from rayscan.problem.target import Target
from tests.benchmarks.problem import Array, Integers, Problem, one_island, rejection


def ellipsoids6() -> Problem:
    """Return three small rotated ellipsoids in six dimensions, aspect ratio ten, together 1.8e-6 of the volume."""
    rng = np.random.default_rng(2412)
    centres = np.array(
        [[0.25, 0.3, 0.7, 0.4, 0.6, 0.5], [0.7, 0.72, 0.3, 0.65, 0.3, 0.35], [0.7, 0.3, 0.65, 0.3, 0.7, 0.7]]
    )
    frames = ortho_group.rvs(6, size=3, random_state=rng)
    axes = 0.022 * 10 ** np.linspace(0, 1, 6)
    ball = math.pi**3 / 6
    target = Target(distance=Window(-1.0, 1.0))

    def evaluate(u: Array) -> Array:
        each = [np.linalg.norm((u - c) @ frame / axes, axis=1) for c, frame in zip(centres, frames, strict=True)]
        return np.min(each, axis=0)[:, None]

    def island(u: Array) -> Integers:
        each = [np.linalg.norm((u - c) @ frame / axes, axis=1) for c, frame in zip(centres, frames, strict=True)]
        return np.argmin(each, axis=0)

    def draw(n: int, rng: np.random.Generator) -> Array:
        direction = rng.normal(size=(n, 6))
        inside = direction / np.linalg.norm(direction, axis=1)[:, None] * rng.random((n, 1)) ** (1 / 6) * axes
        which = rng.integers(3, size=n)
        return centres[which] + np.einsum("nj,nij->ni", inside, frames[which])

    return Problem("ellipsoids6", 6, ("distance",), target, 3 * ball * float(axes.prod()), 3, evaluate, island, draw)


def ridge10() -> Problem:
    """Return a curved degenerate ridge in ten dimensions: two measurements fix two combinations, eight stay free."""
    rotation = ortho_group.rvs(10, random_state=np.random.default_rng(10))
    target = Target(a=Window(0.95, 1.05), b=Window(-0.1, 0.1))

    def evaluate(u: Array) -> Array:
        z = (2 * u - 1) @ rotation
        return np.column_stack([z[:, 0] ** 2 + z[:, 1] ** 2, z[:, 2] + np.sin(3 * z[:, 3]) * z[:, 0]])

    return Problem(
        "ridge10", 10, ("a", "b"), target, 3.71e-3, 1, evaluate, one_island,
        rejection(10, evaluate, target, ("a", "b"), 400_000),
    )  # fmt: skip


def bands12() -> Problem:
    """Return a ten-dimensional band in twelve dimensions, curved along every axis: one part in ten thousand."""
    rng = np.random.default_rng(12)
    waves = rng.normal(size=(2, 10)) * 2 / math.sqrt(10) * math.pi
    half = 0.005
    target = Target(a=Window(-half, half), b=Window(-half, half))

    def crest(u: Array) -> Array:
        return 0.5 + 0.4 * np.sin((u[:, 2:] - 0.5) @ waves.T + np.array([0.0, 1.0]))

    def evaluate(u: Array) -> Array:
        return np.arcsinh(20 * (u[:, :2] - crest(u))) / 20

    def draw(n: int, rng: np.random.Generator) -> Array:
        u = rng.random((n, 12))
        edge = math.sinh(20 * half) / 20
        u[:, :2] = crest(u) + rng.uniform(-edge, edge, (n, 2))
        return u

    fraction = (2 * math.sinh(20 * half) / 20) ** 2
    return Problem("bands12", 12, ("a", "b"), target, fraction, 1, evaluate, one_island, draw)


def islands8() -> Problem:
    """Return four rotated ellipsoids in eight dimensions, the smallest a thirtieth of the largest: 1.0e-6 in all."""
    rng = np.random.default_rng(808)
    centres = np.full((4, 8), 0.3) + 0.4 * np.array(
        [[0, 0, 1, 1, 0, 1, 0, 1], [1, 0, 0, 1, 1, 0, 1, 0], [0, 1, 1, 0, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 1, 1]]
    )
    frames = ortho_group.rvs(8, size=4, random_state=rng)
    sizes = np.array([1.0, 1 / 3, 1 / 10, 1 / 30])
    axes = 0.1423 * sizes[:, None] ** (1 / 8) * 2 ** np.linspace(-0.5, 0.5, 8)
    target = Target(logl=Above(-0.5))
    ball = math.pi**4 / 24

    def distances(u: Array) -> Array:
        each = zip(centres, frames, axes, strict=True)
        return np.column_stack([np.linalg.norm((u - centre) @ frame / axis, axis=1) for centre, frame, axis in each])

    def evaluate(u: Array) -> Array:
        return -0.5 * distances(u).min(axis=1, keepdims=True) ** 2

    def island(u: Array) -> Integers:
        return np.argmin(distances(u), axis=1)

    def draw(n: int, rng: np.random.Generator) -> Array:
        which = rng.choice(4, n, p=sizes / sizes.sum())
        direction = rng.normal(size=(n, 8))
        inside = direction / np.linalg.norm(direction, axis=1)[:, None] * rng.random((n, 1)) ** (1 / 8) * axes[which]
        return centres[which] + np.einsum("nj,nij->ni", inside, frames[which])

    fraction = ball * float(axes.prod(axis=1).sum())
    return Problem("islands8", 8, ("logl",), target, fraction, 4, evaluate, island, draw)


def spiral2() -> Problem:
    """Return one thin arm that winds ten times around the middle of the plane."""
    turns, inner, outer, half = 10, 0.1, 0.48, 0.02 * math.pi
    wind = 2 * math.pi * turns / (outer - inner)
    target = Target(radius=Window(inner, outer), height=Above(math.cos(half)))

    def evaluate(u: Array) -> Array:
        radius = np.hypot(u[:, 0] - 0.5, u[:, 1] - 0.5)
        angle = np.arctan2(u[:, 1] - 0.5, u[:, 0] - 0.5)
        return np.column_stack([radius, np.cos(wind * (radius - inner) - angle)])

    def draw(n: int, rng: np.random.Generator) -> Array:
        radius = np.sqrt(rng.uniform(inner**2, outer**2, n))
        angle = wind * (radius - inner) + rng.uniform(-half, half, n)
        return 0.5 + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])

    fraction = half * (outer**2 - inner**2)
    return Problem("spiral2", 2, ("radius", "height"), target, fraction, 1, evaluate, one_island, draw)


def holes5() -> Problem:
    """Return a curved sheet in five dimensions; three points in ten have no spectrum, also on the sheet."""
    frame = ortho_group.rvs(5, random_state=np.random.default_rng(5))
    target = Target(y=Window(0.49, 0.51))

    def evaluate(u: Array) -> Array:
        z = (2 * u - 1) @ frame
        y = z[:, 0] ** 2 + z[:, 1] * z[:, 2] + 0.5 * np.sin(3 * z[:, 3])
        physical = z[:, 4] + 0.6 * np.cos(4 * z[:, 0]) * np.cos(3 * z[:, 3]) < 0.331
        return np.where(physical, y, np.nan)[:, None]

    return Problem(
        "holes5", 5, ("y",), target, 8.838e-3, 1, evaluate, one_island, rejection(5, evaluate, target, ("y",))
    )
