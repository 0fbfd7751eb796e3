"""A whole configuration file: ``scan.toml`` to the objects that it describes, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from rayscan.config.document import Table, read_document, validate
from rayscan.config.knobs import GoalTable, build_options, dump_options
from rayscan.config.mistakes import Mistakes
from rayscan.config.space import build_space, dump_conditions, dump_space, unnamed_transforms
from rayscan.config.target import build_target, dump_target
from rayscan.config.tools import build_tool, dump_tool
from rayscan.errors import ConfigError
from rayscan.options import ScanOptions
from rayscan.problem.space import Space
from rayscan.problem.statement import Problem
from rayscan.problem.target import Target
from rayscan.tools.base import Tool

FILE = "scan.toml"


class FileTable(Table):
    """What stands at the top of a file, and its sections."""

    out: str | None = Field(
        None,
        description="The run directory, or its place in an object store (s3://bucket/path); the same problem is "
        "resumed, another is refused.",
    )
    base: str | None = Field(
        None, description="What relative paths in this file are relative to; the directory of the file by default."
    )
    parameters: Any = Field(description="What is scanned: an entry for each parameter, or for several at once.")
    space: Any = Field(None, description="What must hold between parameters.")
    tool: Any = Field(None, description="The program, package or function that evaluates a point.")
    stages: Any = Field(None, description="Several of them in order, in place of [tool].")
    target: Any = Field(description="What makes a point valid: one entry per observable.")
    scan: Any = Field(None, description="How the scan is run; every key has a default.")
    goal: Any = Field(None, description="When it ends; the command line may say so instead.")


@dataclass(frozen=True)
class Configuration:
    """What a configuration file describes.

    Attributes
    ----------
    path : Path
        The file.
    text : str
        Its text.
    problem : Problem
        Space, tool and target.
    options : dict
        Keyword arguments of a scan beside these.
    goal : GoalTable
    out : Path, str or None
        The run directory, absolute; or the URI of its place in an object store.
    """

    path: Path
    text: str
    problem: Problem
    options: Mapping[str, Any]
    goal: GoalTable
    out: Path | str | None

    @property
    def space(self) -> Space:
        """What is scanned."""
        return self.problem.space

    @property
    def tool(self) -> Tool:
        """What evaluates a point."""
        return self.problem.tool

    @property
    def target(self) -> Target:
        """What makes a point valid."""
        return self.problem.target

    def blame(self, error: ConfigError) -> ConfigError:
        """Return an error with the name of the file in front."""
        return _in(self.path, error)


def load_config(path: str | Path) -> Configuration:
    """Read a configuration file.

    Nothing is started and no program is looked for: `Scan.from_file` does that.

    Parameters
    ----------
    path : str or Path
        A TOML file, or a directory with a ``scan.toml`` in it.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigError
        Naming the file, and of every mistake in it the key, what was expected and what is there.
    """
    file = Path(path).expanduser()
    file = file / FILE if file.is_dir() else file
    text, document = read_document(file)
    try:
        table, base, problem, options, goal = _parts(document, file)
    except ConfigError as error:
        raise _in(file, error) from None
    out: Path | str | None = table.out
    if out is not None and "://" not in str(out):
        out = (base / Path(out).expanduser()).absolute()
    return Configuration(file, text, problem, options, goal, out)


def dump_config(problem: Problem, options: ScanOptions) -> str:
    """Return a scan as the text of a configuration file, with every path absolute or relative to a ``base``.

    A tool, network or target function that only Python can make is left out, and a comment says so.

    Parameters
    ----------
    problem : Problem
    options : ScanOptions

    Returns
    -------
    str
    """
    import tomlkit

    document = tomlkit.document()
    tables = dump_tool(problem.tool)
    missing = _only_in_python(problem, options, tables)
    document.add(tomlkit.comment("The scan as it was run."))
    for line in missing:
        document.add(tomlkit.comment(f"Made in Python, so this file alone cannot repeat it: {line}"))
    if tables is not None and "base" in tables:
        document["base"] = tables["base"]
    sections: dict[str, Any] = {"parameters": dump_space(problem.space), **dump_conditions(problem.space)}
    sections["target"] = dump_target(problem.target)
    for key in ("tool", "stages"):
        if tables is not None and key in tables:
            sections[key] = tables[key]
    knobs = dump_options(options)
    if knobs:
        sections["scan"] = knobs
    for name, section in sections.items():
        document[name] = _lay_out(section, {"target": "derive"}.get(name))
    return tomlkit.dumps(document)


def _parts(document: Mapping[str, Any], file: Path) -> tuple[FileTable, Path, Problem, dict[str, Any], GoalTable]:
    """Return what a file describes; its sections are read whatever is wrong with others, and all that is wrong told."""
    mistakes = Mistakes()
    table = mistakes.of(validate, FileTable, document, "")
    base = file.parent.absolute() if table is None else _base(table, file)
    space = (
        mistakes.of(build_space, document["parameters"], document.get("space")) if "parameters" in document else None
    )
    target = mistakes.of(build_target, document["target"]) if "target" in document else None
    tool = mistakes.of(build_tool, document, base, target)
    options = mistakes.of(_options, document, base)
    goal = mistakes.of(_goal, document)
    problem = None
    if space is not None and target is not None and tool is not None:
        problem = mistakes.of(_problem, space, tool, target)
    mistakes.tell()
    assert table is not None and problem is not None and options is not None and goal is not None  # noqa: PT018
    return table, base, problem, options, goal


def _options(document: Mapping[str, Any], base: Path) -> dict[str, Any]:
    options = build_options(document.get("scan", {}))
    if isinstance(options.get("seeds"), str):
        options["seeds"] = str(base / Path(options["seeds"]).expanduser())
    return options


def _goal(document: Mapping[str, Any]) -> GoalTable:
    goal = validate(GoalTable, document.get("goal", {}), "goal")
    goal.arguments()
    return goal


def _problem(space: Space, tool: Tool, target: Target) -> Problem:
    problem = Problem(space, tool, target)
    _check_names(problem)
    return problem


def _base(table: FileTable, file: Path) -> Path:
    base = file.parent.absolute()
    return base if table.base is None else base / Path(table.base).expanduser()


def _check_names(problem: Problem) -> None:
    """Find what does not fit together, without looking at this machine's programs."""
    try:
        problem.target.check(problem.tool.outputs, problem.space.names)
    except ConfigError as error:
        msg = f"target: {error}"
        raise ConfigError(msg) from None


