"""Forking: a new run that begins with the rows of an older one, as far as they fit the new problem."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import inspect
import json
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, RunLockedError, StoreError
from rayscan.learn.data import Origin
from rayscan.learn.options import LearnOptions
from rayscan.options import ScanOptions
from rayscan.problem.joint import Joint
from rayscan.problem.priors import Derived
from rayscan.problem.statement import Problem
from rayscan.store import RunDirectory, Schema, Store, compare, is_run, live_holder, read_table
from rayscan.store.arrays import STATUS_CODES, codes, column, labels, unit_points
from rayscan.store.files import disk_error, sync_directory
from rayscan.store.run_directory import KEPT, refuse_occupied
from rayscan.tools.base import Status

PARENT = "parent"
"""The entry of a run's details that says what it was forked from."""
PART = ".fork.part"
CHUNK = 16_384
SAME = 1e-12
"""How far rounding may carry a place beyond the unit interval."""
OUTSIDE, FAILED, EARLY, OTHER = (
    "outside the new space",
    "failed for technical reasons",
    "stopped early for the old target, before the new one was decided",
    "with another value of a fixed or derived parameter",
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parent:
    """What a run was forked from, as its metadata keep it.

    Attributes
    ----------
    path : str
        Where the older run was.
    fingerprint, created : str
        Which run it was.
    rows, taken : int
        How many rows it had, and how many of them fitted. These have the first ids of the new run.
    left : mapping of str to int
        How many did not fit, by reason.
    """

    path: str
    fingerprint: str
    created: str
    rows: int
    taken: int
    left: Mapping[str, int]

    @classmethod
    def of(cls, run: RunDirectory) -> Parent | None:
        """Return the parent of a run, None for one that was not forked."""
        saved = run.details.get(PARENT)
        if saved is None:
            return None
        try:
            path, fingerprint, created = (str(saved[name]) for name in ("path", "fingerprint", "created"))
            left = {str(reason): int(count) for reason, count in saved["left"].items()}
            return cls(path, fingerprint, created, int(saved["rows"]), int(saved["taken"]), left)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"{run.path}: the entry 'parent' of its description is damaged ({error!r}); restore it from a copy"
            raise StoreError(errno.EINVAL, msg) from error

    def learning(self, options: ScanOptions) -> tuple[LearnOptions, int]:
        """Return how a fork learns: the rows taken over count among its first points, and its seed is its own.

        With the seed of its parent it would draw the points that the parent drew, of which only those that failed
        would be evaluated again: no fair sample of anything.
        """
        learn = options.learn
        if not isinstance(learn.initial, np.ndarray):
            learn = dataclasses.replace(learn, initial=max(0, learn.initial_count - self.taken))
        digest = hashlib.sha256(f"{options.seed} {self.fingerprint} {self.created}".encode()).digest()
        return learn, int.from_bytes(digest[:4], "big")

    def __str__(self) -> str:
        left = "; ".join(f"{count:,} {reason}" for reason, count in self.left.items())
        return f"{self.taken:,} of {self.rows:,} rows of {self.path} taken over" + (f", not: {left}" if left else "")


class Fork:
    """The plan to begin a new run with the rows of an older one.

    Parameters
    ----------
    old : str or Path
        The older run. It is only read.
    problem : Problem
        Of the new run.
    same_tool : bool
        Take the rows although the tool is described differently (another card, binary or version): the user knows that
        it gives the same values.

    Raises
    ------
    StoreError
        `old` is not a run directory.
    ConfigError
        None of its rows can fit: other parameters, another tool, or an observable that the target needs is missing.
    """

    def __init__(self, old: str | Path, problem: Problem, *, same_tool: bool = False) -> None:
        self.old, self.problem, self.same_tool = RunDirectory(old), problem, same_tool
        self.path = self.old.path.absolute()
        self._check_parameters()
        self._check_tool()
        self._check_observables()

    def _check_parameters(self) -> None:
        space, old = self.problem.space, self.old.schema.parameters
        missing = [name for name in space.names if name not in old and not isinstance(space[name], Derived)]
        extra = [name for name in old if name not in space.names]
        if missing or extra:
            told = [f"{name!r} is new" for name in missing] + [f"{name!r} is no longer there" for name in extra]
            msg = (
                f"fork of {self.path}: expected the same parameters, {', '.join(old)}; {', '.join(told)}. Its rows "
                "say nothing of such points: start a new run without a fork"
            )
            raise ConfigError(msg)

    def _check_tool(self) -> None:
        differences = compare({"tool": self.old.description.get("tool")}, {"tool": self.problem.describe()["tool"]})
        if differences and not self.same_tool:
            msg = (
                f"fork of {self.path}: expected the same tool; it differs (old → new):\n  "
                + "\n  ".join(differences)
                + "\nits rows may be other numbers. If you know that the values are the same, say so with --same-tool "
                "(Scan(..., same_tool=True)); otherwise start a new run without a fork"
            )
            raise ConfigError(msg)

    def _check_observables(self) -> None:
        for name in sorted(needed_outputs(self.problem) - set(self.old.schema.observables)):
            msg = (
                f"fork of {self.path}: the target needs {name!r}, which is not among its observables, "
                f"{', '.join(self.old.schema.observables)}; start a new run without a fork"
            )
            raise ConfigError(msg)

    def take_over(self, new: str | Path, options: ScanOptions, config_toml: str) -> Parent:
        """Make the new run directory, with the rows that fit in it.

        The directory gets its name when it is complete: one that was killed in between is not there, and a second
        attempt begins anew.

        Parameters
        ----------
        new : str or Path
            A directory that does not exist or is empty.
        options : ScanOptions
        config_toml : str

        Returns
        -------
        Parent

        Raises
        ------
        ConfigError
            No row fits.
        StoreError
            The directory is not empty, or cannot be written.
        """
        where = Path(new).expanduser().resolve()
        refuse_occupied(where)
        if where.exists() and any(where.iterdir()):
            msg = f"{where}: expected a new or empty directory for the fork, got leftovers of another start; remove it"
            raise StoreError(errno.ENOTEMPTY, msg)
        columns, kept, parent = self._columns()
        problem = self.problem
        described = dataclasses.asdict(parent)
        metadata = {PARENT: json.dumps(described, ensure_ascii=False)}
        written = problem.written(options.labels, options.units)
        schema = Schema(problem.space.names, problem.observables, problem.space.d, metadata, **written)
        details = {"options": json.loads(json.dumps(options.to_dict(), default=str)), PARENT: described}
        part = where.with_name(f".{where.name}{PART}")
        _sweep(part)
        store = Store.create(part, schema, config_toml, problem.describe(), details)
        try:
            with store:
                for start in range(0, parent.taken, CHUNK):
                    rows = slice(start, start + CHUNK)
                    wanted = (columns["valid"][rows] & (options.keep == "valid")) | (options.keep == "all")
                    files = [
                        _content(self.path / KEPT, names) if keep else {}
                        for names, keep in zip(kept[rows], wanted.tolist(), strict=True)
                    ]
                    store.append({**{name: values[rows] for name, values in columns.items()}, "kept": files})
                store.log(f"forked: {parent}")
            part.rename(where)
            sync_directory(where.parent)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError) and not isinstance(error, StoreError):
                raise disk_error(where, "make the fork", error) from error
            raise
        return parent

    def _columns(self) -> tuple[dict[str, Any], list[list[str]], Parent]:
        """Return the columns of the rows that fit, the names of their kept files, and the account of the others."""
        table = read_table(self.path)
        x, u, inside, same = self._places(table)
        outputs = np.column_stack([
            column(table, name) if name in self.old.schema.observables else np.full(table.num_rows, np.nan)
            for name in self.problem.tool.outputs
        ])  # fmt: skip
        observables = self.problem.complete(x, outputs)
        status = codes(table, "status", STATUS_CODES)
        ok = status == Status.OK
        left: Counter[str] = Counter()
        fits = np.ones(table.num_rows, dtype=bool)
        for reason, good in (
            (FAILED, ok | (status == Status.UNPHYSICAL)),
            (OUTSIDE, inside),
            (OTHER, same),
            (EARLY, ~ok | self._decided(x, observables)),
        ):
            if (fits & ~good).any():
                left[reason] = int((fits & ~good).sum())
            fits &= good
        parent = Parent(
            str(self.path), self.old.fingerprint, self.old.created, table.num_rows, int(fits.sum()), dict(left)
        )
        if not parent.taken:
            msg = f"fork of {self.path}: no row fits the new problem ({parent}); start a new run without a fork"
            raise ConfigError(msg)
        x, u, observables, ok = x[fits], u[fits], observables[fits], ok[fits]
        judged = self.problem.judge(x, observables)
        said, ids = labels(table, "message")[fits], column(table, "point_id")[fits]
        columns = {
            **{name: x[:, k] for k, name in enumerate(self.problem.space.names)},
            **{name: observables[:, k] for k, name in enumerate(self.problem.observables)},
            "point_id": np.arange(parent.taken), "u": u, "status": status[fits], "valid": judged.valid & ok,
            "likelihood": np.where(ok, judged.likelihood, 0.0), "penalty": np.where(ok, judged.penalty, np.nan),
            # Chosen by another scan for another target: of no known density.
            "origin": np.full(parent.taken, int(Origin.FORK)), "density": np.full(parent.taken, np.nan),
            "exit_code": _or_none(table, "exit_code")[fits], "signal": _or_none(table, "signal")[fits],
            "issued": np.full(parent.taken, np.nan), "started": np.full(parent.taken, np.nan),
            "ended": np.full(parent.taken, np.nan),
            "message": np.array(["; ".join(filter(None, [text, f"point {one} of {self.path}"])) for text, one in
                                 zip(said.tolist(), ids.tolist(), strict=True)], dtype=object),
        }  # fmt: skip
        kept: list[list[str]] = table.column("kept").to_pylist()
        return columns, [names or [] for names, wanted in zip(kept, fits.tolist(), strict=True) if wanted], parent

    def _places(self, table: Any) -> tuple[Array, Array, Mask, Mask]:
        """Return points ``(n, p)``, their places ``(n, d)``, and which lie in the space with the same constants."""
        space, old = self.problem.space, self.old.schema.parameters
        described, before = space.to_dict(), self.old.description.get("space", {})
        given: dict[str, Array] = {name: column(table, name) for name in space.names if name in old}
        free = np.column_stack([given[name] for name in space.free])
        u = space.to_unit(free)
        rounded = (u >= -SAME) & (u <= 1 + SAME)
        u[rounded] = np.clip(u[rounded], 0, 1)
        places = unit_points(table, self.old.schema.d)
        was_free = [
            name
            for name in old
            if before.get(name, {}).get("prior") not in {"fixed", "derived"}
            and before.get(name, {}).get("scanned", True)
        ]
        for axis, name in enumerate(was_free):
            if name in space.free and not compare(before[name], described[name]):
                # A place that need not change keeps its last digit.
                u[:, space.free.index(name)] = places[:, axis]
        x = space.complete(free)
        same = np.ones(len(u), dtype=bool)
        for k, name in enumerate(space.names):
            if name in given and name not in space.free:
                # What fractions leave of 1 has the rounding of all of them.
                same &= np.isclose(x[:, k], given[name], rtol=1e-9, atol=1e-9 if isinstance(space[name], Joint) else 0)
        inside: Mask = space.domain.inside(u)
        return x, u, inside, same

    def _decided(self, x: Array, observables: Array) -> Mask:
        """Return which points ``(n,)`` the old chain did not leave before the new target could be judged."""
        problem = self.problem
        needed = needed_outputs(problem)
        if not needed or not self.old.description.get("tool", {}).get("when"):
            return np.ones(len(x), dtype=bool)
        names = [*problem.space.names, *problem.observables]
        values = dict(zip(names, np.concatenate([x, observables], axis=1).T, strict=True))
        known = np.isfinite(np.column_stack([values[name] for name in needed])).all(axis=1)
        target = problem.target
        for name, constraint in target.constraints.items():
            finite = np.isfinite(values[name])
            chi2 = constraint.chi2(np.where(finite, values[name], 0.0))
            known |= finite & ((chi2 > 0) if constraint.hard else (np.exp(-chi2 / 2) <= target.threshold))
        return np.asarray(known)


