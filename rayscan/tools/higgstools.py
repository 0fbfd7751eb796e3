"""HiggsTools as a Python tool: its data sets are loaded once in each evaluator."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rayscan.errors import ConfigError, did_you_mean
from rayscan.problem.identity import fingerprint_function
from rayscan.problem.space import check_name
from rayscan.tools.base import Outcome, Stage, Status, Tool
from rayscan.tools.verdict import clip

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Sandbox

QUANTITIES = ("allowed", "obsratio", "chi2", "observables")


class HiggsTools(Tool):
    """HiggsBounds and HiggsSignals as the Python package HiggsTools, usually a stage behind a spectrum generator.

    Parameters
    ----------
    bounds : path-like, optional
        The HiggsBounds data set (``hbdataset``).
    signals : path-like, optional
        The HiggsSignals data set (``hsdataset``).
    read : mapping of str to str
        Observable to quantity: ``allowed`` (1 or 0), ``obsratio`` (largest of all bosons, below 1 allowed),
        ``obsratio:25`` (that of one boson, 0 when no limit applies to it), ``chi2``, ``observables`` (their number).
    spectrum : str
        SLHA file in the point's directory with effective couplings as HiggsBounds-5 reads them.
    neutral, charged : sequence of int
        PDG codes of the Higgs bosons.
    predictions : callable, optional
        Takes the point (parameters and earlier observables by name) and returns a ``Higgs.predictions.Predictions``,
        instead of reading `spectrum`: for explicit couplings. It must be importable in the evaluators.
    name : str

    Raises
    ------
    ConfigError
        For an unknown quantity; `check` finds a missing package or data set.

    References
    ----------
    .. [1] H. Bahl et al., HiggsTools, Comput. Phys. Commun. 291 (2023) 108803, arXiv:2210.09332.
    """

    def __init__(
        self,
        *,
        read: Mapping[str, str],
        bounds: str | Path | None = None,
        signals: str | Path | None = None,
        spectrum: str = "SPheno.spc",
        neutral: Sequence[int] = (25, 35, 36),
        charged: Sequence[int] = (37,),
        predictions: Callable[[Mapping[str, float]], Any] | None = None,
        name: str = "HiggsTools",
        base: str | Path | None = None,
    ) -> None:
        self.name = name
        self.read = {check_name("observable", observable): quantity for observable, quantity in read.items()}
        self.outputs = tuple(self.read)
        root = Path(base or ".").absolute()
        self.bounds = root / Path(bounds).expanduser() if bounds is not None else None
        self.signals = root / Path(signals).expanduser() if signals is not None else None
        self.spectrum = spectrum
        self.neutral, self.charged = tuple(map(int, neutral)), tuple(map(int, charged))
        self.predictions = predictions
        self._bounds: Any = None
        self._signals: Any = None
        for observable, quantity in self.read.items():
            self._check_quantity(observable, quantity)

    def _check_quantity(self, observable: str, quantity: str) -> None:
        kind, _, particle = quantity.partition(":")
        if kind not in QUANTITIES or (particle and kind != "obsratio"):
            msg = f"observable {observable!r}: HiggsTools gives no {quantity!r}{did_you_mean(quantity, QUANTITIES)}"
            raise ConfigError(msg)
        wanted = ("bounds", self.bounds) if kind in ("allowed", "obsratio") else ("signals", self.signals)
        if wanted[1] is None:
            msg = f"observable {observable!r}: {quantity!r} needs the data set {wanted[0]}=, which is not given"
            raise ConfigError(msg)

    def check(self, parameters: Sequence[str]) -> None:  # noqa: ARG002 - it reads what earlier stages wrote
        if not self.read:
            msg = f"{self.name}: nothing is read; expected at least one of {', '.join(QUANTITIES)} in read="
            raise ConfigError(msg)
        for key, path in (("bounds", self.bounds), ("signals", self.signals)):
            if path is not None and not path.is_dir():
                msg = f"{self.name}: {key} = {path} is not a directory; expected a data set of HiggsTools"
                raise ConfigError(msg)
        if not _is_installed():
            msg = (
                f"{self.name}: the Python package HiggsTools is not installed ('import Higgs' fails). It is not on the "
                "Python package index: build it from its repository, https://gitlab.com/higgsbounds/higgstools"
            )
            raise ConfigError(msg)

    def describe(self) -> dict[str, Any]:
        return {
            "tool": "HiggsTools",
            "outputs": list(self.outputs),
            "read": dict(self.read),
            "bounds": str(self.bounds) if self.bounds else None,
            "signals": str(self.signals) if self.signals else None,
            "spectrum": self.spectrum if self.predictions is None else None,
            "neutral": list(self.neutral),
            "charged": list(self.charged),
            "predictions": fingerprint_function(self.predictions) if self.predictions else None,
        }

    def open(self, scratch: Path) -> None:  # noqa: ARG002 - it keeps nothing on disk
        if self.bounds is not None:
            self._bounds = importlib.import_module("Higgs.bounds").Bounds(str(self.bounds))
        if self.signals is not None:
            self._signals = importlib.import_module("Higgs.signals").Signals(str(self.signals))

    def close(self) -> None:
        self._bounds = self._signals = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_bounds": None, "_signals": None}

    def evaluate(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        if self.predictions is None and not (sandbox.directory / self.spectrum).is_file():
            message = (
                f"{self.name}: no file {self.spectrum} in the point's directory; expected an earlier stage to write it"
            )
            return Outcome(Status.TOOL_ERROR, message=message)
        try:
            values = self._values(self._predict(point, sandbox.directory / self.spectrum))
        except Exception as error:  # noqa: BLE001 - whatever the package raises at a point is that point's failure
            message = clip(f"{self.name}: {type(error).__name__}: {error}")
            return Outcome(Status.TOOL_ERROR, message=message, stages=(Stage(self.name, Status.TOOL_ERROR, 0.0),))
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            return Outcome(Status.UNPHYSICAL, message=f"{self.name}: {', '.join(bad)} is not a finite number")
        return Outcome(Status.OK, values)

    def _predict(self, point: Mapping[str, float], spectrum: Path) -> Any:
        if self.predictions is not None:
            return self.predictions(point)
        reader = importlib.import_module("Higgs.tools.Input")
        data = reader.readHB5SLHA(str(spectrum), list(self.neutral), list(self.charged))
        return reader.predictionsFromDict(data, list(map(str, self.neutral)), list(map(str, self.charged)), [])

    def _values(self, predictions: Any) -> dict[str, float]:
        """Return the observables; each data set is asked once."""
        bounds: Any = self._bounds(predictions) if self._bounds is not None else None
        chi2 = float(self._signals(predictions)) if self._signals is not None else math.nan
        values = {}
        for observable, quantity in self.read.items():
            kind, _, particle = quantity.partition(":")
            if kind == "allowed":
                values[observable] = float(bounds.allowed)
            elif kind == "chi2":
                values[observable] = chi2
            elif kind == "observables":
                values[observable] = float(self._signals.observableCount())
            else:
                limits = bounds.selectedLimits
                chosen = [limits[particle]] if particle in limits else [] if particle else list(limits.values())
                values[observable] = max((float(limit.obsRatio()) for limit in chosen), default=0.0)
        return values


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec("Higgs") is not None
    except (ImportError, ValueError):
        return False
