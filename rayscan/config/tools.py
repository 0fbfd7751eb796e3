"""The sections ``[tool]`` and ``[[stages]]``: a tool of each kind from its table.

A file runs what it names: programs, and with ``kind = "function"`` or ``"python"`` a Python function or class from a
module that can be imported. Nothing else in a file is ever executed, and no folder is added to the places that Python
imports from; put the folder of a module of your own in ``PYTHONPATH``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

import rayscan
from rayscan.config.described import functions_of, in_python, model_of_constructor
from rayscan.config.document import Table, join, show, validate
from rayscan.config.mistakes import Mistakes
from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.target import Target
from rayscan.tools.base import Tool

DEMO = "demo:"
PYTHON = "python"
_CLASSES = {
    "function": "Function",
    "command": "Command",
    "spheno": "SPheno",
    "micromegas": "MicrOMEGAs",
    "higgsbounds": "HiggsBounds",
    "higgssignals": "HiggsSignals",
    "higgstools": "HiggsTools",
}
_PLACE = "_configuration"
"""Attribute under which a tool that came from a file keeps its tables and what their paths are relative to."""


class StageTable(Table):
    """What a stage has beside the keys of its kind."""

    when: str | list[str] | None = Field(
        None, description="The constraints of the target that must hold before it is run; 'all' for all known by then."
    )


class NodeTable(Table):
    """What a tool of any kind may ask of the nodes of a cluster."""

    cores: int | None = Field(None, description="Processor cores that one evaluation uses; 1 by default.")
    memory: float | None = Field(None, description="Bytes that one evaluation needs; nodes get as many as fit.")
    resources: dict[str, float] | None = Field(
        None, description="Custom resources of Ray that a node must have, such as { spheno = 1 }."
    )
    ship: list[str] | None = Field(
        None,
        description="Directories or files that are copied to each node of a cluster, once, by their content; where "
        "this table names them or what is in them, the copy is used there.",
    )


class PythonTable(NodeTable):
    """A tool of the user's own: a class that is loaded once in each evaluator."""

    tool: str = Field(description="'module:Class', a subclass of rayscan.Tool that Python can import.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="The arguments of its constructor.")


def kinds() -> tuple[str, ...]:
    """Return the kinds of tools that a file can name."""
    return (*_CLASSES, PYTHON)


@functools.cache
def tool_class(kind: str) -> type[Tool]:
    """Return the class of a kind."""
    cls: type[Tool] = getattr(rayscan, _CLASSES[kind])
    return cls


@functools.cache
def tool_table(kind: str) -> type[Table]:
    """Return the keys of a kind: the arguments of its class."""
    if kind == PYTHON:
        return PythonTable
    return model_of_constructor(tool_class(kind), without=("base",), more=NodeTable)


def build_tool(document: Mapping[str, Any], base: Path, target: Target | None) -> Tool | None:
    """Return the tool that ``[tool]`` or the chain that ``[[stages]]`` describes.

    Parameters
    ----------
    document : mapping
        The whole file.
    base : Path
        What relative paths are relative to.
    target : Target or None
        Where the constraints are that a stage's ``when`` names; None where they are wrong.

    Returns
    -------
    Tool or None
        None for a chain whose target is wrong, after its stages were found to be right.

    Raises
    ------
    ConfigError
    """
    if "tool" in document and "stages" in document:
        msg = "expected either [tool] or [[stages]], got both; write each program of a chain as one of [[stages]]"
        raise ConfigError(msg)
    if "tool" in document:
        return _build(document["tool"], "tool", base)
    if "stages" not in document:
        msg = "tool: missing; expected a section [tool] with kind = one of " + ", ".join(kinds()) + ", or [[stages]]"
        raise ConfigError(msg)
    return _build_chain(document["stages"], base, target)


def dump_tool(tool: Tool) -> dict[str, Any] | None:
    """Return the tables that describe a tool, None for one that only Python can make."""
    kept: dict[str, Any] | None = vars(tool).get(_PLACE)
    if kept is not None:
        return kept
    if type(tool) is tool_class("function"):
        name = importable(tool.f)  # type: ignore[attr-defined]
        if name is not None:
            table = {"kind": "function", "f": name, "outputs": list(tool.outputs), "vectorized": tool.vectorized}
            return {"tool": {**table, **_asked_of_nodes(tool)}}
    return None


def _asked_of_nodes(tool: Tool) -> dict[str, Any]:
    """Return the keys of `NodeTable` that differ from what every tool asks."""
    values = {"cores": tool.cores, "memory": tool.memory, "resources": dict(tool.resources), "ship": list(tool.ship)}
    usual = {"cores": Tool.cores, "memory": Tool.memory, "resources": {}, "ship": []}
    return {key: value for key, value in values.items() if value != usual[key]}


def demo_program(name: str, where: str = "path") -> list[str]:
    """Return the command that runs a program of ``rayscan/demo``, without the start-up cost of site packages."""
    folder = Path(__file__).parent.parent / "demo"
    known = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if name not in known:
        msg = f"{where}: no demonstration program {name!r}{did_you_mean(name, known)}"
        raise ConfigError(msg)
    return [sys.executable, "-S", "-E", str(folder / f"{name}.py")]


def load_object(name: str, where: str) -> Any:
    """Return what ``module:function`` names.

    Raises
    ------
    ConfigError
        If there is no such module where Python imports from, or nothing of that name in it.
    """
    module, colon, path = name.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module.split("."), *path.split(".")]):
        msg = f"{where}: expected 'module:function', such as 'my_model:observables'; got {show(name)}"
        raise ConfigError(msg)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        msg = (
            f"{where}: no module {error.name!r} where Python imports from; install it, or name its folder: "
            f"PYTHONPATH=/path/to/folder rayscan run …"
        )
        raise ConfigError(msg) from None
    except Exception as error:
        msg = f"{where}: importing {module!r} raised {type(error).__name__}: {error}"
        raise ConfigError(msg) from error
    for part in path.split("."):
        if not hasattr(found, part):
            names = [known for known in vars(found) if not known.startswith("_")] if hasattr(found, "__dict__") else []
            msg = f"{where}: nothing is called {part!r} in {module!r}{did_you_mean(part, names)}"
            raise ConfigError(msg)
        found = getattr(found, part)
    return found