def is_fork_of(new: str | Path, old: str | Path) -> bool:
    """Return whether `new` is a run that was forked from the run in `old`."""
    if not is_run(new):
        return False
    parent, run = Parent.of(RunDirectory(new)), RunDirectory(old)
    return parent is not None and (parent.fingerprint, parent.created) == (run.fingerprint, run.created)


def needed_outputs(problem: Problem) -> set[str]:
    """Return the outputs of the tool without which the target cannot be judged."""
    target = problem.target
    wanted, needed = [*target.needs, *_asked(target.function, problem.observables)], set[str]()
    while wanted:
        name = wanted.pop()
        expression = target.derived.get(name)
        if expression is not None:
            wanted += expression.names
        elif name in problem.tool.outputs:
            needed.add(name)
    return needed


def _asked(function: Callable[..., Any] | None, names: Sequence[str]) -> list[str]:
    """Return which observables a target's function takes."""
    if function is None:
        return []
    taken = inspect.signature(function).parameters
    if any(argument.kind is argument.VAR_KEYWORD for argument in taken.values()):
        return list(names)
    return [name for name in names if name in taken]


def _or_none(table: Any, name: str) -> NDArray[np.int32]:
    values = np.asarray(column(table, name), dtype=np.float64)
    return np.where(np.isfinite(values), values, -1).astype(np.int32)


def _content(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Return kept files by their own names; what is no ordinary file in that folder is left out."""
    found: dict[str, bytes] = {}
    for name in names:
        path = folder / name
        with contextlib.suppress(OSError):
            if "/" not in name and stat.S_ISREG(path.lstat().st_mode):
                found[name.partition("-")[2] or name] = path.read_bytes()
    return found


def _sweep(part: Path) -> None:
    """Remove what a fork that was killed left, unless it is still being made."""
    if not part.exists():
        return
    if live_holder(part) is not None:
        msg = f"{part}: another process is making this fork; wait for it, or choose another directory"
        raise RunLockedError(msg)
    shutil.rmtree(part)
