"""``rayscan run``: a scan, from its file to its summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rayscan.commands.outcome import ConfigFile, Exit, complain, say, tells
from rayscan.ending import End
from rayscan.errors import ConfigError, RayscanError

if TYPE_CHECKING:
    from rayscan.config import Configuration
    from rayscan.results.result import ScanResult
    from rayscan.scan import Scan

REPORT, CORNER = "report.txt", "corner.png"
EPILOG = (
    "Exit codes: 0 done, a goal was reached (the time limit is one); 1 something failed (programs, run directory, "
    "disk, cluster): what was evaluated is saved; 2 bad input, nothing was started; 3 stopped before the goal by "
    "Ctrl-C, SIGTERM, SIGUSR1, `rayscan stop` or the end of the batch job: all is saved, the same command goes on."
)


@tells
def run(
    config: ConfigFile,
    *,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Run directory, or its place in an object store (s3://bucket/path); one that holds the same scan is "
            "resumed.",
        ),
    ] = None,
    valid: Annotated[float | None, typer.Option(metavar="N", help="Stop at this many valid points.")] = None,
    evaluations: Annotated[float | None, typer.Option(metavar="N", help="Stop at this many evaluated points.")] = None,
    steps: Annotated[
        float | None, typer.Option(metavar="N", help="Stop after this many further steps of K points.")
    ] = None,
    time_limit: Annotated[str | None, typer.Option(help="Stop after this time: 600, '90 min', '2h', 1:30:00.")] = None,
    coverage: Annotated[
        float | None, typer.Option(help="Stop when this share of the valid region is covered, such as 0.95.")
    ] = None,
    volume_error: Annotated[
        float | None, typer.Option(help="Stop at this relative error of the valid volume, such as 0.05.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random number.")] = None,
    evaluators: Annotated[int | None, typer.Option(min=0, help="Evaluators; 0: one in this process, no Ray.")] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic/--no-deterministic", help="Same seed, same points.")
    ] = None,
    fork: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Begin a new run with all rows of this one that fit: another target, another range, the same tool.",
        ),
    ] = None,
    same_tool: Annotated[
        bool,
        typer.Option("--same-tool", help="Fork although the tool differs: you know that its values are the same."),
    ] = False,
    plot: Annotated[bool, typer.Option(help="Draw the corner plot at the end.")] = True,
    preflight: Annotated[bool, typer.Option(help="Try the programs on one point before a new scan starts.")] = True,
) -> Exit:
    """Scan, or go on with a scan, until the first of the goals (here or in the file) is reached."""
    from rayscan.config import load_config
    from rayscan.scan import Scan
    from rayscan.store import is_run

    configuration = load_config(config)
    given = {"seed": seed, "evaluators": evaluators, "deterministic": deterministic}
    where = out or configuration.out or default_out(configuration.path)
    wanted = {
        "valid": valid, "evaluations": evaluations, "steps": steps, "time_limit": time_limit, "coverage": coverage,
        "volume_error": volume_error,
    }  # fmt: skip
    goal = goal_of(configuration, wanted)
    options = {name: value for name, value in given.items() if value is not None}
    scan = Scan.from_file(configuration, out=where, fork=fork, same_tool=same_tool, **options)
    space = scan.problem.space
    say(f"{configuration.path}: {space.d} parameters ({', '.join(space.free)}), results in {where}")
    if preflight and not is_run(scan.out):
        _preflight(scan, configuration.path)
    parent = scan.take_over()
    if parent is not None:
        say(f"fork: {parent}")
    result = scan.run(**goal)
    ending = scan.ending or End.STOPPED
    try:
        _summarise(result, plot=plot, uri=scan.uri)
    except KeyboardInterrupt:
        complain(f"the summary was cut short; `rayscan report {where}` prints it")
    if ending.advice:
        say(ending.advice)
    return Exit(ending.code)


def _preflight(scan: Scan, config: Path) -> None:
    from rayscan.check import preflight

    trouble = preflight(scan.problem, scan.options.scratch)
    if trouble:
        msg = (
            f"{config}: the point in the middle of all ranges does not work: {trouble}\n"
            f"nothing was started; `rayscan check {config}` shows all of it, and --no-preflight scans all the same"
        )
        raise ConfigError(msg)


def default_out(config: Path) -> Path:
    """Return the run directory of a scan that names none."""
    name = config.absolute().parent.name if config.stem == "scan" else config.stem
    return Path("runs") / name


def goal_of(configuration: Configuration, given: dict[str, Any]) -> dict[str, Any]:
    """Return the goals of a command and its file, checked; there must be one."""
    from rayscan.config.knobs import parse_duration
    from rayscan.progress import make_goal

    goal = configuration.goal.arguments() | {name: value for name, value in given.items() if value is not None}
    if isinstance(goal["time_limit"], str):
        goal["time_limit"] = parse_duration(goal["time_limit"], "--time-limit")
    if all(value is None for value in goal.values()):
        msg = f"{configuration.path}: the scan has no goal; give --valid N, or write [goal] valid = N into the file"
        raise ConfigError(msg)
    # Found before the first program runs.
    make_goal(*(goal.get(name) for name in ("valid", "evaluations", "time_limit", "steps", "coverage", "volume_error")))
    return goal


def _summarise(result: ScanResult, *, plot: bool, uri: str = "") -> None:
    """Say in a few lines what was found, and where report, table and picture are."""
    from rayscan.results.result import tally

    report, run = result.path / REPORT, uri or result.path
    report.write_text(result.report() + "\n", encoding="utf-8")
    valid, total = result.valid.num_rows, len(result)
    lines = {
        "valid": f"{valid:,} of {total:,} evaluations" + (f", {valid / total:.1%}" if total else ""),
        "not ok": ", ".join(f"{count:,} {status}" for status, count in tally(result.table).items() if status != "ok"),
        "volume": str(result.volume()),
        "report": f"{report}   (as a page with figures: `rayscan report {run} --html report.html`)",
        "table": f"{run}   (rayscan.open_run, or `rayscan export {run} --to points.parquet`)",
    }
    if plot and valid:
        try:
            result.plot.corner(result.path / CORNER)
        except RayscanError as error:
            complain(f"no plot: {error}")
        else:
            lines["plot"] = str(result.path / CORNER)
    say("\n".join(f"{name + ':':8}{text}" for name, text in lines.items() if text))