def _build(table: object, where: str, base: Path) -> Tool:
    if not isinstance(table, Mapping):
        msg = f"{where}: expected a table with kind = one of {', '.join(kinds())}; got {show(table)}"
        raise ConfigError(msg)
    kind, keys = table.get("kind"), {key: value for key, value in table.items() if key != "kind"}
    if not isinstance(kind, str) or kind not in kinds():
        hint = did_you_mean(kind, kinds(), listed=True) if isinstance(kind, str) else ""
        got = "none" if kind is None else show(kind)
        msg = f"{where}.kind: expected one of {', '.join(kinds())}; got {got}{hint}"
        raise ConfigError(msg)
    model = tool_table(kind)
    given = validate(model, keys, where)
    values = {key: in_python(getattr(given, key)) for key in given.model_fields_set}
    node = {key: values.pop(key) for key in NodeTable.model_fields if key in values}
    cls = _own_class(values["tool"], join(where, "tool")) if kind == PYTHON else tool_class(kind)
    arguments = values.get("arguments", {}) if kind == PYTHON else _for_constructor(kind, values, where, base)
    try:
        tool = cls(**arguments).require(**node, base=base)
    except ConfigError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from None
    except (TypeError, AttributeError, ValueError) as error:
        msg = f"{where}: these keys do not make a tool of kind {kind!r}: {error}"
        raise ConfigError(msg) from error
    vars(tool)[_PLACE] = {"base": str(base), "tool": dict(table)}
    return tool


def _for_constructor(kind: str, values: dict[str, Any], where: str, base: Path) -> dict[str, Any]:
    """Return the arguments: relative paths get their base, names of functions become functions."""
    for key in functions_of(tool_class(kind)):
        if isinstance(values.get(key), str):
            values[key] = _function(values[key], join(where, key))
    program = values.get("path")
    if isinstance(program, str) and program.startswith(DEMO):
        values["path"] = demo_program(program.removeprefix(DEMO), join(where, "path"))
    if "base" in inspect.signature(tool_class(kind)).parameters:
        values["base"] = base
    return values


def _own_class(name: str, where: str) -> type[Tool]:
    cls = load_object(name, where)
    if not (isinstance(cls, type) and issubclass(cls, Tool)):
        msg = f"{where}: expected the name of a class that is a subclass of rayscan.Tool; got {show(cls)}"
        raise ConfigError(msg)
    return cls


def _function(name: str, where: str) -> Callable[..., Any]:
    function = load_object(name, where)
    if not callable(function):
        msg = f"{where}: expected the name of a function, such as 'my_model:observables'; got {show(name)}"
        raise ConfigError(msg)
    found: Callable[..., Any] = function
    return found


def _build_chain(stages: object, base: Path, target: Target | None) -> Tool | None:
    if not isinstance(stages, list) or not stages:
        msg = f"stages: expected one [[stages]] for each program, in order; got {show(stages)}"
        raise ConfigError(msg)
    from rayscan.tools.chain import Chain

    mistakes = Mistakes()
    built = [mistakes.of(_build_stage, table, join("stages", n), base) for n, table in enumerate(stages)]
    mistakes.tell()
    if target is None:
        return None
    tools = [stage[0] for stage in built if stage is not None]
    when = {stage[0].name: stage[1] for stage in built if stage is not None and stage[1]}
    try:
        chain = Chain(tools, when=when, target=target)
    except ConfigError as error:
        msg = f"stages: {error}"
        raise ConfigError(msg) from None
    vars(chain)[_PLACE] = {"base": str(base), "stages": [dict(table) for table in stages]}
    return chain


def _build_stage(table: object, where: str, base: Path) -> tuple[Tool, list[str]]:
    if not isinstance(table, Mapping):
        msg = f"{where}: expected a table with kind = one of {', '.join(kinds())}; got {show(table)}"
        raise ConfigError(msg)
    held = validate(StageTable, {key: table[key] for key in StageTable.model_fields if key in table}, where).when
    tool = _build({key: value for key, value in table.items() if key not in StageTable.model_fields}, where, base)
    return tool, [held] if isinstance(held, str) else held or []


def importable(f: Any) -> str | None:
    """Return the name by which a file can ask for a function, None for one that has none."""
    module, name = getattr(f, "__module__", None), getattr(f, "__qualname__", "<none>")
    if not module or module == "__main__" or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is f else None
