"""What the surrogates of a finished run say of places that no program has seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_expit

from rayscan.errors import ConfigError, RayscanError
from rayscan.learn.surrogates.stack import TINY, Stack, bounded, logit_of
from rayscan.problem.target import Target
from rayscan.store import RunDirectory
from rayscan.store.arrays import column
from rayscan.store.reader import read_table

Array = NDArray[np.float64]
CHUNK = 50_000
"""Places that are judged at a time."""


class Surrogate:
    """The surrogates of a run by the default method, as its last checkpoint left them.

    Parameters
    ----------
    run : RunDirectory

    Raises
    ------
    ConfigError
        If there is no checkpoint, or the run had another method or is judged by a function of the user's.

    Notes
    -----
    Where surrogates choose points, they choose those about which they are mistaken to the good as well, and the more
    constraints there are, the more so. So the probability is calibrated [1]_: a logistic regression of the latest
    evaluated points' verdicts on what was promised of them before says what a promise is worth.

    Places are those of the unit cube, as in the column ``u`` of a run's table and as `Space.to_unit` returns them.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin Classifiers, 1999.

    Examples
    --------
    >>> surrogate = rayscan.open_run("runs/mssm").surrogate  # doctest: +SKIP
    >>> surrogate.probability(space.to_unit([[10.0, 500.0, -1800.0, 1500.0, 1500.0]]))  # doctest: +SKIP
    array([0.97])
    """

    def __init__(self, run: RunDirectory) -> None:
        from rayscan.learn.coverage.belief import Belief
        from rayscan.learn.options import LearnOptions
        from rayscan.learn.snapshot import from_bytes, usable
        from rayscan.learn.surrogates.features import Features
        from rayscan.learn.surrogates.ladder import Ladder

        saved = run.load_checkpoint()
        state = _learned(from_bytes(saved[0])) if saved is not None else None
        if state is None:
            msg = f"{run.path}: expected a checkpoint of the default method (surrogate = 'auto'), found none"
            raise ConfigError(msg)
        target = Target.from_dict(run.description["target"])
        learn: dict[str, Any] = run.details["options"]["learn"]
        options = LearnOptions(hidden=tuple(learn["hidden"]), device="cpu")
        with usable():
            features = Features(run.schema.d, state["zeros"])
            self._belief = Belief(features, Ladder(target, run.schema.observables), options, 0)
            self._belief.load_state_dict(dict(state))
        if not self._belief.ready:
            msg = f"{run.path}: the surrogates had learned nothing yet when the run was saved"
            raise ConfigError(msg)
        self.d = run.schema.d
        self._run = run

    @cached_property
    def _promises(self) -> Stack:
        """What was promised of the latest points, and what that was worth."""
        rows = read_table(self._run.path, ["score", "valid"])
        score, valid = column(rows, "score"), column(rows, "valid").astype(bool)
        promised = np.isfinite(score)
        stack = Stack(1)
        stack.learn(bounded(logit_of(np.log(np.maximum(score[promised], TINY))))[:, None], valid[promised])
        stack.weigh()
        return stack

    @classmethod
    def of(cls, run: RunDirectory) -> Surrogate | None:
        """Return the surrogates of a run, None where it has none that can be read."""
        try:
            return cls(run)
        except (RayscanError, KeyError, TypeError, ValueError, AttributeError):
            # A description of another version, or one that somebody changed.
            return None

    def log_probability(self, u: ArrayLike) -> Array:
        """Return the logarithm of `probability`, which does not underflow."""
        return np.asarray(log_expit(self._promises.logit(logit_of(self.log_promise(u))[:, None])))

    def log_promise(self, u: ArrayLike) -> Array:
        """Return the logarithm of the probability as the surrogates have it, not calibrated."""
        places = np.array(u, dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != self.d:
            msg = f"places: expected an array of shape (n, {self.d}) in the unit cube, got {places.shape}"
            raise ConfigError(msg)
        parts = [self._belief.log_p(places[k : k + CHUNK], goal=True) for k in range(0, len(places), CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0)

    def probability(self, u: ArrayLike) -> Array:
        """Return how probable it is ``(n,)`` that places ``(n, d)`` of the unit cube are in target.

        Raises
        ------
        ConfigError
            If the places do not have `d` coordinates.
        """
        return np.asarray(np.exp(self.log_probability(u)))


def _learned(checkpoint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the surrogates had learned, None where another method did."""
    belief = (checkpoint.get("state") or {}).get("belief")
    return belief if belief is not None and "zeros" in belief else None
