"""The command line. What a command needs is imported when it runs, so that ``rayscan --help`` is quick."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rayscan.commands.export import export
from rayscan.commands.outcome import Exit
from rayscan.commands.outcome import complain as _complain
from rayscan.commands.outcome import say as _say
from rayscan.commands.outcome import tells as _tells
from rayscan.commands.spectra import spectra
from rayscan.commands.watch import watch
from rayscan.console import stand_in
from rayscan.ending import End
from rayscan.errors import ConfigError, RayscanError, printable

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


app = typer.Typer(
    name="rayscan",
    help="Parallel active-learning scans of parameter spaces: `rayscan run scan.toml`.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[Path, typer.Argument(help="The scan.toml, or a directory with one.", metavar="scan.toml")]
Run = Annotated[Path, typer.Argument(help="The run directory.", metavar="RUN")]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        import rayscan

        _say(f"rayscan {rayscan.__version__}")
        raise typer.Exit


@app.callback()
def rayscan(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Parallel active-learning scans of parameter spaces: `rayscan run scan.toml`."""


@app.command(epilog=EPILOG)
@_tells
def run(
    config: ConfigFile,
    *,
    out: Annotated[Path | None, typer.Option(help="Run directory; one that holds the same scan is resumed.")] = None,
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
        Path | None,
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
    where = out or configuration.out or _default_out(configuration.path)
    wanted = {
        "valid": valid, "evaluations": evaluations, "steps": steps, "time_limit": time_limit, "coverage": coverage,
        "volume_error": volume_error,
    }  # fmt: skip
    goal = _goal(configuration, wanted)
    options = {name: value for name, value in given.items() if value is not None}
    scan = Scan.from_file(configuration, out=where, fork=fork, same_tool=same_tool, **options)
    space = scan.problem.space
    _say(f"{configuration.path}: {space.d} parameters ({', '.join(space.free)}), results in {where}")
    if preflight and not is_run(where):
        _preflight(scan, configuration.path)
    parent = scan.take_over()
    if parent is not None:
        _say(f"fork: {parent}")
    result = scan.run(**goal)
    ending = scan.ending or End.STOPPED
    try:
        _summarise(result, plot=plot)
    except KeyboardInterrupt:
        _complain(f"the summary was cut short; `rayscan report {where}` prints it")
    if ending.advice:
        _say(ending.advice)
    return Exit(ending.code)


@app.command(epilog="Exit codes: 0 the point was evaluated, valid or not; 1 a program failed; 2 bad input.")
@_tells
def check(
    config: ConfigFile,
    *,
    point: Annotated[
        list[str] | None,
        typer.Option(help="name=value of a scanned parameter; others are in the middle of their range."),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Look at each node of the Ray cluster instead, and print a table of them.")
    ] = False,
    as_json: AsJSON = False,
) -> Exit:
    """Evaluate one point and show what was written, run and read, and why it is or is not valid."""
    from rayscan.check import check_point, text_of
    from rayscan.scan import Scan

    scan = Scan.from_file(config, evaluators=0)
    if cluster:
        return _check_cluster(scan, as_json=as_json)
    details = check_point(scan.problem, dict(_assignment(text) for text in point or []), scan.options.scratch)
    _say(json.dumps(details, indent=1, default=str) if as_json else text_of(details))
    return Exit.FAILED if details["status"] in {"tool_error", "timeout"} else Exit.DONE


def _check_cluster(scan: Scan, *, as_json: bool) -> Exit:
    from rayscan.engine.node_report import table_of
    from rayscan.engine.nodes import inspect_cluster

    reports = inspect_cluster(scan.problem.tool, scan.problem.space.names, scan.options.scratch)
    _say(json.dumps([dataclasses.asdict(one) for one in reports], indent=1) if as_json else table_of(reports))
    return Exit.FAILED if any(one.complaint for one in reports) else Exit.DONE


@app.command()
@_tells
def status(run: Run, *, as_json: AsJSON = False) -> None:
    """Say how a scan is getting on, from any terminal."""
    from rayscan.progress import Progress
    from rayscan.progress import published as read_progress
    from rayscan.store import RunDirectory, live_holder

    directory, live = RunDirectory(run), live_holder(run) is not None
    published = read_progress(run)
    if as_json:
        typer.echo(json.dumps({"run": str(directory.path), "live": live, **(published or {})}))
        return
    if published is None:
        _say(f"{run}: {'starting' if live else 'not running'}, no progress yet")
        return
    # A clock may have been set back since.
    age = max(0.0, time.time() - published.get("time", time.time()))
    _say(f"{run}: {'running' if live else 'not running'}, as of {age:.0f} s ago")
    _say(Progress.of(published).line())


app.command()(watch)


@app.command()
@_tells
def stop(
    run: Run, *, wait: Annotated[float, typer.Option(help="Wait up to this many seconds for the end.")] = 0.0
) -> Exit:
    """Ask a running scan to finish the points under way, save and end."""
    from rayscan.engine.recorder import STOP_FILE
    from rayscan.store import RunDirectory, live_holder

    directory = RunDirectory(run)
    if live_holder(run) is None:
        _say(f"{run}: no scan is running there")
        return Exit.DONE
    part = directory.path / f"{STOP_FILE}.part"
    part.touch()
    part.replace(directory.path / STOP_FILE)
    _say(f"{run}: asked to stop")
    end = time.monotonic() + wait
    while wait and live_holder(run) is not None:
        if time.monotonic() > end:
            _complain(f"{run} is still running after {wait:g} s; it ends when the points under way have")
            return Exit.FAILED
        time.sleep(0.2)
    return Exit.DONE


@app.command()
@_tells
def report(
    run: Run,
    *,
    html: Annotated[
        Path | None,
        typer.Option(help="Write it as a page instead, with figures, in one file.", metavar="FILE.html"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there and is no report.")
    ] = False,
) -> None:
    """Print the summary of a run, also while it goes on; or write it as one page with figures."""
    from rayscan.results.result import open_run

    result = open_run(run)
    if html is None:
        _say(result.report())
    else:
        _say(f"report: {result.report_html(html, overwrite=overwrite)}")


@app.command()
@_tells
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
    _say(f"plot: {path}")


app.command()(export)
app.command()(spectra)


@app.command()
@_tells
def explain(
    section: Annotated[str | None, typer.Argument(help="A section, such as scan or target, or a kind of tool.")] = None,
) -> None:
    """Explain every key of scan.toml."""
    from rayscan.config.reference import reference

    typer.echo(reference(section), nl=False)


@app.command("import-dlscanner")
@_tells
def import_dlscanner(
    file: Annotated[Path, typer.Argument(help="DLScanner's input file.", metavar="input.txt")],
    *,
    to: Annotated[Path, typer.Option(help="Where to write the configuration.")] = Path("scan.toml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Turn an input file of DLScanner's SPheno or micrOMEGAs module into a scan.toml."""
    from rayscan.compat.dlscanner_input import import_input

    text = import_input(file)
    if to.exists() and not overwrite:
        msg = f"{to} exists; nothing was changed, choose another name with --to"
        raise ConfigError(msg)
    to.write_text(text, encoding="utf-8")
    _say(f"{to}: try `rayscan check {to}`")


def _preflight(scan: Scan, config: Path) -> None:
    from rayscan.check import preflight

    trouble = preflight(scan.problem, scan.options.scratch)
    if trouble:
        msg = (
            f"{config}: the point in the middle of all ranges does not work: {trouble}\n"
            f"nothing was started; `rayscan check {config}` shows all of it, and --no-preflight scans all the same"
        )
        raise ConfigError(msg)


def _default_out(config: Path) -> Path:
    name = config.absolute().parent.name if config.stem == "scan" else config.stem
    return Path("runs") / name


def _goal(configuration: Configuration, given: dict[str, Any]) -> dict[str, Any]:
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


def _assignment(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        msg = f"--point {text}: expected name=value, such as --point tanb=10"
        raise ConfigError(msg) from None


def _summarise(result: ScanResult, *, plot: bool) -> None:
    """Say in a few lines what was found, and where report, table and picture are."""
    from rayscan.results.result import tally

    report = result.path / REPORT
    report.write_text(result.report() + "\n", encoding="utf-8")
    valid, total = result.valid.num_rows, len(result)
    lines = {
        "valid": f"{valid:,} of {total:,} evaluations" + (f", {valid / total:.1%}" if total else ""),
        "not ok": ", ".join(f"{count:,} {status}" for status, count in tally(result.table).items() if status != "ok"),
        "volume": str(result.volume()),
        "report": f"{report}   (as a page with figures: `rayscan report {result.path} --html report.html`)",
        "table": f"{result.path}   (rayscan.open_run, or `rayscan export {result.path} --to points.parquet`)",
    }
    if plot and valid:
        try:
            result.plot.corner(result.path / CORNER)
        except RayscanError as error:
            _complain(f"no plot: {error}")
        else:
            lines["plot"] = str(result.path / CORNER)
    _say("\n".join(f"{name + ':':8}{text}" for name, text in lines.items() if text))


class _Plain(logging.Formatter):
    """Warnings as the other messages of the command line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"rayscan: {printable(record.getMessage())}"


def main() -> None:
    """Run the command line."""
    stand_in()
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain())
    logging.getLogger("rayscan").addHandler(handler)
    app()


if __name__ == "__main__":
    main()
