"""Which K of L candidates to evaluate. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]

CONFIDENT_SHARE = 0.75
"""Share of the guided points that the default takes where the network is sure; the rest goes to the boundary."""
BOUNDARY = 0.25
"""Score from which the default counts a candidate as near the boundary."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a choice is made from.

    Attributes
    ----------
    score : ndarray, shape (L,)
        Probability of being good, or predicted likelihood, in [0, 1].
    merit : ndarray, shape (L,)
        Orders candidates from worst to best.
    sure : ndarray of bool, shape (L,)
        Taken for good by the network.
    uniform : ndarray of bool, shape (L,)
        Drawn from the prior rather than from the map.
    weight : ndarray, shape (L,)
        How many candidates there would be for each one here if all had been drawn from the prior, away from points that
        are already on their way: one over the density of the draw, less where it is crowded.
    free : ndarray of bool, shape (L,)
        Not chosen before and not on its way.
    """

    score: Array
    merit: Array
    sure: Mask
    uniform: Mask
    weight: Array
    free: Mask


@dataclass(frozen=True, slots=True)
class Quota:
    """Take `count` of the `eligible` candidates, those with the largest `key` first."""

    count: int
    eligible: Mask
    key: Array


def select_blindly(pool: Candidates, n: int, rng: np.random.Generator) -> Indices:
    """Choose `n` candidates at random, as when there is no surrogate yet."""
    return choose([Quota(n, pool.free, rng.random(len(pool.score)))], pool, n)


def select_paper_classifier(
    pool: Candidates, n: int, random_share: float, confident: float, rng: np.random.Generator
) -> Indices:
    """Choose as §6.1 of [1]_ does with a classifier.

    A share at random from all candidates; of the rest, half at random from those with a score above `confident`, half
    from those at or below it, the most uncertain first. A shortfall on either side is made up by the candidates with
    the most merit.

    Parameters
    ----------
    pool : Candidates
    n : int
    random_share, confident : float
        10 % and 0.75 in [1]_.
    rng : numpy Generator

    Returns
    -------
    ndarray of int64, shape (min(n, free candidates),)
        Without repetition; every prefix keeps the shares.

    References
    ----------
    .. [1] A. Hammad et al., "DLScanner", arXiv:2412.19675.
    """
    blind = round(random_share * n)
    unsure = (n - blind) // 2
    above = pool.score > confident
    everywhere = np.ones(len(above), dtype=bool)
    quotas = [
        Quota(blind, everywhere, rng.random(len(above))),
        Quota(n - blind - unsure, above, rng.random(len(above))),
        Quota(unsure, ~above, -np.abs(pool.score - 0.5)),
    ]
    return choose(quotas, pool, n)


def select_paper_regressor(
    pool: Candidates, n: int, random_share: float, threshold: float, rng: np.random.Generator
) -> Indices:
    """Choose as §6.1 of the paper does with a regressor.

    A share at random from all candidates, the rest at random from those with a predicted likelihood above `threshold`.
    A shortfall is made up by the candidates with the most merit. Parameters and result as `select_paper_classifier`.
    """
    blind = round(random_share * n)
    quotas = [
        Quota(blind, np.ones(len(pool.score), dtype=bool), rng.random(len(pool.score))),
        Quota(n - blind, pool.score > threshold, rng.random(len(pool.score))),
    ]
    return choose(quotas, pool, n)


def select_default(pool: Candidates, n: int, random_share: float, rng: np.random.Generator) -> Indices:
    """Choose a batch that fills the valid region evenly and sharpens its boundary.

    A share at random from the prior, which keeps looking everywhere; of the rest, three quarters from where the network
    is sure and one quarter from the boundary, both evenly in volume: a candidate's chance is its `weight`, so that
    neither the map's peaks nor points already on their way draw still more. A shortfall is made up by the candidates
    with the most merit. Parameters and result as `select_paper_classifier`.
    """
    blind = round(random_share * n)
    unsure = round((1 - CONFIDENT_SHARE) * (n - blind))
    # The largest of log-weight plus Gumbel noise are a weighted draw without replacement.
    evenly = np.log(pool.weight) + rng.gumbel(size=len(pool.score))
    quotas = [
        Quota(blind, pool.uniform, rng.random(len(pool.score))),
        Quota(n - blind - unsure, pool.sure, evenly),
        Quota(unsure, ~pool.sure & (pool.score > BOUNDARY), evenly),
    ]
    return choose(quotas, pool, n)


def choose(quotas: Sequence[Quota], pool: Candidates, n: int) -> Indices:
    """Fill quotas one after another without repetition, make up a shortfall by merit, and interleave them."""
    free = pool.free.copy()
    groups: list[Indices] = []
    for quota in quotas:
        group = _best(quota.key, free & quota.eligible, quota.count)
        free[group] = False
        groups.append(group)
    short = n - sum(len(group) for group in groups)
    groups.append(_best(pool.merit, free, short))
    return interleave(groups)


def interleave(groups: Sequence[Indices]) -> Indices:
    """Merge ordered groups such that every prefix holds each in its share, to within one point."""
    place = np.concatenate([(np.arange(len(group)) + 0.5) / max(len(group), 1) for group in groups])
    order = np.argsort(place, kind="stable")
    return np.concatenate(groups)[order]


def crowding(u: Array, pending: Array, n: int) -> Array:
    """Count the pending points in each point's cell.

    Parameters
    ----------
    u : ndarray, shape (L, d)
    pending : ndarray, shape (k, d)
    n : int
        Points to choose; the unit cube is cut into about as many equal cells.

    Returns
    -------
    ndarray, shape (L,)
    """
    if not len(pending):
        return np.zeros(len(u))
    d = u.shape[1]
    # The number of cells must stay countable in 64 bits, so in many dimensions only the first axes are cut.
    axes = min(d, max(1, int(np.log2(max(n, 2)))))
    sides = max(2, round(max(n, 2) ** (1 / axes)))
    power = sides ** np.arange(axes, dtype=np.int64)

    def cell(points: Array) -> Indices:
        index: Indices = np.minimum((points[:, :axes] * sides).astype(np.int64), sides - 1) @ power
        return index

    occupied, count = np.unique(cell(pending), return_counts=True)
    where = cell(u)
    found = np.searchsorted(occupied, where).clip(max=len(occupied) - 1)
    return np.where(occupied[found] == where, count[found], 0).astype(np.float64)


def repeated(u: Array, pending: Array) -> Mask:
    """Return which points ``(L,)`` are pending ones to the last digit."""
    if not len(pending):
        return np.zeros(len(u), dtype=bool)
    same: Mask = np.isin(u[:, 0], pending[:, 0])
    # Sharing the first number is rare by chance, so whole rows are compared only for those that do.
    rows = np.flatnonzero(same)
    known = set(map(tuple, pending.tolist()))
    same[rows] = [tuple(row) in known for row in u[rows].tolist()]
    return same


def _best(key: Array, eligible: Mask, count: int) -> Indices:
    rows = np.flatnonzero(eligible)
    if count < len(rows):
        rows = rows[np.argpartition(-key[rows], count)[:count]] if count > 0 else rows[:0]
    return rows[np.argsort(-key[rows], kind="stable")].astype(np.int64)
