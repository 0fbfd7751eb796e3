"""``rayscan spectra``: the output files of chosen points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import Exit, Run, complain, say, tells


@tells
def spectra(
    run: Run,
    *,
    to: Annotated[Path, typer.Option(help="A new folder for them.", metavar="DIR")],
    where: Annotated[
        str | None, typer.Option(help="Which of the valid points: a condition, such as 'mh > 125 and tanb < 10'.")
    ] = None,
    best: Annotated[int | None, typer.Option(metavar="N", help="Only the N most likely of them.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The scan.toml to run programs by, in place of the run's own.")
    ] = None,
    same_tool: Annotated[
        bool, typer.Option("--same-tool", help="Run the programs although they are described in another way now.")
    ] = False,
) -> Exit:
    """Write the spectra of chosen points: those that the scan kept, or made once more by its programs."""
    from rayscan.results.result import open_run
    from rayscan.spectra import INDEX, choose, problem_of, write_spectra

    result = open_run(run)
    ids = choose(result, where, best)
    if not len(ids):
        complain(f"{run}: none of the {result.valid.num_rows:,} valid points is meant; nothing was written")
        return Exit.FAILED
    written, files, again, other = 0, 0, 0, 0
    for one in write_spectra(result, ids, to, problem_of(run, config), same_tool=same_tool):
        written, files, again = written + bool(one.files), files + len(one.files), again + one.again
        if one.note:
            other += 1
            complain(f"point {one.point_id}: {one.note}")
    ran = f", {again:,} of them made once more" if again else ", as they were kept"
    say(f"{files:,} files of {written:,} of {len(ids):,} points in {to}{ran}; {INDEX} tells them apart")
    return Exit.FAILED if other else Exit.DONE
