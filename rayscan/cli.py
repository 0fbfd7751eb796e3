"""The command line. What a command needs is imported when it runs, so that ``rayscan --help`` is quick."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from rayscan.commands import check, explain, export, import_dlscanner, plot, report, run, slurm, spectra, status, watch
from rayscan.commands.outcome import say
from rayscan.commands.run import EPILOG
from rayscan.errors import printable
from rayscan.watch.console import stand_in

app = typer.Typer(
    name="rayscan",
    help="Parallel active-learning scans of parameter spaces: `rayscan run scan.toml`.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        import rayscan

        say(f"rayscan {rayscan.__version__}")
        raise typer.Exit


@app.callback()
def rayscan(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Parallel active-learning scans of parameter spaces: `rayscan run scan.toml`."""


app.command(epilog=EPILOG)(run.run)
app.command(epilog=check.EPILOG)(check.check)
app.command()(slurm.slurm)
app.command()(status.status)
app.command()(watch.watch)
app.command()(status.stop)
app.command()(report.report)
app.command()(plot.plot)
app.command()(export.export)
app.command()(spectra.spectra)
app.command()(explain.explain)
app.command("import-dlscanner")(import_dlscanner.import_dlscanner)


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
