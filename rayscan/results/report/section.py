"""What a report is made of, whether it is read as text or as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table of the report; a table without a header is a list of names and values."""

    title: str
    rows: Sequence[Sequence[str]]
    header: Sequence[str] = ()

    def is_numeric(self, col: int) -> bool:
        """Return whether a column of a table with a header holds numbers only."""
        return bool(self.header) and all(
            " to " not in row[col] and (row[col][:1].isdigit() or row[col][:1] in "+-") for row in self.rows
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of `rayscan.results.plot.Plots`.

    Attributes
    ----------
    kind : str
        The name of its method.
    caption : str
        What is seen in it.
    options : dict
        Of the method.
    """

    kind: str
    caption: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of failure, with the first point that failed so.

    Attributes
    ----------
    count : int
    status : str
    meaning : str
        Of the status, in words.
    message : str
        All that was said of the example.
    point_id : int
    values : dict of str to str
        The example's parameters.
    command : str
        What evaluates the example once more and shows all of it; empty where that is not known.
    """

    count: int
    status: str
    meaning: str
    message: str
    point_id: int
    values: dict[str, str]
    command: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """Sections that belong together, and the figures that show them."""

    title: str
    sections: Sequence[Section]
    figures: Sequence[Figure] = ()
    cases: Sequence[Case] = ()
    code: str = ""
    """Something to copy."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (any(section.rows for section in self.sections) or self.cases or self.code)
