"""``rayscan explain``: what each key of scan.toml means."""

from __future__ import annotations

from typing import Annotated

import typer

from rayscan.commands.outcome import tells


@tells
def explain(
    section: Annotated[str | None, typer.Argument(help="A section, such as scan or target, or a kind of tool.")] = None,
) -> None:
    """Explain every key of scan.toml."""
    from rayscan.config.reference import reference

    typer.echo(reference(section), nl=False)
