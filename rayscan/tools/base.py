"""What a tool is, and what becomes of a point that goes through one."""

from __future__ import annotations

import abc
import enum
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, printable
from rayscan.tools.input_file import absolute
from rayscan.tools.parcel import LARGEST, Parcel, parcel_of

if TYPE_CHECKING:
    from rayscan.problem.target import Target
    from rayscan.sandbox.sandbox import Sandbox
    from rayscan.slha.symbols import Symbol

Array = NDArray[np.float64]


class Status(enum.IntEnum):
    """How the evaluation of one point ended. Every issued point ends in exactly one of these.

    ``OK``: the observables are there. ``UNPHYSICAL``: the program itself refused the point (tachyon, no convergence).
    ``TOOL_ERROR``: it crashed or its output cannot be used. ``TIMEOUT``: it ran past its limit. ``LOST``: the
    evaluator or its node died (re-issued, so it is final only when the scan is stopped). ``POISON``: the point killed
    its evaluator again and again.
    """

    OK = 0
    UNPHYSICAL = 1
    TOOL_ERROR = 2
    TIMEOUT = 3
    LOST = 4
    POISON = 5

    @property
    def label(self) -> str:
        """The lower-case name used in tables and messages."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Stage:
    """One program of a chain on one point: for the row's record and for the report of ``rayscan check``.

    Attributes
    ----------
    name : str
        The stage's name.
    status : Status or None
        None when the stage was skipped because an earlier constraint had failed.
    seconds : float
        Wall time.
    details : dict
        What ``check`` shows: ``command``, ``directory``, ``written`` (diff of the input files), ``read`` (observable →
        value and where it came from), ``exit``, ``stdout``/``stderr`` tails. Filled only when asked for.
    """

    name: str
    status: Status | None
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one point.

    Attributes
    ----------
    status : Status
    observables : dict of str to float
        What was read; a missing entry is NaN in the table.
    message : str
        Why it is not ok (at most a few hundred characters), or a warning of the program.
    exit_code : int or None
        Of the last program that ran.
    signal : int or None
        The signal that ended it.
    stages : tuple of Stage
    kept : dict of str to bytes
        Output files to keep with the row (spectra of valid points).
    """

    status: Status
    observables: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    stages: tuple[Stage, ...] = ()
    kept: Mapping[str, bytes] = field(default_factory=dict)


