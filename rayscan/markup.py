"""HTML for a notebook: small tables, in which nothing that a user or a program wrote is markup."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rayscan.errors import printable


def plain(text: object) -> str:
    """Return a text that a browser shows as it is."""
    return escape(printable(str(text)))


def html_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table with a caption; every cell is shown as plain text."""
    left = ' style="text-align: left"'
    head = "".join(f"<th{left}>{plain(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td{left}>{plain(cell)}</td>' for cell in row)}</tr>" for row in rows)
    top = f'<caption style="text-align: left; caption-side: top; white-space: nowrap"><b>{plain(caption)}</b></caption>'
    return f"<table>{top}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
