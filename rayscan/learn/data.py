"""What flows between the learner and the rest: proposals out, evaluated rows in."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEAR = 10
"""Dimensions up to which distances tell near from far. Beyond, all points of a region are about equally far apart."""
REMEMBERED = 100_000
"""Rows that a learner remembers at most: what a network and a map gain from more is less than the time it takes."""
SLACK = 1.25
"""How far beyond its limit a history grows before it is thinned, so that not every batch pays for a sort."""


class Origin(enum.IntEnum):
    """Which proposal a point came from."""

    GIVEN = 0
    INITIAL = 1
    UNIFORM = 2
    MAP = 3
    LOCAL = 4
    POPULATION = 5
    GROWTH = 6
    PROBE = 7
    FORK = 8
    TRANSPLANT = 9

    @property
    def label(self) -> str:
        """The lower-case name used in tables."""
        return self.name.lower()


GUIDED = (Origin.POPULATION, Origin.PROBE)
"""Origins of points that were drawn where the surrogates believe."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Points to evaluate, best first.

    Attributes
    ----------
    u : ndarray, shape (n, d)
        In the unit cube.
    origin : ndarray of int8, shape (n,)
        `Origin` codes.
    density : ndarray, shape (n,)
        The density that the point was drawn with, with respect to the prior (1 for uniform, 1/Jacobian for the map);
        NaN where it is not known, or where points were selected after they were drawn.
    score : ndarray, shape (n,)
        The surrogate's probability of being valid when it was proposed, NaN when there was no surrogate yet.
    generation : int
        How many refits the surrogate had behind it.
    """

    u: Array
    origin: NDArray[np.int8]
    density: Array
    score: Array
    generation: int

    def __len__(self) -> int:
        return len(self.u)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Proposals:
        return Proposals(self.u[rows], self.origin[rows], self.density[rows], self.score[rows], self.generation)


@dataclass(frozen=True, slots=True)
class Rows:
    """Evaluated points, in the order they were issued.

    Attributes
    ----------
    point_id : ndarray of int64, shape (n,)
    u : ndarray, shape (n, d)
    status : ndarray of int8, shape (n,)
        `rayscan.tools.base.Status` codes; 0 is ok.
    observables : ndarray, shape (n, m)
        NaN where missing.
    valid : ndarray of bool, shape (n,)
    likelihood : ndarray, shape (n,)
    penalty : ndarray, shape (n,)
        NaN where nothing is known.
    origin : ndarray of int8, shape (n,)
    density, score : ndarray, shape (n,)
        As in `Proposals`.
    generation : ndarray of int32, shape (n,)
        Refits before the point was proposed.
    """

    point_id: NDArray[np.int64]
    u: Array
    status: NDArray[np.int8]
    observables: Array
    valid: NDArray[np.bool_]
    likelihood: Array
    penalty: Array
    origin: NDArray[np.int8]
    density: Array
    score: Array
    generation: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.point_id)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Rows:
        return Rows(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def empty(cls, d: int, m: int) -> Rows:
        """Return no rows of `d` parameters and `m` observables."""
        none = np.empty(0)
        return cls(
            none.astype(np.int64), np.empty((0, d)), none.astype(np.int8), np.empty((0, m)), none.astype(bool),
            none, none, none.astype(np.int8), none, none, none.astype(np.int32),
        )  # fmt: skip

    @classmethod
    def concatenate(cls, batches: list[Rows]) -> Rows:
        """Join one or more batches, in order."""
        return cls(*(np.concatenate([getattr(batch, f.name) for batch in batches]) for f in fields(cls)))


class History:
    """What a learner remembers of the rows it was told: all, up to a limit, and a sample of them beyond it.

    Of many rows it keeps the nearest to the target (a quarter of `limit`), as many valid ones, the latest (a sixteenth)
    and, of all rows alike, a sample that fills the rest. Which are kept follows from which
    were told, and neither from their order nor from how they came in batches: a scan that was interrupted remembers
    what one that was not does.

    Parameters
    ----------
    d : int
        Scanned parameters.
    m : int
        Observables.
    limit : int
        Rows that `rows` has at most; at least 16.

    Attributes
    ----------
    told : int
        Rows told in all.

    Notes
    -----
    Each of the four parts is the least `k` rows by some key of the row alone (its penalty, its id, or a number
    scrambled from its id). A row that is not among the least `k` of a set is not among those of a larger set either, so
    forgetting it changes nothing later.
    """

    def __init__(self, d: int, m: int, limit: int = REMEMBERED) -> None:
        self.told = 0
        self.limit = limit
        self._batches = [Rows.empty(d, m)]
        self._held = 0
        self._settled = True

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, rows: Rows) -> None:
        """Take rows that were not told before."""
        if not len(rows):
            return
        self._batches.append(rows)
        self.told += len(rows)
        self._held += len(rows)
        self._settled = False
        if self._held > SLACK * self.limit:
            self._settle()

    @property
    def rows(self) -> Rows:
        """What is remembered, in the order it was told."""
        if not self._settled:
            self._settle()
        return self._batches[0]

    def _settle(self) -> None:
        rows = Rows.concatenate(self._batches)
        if self.told > self.limit:
            rows = rows[np.flatnonzero(_memorable(rows, self.limit))]
        self._batches, self._held, self._settled = [rows], len(rows), True


def _memorable(rows: Rows, limit: int) -> NDArray[np.bool_]:
    """Return which rows ``(n,)`` are worth remembering, at most `limit`."""
    quarter, latest = limit // 4, limit // 16
    lot = _scrambled(rows.point_id)
    near = np.where(rows.valid | ~np.isfinite(rows.penalty), np.inf, rows.penalty)
    keep = np.zeros(len(rows), dtype=np.bool_)
    keep[np.argsort(lot)[: limit - 2 * quarter - latest]] = True
    keep[_first(np.flatnonzero(rows.valid), lot, quarter)] = True
    closest = np.flatnonzero(np.isfinite(near))
    keep[closest[np.lexsort((lot[closest], near[closest]))[:quarter]]] = True
    keep[np.argsort(rows.point_id)[::-1][:latest]] = True
    return keep


def _first(candidates: NDArray[np.int64], key: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the `count` of the candidates, row numbers of shape (k,), with the least keys."""
    return candidates[np.argsort(key[candidates])[:count]]


def _scrambled(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number ``(n,)`` for each id that looks random and differs between ids.

    References
    ----------
    G. L. Steele Jr., D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the finalising
    step of SplitMix64, which is one to one.
    """
    z = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
