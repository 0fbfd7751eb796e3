"""What evaluated rows teach: which are examples of a good point, and how much each one counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rayscan.learn.data import Rows
from rayscan.problem.target import Target

Array: TypeAlias = NDArray[np.float64]
FEW = 10
"""Valid points below which the best of the others stand in as examples."""
BEST = 0.1
"""The share of the points with a known penalty that stand in."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A sample to learn from.

    Attributes
    ----------
    u : ndarray, shape (n, d)
    good : ndarray of bool, shape (n,)
        Valid points, or the best by penalty while there are fewer than `FEW` valid ones.
    known : ndarray of bool, shape (n,)
        Points with every value of `values`.
    values : ndarray, shape (n, c)
        What a regressor learns: the constrained observables, or the likelihood. NaN where missing.
    likelihood : ndarray, shape (n,)
        Eq. 5, or the closeness to being valid while there are few valid points.
    penalty : ndarray, shape (n,)
        NaN where nothing is known.
    provisional : bool
        Whether `good` means "best so far" rather than valid.
    """

    u: Array
    good: NDArray[np.bool_]
    known: NDArray[np.bool_]
    values: Array
    likelihood: Array
    penalty: Array
    provisional: bool

    def __len__(self) -> int:
        return len(self.u)

    @property
    def two_classes(self) -> bool:
        """Whether there are both good and other points, so that there is something to tell apart."""
        return bool(self.good.any() and not self.good.all())


def learned_observables(target: Target, observables: Sequence[str]) -> tuple[str, ...]:
    """Return the observables that a regressor learns; none when it must learn the likelihood itself.

    The likelihood is all there is to learn when the target is a label or a function of the user's, or constrains an
    observable that is derived from parameters.
    """
    if target.function is not None or target.labels is not None or not set(target.constraints) <= set(observables):
        return ()
    return tuple(target.constraints)


def make_lesson(rows: Rows, target: Target, observables: Sequence[str]) -> Lesson:
    """Turn rows into a lesson.

    Parameters
    ----------
    rows : Rows
    target : Target
    observables : sequence of str, length m
        Names of the columns of ``rows.observables``.
    """
    penalty = np.where(np.isfinite(rows.penalty), rows.penalty, np.nan)
    good, provisional = _examples(rows.valid, penalty)
    likelihood = np.nan_to_num(rows.likelihood)
    if provisional:
        likelihood = _closeness(penalty)
    names = learned_observables(target, observables)
    if names:
        values = rows.observables[:, [list(observables).index(name) for name in names]]
    else:
        values = np.where(np.isfinite(penalty), likelihood, np.nan)[:, None]
    known: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    return Lesson(rows.u, good, known, values, likelihood, penalty, provisional)


def map_weights(lesson: Lesson) -> Array:
    """Return what the map learns from each point ``(n,)``: 1 for good ones, 0 for failures, little for the others.

    The tail below 1 keeps the map open towards where the penalty is small, beyond the good points found so far.
    """
    return np.where(lesson.good, 1.0, TAIL * _closeness(lesson.penalty))


TAIL = 0.1


def _examples(valid: NDArray[np.bool_], penalty: Array) -> tuple[NDArray[np.bool_], bool]:
    known = np.flatnonzero(np.isfinite(penalty))
    if valid.sum() >= FEW or not len(known):
        return valid.copy(), False
    count = max(int(np.ceil(BEST * len(known))), min(FEW, (len(known) + 1) // 2))
    bound = np.sort(penalty[known])[count - 1]
    with np.errstate(invalid="ignore"):
        best = penalty <= bound
    if best.sum() == len(known) and (penalty[known] < bound).any():
        # The bound is also the worst value there is (a label that is only yes or no): the strictly better ones remain.
        best &= penalty < bound
    good = best | valid
    return good, bool((good != valid).any())


def _closeness(penalty: Array) -> Array:
    """Return 1 for the least penalty down to 0 for the largest or none, by rank, so that no scale is needed."""
    closeness = np.zeros(len(penalty))
    known = np.flatnonzero(np.isfinite(penalty))
    if len(known):
        levels, level = np.unique(penalty[known], return_inverse=True)
        at_or_above = np.cumsum(np.bincount(level, minlength=len(levels))[::-1])[::-1]
        closeness[known] = at_or_above[level] / len(known)
        if len(levels) > 1:
            closeness[known] -= at_or_above[-1] / len(known) * (level == len(levels) - 1)
    return closeness
