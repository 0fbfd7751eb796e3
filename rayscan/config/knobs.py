"""The sections ``[scan]`` and ``[goal]``: how the scan is run, and when it ends."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from rayscan.config.described import explain, make
from rayscan.config.document import Table, validate
from rayscan.errors import ConfigError, did_you_mean
from rayscan.learn.options import LearnOptions
from rayscan.options import ScanOptions

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(r"\s*".join(f"(?:{_NUMBER}\\s*{unit})?" for unit in ("d", "h", "m(?:in)?", "s?")))
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{2})")


class GoalTable(Table):
    """When the scan ends: at whichever comes first."""

    valid: int | None = Field(None, gt=0, description="Valid points, those in the run directory included.")
    evaluations: int | None = Field(None, gt=0, description="Points issued, those in the run directory included.")
    steps: int | None = Field(None, gt=0, description="Further steps of K points, after the initial ones.")
    time_limit: float | str | None = Field(
        None, description="Wall time of one session: seconds, or a text such as '90 min', '2h 30m', '1:30:00'."
    )
    coverage: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="The share of the valid region within reach of the points found, as blindly drawn points see it.",
    )
    volume_error: float | None = Field(None, gt=0, lt=1, description="Relative error of the valid volume.")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Scan.run`, time in seconds; ConfigError if the time limit is none."""
        limit = None if self.time_limit is None else parse_duration(self.time_limit, "goal.time_limit")
        return {**dict(self), "time_limit": limit}


@functools.cache
def scan_table() -> type[Table]:
    """Return the keys of ``[scan]``: the fields of `LearnOptions` and `ScanOptions`, and ``preset``."""
    fields: dict[str, tuple[Any, Any]] = {"preset": (str | None, None)}
    texts = {"preset": "The settings of a published scan, by name, which the other keys of this section change."}
    for cls in (LearnOptions, ScanOptions):
        hints = typing.get_type_hints(cls)
        fields |= {f.name: (hints[f.name], f.default) for f in dataclasses.fields(cls) if f.name != "learn"}
        texts |= {name: text for name, text in explain(cls).items() if name in fields}
    fields["surrogate"] = (str, LearnOptions.surrogate)
    fields["initial"] = (int | list[list[float]] | None, None)
    texts["initial"] = "The first points: how many (Sobol), or which, as a list of physical points. None means K."
    fields["seeds"] = (str | list[dict[str, float]] | list[list[float]] | None, None)
    texts["seeds"] = (
        "Points known before, evaluated first and in addition: a .csv, .parquet or .arrow file with a column for each "
        "scanned parameter, a list of points such as { m0 = 500, tanb = 10 }, or of lists of values."
    )
    return make("Scan", fields, texts)


def build_options(section: object) -> dict[str, Any]:
    """Return the keyword arguments of `Scan` that a section ``[scan]`` gives, those of its preset included.

    Raises
    ------
    ConfigError
    """
    table = validate(scan_table(), section, "scan")
    given = {name: getattr(table, name) for name in table.model_fields_set if name != "preset"}
    preset = getattr(table, "preset", None)
    options = {**(_preset(preset) if preset is not None else {}), **given}
    try:
        check_options(options)
    except ConfigError as error:
        msg = f"scan: {error}"
        raise ConfigError(msg) from None
    return options


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ConfigError for a value out of its range; given initial points are for `Scan` to check."""
    learning = {name: options[name] for name in options if name in LearnOptions.__dataclass_fields__}
    if isinstance(learning.get("initial"), list):
        learning["initial"] = len(learning["initial"])
    learning.pop("seeds", None)
    LearnOptions(**learning)
    ScanOptions(**{name: options[name] for name in options if name in ScanOptions.__dataclass_fields__})


def dump_options(options: ScanOptions) -> dict[str, Any]:
    """Return the section ``[scan]`` with what differs from the defaults; what only Python can give is left out."""
    section: dict[str, Any] = {}
    for part in (options.learn, options):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, str | int | float | tuple | dict) and value != field.default:
                section[field.name] = list(value) if isinstance(value, tuple) else value
    return section


def presets() -> dict[str, Mapping[str, Any]]:
    """Return the settings of published scans by name."""
    from rayscan import presets as module

    return {name: dict(value) for name, value in vars(module).items() if isinstance(value, Mapping) and name[0] != "_"}


def parse_duration(value: float | str, where: str) -> float:
    """Return seconds.

    Parameters
    ----------
    value : float or str
        Seconds, ``"90 min"``, ``"2h 30m"``, ``"1:30:00"`` or ``"90"``.
    where : str
        For messages.

    Raises
    ------
    ConfigError
        For anything else, and unless it is positive.
    """
    seconds = 0.0
    if isinstance(value, str):
        text = value.strip().lower()
        clock, units = _CLOCK.fullmatch(text), _DURATION.fullmatch(text)
        if clock:
            seconds = 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + int(clock[3])
        elif units and text:
            parts = zip(units.groups(), (86400, 3600, 60, 1), strict=True)
            seconds = sum(float(part or 0) * unit for part, unit in parts)
    else:
        seconds = float(value)
    if not 0 < seconds < float("inf"):
        msg = f"{where}: expected a time such as 600, '90 min', '2h 30m' or '1:30:00'; got {value!r}"
        raise ConfigError(msg)
    return seconds


def _preset(name: str) -> dict[str, Any]:
    known = presets()
    if name not in known:
        msg = f"scan.preset: no preset {name!r}{did_you_mean(name, known)}"
        raise ConfigError(msg)
    return dict(known[name])
