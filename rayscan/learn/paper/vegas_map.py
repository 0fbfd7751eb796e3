"""The VEGAS map: a separable density that follows where a sample was good."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import vegas
from numpy.typing import ArrayLike, NDArray

from rayscan.errors import ConfigError

Array: TypeAlias = NDArray[np.float64]
CHUNK = 262_144
"""Points mapped at once: bounds the scratch memory of a draw of millions."""


class VegasMap:
    """An adaptive map of the unit cube onto itself, dense where the sample it learnt from was good.

    Parameters
    ----------
    d : int
        Dimension.
    ninc, nitn, alpha, nproc
        Increments an axis, training iterations, damping and processes, as in `vegas.AdaptiveMap`.

    Attributes
    ----------
    trained : bool
        False while the map is the identity, so that its samples are uniform.

    Notes
    -----
    The map is separable: on two boxes on the diagonal of a cube of dimension ``d`` it hits at best ``2 * 2**-d``.

    References
    ----------
    .. [1] G. P. Lepage, "Adaptive multidimensional integration: vegas enhanced", arXiv:2009.05112.
    """

    def __init__(self, d: int, ninc: int = 100, nitn: int = 5, alpha: float = 1.0, nproc: int = 1) -> None:
        self.d = d
        self.ninc = ninc
        self.nitn = nitn
        self.alpha = alpha
        self.nproc = nproc
        self.trained = False
        self._map = self._uniform(ninc)

    def fit(self, u: Array, f: Array) -> None:
        """Forget the old map and learn from a sample.

        Parameters
        ----------
        u : ndarray, shape (n, d)
            Points in the unit cube, failed ones included.
        f : ndarray, shape (n,)
            How good each one is, ≥ 0; NaN counts as 0. The map's density follows the average of `f` along each axis, so
            points with `f` = 0 thin it out where they lie.
        """
        inside = ((u >= 0) & (u <= 1)).all(axis=1)
        u = np.ascontiguousarray(u[inside])
        weight: Array = np.nan_to_num(f[inside].astype(np.float64), posinf=0.0, neginf=0.0).clip(0.0)
        # With few points an increment would hold one or none, and the map would learn their positions by heart.
        ninc = min(self.ninc, len(u) // 10)
        self._map = self._uniform(max(ninc, 1))
        self.trained = ninc > 1 and weight.max() > weight.min()
        if not self.trained:
            return
        weight /= weight.max()
        # Our own loop, because `adapt_to_samples` takes up to 1000 increments whatever `ninc` says.
        with _inverter(self.nproc) as inverse:
            for _ in range(self.nitn):
                y, jacobian = inverse(self._map, u)
                self._map.add_training_data(y, (jacobian * weight) ** 2)
                self._map.adapt(alpha=self.alpha)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw points.

        Returns
        -------
        u : ndarray, shape (n, d)
        jacobian : ndarray, shape (n,)
            Volume of the unit cube per unit of probability: one over the density. Its mean times ``f`` estimates the
            integral of ``f`` over the cube.
        """
        u, jacobian = np.empty((n, self.d)), np.empty(n)
        for start in range(0, n, CHUNK):
            part = slice(start, min(start + CHUNK, n))
            y = rng.random((part.stop - start, self.d))
            x, jac = np.empty_like(y), np.empty(len(y))
            self._map.map(y, x, jac)
            u[part], jacobian[part] = x, jac
        # The last digit of a mapped point may fall outside.
        return np.clip(u, 0.0, 1.0, out=u), jacobian

    def density(self, u: ArrayLike) -> Array:
        """Return the density ``(n,)`` at points ``(n, d)`` of the unit cube, with respect to the uniform one."""
        u = np.ascontiguousarray(u, dtype=np.float64)
        parts = [_inverse(self._map, u[start : start + CHUNK])[1] for start in range(0, len(u), CHUNK)]
        jacobian = np.concatenate(parts) if parts else np.empty(0)
        return 1.0 / jacobian

    def state_dict(self) -> dict[str, Any]:
        """Return the grid, ``(ninc + 1,)`` edges for each axis, and whether it was learnt."""
        return {"trained": self.trained, "grid": [np.array(edges) for edges in self._map.extract_grid()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises
        ------
        ConfigError
            If it belongs to another dimension.
        """
        grid = [np.asarray(edges, dtype=np.float64) for edges in state["grid"]]
        if len(grid) != self.d:
            msg = f"vegas map: the saved grid has {len(grid)} axes; expected {self.d}. Resume with the same parameters"
            raise ConfigError(msg)
        self.trained = bool(state["trained"])
        self._map = vegas.AdaptiveMap([edges.tolist() for edges in grid])

    def _uniform(self, ninc: int) -> Any:
        return vegas.AdaptiveMap([[0.0, 1.0]] * self.d, ninc=ninc)


def _inverse(mapping: Any, u: Array) -> tuple[Array, Array]:
    """Return the map's ``y (n, d)`` and Jacobian ``(n,)`` at points ``u (n, d)``."""
    y, jacobian = np.empty_like(u), np.empty(len(u))
    # vegas takes the upper edge itself for a point outside.
    mapping.invmap(np.clip(u, 0.0, np.nextafter(1.0, 0.0)), y, jacobian)
    return y, jacobian


@contextlib.contextmanager
def _inverter(nproc: int) -> Iterator[Callable[[Any, Array], tuple[Array, Array]]]:
    """Give `_inverse`, spread over processes when there is more than one."""
    if nproc == 1:
        yield _inverse
        return
    with multiprocessing.get_context("spawn").Pool(nproc) as pool:

        def inverse(mapping: Any, u: Array) -> tuple[Array, Array]:
            parts = pool.starmap(_inverse, [(mapping, part) for part in np.array_split(u, nproc)])
            return np.concatenate([y for y, _ in parts]), np.concatenate([jacobian for _, jacobian in parts])

        yield inverse


def vegas_map_samples(
    xtrain: ArrayLike,
    ftrain: ArrayLike,
    limits: ArrayLike,
    ninc: int = 100,
    nitn: int = 5,
    alpha: float = 1.0,
    nproc: int = 1,
    seed: int | np.random.Generator | None = None,
) -> Callable[[int], tuple[Array, Array]]:
    """Train a VEGAS map on a sample and return a function that draws from it.

    Parameters
    ----------
    xtrain : array_like, shape (n, d)
        Points in the units of `limits`.
    ftrain : array_like, shape (n,)
        How good each point is, ≥ 0; NaN counts as 0.
    limits : array_like, shape (d, 2)
        Lower and upper end of each parameter.
    ninc, nitn, alpha, nproc
        Increments an axis, training iterations, damping and processes.
    seed : int or numpy Generator, optional
        Makes the draws reproducible.

    Returns
    -------
    callable
        ``n -> (sample (n, d), jacobian (n,))``. The Jacobian is in the units of `limits`: the mean of ``f * jacobian``
        estimates the integral of ``f`` over them.

    Raises
    ------
    ConfigError
        If the shapes do not fit, a limit is not finite, or min ≥ max.

    References
    ----------
    .. [1] G. P. Lepage, arXiv:2009.05112.
    .. [2] A. Hammad et al., "DLScanner", arXiv:2412.19675, §2.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((1000, 2)) * 10
    >>> draw = vegas_map_samples(x, x[:, 0] > 9, [(0, 10), (0, 10)], seed=1)
    >>> sample, jacobian = draw(500)
    >>> sample.shape, jacobian.shape
    ((500, 2), (500,))
    """
    box = np.asarray(limits, dtype=np.float64)
    if box.ndim != 2 or box.shape[1] != 2 or not np.isfinite(box).all() or not (box[:, 0] < box[:, 1]).all():
        msg = f"limits: expected one finite pair (min, max) with min < max for each parameter, got {limits!r}"
        raise ConfigError(msg)
    x, f = np.asarray(xtrain, dtype=np.float64), np.asarray(ftrain, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != len(box) or f.shape != (len(x),):
        msg = (
            f"expected xtrain of shape (n, {len(box)}) and ftrain of shape (n,) for {len(box)} limits, "
            f"got {x.shape} and {f.shape}"
        )
        raise ConfigError(msg)
    low, width = box[:, 0], box[:, 1] - box[:, 0]
    vegas_map = VegasMap(len(box), ninc, nitn, alpha, nproc)
    vegas_map.fit((x - low) / width, f)
    rng = np.random.default_rng(seed)

    def draw(n: int) -> tuple[Array, Array]:
        u, jacobian = vegas_map.sample(n, rng)
        return low + u * width, jacobian * float(np.prod(width))

    return draw