def _in(file: Path, error: ConfigError) -> ConfigError:
    lines = str(error).splitlines() or [""]
    return type(error)("\n".join(f"{file}: {line}" if not line.startswith(" ") else line for line in lines))


def _only_in_python(problem: Problem, options: ScanOptions, tables: Mapping[str, Any] | None) -> list[str]:
    learn = options.learn
    missing = [] if tables is not None else [f"the tool, {type(problem.tool).__name__} {problem.tool.name!r}"]
    missing += [f"the prior of {', '.join(one.names)}" for one in unnamed_transforms(problem.space)]
    if problem.target.function is not None:
        missing.append("the target's function")
    if not isinstance(learn.surrogate, str):
        missing.append("the surrogate network")
    if learn.initial is not None and not isinstance(learn.initial, int):
        missing.append("the initial points")
    if learn.seeds is not None:
        missing.append("the seeds")
    return missing


def _lay_out(section: Any, own_table: str | None = None) -> Any:
    """Return a section with each of its tables on the line of its key, but `own_table`."""
    import tomlkit

    if isinstance(section, list):
        array = tomlkit.aot()
        for one in section:
            array.append(_lay_out(one))
        return array
    table = tomlkit.table()
    for key, value in section.items():
        if isinstance(value, Mapping) and key != own_table:
            table[key] = _inline(value)
        else:
            table[key] = _lay_out(value) if isinstance(value, Mapping) else value
    return table


def _inline(value: Mapping[str, Any]) -> Any:
    import tomlkit

    inline = tomlkit.inline_table()
    for key, entry in value.items():
        inline[key] = _inline(entry) if isinstance(entry, Mapping) else entry
    return inline
