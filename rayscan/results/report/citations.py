"""What to cite of a scan: what it used, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Any

import rayscan
from rayscan.results.report.problem import stages_of

PROGRAMS = {
    r"SPheno[\d.]*": ("Porod:2003um", "Porod:2011nf"),
    r"SPheno[A-Za-z]\w*": ("Porod:2003um", "Porod:2011nf", "Staub:2013tta"),
    r"softpoint(\.x)?": ("Allanach:2001kg",),
    r"HiggsBounds": ("Bechtle:2020pkv",),
    r"HiggsSignals": ("Bechtle:2020uwn", "Bechtle:2020pkv"),
    r"madevent|mg5_aMC|generate_events": ("Alwall:2014hca",),
}
"""Names of executables, and what whoever runs them cites."""
TOOLS = {"MicrOMEGAs": ("Alguero:2023zol",), "HiggsTools": ("Bahl:2022igd",)}
"""Kinds of tool whose program may have any name."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A paper or a program.

    Attributes
    ----------
    key : str
    title : str
    where : str
        arXiv number or place of publication.
    bibtex : str
    """

    key: str
    title: str
    where: str
    bibtex: str


def citations(
    description: Mapping[str, Any], details: Mapping[str, Any], versions: Mapping[str, str]
) -> list[Citation]:
    """Return what a run used: rayscan, the paper's method and the VEGAS map if it took them, Ray, PyTorch, programs.

    Parameters
    ----------
    description, details, versions : mapping
        Of a `rayscan.store.RunDirectory`. What is not said there counts as used, except for programs.
    """
    options = details.get("options") or {}
    learn = options.get("learn") or {} if isinstance(options, Mapping) else {}
    papers = learn.get("surrogate", "?") != "auto" or learn.get("selection") == "paper"
    keys = ["rayscan"]
    if papers:
        keys.append("Hammad:2024tzz")
    if papers and learn.get("proposal", "vegas") == "vegas":
        keys.append("Lepage:2020tgj")
    if options.get("evaluators") != 0:
        keys.append("moritz2018ray")
    keys.append("Paszke:2019xhz")
    tool = description.get("tool")
    for stage in stages_of(tool) if isinstance(tool, Mapping) else []:
        keys += _of_program(stage)
    known = _library(versions.get("rayscan", rayscan.__version__))
    return [known[key] for key in dict.fromkeys(keys)]


def _of_program(tool: Mapping[str, Any]) -> list[str]:
    keys = list(TOOLS.get(str(tool.get("tool")), ()))
    commands = [command for command in tool.get("command") or () if isinstance(command, list | tuple) and command]
    for command in commands:
        name = PurePath(str(command[0])).name
        for pattern, papers in PROGRAMS.items():
            if re.fullmatch(pattern, name):
                keys += papers
    read = tool.get("read")
    if isinstance(read, Mapping) and any(
        isinstance(place, Mapping) and place.get("kind") == "slha" for place in read.values()
    ):
        keys.append("Skands:2003cj")
    return keys


def _library(version: str) -> dict[str, Citation]:
    """Return everything there is to cite, by key."""
    text = resources.files(__package__).joinpath("references.bib").read_text(encoding="utf-8")
    found = {}
    for entry in re.findall(r"^@.*?^}", text.replace("VERSION", version), re.MULTILINE | re.DOTALL):
        key = re.match(r"@\w+\{([^,]+),", entry)
        fields = dict(re.findall(r'^  (\w+) = "\{?(.*?)\}?",?$', entry, re.MULTILINE))
        assert key is not None
        eprint = fields.get("eprint", "")
        number = eprint if "/" in eprint else f"arXiv:{eprint}"
        place = number if eprint else f"version {fields['version']}" if "version" in fields else fields.get("year", "")
        found[key[1]] = Citation(key[1], fields["title"], place, entry)
    return found
