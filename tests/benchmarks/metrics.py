"""How well a collected sample covers the valid region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tests.benchmarks.problem import Array, Problem

REFERENCE = 3000


@dataclass(frozen=True)
class Coverage:
    """Coverage of the valid region by a sample.

    Attributes
    ----------
    share : float
        Of reference points within ``r`` of a collected point, ``r`` being 1.5 times the median distance from the
        reference to a uniform sample of the same size.
    uniform : float
        The same share for that uniform sample.
    islands : int
        Islands that hold a collected point.
    auc : float
        Of a cross-validated boosted-tree classifier, collected against uniform; 0.5 is indistinguishable.
    """

    share: float
    uniform: float
    islands: int
    auc: float


def measure(problem: Problem, collected: Array, seed: int = 0, *, size: int | None = None) -> Coverage:
    """Compare valid points ``(n, d)`` in the unit cube with a uniform in-target sample.

    Parameters
    ----------
    problem : Problem
    collected : ndarray, shape (n, d)
    seed : int
    size : int, optional
        Of the uniform sample; as many points as were collected. Where the stock of uniform points is too small for
        that, as many of the collected points are compared as it holds.
    """
    rng = np.random.default_rng([seed, 77])
    wanted = len(collected) if size is None else size
    n = wanted if problem.stock is None else min(wanted, problem.stock - REFERENCE)
    reference, uniform = np.split(problem.draw(REFERENCE + n, rng), [REFERENCE])
    drawn = size is None and n < len(collected)
    part = collected[rng.choice(len(collected), n, replace=False)] if drawn else collected
    share, own = reached(reference, part, uniform)
    return Coverage(share, own, len(np.unique(problem.island(collected))), separability(part, uniform, seed))


def reached(reference: Array, collected: Array, uniform: Array) -> tuple[float, float]:
    """Return the shares of reference points that collected and that uniform points reach; see `Coverage`."""
    to_uniform = KDTree(uniform).query(reference)[0]
    reach = 1.5 * np.median(to_uniform)
    to_collected = KDTree(collected).query(reference)[0]
    return float((to_collected < reach).mean()), float((to_uniform < reach).mean())


def separability(first: Array, second: Array, seed: int = 0) -> float:
    """Return the cross-validated AUC of a classifier that tells two samples apart."""
    x = np.concatenate([first, second])
    y = np.repeat([1, 0], [len(first), len(second)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    p = cross_val_predict(HistGradientBoostingClassifier(random_state=seed), x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, p[:, 1]))
