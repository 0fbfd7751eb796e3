"""``rayscan export``: the points of a run as a file for other programs."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import Run, say, tells


class Form(enum.StrEnum):
    """What is written."""

    TABLE = "table"
    GETDIST = "getdist"
    DLSCANNER = "dlscanner"


@tells
def export(
    run: Run,
    *,
    to: Annotated[Path, typer.Option(help="A file that ends in .parquet, .csv or .arrow; of chains, their root.")],
    form: Annotated[
        Form,
        typer.Option(
            "--as", help="A table; the valid points as weighted chains for GetDist, or as the text file of DLScanner."
        ),
    ] = Form.TABLE,
    valid: Annotated[bool, typer.Option("--valid", help="Only the valid points.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write the table of points as one file, or as chains."""
    from rayscan.compat.dlscanner_points import write_points
    from rayscan.results.result import open_run
    from rayscan.store.export import export_table

    result = open_run(run)
    if form is Form.GETDIST:
        root = result.to_getdist(to, overwrite=overwrite)
        say(f"{result.valid.num_rows:,} valid points in {root}.txt, .paramnames and .ranges")
        return
    if form is Form.DLSCANNER:
        say(f"{result.valid.num_rows:,} valid points in {write_points(result, to, overwrite=overwrite)}")
        return
    table = result.valid if valid else result.table
    path = export_table(table, to, overwrite=overwrite)
    say(f"{table.num_rows:,} points in {path}")
