"""What flows between the learner and the rest: proposals out, evaluated rows in."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Origin(enum.IntEnum):
    """Which proposal a point came from."""

    GIVEN = 0
    INITIAL = 1
    UNIFORM = 2
    MAP = 3
    LOCAL = 4
    CHAIN = 5
    FLOW = 6
    AUDIT = 7

    @property
    def label(self) -> str:
        """The lower-case name used in tables."""
        return self.name.lower()


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
            none, none, none.astype(np.int8), none, none,
        )  # fmt: skip

    @classmethod
    def concatenate(cls, batches: list[Rows]) -> Rows:
        """Join one or more batches, in order."""
        return cls(*(np.concatenate([getattr(batch, f.name) for batch in batches]) for f in fields(cls)))
