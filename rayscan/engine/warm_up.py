"""The first point, alone: some programs compile or unpack things on first use, and would do so all at once."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from rayscan.problem.statement import Problem
from rayscan.sandbox.workshop import Workshop
from rayscan.tools.base import Status

logger = logging.getLogger("rayscan")

ATTEMPTS = 10
"""Points tried, in case the first ones are unphysical."""


def warm_up(problem: Problem, run_id: str, scratch: str | None = None) -> None:
    """Take a tool that asks for it through one good point before its evaluators start.

    Parameters
    ----------
    problem : Problem
    run_id : str
        Names the scratch directory.
    scratch : str, optional
        Root of the scratch directories.
    """
    tool = problem.tool
    if not tool.needs_warm_up:
        return
    workshop = Workshop(scratch=Path(scratch) if scratch else None, run_id=run_id, worker="warm-up")
    try:
        tool.open(workshop.directory)
        u = problem.space.domain.draw(ATTEMPTS, np.random.default_rng(0))
        for number, x in enumerate(problem.space.to_physical(u).tolist()):
            with workshop.sandbox(number, 1) as sandbox:
                outcome = tool.warm_up(dict(zip(problem.space.names, x, strict=True)), sandbox)
            if outcome.status is Status.OK:
                return
        logger.warning("%s: none of %d first points was ok; the last said: %s", tool.name, ATTEMPTS, outcome.message)
    finally:
        tool.close()
        workshop.close()
