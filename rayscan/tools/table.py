"""Cells of a text table, by the name of the column."""

from __future__ import annotations

import re

from rayscan.errors import did_you_mean
from rayscan.tools.outputs import ReadError

_COMMENT = "#!%"


def find_cell(text: str, column: str | int, row: int, file: str) -> str:
    """Return the text of one cell.

    Parameters
    ----------
    text : str
        Rows of words separated by blanks or by commas; comment lines start with ``#``, ``!`` or ``%``.
    column : str or int
        A name in the header, or a number from 1 (negative from the end).
    row : int
        From 1, negative from the end; comment lines and the header do not count.
    file : str
        For messages.

    Raises
    ------
    ReadError
        If there is no such row or column, or the name occurs twice in the header.
    """
    rows, headers = _split(text)
    header = _header(rows, headers)
    if header is not None and rows and header == rows[0]:
        rows = rows[1:]
    if not rows:
        msg = f"{file} has no row of numbers"
        raise ReadError(msg)
    if not -len(rows) <= row <= len(rows) or row == 0:
        msg = f"{file} has {len(rows)} rows, no row {row}"
        raise ReadError(msg)
    cells = rows[row - 1 if row > 0 else row]
    if isinstance(column, str):
        if header is None:
            msg = f"{file} has no header with {len(cells)} names; give the column {column!r} by its number"
            raise ReadError(msg)
        if header.count(column) != 1:
            problem = "twice" if column in header else "not"
            msg = f"column {column!r} is {problem} in the header of {file}{did_you_mean(column, header)}"
            raise ReadError(msg)
        return cells[header.index(column)] if len(cells) == len(header) else _short_row(file, row, cells, header)
    if not -len(cells) <= column <= len(cells):
        msg = f"row {row} of {file} has {len(cells)} columns, no column {column}"
        raise ReadError(msg)
    return cells[column - 1 if column > 0 else column]


def _split(text: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows, and the comment lines above the first of them, as lists of words."""
    rows: list[list[str]] = []
    headers: list[list[str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped:
            continue
        if stripped[0] in _COMMENT:
            if not rows:
                headers.append(_words(re.sub(r"^cols:\s*", "", stripped.lstrip(_COMMENT).strip())))
        else:
            rows.append(_words(stripped))
    return rows, headers


def _header(rows: list[list[str]], headers: list[list[str]]) -> list[str] | None:
    """Return the names of the columns: a first row of words, or the nearest comment of the rows' length."""
    if rows and not any(re.match(r"[-+.]?\d", word) for word in rows[0]):
        return rows[0]
    width = len(rows[0]) if rows else 0
    return next((words for words in reversed(headers) if len(words) == width), None)


def _words(line: str) -> list[str]:
    return [word.strip().strip('"') for word in line.split(",")] if "," in line else line.split()


def _short_row(file: str, row: int, cells: list[str], header: list[str]) -> str:
    msg = f"row {row} of {file} has {len(cells)} cells, its header {len(header)}"
    raise ReadError(msg)
