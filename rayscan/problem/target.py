"""The target: which observables make a point valid, how likely it is, and how far it is from being valid."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rayscan.errors import ConfigError, did_you_mean
from rayscan.markup import html_table
from rayscan.problem.constraints import Above, Below, Constraint, Gaussian, Window
from rayscan.problem.expression import Expression
from rayscan.problem.identity import fingerprint_function, name_of
from rayscan.problem.space import check_name

Array = NDArray[np.float64]
KINDS = (Window, Gaussian, Below, Above)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the target says of ``n`` points.

    Attributes
    ----------
    valid : ndarray of bool, shape (n,)
        In target. Never true where a constrained observable is missing or not finite.
    likelihood : ndarray, shape (n,)
        Eq. 5, in [0, 1]; 0 where a constrained observable is missing.
    penalty : ndarray, shape (n,)
        Distance to the target in units of the constraints' own scales, 0 for valid points, NaN where nothing is known.
    """

    valid: NDArray[np.bool_]
    likelihood: Array
    penalty: Array


class Target:
    r"""The demands on a point's observables.

    Parameters
    ----------
    function : callable, optional
        Takes observables and parameters by name (those in its signature, or all with ``**``) and returns a bool
        (valid or not) or a likelihood in [0, 1].
    labels : str, optional
        The observable that is itself the answer: valid where it exceeds 0.5.
    threshold : float
        Where constraints are measurements rather than windows, a point is valid when its likelihood exceeds this.
    derive : mapping of str to str, optional
        Further observables as arithmetic expressions of parameters and observables.
    **constraints : tuple or Window or Gaussian or Below or Above
        One demand per observable. A pair ``(lo, hi)`` means `Window`.

    Raises
    ------
    ConfigError
        For an empty target, a window with min > max, a NaN limit, a threshold outside [0, 1).

    Notes
    -----
    The likelihood is :math:`L = \prod_i \exp(-(O_i - O_i^{exp})^2 / 2\sigma_i^2)`, Eq. 5 of [1]_. A window contributes
    1 inside and a Gaussian tail outside.

    References
    ----------
    .. [1] A. Hammad, R. Ramos, A. Chakraborty, P. Ko, S. Moretti, "DLScanner", arXiv:2412.19675.

    Examples
    --------
    >>> target = Target(mh=(124, 126), omega=Gaussian(0.12, 0.001))
    >>> target.judge({"mh": [125.0, 120.0], "omega": [0.12, 0.12]}).valid
    array([ True, False])
    """

    def __init__(
        self,
        function: Any = None,
        /,
        *,
        labels: str | None = None,
        threshold: float = 0.9,
        derive: Mapping[str, str] | None = None,
        **constraints: Any,
    ) -> None:
        if not 0 <= threshold < 1:
            msg = f"target: threshold = {threshold!r}; expected a likelihood in [0, 1)"
            raise ConfigError(msg)
        if function is not None and not callable(function):
            msg = f"target: expected a function of observables as the first argument, got {function!r}"
            raise ConfigError(msg)
        self.function: Callable[..., Any] | None = function
        self.labels = check_name("label observable", labels) if labels is not None else None
        self.threshold = float(threshold)
        self.derived: dict[str, Expression] = {
            check_name("derived observable", name): Expression(text) for name, text in (derive or {}).items()
        }
        self.constraints: dict[str, Constraint] = {
            check_name("observable", name): _as_constraint(name, value) for name, value in constraints.items()
        }
        if not self.constraints and function is None and labels is None:
            msg = "the target is empty; expected at least one constraint such as mh=(124, 126), a function, or labels="
            raise ConfigError(msg)

    @property
    def needs(self) -> tuple[str, ...]:
        """The observables that the constraints name, derived ones included."""
        return (*self.constraints, *((self.labels,) if self.labels else ()))

    @property
    def labels_only(self) -> bool:
        """Whether nothing but a yes or no is known of a point, so that observables cannot guide the search."""
        return not self.constraints

    def check(self, observables: Sequence[str], parameters: Sequence[str] = ()) -> None:
        """Refuse a target that needs what the tool does not give.

        Raises
        ------
        ConfigError
            Naming the observable, what there is, and the nearest name.
        """
        available = [*observables]
        for name, expression in self.derived.items():
            if name in available or name in parameters:
                msg = f"derived observable {name!r} already exists as an output or a parameter; choose another name"
                raise ConfigError(msg)
            for needed in sorted(expression.names - set(available) - set(parameters)):
                hint = did_you_mean(needed, [*available, *parameters])
                msg = f"derived observable {name!r} = {expression.text!r} needs {needed!r}, which is not known{hint}"
                raise ConfigError(msg)
            available.append(name)
        for name in self.needs:
            if name not in available:
                hint = did_you_mean(name, available)
                msg = f"the target constrains {name!r}, but the tool gives no such observable{hint}"
                raise ConfigError(msg)

    def derive(self, values: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Return the derived observables ``{name: (n,)}`` of points given by parameters and observables by name."""
        known = dict(values)
        derived: dict[str, Array] = {}
        for name, expression in self.derived.items():
            known[name] = derived[name] = expression(known)
        return derived

    def distances(self, values: Mapping[str, ArrayLike]) -> Array:
        """Return the distance to each constraint, in its own scale.

        Parameters
        ----------
        values : mapping of str to array_like, each shape (n,)
            Observables by name, derived ones included.

        Returns
        -------
        ndarray, shape (n, c)
            One column per entry of `constraints`, NaN where the observable is not finite.
        """
        columns = [_finite(constraint.distance, values[name]) for name, constraint in self.constraints.items()]
        return np.column_stack(columns) if columns else np.empty((_length(values), 0))

    def judge(self, values: Mapping[str, ArrayLike]) -> Judgement:
        """Judge points by their observables.

        Parameters
        ----------
        values : mapping of str to array_like, each shape (n,)
            Observables by name, derived ones included; parameters too when a function wants them.

        Returns
        -------
        Judgement
        """
        terms = [
            # Infinite means a flat no; a distance is finite, however large.
            (np.minimum(_finite(constraint.chi2, values[name]), 1e300), constraint.hard)
            for name, constraint in self.constraints.items()
        ]
        if self.labels is not None:
            terms.append((_finite(lambda label: np.where(label > 0.5, 0.0, np.inf), values[self.labels]), True))
        if self.function is not None:
            terms.append((self._ask(values), False))
        chi2 = np.column_stack([term for term, _ in terms])
        hard = np.array([is_hard for _, is_hard in terms])
        return self._combine(chi2, hard)

    def _combine(self, chi2: Array, hard: NDArray[np.bool_]) -> Judgement:
        """Judge from ``-2 ln L`` of each demand ``(n, c)``, NaN where unknown, and which of them are hard ``(c,)``."""
        unknown = np.isnan(chi2)
        likelihood = np.where(unknown.any(axis=1), 0.0, np.exp(-chi2.sum(axis=1) / 2))
        allowed = math.sqrt(-2 * math.log(self.threshold)) if self.threshold > 0 else math.inf
        # A flat "no" has no distance; one unit keeps it comparable with the others. A missing observable counts as no
        # nearer than the worst one that is known.
        finite = np.where(np.isinf(chi2), 1.0, chi2)
        worst = np.where(unknown, 0.0, finite).max(axis=1, keepdims=True)
        finite = np.where(unknown, np.maximum(worst, 1.0), finite)
        refused = ((chi2 != 0) & hard).any(axis=1) | unknown.any(axis=1) | np.isinf(chi2).any(axis=1)
        soft = np.sqrt(np.where(hard | unknown | np.isinf(chi2), 0.0, finite).sum(axis=1))
        valid = ~refused & (soft < allowed)
        outside = np.where(hard | unknown | np.isinf(chi2), finite, 0.0).sum(axis=1)
        penalty = np.sqrt(outside + np.maximum(soft - allowed, 0.0) ** 2)
        return Judgement(valid, likelihood, np.where(unknown.all(axis=1), np.nan, penalty))

    def _ask(self, values: Mapping[str, ArrayLike]) -> Array:
        """Return ``-2 ln L`` ``(n,)`` of the user's function, infinite for a flat no and NaN without an answer."""
        likelihood = np.array([self._call(values, row) for row in range(_length(values))], dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.asarray(-2 * np.log(likelihood))

    def _call(self, values: Mapping[str, ArrayLike], row: int) -> float:
        assert self.function is not None
        point = {name: float(np.asarray(column)[row]) for name, column in values.items()}
        signature = inspect.signature(self.function).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.values()):
            point = {name: value for name, value in point.items() if name in signature}
        if any(not math.isfinite(value) for value in point.values()):
            return math.nan
        try:
            answer = self.function(**point)
        except Exception as error:
            at = ", ".join(f"{name} = {value:g}" for name, value in list(point.items())[:6])
            msg = (
                f"target function {name_of(self.function)} raised {type(error).__name__}: {error}, at {at}; mend it. "
                "What was evaluated is saved, and a run with the mended function takes it over with fork="
            )
            raise ConfigError(msg) from error
        try:
            likelihood = float(answer)
        except (TypeError, ValueError):
            msg = f"target function {name_of(self.function)} returned {answer!r}; expected a bool or a likelihood"
            raise ConfigError(msg) from None
        if likelihood < 0 or likelihood > 1:
            name = name_of(self.function)
            msg = f"target function {name} returned {likelihood:g}; expected a bool or a likelihood in [0, 1]"
            raise ConfigError(msg)
        return likelihood

    def to_dict(self) -> dict[str, Any]:
        """Describe the target in plain types, as saved with the data and compared on resume."""
        described: dict[str, Any] = {
            name: {"kind": type(constraint).__name__.lower(), **vars(constraint)}
            for name, constraint in self.constraints.items()
        }
        described["threshold"] = self.threshold
        if self.labels:
            described["labels"] = self.labels
        if self.derived:
            described["derive"] = {name: expression.text for name, expression in self.derived.items()}
        if self.function is not None:
            described["function"] = fingerprint_function(self.function)
        return described

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Target:
        """Return the target that `to_dict` described.

        Raises
        ------
        ConfigError
            It is judged by a function, of which only the name was saved.
        """
        rest = dict(described)
        if "function" in rest:
            msg = f"a target by the function {rest['function']} can only be built again by whoever has that function"
            raise ConfigError(msg)
        known = {"threshold": rest.pop("threshold"), "labels": rest.pop("labels", None)}
        derived = rest.pop("derive", None)
        kinds = {kind.__name__.lower(): kind for kind in KINDS}
        constraints: dict[str, Any] = {
            name: kinds[values["kind"]](**{key: value for key, value in values.items() if key != "kind"})
            for name, values in rest.items()
        }
        return cls(derive=derived, **known, **constraints)

    def __repr__(self) -> str:
        parts = [repr(self.function)] if self.function else []
        parts += [f"labels={self.labels!r}"] if self.labels else []
        parts += [f"{name}={constraint}" for name, constraint in self.constraints.items()]
        return f"Target({', '.join(parts)})"

    def _repr_html_(self) -> str:
        rows: list[tuple[object, object]] = list(self.constraints.items())
        rows += [(self.labels, "1 where valid, 0 elsewhere")] if self.labels else []
        rows += [("function", repr(self.function))] if self.function else []
        rows += [(f"{name} =", expression) for name, expression in self.derived.items()]
        return html_table("Target", ("observable", "constraint"), rows)


def _length(values: Mapping[str, ArrayLike]) -> int:
    return max((len(np.atleast_1d(np.asarray(column))) for column in values.values()), default=0)


def _finite(measure: Callable[[Array], Array], value: ArrayLike) -> Array:
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    finite = np.isfinite(array)
    # 1e300 GeV is far away, and that is all there is to say of it.
    with np.errstate(over="ignore"):
        return np.where(finite, measure(np.where(finite, array, 0.0)), np.nan)


def _as_constraint(name: str, value: Any) -> Constraint:
    try:
        if isinstance(value, KINDS):
            return value
        if isinstance(value, tuple | list) and len(value) == 2:
            return Window(*value)
    except ConfigError as error:
        msg = f"observable {name!r}: {error}"
        raise ConfigError(msg) from None
    msg = (
        f"observable {name!r}: expected a window (min, max), Gaussian(value, sigma), Below(limit) or Above(limit); "
        f"got {value!r}"
    )
    raise ConfigError(msg)
