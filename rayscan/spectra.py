"""The spectra of chosen points: those that the scan kept, or made once more by its programs."""

from __future__ import annotations

import contextlib
import copy
import errno
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayscan.errors import ConfigError, RayscanError, StoreError, ToolError, did_you_mean
from rayscan.plain_file import read_plain
from rayscan.problem.expression import Expression
from rayscan.store import compare
from rayscan.store.arrays import column
from rayscan.store.export import export_table
from rayscan.store.files import make_way, write_atomically
from rayscan.store.run_directory import KEPT, RunDirectory, kept_name
from rayscan.tools.base import Points, Status, Tool
from rayscan.tools.chain import Chain
from rayscan.tools.command import Command

if TYPE_CHECKING:
    from rayscan.engine.evaluator import Evaluator
    from rayscan.problem.statement import Problem
    from rayscan.results.result import ScanResult

INDEX = "points.csv"
"""The chosen rows, beside their spectra."""
OTHER = 1e-6
"""Relative difference beyond which an observable has another value than the scan's."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """What was written of one point.

    Attributes
    ----------
    point_id : int
    files : tuple of str
        Names in the folder; none where the point failed this time.
    again : bool
        Whether the programs ran once more.
    note : str
        What is not as it was in the scan.
    """

    point_id: int
    files: tuple[str, ...]
    again: bool
    note: str = ""


def choose(result: ScanResult, where: str | None = None, best: int | None = None) -> NDArray[np.int64]:
    """Return the ``point_id`` of valid points, the most likely first, and of equally likely ones the first found.

    Parameters
    ----------
    result : ScanResult
    where : str, optional
        An expression of columns that must hold, such as ``"mh > 125 and tanb < 10"``.
    best : int, optional
        Only so many.

    Raises
    ------
    ConfigError
        The expression is no condition or names no column, or `best` is not positive.
    """
    if best is not None and best < 1:
        msg = f"best = {best}; expected a positive number of points"
        raise ConfigError(msg)
    table = result.valid
    chosen = np.ones(table.num_rows, dtype=np.bool_)
    if where is not None:
        condition = Expression(where)
        if not condition.logical:
            msg = f"where = {where!r}; expected a condition, such as 'mh > 125 and tanb < 10'"
            raise ConfigError(msg)
        known = (*result.parameters, *result.observables, "likelihood", "penalty", "point_id", "generation")
        for name in sorted(condition.names - set(known)):
            msg = f"where = {where!r}: no column {name!r}{did_you_mean(name, known)}"
            raise ConfigError(msg)
        chosen = np.broadcast_to(condition({name: column(table, name) for name in condition.names}) == 1, chosen.shape)
    likelihood = np.nan_to_num(column(table, "likelihood")[chosen], nan=1.0)
    return column(table, "point_id")[chosen][np.argsort(-likelihood, kind="stable")][:best]


def write_spectra(
    result: ScanResult,
    ids: NDArray[np.int64],
    to: Path | str,
    problem: Callable[[], Problem],
    *,
    scratch: str | None = None,
    same_tool: bool = False,
) -> Iterator[Spectrum]:
    """Write the output files of points into a folder, one point after another.

    Parameters
    ----------
    result : ScanResult
    ids : ndarray of int64, shape (n,)
        Of points of `result`, from `choose`.
    to : Path or str
        A new or an empty folder. ``points.csv`` in it tells the points' parameters and observables.
    problem : callable
        Gives the scan's problem; asked only if a point's output was not kept.
    scratch : str, optional
        Root of the scratch directories.
    same_tool : bool
        Whether programs may run that are described in another way than the scan's.

    Yields
    ------
    Spectrum

    Raises
    ------
    StoreError
        The folder holds something, or cannot be written.
    ConfigError
        The tool writes no files, or is another than the scan's.
    ToolError
        It cannot be opened.
    """
    folder, run = Path(to).expanduser(), RunDirectory(result.path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder}: expected a new or an empty folder; nothing was changed, choose another one"
        raise StoreError(errno.ENOTEMPTY, msg)
    every = column(result.table, "point_id")
    rows = [int(np.searchsorted(every, point)) for point in ids.tolist()]
    kept = {point: _kept(run, result, row) for point, row in zip(ids.tolist(), rows, strict=True)}
    with contextlib.ExitStack() as stack:
        again = None
        if not all(kept.values()):
            again = stack.enter_context(_evaluator(run, problem(), scratch, same_tool=same_tool))
        make_way(folder / INDEX)
        names = ["point_id", *result.parameters, *result.observables, "likelihood"]
        export_table(result.table.take(rows).select(names), folder / INDEX)
        for point, row in zip(ids.tolist(), rows, strict=True):
            if kept[point] or again is None:
                yield Spectrum(point, _written(folder, point, kept[point]), again=False)
            else:
                yield _made(folder, result, row, again)


def _kept(run: RunDirectory, result: ScanResult, row: int) -> dict[str, bytes]:
    """Return what the scan kept of a point, by the names that the programs gave."""
    found: dict[str, bytes] = {}
    for name in result.table.column("kept")[row].as_py() or ():
        with contextlib.suppress(OSError):
            if "/" not in name:
                found[name.partition("-")[2] or name] = read_plain(run.path / KEPT / name)
    return found


@contextlib.contextmanager
def _evaluator(run: RunDirectory, problem: Problem, scratch: str | None, *, same_tool: bool) -> Iterator[Evaluator]:
    from rayscan.engine.evaluator import Evaluator

    # What is changed below is none of the caller's.
    tool = copy.deepcopy(problem.tool)
    differences = compare(run.description.get("tool", {}), tool.describe())
    if differences and not same_tool:
        msg = (
            f"{run.path}: the tool is described in another way than when the scan ran (then → now):\n  "
            + "\n  ".join(differences)
            + "\nput it back, or take it all the same with --same-tool"
        )
        raise ConfigError(msg)
    if not _keep_all(tool):
        msg = f"{run.path}: {tool.name} writes no files that could be kept, and none were; nothing was run"
        raise ConfigError(msg)
    try:
        evaluator = Evaluator(
            tool,
            problem.space.names,
            run_id=f"spectra-{secrets.token_hex(4)}",
            scratch=Path(scratch) if scratch else None,
        )
    except RayscanError:
        raise
    except Exception as error:
        # Opening runs code of packages and of users, which may raise anything.
        msg = f"{tool.name} cannot be opened: {type(error).__name__}: {error}"
        raise ToolError(msg) from error
    try:
        yield evaluator
    finally:
        evaluator.close()


def _keep_all(tool: Tool) -> bool:
    """Make programs offer their output files, and return whether there are any."""
    if isinstance(tool, Chain):
        given = [_keep_all(stage) for stage in tool.stages]
        return any(given)
    if not isinstance(tool, Command):
        return False
    tool.keep = "all"
    tool.keep_files = tool.keep_files or tuple(name for name in (tool.output,) if name != "stdout")
    return bool(tool.keep_files)


def _made(folder: Path, result: ScanResult, row: int, evaluator: Evaluator) -> Spectrum:
    """Evaluate a point once more."""
    point = int(column(result.table, "point_id")[row])
    x = np.array([[column(result.table, name)[row] for name in evaluator.parameters]])
    one = Points(np.array([point], dtype=np.int64), x, np.ones(1, dtype=np.int32))
    outcome = next(iter(evaluator.evaluate(one)))
    status = Status(int(outcome.status[0]))
    if status is not Status.OK:
        said = (outcome.message[0].splitlines() or [""])[0]
        return Spectrum(point, _written(folder, point, outcome.kept[0]), True, f"{status.label} this time: {said}")
    then = {name: column(result.table, name)[row] for name in evaluator.tool.outputs}
    others = [
        f"{name} = {now:.10g}, it was {then[name]:.10g}"
        for name, now in zip(evaluator.tool.outputs, outcome.observables[0].tolist(), strict=True)
        if not np.isclose(now, then[name], rtol=OTHER, atol=0.0, equal_nan=True)
    ]
    return Spectrum(point, _written(folder, point, outcome.kept[0]), True, "; ".join(others))


def _written(folder: Path, point: int, files: Mapping[str, bytes]) -> tuple[str, ...]:
    names: list[str] = []
    for name, content in files.items():
        names.append(kept_name(point, name))
        write_atomically(folder / names[-1], content)
    return tuple(names)


def problem_of(run: Path, config: Path | None = None) -> Callable[[], Problem]:
    """Return what gives the problem of a run, from its own configuration or from another file.

    The function raises ConfigError where that is not possible, as for a scan of a Python function.
    """

    def load() -> Any:
        from rayscan.config import load_config
        from rayscan.problem.statement import Problem

        try:
            found = load_config(config or run)
        except ConfigError as error:
            msg = (
                f"{run}: outputs of some of the points were not kept, and its configuration cannot be used to make "
                f"them again: {error}\ngive one that can with --config scan.toml, or scan with keep = 'valid'"
            )
            raise ConfigError(msg) from error
        return Problem(found.space, found.tool, found.target)

    return load
