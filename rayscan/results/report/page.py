"""The report as one file to look at, to print and to send: it asks for nothing from anywhere else."""

from __future__ import annotations

import datetime as dt
import errno
import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rayscan.errors import ConfigError, StoreError
from rayscan.markup import plain
from rayscan.plain_file import open_plain
from rayscan.results.report.section import Case, Chapter, Figure, Section
from rayscan.store.files import make_way, write_atomically
from rayscan.store.run_directory import refuse_links

if TYPE_CHECKING:
    from rayscan.results.plot import Plots
    from rayscan.results.report.facts import Report

OURS = '<meta name="generator" content="rayscan report">'
"""What every page of ours has near its beginning, so that it may be replaced by a newer one."""
_BEGINNING = 2000


def write_page(report: Report, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write the report as a single HTML file.

    Parameters
    ----------
    report : Report
    path : Path or str
        An older report is replaced.
    overwrite : bool
        Whether any other file may be replaced, too.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        A name that does not end in .html or .htm.
    StoreError
        There is a file that is no report, or the page cannot be written.
    """
    where = Path(path).expanduser()
    if where.suffix.lower() not in {".html", ".htm"}:
        msg = f"{where}: expected a name that ends in .html; got {where.suffix or 'no ending'}"
        raise ConfigError(msg)
    if not overwrite:
        _require_ours(where)
    make_way(where, overwrite=True)
    if report.run is not None and where.absolute().parent == report.run.path.absolute():
        refuse_links(report.run.path)
    write_atomically(where, page(report).encode())
    return where


def page(report: Report) -> str:
    """Return the report as HTML."""
    chapters = [(f"part-{number}", chapter) for number, chapter in enumerate(report.chapters, 1)]
    plots = _plots(report)
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    version = report.run.versions.get("rayscan", "") if report.run is not None else ""
    template = string.Template(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        ours=OURS,
        name=plain(report.name),
        about=plain(" · ".join(part for part in (f"rayscan {version}".strip(), f"report of {now}") if part)),
        headlines="".join(f"<div><b>{plain(number)}</b> {plain(what)}</div>" for number, what in report.headlines()),
        verdict=plain(report.verdict()),
        contents="".join(f'<a href="#{name}">{plain(chapter.title)}</a> ' for name, chapter in chapters),
        chapters="\n".join(_chapter(name, chapter, plots) for name, chapter in chapters),
    )


def _chapter(name: str, chapter: Chapter, plots: Plots) -> str:
    tables = [_table(section, alone=section.title == chapter.title) for section in chapter.sections if section.rows]
    figures = "".join(_figure(figure, plots) for figure in chapter.figures)
    cases = "".join(map(_case, chapter.cases))
    code = f"<pre>{plain(chapter.code)}</pre>" if chapter.code else ""
    # Cases say all that their table does. Of several tables the first is what the figures show.
    inside = f"{cases}{figures}" if cases else "".join([*tables[:1], figures, *tables[1:], code])
    return f'<section id="{name}"><h2>{plain(chapter.title)}</h2>{inside}</section>'


def _table(section: Section, *, alone: bool) -> str:
    title = "" if alone else f"<h3>{plain(section.title)}</h3>"
    numeric = [section.is_numeric(col) for col in range(len(section.header))]
    kind = [' class="number"' if number else "" for number in numeric] or ["", ""]
    head = "".join(f"<th{at}>{plain(cell)}</th>" for at, cell in zip(kind, section.header, strict=False))
    rows = "".join(_row(row, kind, named=not section.header) for row in section.rows)
    return (
        f'{title}<div class="scroll"><table class="{"wide" if section.header else "named"}">'
        f"{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{rows}</tbody></table></div>"
    )


def _row(row: Sequence[str], kind: Sequence[str], *, named: bool) -> str:
    first = f"<th>{plain(row[0])}</th>" if named else f"<td{kind[0]}>{plain(row[0])}</td>"
    rest = "".join(f"<td{at}>{plain(cell)}</td>" for at, cell in zip(kind[1:], row[1:], strict=False))
    return f"<tr>{first}{rest}</tr>"


def _figure(figure: Figure, plots: Plots) -> str:
    from rayscan.results.plot.inline import data_uri

    caption = plain(figure.caption)
    try:
        drawn = getattr(plots, figure.kind)(**figure.options)
    except ConfigError as error:
        return f'<p class="faint">{caption} Not drawn: {plain(str(error).split(": ", 1)[-1])}.</p>'
    image = f'<img src="{data_uri(drawn)}" alt="{caption}">'
    return f'<figure class="{figure.kind}">{image}<figcaption>{caption}</figcaption></figure>'


def _case(case: Case) -> str:
    points = "1 point" if case.count == 1 else f"{case.count:,} points"
    values = ", ".join(f"{name} = {value}" for name, value in case.values.items())
    again = f'<p class="faint">Once more, with all that is written, run and read:</p><pre>{plain(case.command)}</pre>'
    return (
        f'<div class="case"><h3>{points} <span class="status">{plain(case.status)}</span></h3>'
        f"<p>{plain(case.meaning)}</p>"
        f'<p class="faint">For example point {case.point_id}, {plain(values)}:</p><pre>{plain(case.message)}</pre>'
        f"{again if case.command else ''}</div>"
    )


def _plots(report: Report) -> Plots:
    from rayscan.results.plot import Plots

    return Plots.of_run(report.table, report.run) if report.run is not None else Plots(report.table)


def _require_ours(path: Path) -> None:
    """Refuse to replace a file that is no report of ours."""
    try:
        with open_plain(path, follow=True) as file:
            beginning = file.read(_BEGINNING).decode("utf-8", "replace")
    except FileNotFoundError:
        return
    except OSError as error:
        msg = f"{path}: {error.strerror}; nothing was changed, choose another name"
        raise StoreError(error.errno or errno.EEXIST, msg) from None
    if OURS not in beginning:
        msg = (
            f"{path} exists and is no report of rayscan; nothing was changed. Choose another name, or replace it with "
            "--overwrite"
        )
        raise StoreError(errno.EEXIST, msg)
