"""A report for a terminal, and as Markdown."""

from __future__ import annotations

import textwrap

from rayscan.results.report.section import Section

WIDTH = 110


def as_text(section: Section) -> str:
    """Return a section for a terminal of `WIDTH` columns."""
    if section.header:
        return "\n".join([section.title, "-" * len(section.title), *_as_table(section)])
    names = max(len(row[0]) for row in section.rows)
    lines = [section.title, "-" * len(section.title)]
    for row in section.rows:
        line = "  " + "  ".join([row[0].ljust(names), *row[1:]]).rstrip()
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * (4 + names), break_on_hyphens=False)
    return "\n".join(lines)


def _as_table(section: Section) -> list[str]:
    """Return the lines of a table; a last column that is too wide is wrapped inside itself."""
    rows = [section.header, *section.rows]
    widths = [max(len(row[col]) for row in rows) for col in range(len(section.header))]
    before = 2 + sum(width + 2 for width in widths[:-1])
    widths[-1] = min(widths[-1], max(WIDTH - before, 20))
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if section.is_numeric(col) else cell.ljust(width)
            for col, (cell, width) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        last = textwrap.wrap(row[-1], widths[-1], break_on_hyphens=False) or [""]
        if section.is_numeric(len(widths) - 1):
            last[0] = last[0].rjust(widths[-1])
        lines.append("  " + "  ".join([*cells, last[0]]).rstrip())
        lines += [" " * before + more for more in last[1:]]
    return [line.rstrip() for line in lines]


def as_markdown(section: Section) -> str:
    """Return a section as a Markdown table with a title."""
    header = section.header or ("", "")
    rule = ["---:" if section.is_numeric(col) else "---" for col in range(len(header))]
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in section.rows]
    return f"## {section.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
