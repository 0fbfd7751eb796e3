"""Pages of the documentation site that are made from the program itself: every key of scan.toml, every command.

A hook of ``mkdocs build``; see ``mkdocs.yml``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer

from rayscan.cli import app
from rayscan.config.reference import reference, sections

if TYPE_CHECKING:
    from mkdocs.structure.files import Files


def keys() -> str:
    """Return the page of every key of a configuration file."""
    parts = [
        "# Every key of scan.toml\n\n`rayscan explain` prints this page, `rayscan explain SECTION` a part of it.\n"
    ]
    parts += [f"## {name}\n\n```toml\n{reference(name)}```\n" for name in sections()]
    return "\n".join(parts)


def commands() -> str:
    """Return the page of every command, with its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = ["# Commands\n\n`rayscan COMMAND --help` says the same.\n"]
    context = group.context_class(group, info_name="rayscan")
    for name, command in group.commands.items():
        inner = command.context_class(command, info_name=name, parent=context)
        usage = f"rayscan {name} " + " ".join(command.collect_usage_pieces(inner))
        parts.append(f"## {name}\n\n{_plain(command.help)}\n\n    {usage}\n\n" + _table(command, inner))
    epilog = _plain(app.info.epilog if isinstance(app.info.epilog, str) else "")
    return "\n".join([*parts, epilog, ""])


def _table(command: Any, context: Any) -> str:
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            name, text = (_plain(cell).replace("|", "\\|") for cell in record)
            rows.append(f"| `{name}` | {text} |")
    return "\n".join(["| option | |", "|---|---|", *rows, ""]) if rows else ""


def _plain(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").strip()


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages."""
    from mkdocs.structure.files import File

    for name, content in (("scan_toml.md", keys()), ("commands.md", commands())):
        files.append(File.generated(config, name, content=content))
    return files
