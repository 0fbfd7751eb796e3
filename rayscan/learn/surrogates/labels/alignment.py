"""Where the middles of islands are, told by how their points suit what was learned from all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rayscan.learn.data import Array

if TYPE_CHECKING:
    from rayscan.learn.surrogates.labels.alike_net import AlikeNet

ALIGNED, TRIALS = 12, 30
"""Islands that are aligned at a time, and the middles near the present one that are tried for each."""
STRIDES = (0.05, 0.15, 0.4)
"""How far away these are, in units of the islands' radius."""
MATCHES, BEST, HEIRS = 400, 8, 6
"""Middles anywhere that are tried for the worst island, how many of them go on, and to how many others each."""
FINER = (0.3, 0.15, 0.07, 0.03)
"""How far away these are, in units of the radius."""
LOOKED_AT, WRONG = 60, 6.0
"""Points of either kind by which a middle is judged, and the loss at which any point is as wrong as can be."""


class Surroundings:
    """Points about one island, by which its middle is judged.

    Parameters
    ----------
    net : AlikeNet
    inside, outside : ndarray, shape (n, d)
        Valid points, and others; `LOOKED_AT` of each are enough.
    """

    def __init__(self, net: AlikeNet, inside: Array, outside: Array) -> None:
        self.net, self.inside = net, inside[:LOOKED_AT]
        self._at = 2 * np.concatenate([self.inside, outside[:LOOKED_AT]]) - 1
        self._sign = np.repeat([1.0, -1.0], [len(self.inside), len(self._at) - len(self.inside)])

    def best(self, trial: Array, count: int = 1) -> tuple[Array, float]:
        """Return those of the middles tried ``(t, d)`` that suit best ``(count, d)``, and the mean loss of the best."""
        if not len(self._at):
            return trial[:count], 0.0
        margin = self._sign * self.net.were(2 * trial - 1, self._at)
        loss = np.minimum(np.logaddexp(0, -margin), WRONG).mean(axis=1)
        order = np.argsort(loss, kind="stable")[:count]
        return trial[order], float(loss[order[0]])


def align(
    middle: Array,
    boxes: Array,
    about: Callable[[int], Surroundings],
    offset: Array,
    radius: float,
    rng: np.random.Generator,
) -> Array:
    """Return middles ``(m, d)``, some of them moved to where they suit the points about them best.

    For each, other places near it and near the box around its points are tried. A middle that is far off is not found
    by that: of a fragment the box is somewhere on the rim. So for the worst of them a search begins anew with middles
    that make one of its points lie where a point of any island lies to the middle of its own.

    Parameters
    ----------
    middle, boxes : ndarray, shape (m, d) and (k, d)
        Present middles, and those of the boxes around islands.
    about : callable
        The `Surroundings` of each present middle, by its number.
    offset : ndarray, shape (n, d)
        Of valid points from the middle of their island.
    radius : float
        Of an island.
    rng : numpy Generator
    """
    middle = middle.copy()
    chosen = rng.permutation(len(middle))[:ALIGNED]
    looked, loss = [about(k) for k in chosen], np.zeros(len(chosen))
    for i, k in enumerate(chosen):
        start = np.stack([middle[k], boxes[np.argmin(np.linalg.norm(boxes - middle[k], axis=1))]])
        stride = radius * rng.choice(STRIDES, size=(TRIALS, 1))
        trial = _moved(start[rng.integers(2, size=TRIALS)], stride, rng)
        best, loss[i] = looked[i].best(np.concatenate([start, trial]))
        middle[k] = best[0]
    # The worst of a random half: the worst of all may not be like any other.
    i = int(np.argmax(loss[: (len(chosen) + 1) // 2]))
    middle[chosen[i]] = _sought(middle[chosen[i]], looked[i], offset, radius, rng)
    return middle


def _sought(middle: Array, about: Surroundings, offset: Array, radius: float, rng: np.random.Generator) -> Array:
    """Return the middle ``(d,)`` that suits best, of many anywhere and of ever finer moves of the best of them."""
    if not len(about.inside) or not len(offset):
        return middle
    points, offsets = (of[rng.integers(len(of), size=MATCHES)] for of in (about.inside, offset))
    trial = np.concatenate([middle[None], points - offsets])
    for stride in FINER:
        best, _ = about.best(trial, BEST)
        trial = np.concatenate([best, _moved(np.repeat(best, HEIRS, axis=0), radius * stride, rng)])
    found: Array = about.best(trial)[0][0]
    return found


def _moved(middle: Array, stride: float | Array, rng: np.random.Generator) -> Array:
    """Return middles ``(n, d)`` moved by about a stride each."""
    moved: Array = middle + stride * rng.normal(size=middle.shape) / np.sqrt(middle.shape[1])
    return moved
