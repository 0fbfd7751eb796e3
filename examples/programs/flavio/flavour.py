"""flavio as a tool: imported once in each evaluator, which is what takes its time."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.sandbox.sandbox import Sandbox
from rayscan.tools.base import Outcome, Status


class Flavour(rs.Tool):
    """Flavour observables as functions of Wilson coefficients.

    Every parameter of the scan is the real part of the coefficient of that name.

    Parameters
    ----------
    observables : mapping of str to sequence
        Column to flavio's name of the observable and its arguments, such as ``["<P5p>(B0->K*mumu)", 4, 6]``.
    scale : float
        In GeV.
    eft, basis : str
        As flavio calls them.
    """

    name = "flavio"

    def __init__(
        self, observables: Mapping[str, Sequence[Any]], scale: float = 4.8, eft: str = "WET", basis: str = "flavio"
    ) -> None:
        self.observables = {column: tuple(one) for column, one in observables.items()}
        self.outputs = tuple(self.observables)
        self.scale, self.eft, self.basis = scale, eft, basis
        self._flavio: Any = None
        self._wilson: Any = None

    def check(self, parameters: Sequence[str]) -> None:  # noqa: ARG002 - as every tool
        """Find what is missing before anything starts."""
        if importlib.util.find_spec("flavio") is None:
            msg = "flavio is not installed where rayscan runs; try: pip install flavio"
            raise ConfigError(msg)

    def describe(self) -> dict[str, Any]:
        """Say what defines the results: it is compared when a scan is resumed."""
        settings = {"scale": self.scale, "eft": self.eft, "basis": self.basis}
        return {**super().describe(), **settings, "observables": {k: list(v) for k, v in self.observables.items()}}

    def open(self, scratch: Path) -> None:  # noqa: ARG002 - as every tool
        """Load the package."""
        import flavio
        import wilson

        self._flavio, self._wilson = flavio, wilson.Wilson

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:  # noqa: ARG002 - as every tool
        """Predict the observables of one point."""
        coefficients = self._wilson(dict(point), scale=self.scale, eft=self.eft, basis=self.basis)
        values = {
            column: float(self._flavio.np_prediction(name, coefficients, *arguments))
            for column, (name, *arguments) in self.observables.items()
        }
        return Outcome(Status.OK, values)
