"""``rayscan plot``: figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import Run, say, tells


@tells
def plot(
    run: Run,
    kind: Annotated[
        str | None,
        typer.Argument(
            help="corner (default), scatter, histogram, histograms, density, profile, parallel, "
            "progress, acceptance, evenness, failures, calibration, training, vegas, timeline.",
            metavar="KIND",
        ),
    ] = None,
    columns: Annotated[list[str] | None, typer.Argument(help="What is drawn: m0 m12.", metavar="COLUMNS")] = None,
    *,
    to: Annotated[Path | None, typer.Option(help="Picture file; its ending tells the format.")] = None,
    colour: Annotated[str | None, typer.Option(help="Column that colours a scatter or parallel lines.")] = None,
    contours: Annotated[bool, typer.Option("--contours", help="Lines of 1 and 2 sigma in a corner plot.")] = False,
    label: Annotated[list[str] | None, typer.Option(help="column=label, such as 'mh=$m_h$'; may be repeated.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="As the kind `profile` with these columns: m0, or m0,m12.", metavar="X[,Y]")
    ] = None,
) -> None:
    """Draw a figure of a run, also while it goes on: by default the valid points in all pairs of parameters."""
    from rayscan.results.plot import Plots, draw
    from rayscan.results.result import open_run
    from rayscan.store.run_directory import RunDirectory, refuse_links

    result = open_run(run)
    if to is None:
        refuse_links(result.path)
    what, names = kind or "corner", list(columns or [])
    if profile is not None:
        what, names = "profile", [name.strip() for name in profile.split(",") if name.strip()]
    labels = dict(text.split("=", 1) for text in label or [] if "=" in text)
    options = {name: value for name, value in (("colour", colour), ("contours", contours or None)) if value is not None}
    path = to or result.path / f"{what}.png"
    draw(Plots.of_run(result.table, RunDirectory(run), labels), what, names, path, **options)
    say(f"plot: {path}")
