"""SModelS as a tool: its database is loaded once in each evaluator, its cross sections are computed by its program."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.sandbox.limits import Limits
from rayscan.sandbox.sandbox import Sandbox
from rayscan.tools.base import Outcome, Status


class SModelS(rs.Tool):
    """The largest ratio of a predicted cross section to its limit, for a spectrum that an earlier stage wrote.

    Parameters
    ----------
    database : str
        A directory, or a name that SModelS knows.
    spectrum : str
        The spectrum in the point's directory.
    events : int
        That Pythia simulates for the cross sections at 13 TeV.
    program : str
        SModelS' tools.
    timeout : float
        Seconds for the cross sections.
    """

    name = "SModelS"
    outputs = ("r_max", "predictions")

    def __init__(
        self,
        database: str = "official",
        spectrum: str = "SPheno.spc",
        events: int = 10000,
        program: str = "smodelsTools.py",
        timeout: float = 900.0,
    ) -> None:
        self.database, self.spectrum, self.events = database, spectrum, events
        self.program, self.timeout = program, timeout
        self._loaded: Any = None

    def check(self, parameters: Sequence[str]) -> None:  # noqa: ARG002 - as every tool
        """Find what is missing before anything starts."""
        if importlib.util.find_spec("smodels") is None:
            msg = "SModelS is not installed where rayscan runs; try: pip install smodels"
            raise ConfigError(msg)

    def describe(self) -> dict[str, Any]:
        """Say what defines the results: it is compared when a scan is resumed."""
        return {**super().describe(), "database": self.database, "events": self.events}

    def open(self, scratch: Path) -> None:  # noqa: ARG002 - as every tool
        """Load the database."""
        from smodels.experiment.databaseObj import Database

        self._loaded = Database(self.database)

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:  # noqa: ARG002 - as every tool
        """Add cross sections to the spectrum, decompose it, and compare with the database."""
        spectrum = sandbox.path(self.spectrum)
        command = [self.program, "xseccomputer", "-s", "13", "-e", str(self.events), "-p", "-f", str(spectrum)]
        run = sandbox.run(command, limits=Limits(timeout=self.timeout), name="xseccomputer")
        if run.timed_out:
            return Outcome(Status.TIMEOUT, message=run.describe()[:400])
        if run.exit_code != 0:
            return Outcome(Status.TOOL_ERROR, message=run.describe()[:400], exit_code=run.exit_code, signal=run.signal)
        ratios = self._ratios(str(spectrum))
        # A spectrum that no analysis is sensitive to is not excluded.
        worst = max(ratios, default=0.0)
        if not math.isfinite(worst):
            return Outcome(Status.TOOL_ERROR, message=f"SModelS: r = {worst}")
        return Outcome(Status.OK, {"r_max": worst, "predictions": float(len(ratios))})

    def _ratios(self, spectrum: str) -> list[float]:
        from smodels.base.model import Model
        from smodels.base.physicsUnits import GeV, fb
        from smodels.decomposition import decomposer
        from smodels.matching.theoryPrediction import theoryPredictionsFor
        from smodels.share.models.mssm import BSMList
        from smodels.share.models.SMparticles import SMList

        model = Model(BSMparticles=BSMList, SMparticles=SMList)
        model.updateParticles(inputFile=spectrum)
        topologies = decomposer.decompose(model, sigmacut=0.1 * fb, minmassgap=5 * GeV)
        ratios = (one.getRValue() for one in theoryPredictionsFor(self._loaded, topologies) or [])
        # An analysis without a limit for this point has none.
        return [float(ratio) for ratio in ratios if ratio is not None]
