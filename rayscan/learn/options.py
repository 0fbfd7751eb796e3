"""How to look for the next points: every knob of the learning side, in one frozen object."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rayscan.errors import ConfigError, did_you_mean

SURROGATES = ("auto", "classifier", "regressor", "similarity")
PROPOSALS = ("vegas", "random")
SELECTIONS = ("default", "fast", "paper")
DISTANCES = ("euclidean", "cosine")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, eq=False)
class LearnOptions:
    """The knobs of the learning side.

    Attributes
    ----------
    surrogate : {"auto", "classifier", "regressor", "similarity"} or torch.nn.Module
        The network. A module of the user's maps ``(n, d)`` to ``(n,)`` or ``(n, 1)`` logits of being valid.
        ``"auto"`` leaves the choice to the method.
    proposal : {"vegas", "random"}
        Where the candidates of a network come from: the map and the prior, or the prior alone.
    selection : {"default", "fast", "paper"}
        How points are chosen: to cover the valid region evenly; to collect valid points from the fewest evaluations,
        which crowds them where the surrogate is surest and leaves the rims and late-found parts thin (a biased sample,
        with ``surrogate="auto"`` only); or ``K`` of ``L`` candidates as in §6.1 of [1]_.
    K : int
        Points a step.
    L : int or None
        Candidates a step; None means the larger of 50 000 and 100 ``K``.
    random_share : float
        The share of ``K`` that is chosen blindly, in [0, 1].
    initial : int or ndarray (n, d) or None
        The first points: how many (Sobol), or which (in the unit cube). None means ``K``.
    seeds : ndarray (n, d) or None
        Known points (in the unit cube), evaluated before the first points and in addition to them.
    map_share : float
        The share of ``L`` drawn from the map, in [0, 1].
    ninc, nitn, alpha
        The map's increments an axis, training iterations a refit, and damping.
    nproc : int
        Processes that train the map.
    hidden : tuple of int
        Neurons of each hidden layer of the regressor and the classifier.
    encoder, embedding, head : tuple of int, int, int
        The similarity classifier: hidden layers of the encoder, dimension of the hypersphere's space, neurons of the
        classifying layer.
    distance : {"euclidean", "cosine"}
        Between embeddings, Eq. 11 or Eq. 12 of [1]_.
    margin : float
        How far apart the embeddings of a different-class pair are pushed, Eq. 13.
    learning_rate : float
        Adam's, at the start of each training, for a batch of 32; it grows with the root of the batch.
    epochs, steps : int
        Upper bounds of one training: passes over the sample, and gradient steps. The second keeps the cost of a refit
        flat as the sample grows.
    patience : int
        Checks of the held-back part (a fortieth of a full training apart) without improvement before training stops,
        in its second half.
    holdout : float
        The share of the sample held back to stop early, in [0, 0.5].
    batch : int or None
        Points a gradient step; None lets it grow with the sample.
    confident : float
        Probability above which a classifier counts as sure that a point is valid.
    threshold : float
        Predicted likelihood above which a regressor proposes a point.
    device : {"auto", "cpu", "cuda"}
        Where networks live.
    deterministic : bool
        Refuse whatever makes two runs differ in the last digit (reduced precision).

    Raises
    ------
    ConfigError
        For a value out of its range or an unknown name.

    References
    ----------
    .. [1] A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675.
    """

    surrogate: Any = "auto"
    proposal: str = "vegas"
    selection: str = "default"
    K: int = 300
    L: int | None = None
    random_share: float = 0.1
    initial: Any = None
    seeds: Any = None
    map_share: float = 0.5
    ninc: int = 100
    nitn: int = 5
    alpha: float = 1.0
    nproc: int = 1
    hidden: tuple[int, ...] = (100, 100, 100, 100)
    encoder: tuple[int, ...] = (100, 100, 100)
    embedding: int = 500
    head: int = 100
    distance: str = "euclidean"
    margin: float = 1.0
    learning_rate: float = 1e-3
    epochs: int = 500
    steps: int = 6000
    patience: int = 8
    holdout: float = 0.1
    batch: int | None = None
    confident: float = 0.75
    threshold: float = 0.9
    device: str = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.surrogate, str) or _is_module(self.surrogate)):
            msg = f"surrogate: expected one of {', '.join(SURROGATES)} or a torch.nn.Module, got {self.surrogate!r}"
            raise ConfigError(msg)
        if isinstance(self.surrogate, str):
            _one_of("surrogate", self.surrogate, SURROGATES)
        if self.selection == "fast" and not self.automatic:
            msg = (
                f"selection = 'fast' belongs to the default method; got surrogate = {self.surrogate!r}, "
                "expected surrogate = 'auto', or selection = 'default'"
            )
            raise ConfigError(msg)
        _one_of("proposal", self.proposal, PROPOSALS)
        if self.proposal == "random" and self.automatic and self.selection != "paper":
            msg = (
                "proposal = 'random' says where the candidates of a network come from, and the default method has "
                "none; expected a network as surrogate (such as 'classifier'), selection = 'paper', or no proposal"
            )
            raise ConfigError(msg)
        _one_of("selection", self.selection, SELECTIONS)
        _one_of("distance", self.distance, DISTANCES)
        _one_of("device", self.device, DEVICES)
        for name in ("K", "ninc", "nitn", "nproc", "embedding", "head", "epochs", "steps", "patience"):
            _whole(name, getattr(self, name))
        for name in ("L", "batch"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name))
        for name, top in (("random_share", 1), ("map_share", 1), ("holdout", 0.5), ("confident", 1), ("threshold", 1)):
            _between(name, getattr(self, name), 0, top)
        for name in ("alpha", "margin", "learning_rate"):
            _between(name, getattr(self, name), 0, math.inf)
        for name in ("hidden", "encoder"):
            object.__setattr__(self, name, _layers(name, getattr(self, name)))
        if self.L is not None and self.L < self.K:
            msg = f"L = {self.L} candidates are fewer than the K = {self.K} to choose from them; expected L >= K"
            raise ConfigError(msg)
        object.__setattr__(self, "initial", _initial(self.initial))
        object.__setattr__(self, "seeds", None if self.seeds is None else _given("seeds", self.seeds))

    @property
    def automatic(self) -> bool:
        """Whether the surrogate is left to the method."""
        return isinstance(self.surrogate, str) and self.surrogate == "auto"

    @property
    def candidates(self) -> int:
        """``L``, or its default."""
        return self.L if self.L is not None else max(50_000, 100 * self.K)

    @property
    def initial_count(self) -> int:
        """The number of initial points, seeds included."""
        seeds = 0 if self.seeds is None else len(self.seeds)
        if self.initial is None:
            return seeds + self.K
        return seeds + (len(self.initial) if isinstance(self.initial, np.ndarray) else int(self.initial))

    def to_dict(self) -> dict[str, Any]:
        """Describe the options in plain types, as saved with the data and compared on resume."""
        described: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        if not isinstance(self.surrogate, str):
            described["surrogate"] = repr(self.surrogate)
        for name in ("initial", "seeds"):
            points = getattr(self, name)
            if isinstance(points, np.ndarray):
                digest = hashlib.sha256(points.tobytes()).hexdigest()[:12]
                described[name] = f"{len(points)} given points #{digest}"
        return {name: list(value) if isinstance(value, tuple) else value for name, value in described.items()}


def _is_module(value: object) -> bool:
    # Told by its methods, because importing torch here would cost every `import rayscan` a second.
    return callable(value) and all(hasattr(value, name) for name in ("forward", "state_dict", "parameters"))


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        msg = f"{name} = {value!r}; expected one of {', '.join(known)}{did_you_mean(str(value), known, listed=True)}"
        raise ConfigError(msg)


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        msg = f"{name} = {value!r}; expected a whole number >= 1"
        raise ConfigError(msg)


def _between(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        msg = f"{name} = {value!r}; expected a number in [{low:g}, {high:g}]"
        raise ConfigError(msg)


def _layers(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or not value:
        msg = f"{name} = {value!r}; expected the neurons of each hidden layer, such as (100, 100, 100)"
        raise ConfigError(msg)
    for width in value:
        _whole(name, width)
    return tuple(int(width) for width in value)


def _initial(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if value < 0:
            msg = f"initial = {value}; expected a number of points >= 0"
            raise ConfigError(msg)
        return int(value)
    return _given("initial", value)


def _given(name: str, value: Any) -> Any:
    points = np.array(value, dtype=np.float64)
    if points.ndim != 2 or not ((points >= 0) & (points <= 1)).all():
        msg = f"{name}: expected an array (n, d) of unit-cube points, got an array of shape {points.shape}"
        raise ConfigError(msg)
    points.setflags(write=False)
    return points
