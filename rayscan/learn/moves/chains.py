"""Persistent Metropolis chains that walk where the surrogate believes points are valid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Array
from rayscan.learn.moves.trials import in_cube

LogDensity = Callable[[Array], Array]


class Chains:
    """A population of walkers with differential-evolution moves.

    Each half of the population moves along differences of two walkers of the other half, so steps take the local shape
    of the region, whatever its orientation, and differences between regions become jumps from one to the other.

    Parameters
    ----------
    d : int
    walkers : int

    References
    ----------
    .. [1] C. J. F. ter Braak, Stat. Comput. 16 (2006) 239: moves and the factor 2.38/√(2d).
    .. [2] J. A. Vrugt et al., Int. J. Nonlin. Sci. Numer. Simul. 10 (2009) 273: moving a subset of the coordinates.
    """

    def __init__(self, d: int, walkers: int) -> None:
        self.d, self.walkers = d, walkers
        self.u: Array = np.empty((0, d))

    @property
    def started(self) -> bool:
        """Whether the walkers have places."""
        return len(self.u) > 0

    def start(self, points: Array, rng: np.random.Generator) -> None:
        """Put the walkers on given points ``(n, d)``, drawn with repetition where there are too few."""
        self.u = points[rng.choice(len(points), self.walkers, replace=len(points) < self.walkers)].copy()

    def restart(self, points: Array, log_p: Array, rng: np.random.Generator) -> None:
        """Move as many walkers to `points` as there are: half of them the least probable ones, half at random."""
        points = points[: self.walkers // 2]
        worst = np.argsort(log_p, kind="stable")[: len(points) // 2]
        others = np.setdiff1d(np.arange(self.walkers), worst)
        chosen = np.concatenate([worst, rng.choice(others, len(points) - len(worst), replace=False)])
        self.u[chosen] = points

    def walk(self, log_density: LogDensity, steps: int, keep: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Take `steps` steps and return every `keep`-th state: points ``(n, d)`` and their log density ``(n,)``."""
        log_p = log_density(self.u)
        states: list[Array] = []
        levels: list[Array] = []
        for step in range(1, steps + 1):
            order = rng.permutation(self.walkers)
            for movers, others in (np.array_split(order, 2), np.array_split(order, 2)[::-1]):
                trial = self._propose(movers, others, rng)
                inside = in_cube(trial)
                proposed = np.full(len(movers), -np.inf)
                proposed[inside] = log_density(trial[inside])
                accept = np.log(rng.random(len(movers))) < proposed - log_p[movers]
                self.u[movers[accept]] = trial[accept]
                log_p[movers[accept]] = proposed[accept]
            if step % keep == 0:
                states.append(self.u.copy())
                levels.append(log_p.copy())
        return np.concatenate(states), np.concatenate(levels)

    def _propose(self, movers: NDArray[np.int64], others: NDArray[np.int64], rng: np.random.Generator) -> Array:
        n = len(movers)
        first, second = self.u[rng.choice(others, n)], self.u[rng.choice(others, n)]
        active = rng.random((n, self.d)) < rng.choice([0.3, 1.0, 1.0], n)[:, None]
        active[np.arange(n), rng.integers(self.d, size=n)] = True
        gamma = 2.38 / np.sqrt(2 * active.sum(axis=1)) * np.exp(rng.uniform(math.log(0.1), 0.0, n))
        gamma[rng.random(n) < 0.2] = 1.0
        jitter = rng.normal(size=(n, self.d)) * 10 ** rng.uniform(-4, -2, (n, 1))
        trial: Array = self.u[movers] + active * (gamma[:, None] * (first - second) + jitter)
        return trial

    def state_dict(self) -> dict[str, Any]:
        """Return the walkers' places."""
        return {"u": self.u}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        self.u = np.array(state["u"], dtype=np.float64).reshape(-1, self.d)
