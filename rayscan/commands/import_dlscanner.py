"""``rayscan import-dlscanner``: a scan.toml from an input file of DLScanner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rayscan.commands.outcome import say, tells
from rayscan.errors import ConfigError


@tells
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
    say(f"{to}: try `rayscan check {to}`")
