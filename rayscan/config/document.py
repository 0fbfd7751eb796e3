"""A configuration file as a document: read, checked against models, complained about by key path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rayscan.errors import ConfigError, did_you_mean
from rayscan.plain_file import read_plain

LARGEST = 4 * 2**20
_SHOWN = 60
_SHOWN_ERRORS = 10


class Table(BaseModel):
    """A table of the file: its keys are the model's fields and no others; text is never taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    made_from: ClassVar[Any] = None
    """The dataclass whose fields the table has, if it was made from one."""


T = TypeVar("T", bound=BaseModel)


def read_document(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text and the tables of a TOML file.

    Raises
    ------
    ConfigError
        If it cannot be read, is no text or is no TOML, with line and column.
    """
    try:
        data = read_plain(path, LARGEST, follow=True)
    except FileNotFoundError:
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.toml")]) if path.parent.is_dir() else ""
        msg = f"{path}: there is no such file{near}"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or error}); expected a configuration file such as scan.toml"
        raise ConfigError(msg) from None
    try:
        text = data.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8 text (byte {error.start}); expected a TOML file"
    except tomllib.TOMLDecodeError as error:
        msg = f"{path}: not TOML: {error}"
    except RecursionError:
        msg = f"{path}: nested too deeply; expected tables such as [parameters]"
    raise ConfigError(msg)


def validate(model: type[T], values: object, where: str) -> T:
    """Return `values` as a `model`.

    Parameters
    ----------
    model : type
    values : object
        What the file holds at `where`.
    where : str
        Key path, such as ``target.mh``; empty for the whole file.

    Raises
    ------
    ConfigError
        Naming the key path of every mistake, what was expected and what is there.
    """
    if not isinstance(values, Mapping):
        msg = f"{where}: expected a table with the keys {', '.join(model.model_fields)}; got {show(values)}"
        raise ConfigError(msg)
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(model, error, where))) from None


def show(value: object) -> str:
    """Return a short text of a value, as TOML would have it where that differs."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def join(*keys: str | int) -> str:
    """Return a key path: ``join("stages", 0, "read")`` is ``stages[0].read``."""
    path = ""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path and key else key
    return path


def _explain(model: type[BaseModel], error: ValidationError, where: str) -> list[str]:
    # One wrong value of a union is one mistake, though pydantic reports it once for each member.
    at: dict[str, list[Mapping[str, Any]]] = {}
    for one in error.errors(include_url=False):
        at.setdefault(join(where, *_in_file(model, one["loc"])), []).append(one)
    lines = []
    for path, ones in at.items():
        first = ones[0]
        if first["type"] == "extra_forbidden":
            parent, _, key = path.rpartition(".")
            known = _keys(model, first["loc"][:-1])
            lines.append(f"{parent + ': ' if parent else ''}unknown key {key!r}{did_you_mean(key, known)}")
        elif first["type"] == "missing":
            lines.append(f"{path}: missing; this key is required")
        else:
            expected = " or ".join(dict.fromkeys(_expected(one) for one in ones))
            lines.append(f"{path}: expected {expected}, got {show(first['input'])}")
    return lines[:_SHOWN_ERRORS]


_TYPES = {
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "none_required": "",
    "finite_number": "a finite number",
}


_MEMBERS = frozenset({"float", "int", "str", "bool", "none", "list", "dict"})
"""What pydantic calls the members of a union in the place of an error."""


def _expected(error: Mapping[str, Any]) -> str:
    known = _TYPES.get(error["type"])
    if known is not None:
        return known
    message = str(error["msg"])
    return message.removeprefix("Input should be ").removeprefix("Value error, ").removeprefix("expected ")


def _in_file(model: type[BaseModel], location: Iterable[str | int]) -> list[str | int]:
    """Leave out of a location what only pydantic knows: the member of a union that it tried."""
    path: list[str | int] = []
    current: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int):
            path.append(step)
        elif current is not None:
            path.append(step)
            current = _model_in(current.model_fields[step].annotation) if step in current.model_fields else None
        elif not any(mark in step for mark in "[(") and step not in _MEMBERS:
            path.append(step)
    return path


def _keys(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    current: type[BaseModel] | None = model
    for step in location:
        if current is not None and isinstance(step, str) and step in current.model_fields:
            current = _model_in(current.model_fields[step].annotation)
    return list(current.model_fields) if current is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for member in getattr(annotation, "__args__", ()):
        found = _model_in(member)
        if found is not None:
            return found
    return None
