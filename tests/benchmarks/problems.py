"""The four problems of the bars, and all problems by name: known valid fractions, labelled islands, exact samplers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rayscan.problem.constraints import Above, Window
from rayscan.problem.target import Target
from tests.benchmarks import shapes
from tests.benchmarks.problem import Array, Integers, Problem, rejection


def _codes(cells: Array) -> Integers:
    """Return one integer per row of small integers ``(n, d)``."""
    shifted = cells.astype(np.int64) + 8
    return shifted @ (32 ** np.arange(cells.shape[1], dtype=np.int64))


def cos3() -> Problem:
    """Return the paper's test, Eqs. 14 and 15 of arXiv:2412.19675: thirteen closed shells."""
    half = 5 * math.sqrt(2 * math.log(2))
    target = Target(y=Window(150 - half, 150 + half))

    def physical(u: Array) -> Array:
        return 10 * math.pi * (2 * u - 1)

    def evaluate(u: Array) -> Array:
        return (2 + np.cos(physical(u) / 7).prod(1, keepdims=True)) ** 5

    return Problem(
        "cos3", 3, ("y",), target, 9.061e-3, 13, evaluate,
        lambda u: _codes(np.round(physical(u) / (7 * math.pi))), rejection(3, evaluate, target, ("y",)),
    )  # fmt: skip


def stop_sector_mh(tan_beta: Array, m_a: Array, a_t: Array, m_q3: Array, m_u3: Array) -> Array:
    """Return the lighter CP-even Higgs mass in GeV with the one-loop effective potential of top and stops, μ = 500 GeV.

    References
    ----------
    J. Ellis, G. Ridolfi, F. Zwirner, Phys. Lett. B 257 (1991) 83. Stop masses without D-terms, NaN for tachyons.
    """
    mu, m_top, m_z, g_f = 500.0, 157.0, 91.1876, 1.1663787e-5
    beta = np.arctan(tan_beta)
    s, c = np.sin(beta), np.cos(beta)
    x_t = a_t - mu / tan_beta
    left, right = m_q3**2 + m_top**2, m_u3**2 + m_top**2
    gap = np.sqrt((left - right) ** 2 / 4 + (m_top * x_t) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        m1 = np.where((left + right) / 2 > gap, (left + right) / 2 - gap, np.nan)
        m2 = (left + right) / 2 + gap
        f = np.log(m2 / m1) / (m2 - m1)
        g = (2 - (m1 + m2) * f) / (m2 - m1) ** 2
        k = 3 * g_f * m_top**4 / (2 * math.sqrt(2) * math.pi**2 * s**2)
        dd = (m_a * s) ** 2 + (m_z * c) ** 2 + k * (mu * x_t) ** 2 * g
        du = -(m_a**2 + m_z**2) * s * c - k * mu * x_t * (f + a_t * x_t * g)
        mixing = 2 * a_t * x_t * f + (a_t * x_t) ** 2 * g
        uu = (m_a * c) ** 2 + (m_z * s) ** 2 + k * (np.log(m1 * m2 / m_top**4) + mixing)
        return np.sqrt((dd + uu) / 2 - np.sqrt((dd - uu) ** 2 / 4 + du**2))


def mhiggs5() -> Problem:
    """Return the five-parameter MSSM Higgs-mass window: two regions, one per sign of the trilinear coupling."""
    lo = np.array([1.0, 100.0, -5000.0, 300.0, 300.0])
    hi = np.array([50.0, 3000.0, 5000.0, 5000.0, 5000.0])
    target = Target(mh=(124, 126))

    def evaluate(u: Array) -> Array:
        x = lo + (hi - lo) * u
        return stop_sector_mh(*x.T)[:, None]

    return Problem(
        "mhiggs5", 5, ("mh",), target, 3.977e-2, 2, evaluate,
        lambda u: (u[:, 2] > 0.5).astype(np.int64), rejection(5, evaluate, target, ("mh",)),
    )  # fmt: skip


def shell7() -> Problem:
    """Return two thin spherical shells in seven dimensions."""
    target = Target(logl=Above(-0.5))
    centres = np.zeros((2, 7))
    centres[:, 0] = (-3.5, 3.5)

    def evaluate(u: Array) -> Array:
        x = 12 * u - 6
        each = [-((np.linalg.norm(x - centre, axis=1) - 2) ** 2) / (2 * 0.1**2) for centre in centres]
        return np.logaddexp(*each)[:, None]

    def draw(n: int, rng: np.random.Generator) -> Array:
        direction = rng.normal(size=(n, 7))
        radius = rng.uniform(1.9**7, 2.1**7, n) ** (1 / 7)
        x = centres[rng.integers(2, size=n)] + direction * (radius / np.linalg.norm(direction, axis=1))[:, None]
        return (x + 6) / 12

    return Problem(
        "shell7", 7, ("logl",), target, 2.3925e-5, 2, evaluate, lambda u: (u[:, 0] > 0.5).astype(np.int64), draw
    )


def eggbox4() -> Problem:
    """Return 313 islands on a face-centred lattice in four dimensions."""
    target = Target(y=Window(2.9**5, math.inf))

    def physical(u: Array) -> Array:
        return math.pi * (10 * u - 1)

    def evaluate(u: Array) -> Array:
        return (2 + np.cos(physical(u) / 2).prod(1, keepdims=True)) ** 5

    def cells(u: Array) -> Array:
        return np.round(physical(u) / (2 * math.pi))

    lattice = np.stack(np.meshgrid(*[np.arange(5.0)] * 4), -1).reshape(-1, 4)
    lattice = lattice[lattice.sum(1) % 2 == 0]
    reach = 2 * math.acos(0.9)

    def draw(n: int, rng: np.random.Generator) -> Array:
        found = np.empty((0, 4))
        while len(found) < n:
            inside = rng.uniform(-reach, reach, (8 * n, 4))
            inside = inside[np.cos(inside / 2).prod(1) > 0.9]
            x = 2 * math.pi * lattice[rng.integers(len(lattice), size=len(inside))] + inside
            found = np.concatenate([found, (x / math.pi + 1) / 10])
        return found[:n]

    return Problem("eggbox4", 4, ("y",), target, 1.092e-3, 313, evaluate, lambda u: _codes(cells(u)), draw)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    make.__name__: make
    for make in (
        cos3, mhiggs5, shell7, eggbox4,
        shapes.ellipsoids6, shapes.ridge10, shapes.bands12, shapes.islands8, shapes.spiral2, shapes.holes5,
    )
}  # fmt: skip