class Tool(abc.ABC):
    """One point in, observables out.

    A tool is described once, in the user's process, pickled, and opened once in each evaluator, which then hands it
    one point after another. Subclass it for a Python package that must be loaded once per evaluator.

    Attributes
    ----------
    outputs : tuple of str
        The observables it gives, in order. Length ``m``.
    vectorized : bool
        Whether `evaluate_many` takes a whole block of points at once.
    name : str
        For stages, messages and columns.
    deadline : float or None
        Seconds after which the evaluator itself is ended with the point in it: the last resort for code that runs
        inside the evaluator. Programs have their own time-outs. Without effect where ``evaluators=0``.
    cores : int
        Processor cores that one evaluation uses.
    memory : float
        Bytes that one evaluation needs; 0 asks for none. On a cluster, nodes get as many evaluators as fit.
    resources : mapping of str to float
        Custom resources of Ray that a node must have, such as ``{"spheno": 1}`` where only some nodes have a program.
    ship : tuple of str
        Directories or files of this machine that are copied to each node of a cluster, once, by their content; where
        the tool names them or what is in them, it finds the copy there.
    unused : tuple of str
        Parameters that the tool need not receive.
    needs_warm_up : bool
        Whether `warm_up` must have run once, alone, before several evaluators start.
    """

    outputs: tuple[str, ...] = ()
    vectorized: bool = False
    name: str = "tool"
    deadline: float | None = None
    cores: int = 1
    memory: float = 0.0
    resources: Mapping[str, float] = MappingProxyType({})
    ship: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    needs_warm_up: bool = False

    def bind(self, target: Target, serving: Sequence[str] = ()) -> None:  # noqa: ARG002 - for tools that stop early
        """Hear what the scan is for. Called once, before `check`.

        Parameters
        ----------
        target : Target
        serving : sequence of str
            Parameters from which others are derived, so that no program need receive them.
        """
        self.unused = tuple(dict.fromkeys((*self.unused, *serving)))

    def require(
        self,
        *,
        cores: int | None = None,
        memory: float | None = None,
        resources: Mapping[str, float] | None = None,
        ship: Sequence[str | Path] | None = None,
        base: str | Path | None = None,
    ) -> Self:
        """Say what an evaluation takes of a node of a cluster, and what comes along; return the tool itself.

        Parameters
        ----------
        cores : int, optional
            Processor cores that one evaluation uses.
        memory : float, optional
            Bytes that one evaluation needs.
        resources : mapping of str to float, optional
            Custom resources of Ray that a node must have, such as ``{"spheno": 1}``.
        ship : sequence of path-like, optional
            Directories or files that are copied to each node.
        base : path-like, optional
            What relative paths are relative to; the current directory by default.

        Raises
        ------
        ConfigError
            A number that makes no sense.
        """
        if cores is not None:
            self.cores = int(_amount("cores", cores, 1, "a whole number of 1 or more"))
        if memory is not None:
            self.memory = _amount("memory", memory, 0, "bytes, 0 or more")
        if resources is not None:
            for name in {"CPU", "GPU", "memory"} & set(resources):
                msg = f"{self.name}: resources: {name} is not a custom one; expected cores= or memory= for these"
                raise ConfigError(msg)
            given = resources.items()
            self.resources = {name: _amount(f"resources: {name}", much, 0, "0 or more") for name, much in given}
        if ship is not None:
            self.ship = tuple(str(absolute(path, base)) for path in ship)
            vars(self).pop("parcels", None)
        return self

    @functools.cached_property
    def parcels(self) -> tuple[Parcel, ...]:
        """What is in `ship`, as it was when it was first asked for.

        Raises
        ------
        ConfigError
            Something is not there, or all together is too large.
        """
        parcels = tuple(parcel_of(path) for path in dict.fromkeys(self.ship))
        total = sum(parcel.size for parcel in parcels)
        if total > LARGEST:
            msg = f"ship: {total / 2**30:.2f} GiB in all, more than the {LARGEST / 2**30:g} GiB that may be shipped"
            raise ConfigError(msg)
        return parcels

    def check(self, parameters: Sequence[str]) -> None:
        """Find every mistake that can be found without running a point.

        Parameters
        ----------
        parameters : sequence of str
            The names of a point's parameters, in order.

        Raises
        ------
        ConfigError
            A missing binary, an unreadable card, a parameter that is not in the space, a label that matches twice.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(gives {', '.join(self.outputs)})"

    def describe(self) -> dict[str, Any]:
        """Return what defines the tool in plain types: it is saved with the data, hashed and compared on resume."""
        return {"tool": type(self).__name__, "outputs": list(self.outputs)}

    def symbols(self) -> dict[str, Symbol]:
        """Return how parameters and observables are written in figures, as far as the tool knows."""
        return {}

    def hasten(self, limits: Mapping[str, float]) -> None:  # noqa: ARG002 - for tools that can end what they run
        """Allow programs, by their names, only so many seconds a point from now on; those without a limit their own."""
        return

    def open(self, scratch: Path) -> None:
        """Load what is needed for many points. Called once in each evaluator, with a directory of its own."""

    def close(self) -> None:
        """Release what `open` took."""

    def warm_up(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        """Evaluate a first point, for tools that compile or unpack something on first use."""
        return self.evaluate(point, sandbox)

    @abc.abstractmethod
    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        """Evaluate one point.

        Parameters
        ----------
        point : mapping of str to float
            Every parameter by name, and, in a chain, every observable so far.
        sandbox : Sandbox
            A fresh directory for this point and the only way to start a program.

        Returns
        -------
        Outcome
            A failure is an outcome too. An exception is a bug of the tool: it becomes a ``TOOL_ERROR`` row.
        """

    def evaluate_many(self, x: Array, parameters: Sequence[str]) -> Array:
        """Evaluate a block at once; only for tools with `vectorized` set.

        Parameters
        ----------
        x : ndarray, shape (n, p)
            Physical points, one column per name in `parameters`.
        parameters : sequence of str, length p

        Returns
        -------
        ndarray, shape (n, m)
            A row with NaN in it is an unphysical point.
        """
        msg = f"{type(self).__name__} takes one point at a time, got a block of {len(x)} ({', '.join(parameters)})"
        raise TypeError(msg)


def _amount(what: str, value: float, least: int, expected: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (least and value != int(value)):
        msg = f"{what} = {value!r}; expected {expected}"
        raise ConfigError(msg)
    return float(value)


@dataclass(frozen=True, slots=True)
class Points:
    """A batch of points on its way to an evaluator.

    Attributes
    ----------
    point_id : ndarray of int64, shape (n,)
    x : ndarray, shape (n, p)
        Physical values, in the order of the space's names.
    attempt : ndarray of int32, shape (n,)
        1 the first time, one more after each evaluator that died on it.
    limits : dict of str to float
        Seconds that programs may take, by their names, where that is less than their own limit.
    """

    point_id: NDArray[np.int64]
    x: Array
    attempt: NDArray[np.int32]
    limits: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.point_id)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Points:
        return Points(self.point_id[rows], self.x[rows], self.attempt[rows], self.limits)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of ``n`` points as columns: what crosses from an evaluator to the driver.

    Attributes
    ----------
    point_id : ndarray of int64, shape (n,)
    attempt : ndarray of int32, shape (n,)
    status : ndarray of int8, shape (n,)
        `Status` codes.
    observables : ndarray, shape (n, m)
        NaN where missing.
    started, ended : ndarray, shape (n,)
        Unix times in seconds.
    exit_code, signal : ndarray of int32, shape (n,)
        -1 where there is none.
    message : list of str, length n
    stages : list of tuple of Stage, length n
    kept : list of dict, length n
        File name to content, of points whose outputs are kept.
    host, worker : str
        Where they were evaluated.
    """

    point_id: NDArray[np.int64]
    attempt: NDArray[np.int32]
    status: NDArray[np.int8]
    observables: Array
    started: Array
    ended: Array
    exit_code: NDArray[np.int32]
    signal: NDArray[np.int32]
    message: list[str]
    stages: list[tuple[Stage, ...]]
    kept: list[Mapping[str, bytes]]
    host: str
    worker: str

    def __len__(self) -> int:
        return len(self.point_id)

    @classmethod
    def of(
        cls,
        points: Points,
        outcomes: Sequence[Outcome],
        outputs: Sequence[str],
        times: Sequence[tuple[float, float]],
        host: str = "",
        worker: str = "",
    ) -> Outcomes:
        """Assemble columns from one `Outcome` per point; observables in the order of `outputs`."""
        return cls(
            point_id=points.point_id,
            attempt=points.attempt,
            status=np.array([o.status for o in outcomes], dtype=np.int8),
            observables=np.array(
                [[o.observables.get(name, np.nan) for name in outputs] for o in outcomes], dtype=np.float64
            ).reshape(len(outcomes), len(outputs)),
            started=np.array([start for start, _ in times], dtype=np.float64),
            ended=np.array([end for _, end in times], dtype=np.float64),
            exit_code=np.array([-1 if o.exit_code is None else o.exit_code for o in outcomes], dtype=np.int32),
            signal=np.array([-1 if o.signal is None else o.signal for o in outcomes], dtype=np.int32),
            message=[printable(o.message) for o in outcomes],
            stages=[o.stages for o in outcomes],
            kept=[o.kept for o in outcomes],
            host=host,
            worker=worker,
        )

    def split(self) -> Iterator[Outcomes]:
        """Yield one-point batches, in order."""
        for row in range(len(self)):
            one = slice(row, row + 1)
            yield Outcomes(
                self.point_id[one], self.attempt[one], self.status[one], self.observables[one], self.started[one],
                self.ended[one], self.exit_code[one], self.signal[one], self.message[one], self.stages[one],
                self.kept[one], self.host, self.worker,
            )  # fmt: skip
