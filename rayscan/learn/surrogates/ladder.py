"""What the surrogate has to hit now: the target, or, while that is out of reach, a provisional wider one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rayscan.learn.data import Array
from rayscan.problem.constraints import Above, Below, Constraint, Gaussian, Window
from rayscan.problem.target import Target

ENOUGH = 20
"""Valid points from which the true target is the goal (subset simulation's level until then)."""

SAME = 1e-6
"""A distance below which the likelihood of a target function counts as 1."""

PRECISE = 0.5
"""Errors, in units of the half width of the target, with which a target is aimed at that no point has reached."""
FAR = -1e15
"""Logarithm of a probability beyond numbers: lower than any, so that what is farther off is less probable still."""
SPREAD = 4.0
"""The scale of an observable, in typical distances of the best points from the target."""


class Ladder:
    """Turns a target into intervals on scaled observables, widened until enough points lie inside.

    Each constrained observable ``O`` is seen as ``t = asinh((O - c) / s)``: ``c`` is the middle (or the one end) of its
    interval and ``s`` follows how near to it the best points so far have come, so that the scale tightens as the scan
    closes in, and orders of magnitude far from the target cost the surrogate nothing. Where several constraints are
    measurements, their joint distance is one further quantity.

    Parameters
    ----------
    target : Target
    observables : sequence of str
        The columns of the rows; constraints on other names are left to the validity head.

    References
    ----------
    .. [1] S.-K. Au, J. L. Beck, Probabilistic Engineering Mechanics 16 (2001) 263: levels of subset simulation.
    """

    def __init__(self, target: Target, observables: Sequence[str]) -> None:
        names = [name for name in target.constraints if name in observables]
        self.columns: NDArray[np.int64] = np.array([list(observables).index(name) for name in names], dtype=np.int64)
        self._constraints: list[Constraint] = [target.constraints[name] for name in names]
        self._allowed = math.sqrt(-2 * math.log(target.threshold)) if target.threshold > 0 else math.inf
        self._judged = target.function is not None
        self.graded = False
        self._build()

    def _build(self) -> None:
        """Set intervals, centres and scales of the constraints."""
        allowed = self._allowed
        ends = [_interval(constraint, allowed) for constraint in self._constraints]
        self._soft = [j for j, constraint in enumerate(self._constraints) if not constraint.hard]
        soft = [_measurement(self._constraints[j]) for j in self._soft]
        self._measured: Array = np.array(soft, dtype=np.float64).reshape(-1, 3)
        self.joint = len(self._soft) > 1 and math.isfinite(allowed)
        if self.joint:
            ends.append((-math.inf, allowed))
        self.goal: Array = np.array(ends, dtype=np.float64).reshape(-1, 2)
        self.level: Array = self.goal.copy()
        finite = np.where(np.isfinite(self.goal), self.goal, np.nan)
        self.centre: Array = np.array(
            [np.mean(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in finite]
        )
        if self.joint:
            self.centre[-1] = 0.0
        self.scale: Array = np.ones(len(self.goal))
        self.reached = False

    @property
    def outputs(self) -> int:
        """How many observables the surrogate predicts."""
        return len(self._constraints)

    def grade(self, observables: Array, likelihood: Array) -> bool:
        """Take the likelihood of a target function as one more observable, once it has said more than yes or no.

        Parameters as `seen`.

        Returns
        -------
        bool
            Whether what the surrogate has to predict has changed.
        """
        if self.graded or not self._judged or not (self._distance(observables, likelihood) > SAME).any():
            return False
        self._add_grade()
        return True

    def _add_grade(self) -> None:
        self.graded = True
        # The distance sqrt(-2 ln L) is judged as a measurement of 0 ± 1 would be.
        self._constraints.append(Gaussian(0.0, 1.0))
        self._build()

    def seen(self, observables: Array, likelihood: Array) -> Array:
        """Return what the surrogate learns ``(n, outputs)``: the observables and, once graded, the function's distance.

        Parameters
        ----------
        observables : ndarray, shape (n, k)
            The constrained ones.
        likelihood : ndarray, shape (n,)
            Of all demands together.
        """
        return np.column_stack([observables, self._distance(observables, likelihood)]) if self.graded else observables

    def _distance(self, observables: Array, likelihood: Array) -> Array:
        """Return ``sqrt(-2 ln L)`` ``(n,)`` of the target's function alone, NaN where it says a flat no."""
        with np.errstate(divide="ignore"):
            rest = -2 * np.log(likelihood)
        for j in range(len(self.columns)):
            rest = rest - self._constraints[j].chi2(observables[:, j])
        return np.asarray(np.sqrt(np.where(np.isfinite(rest), np.maximum(rest, 0.0), np.nan)))

    def quantities(self, observables: Array) -> Array:
        """Return what the intervals hold: constrained observables ``(n, outputs)``, and their joint distance."""
        if not self.joint:
            return observables
        chi2 = sum(self._constraints[j].chi2(observables[:, j]) for j in self._soft)
        return np.column_stack([observables, np.sqrt(chi2)])

    def scaled(self, quantities: Array) -> Array:
        """Return ``t`` of quantities ``(n, q)``, or of the observables alone ``(n, outputs)``."""
        q = quantities.shape[1]
        return np.arcsinh((quantities - self.centre[:q]) / self.scale[:q])

    def predicted(self, t: Tensor) -> Tensor:
        """Return scaled quantities ``(n, q)`` from the surrogate's scaled observables ``(n, outputs)``."""
        if not self.joint:
            return t
        centre, scale = self._like(t, self.centre), self._like(t, self.scale)
        value, minus, plus = (self._like(t, column) for column in self._measured.T)
        o = (centre[:-1] + scale[:-1] * torch.sinh(t.clamp(-40, 40)))[:, self._soft]
        pulls = (o - value) / torch.where(o < value, minus, plus)
        distance = torch.linalg.vector_norm(pulls, dim=1, keepdim=True)
        return torch.cat([t, torch.asinh((distance - centre[-1]) / scale[-1])], dim=1)

    @staticmethod
    def _like(t: Tensor, values: Array) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=t.dtype, device=t.device)

    def update(self, observables: Array, penalty: Array, valid: NDArray[np.bool_]) -> bool:
        """Set scale and level from all points so far; return whether the scale changed.

        Parameters
        ----------
        observables : ndarray, shape (n, outputs)
        penalty : ndarray, shape (n,)
            NaN where nothing is known.
        valid : ndarray of bool, shape (n,)
        """
        complete = np.isfinite(observables).all(axis=1) & np.isfinite(penalty)
        if not complete.any():
            return False
        self.reached = int(valid.sum()) >= ENOUGH
        if self.reached:
            best = np.flatnonzero(valid)[-1000:]
        else:
            usable = np.flatnonzero(complete)
            count = min(ENOUGH, max(10, len(usable) // 5))
            best = usable[np.argsort(penalty[usable], kind="stable")[:count]]
        inside = self.quantities(observables[best])
        self.level = self.goal.copy()
        if not self.reached:
            self.level[:, 0] = np.minimum(self.goal[:, 0], inside.min(axis=0))
            self.level[:, 1] = np.maximum(self.goal[:, 1], inside.max(axis=0))
        return self._rescale(inside)

    def leap(self, width: Array) -> None:
        """Aim at the target itself if predictions are precise enough to know it from its surroundings.

        Parameters
        ----------
        width : ndarray, shape (q,)
            Standard deviation of the predictions.
        """
        if (width <= PRECISE * self.half).all():
            self.level = self.goal.copy()

    @property
    def half(self) -> Array:
        """Half the width ``(q,)`` of the target as scaled; where an end is open, a usual valid point's distance."""
        ends = np.stack([self.scaled(self.goal[:, side][None])[0] for side in (0, 1)])
        return np.where(np.isfinite(ends).all(axis=0), (ends[1] - ends[0]) / 2, math.asinh(1 / SPREAD))

    def _rescale(self, inside: Array) -> bool:
        wanted = SPREAD * np.median(np.abs(inside - self.centre), axis=0)
        wanted = np.where(np.isfinite(wanted) & (wanted > 0), wanted, self.scale)
        # The network is warm-started, so what it predicts must not be redefined for small gains.
        moved = np.abs(np.log(wanted / self.scale)) > math.log(1.5)
        self.scale = np.where(moved, wanted, self.scale)
        return bool(moved.any())

    def misjudged(self, t: Tensor, quantities: Array) -> NDArray[np.bool_]:
        """Return for which points and quantities ``(n, q)`` prediction and truth lie on different sides of the level.

        Parameters
        ----------
        t : Tensor, shape (n, q)
            Predictions.
        quantities : ndarray, shape (n, q)
            What they turned out to be.
        """
        lo, hi = self.scaled(self.level.T)
        said, was = (
            np.where(each < lo, -1, np.where(each > hi, 1, 0)) for each in (t.cpu().numpy(), self.scaled(quantities))
        )
        return np.asarray(said != was)

    def log_probability(self, t: Tensor, width: Array | Tensor, *, goal: bool = False) -> Tensor:
        """Return ``ln p`` ``(n,)`` of lying in the current level (or the goal) given predictions ``(n, q)``.

        Parameters
        ----------
        t : Tensor, shape (n, q)
        width : array or Tensor, shape (q,) or (n, q)
            Standard deviation of the predictions.
        goal : bool
            Ask for the target itself.
        """
        ends = self.goal if goal else self.level
        lo, hi = (self._like(t, self.scaled(ends[:, side][None])[0]) for side in (0, 1))
        width = torch.as_tensor(width, dtype=t.dtype, device=t.device)
        return _log_between((lo - t) / width, (hi - t) / width).sum(dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Return everything `update` has set."""
        return {"level": self.level, "scale": self.scale, "reached": self.reached, "graded": self.graded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a state."""
        if bool(state["graded"]) and not self.graded:
            self._add_grade()
        self.level, self.scale = np.array(state["level"]), np.array(state["scale"])
        self.reached = bool(state["reached"])


def _interval(constraint: Constraint, allowed: float) -> tuple[float, float]:
    """Return the values that satisfy one constraint on its own."""
    if isinstance(constraint, Window):
        return constraint.lo, constraint.hi
    if isinstance(constraint, Gaussian):
        minus, plus = constraint.sigma
        return constraint.value - allowed * minus, constraint.value + allowed * plus
    if isinstance(constraint, Below):
        return -math.inf, constraint.limit + (allowed * constraint.sigma if constraint.sigma else 0.0)
    assert isinstance(constraint, Above)
    return constraint.limit - (allowed * constraint.sigma if constraint.sigma else 0.0), math.inf


def _measurement(constraint: Constraint) -> tuple[float, float, float]:
    """Return value, and standard deviations below and above it, of a constraint with an error."""
    if isinstance(constraint, Gaussian):
        minus, plus = constraint.sigma
        return constraint.value, minus, plus
    assert isinstance(constraint, Below | Above)
    assert constraint.sigma
    below = isinstance(constraint, Below)
    return constraint.limit, math.inf if below else constraint.sigma, constraint.sigma if below else math.inf


def _log_between(lo: Tensor, hi: Tensor) -> Tensor:
    """Return ``ln[Φ(hi) - Φ(lo)]``, accurate far out in either tail."""
    flip = lo > 0
    low, high = torch.where(flip, -hi, lo), torch.where(flip, -lo, hi)
    top = torch.special.log_ndtr(high)
    rest = torch.special.log_ndtr(low) - top
    between: Tensor = top + torch.log1p(-torch.exp(rest.clamp(max=-1e-300)))
    return between.nan_to_num(nan=FAR, neginf=FAR)
