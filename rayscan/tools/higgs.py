"""HiggsBounds and HiggsSignals as programs, fed by a spectrum or by SPheno's side files; results by column name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rayscan.errors import ConfigError, did_you_mean
from rayscan.sandbox.limits import Limits
from rayscan.tools.base import Status
from rayscan.tools.command import Command
from rayscan.tools.higgstools import HiggsTools
from rayscan.tools.inputs import FromStage, InputFile, Template
from rayscan.tools.outputs import Outputs
from rayscan.tools.readers import Column, Reader, Reading, SLHAEntry, as_reader
from rayscan.tools.verdict import Success, Verdict

__all__ = ["HiggsBounds", "HiggsSignals", "HiggsTools"]

Mode = Literal["effC", "SLHA", "stem"]
MODES = ("effC", "SLHA", "stem")
#: The copy of the spectrum to which the programs append their blocks, and the stem under which they look for it.
STEM, COPY = "hb", "hb.1"
UNCERTAINTIES = "MHall_uncertainties.dat"

#: Result columns of HiggsBounds to entries of the block that it appends to an SLHA file.
BOUNDS_ENTRIES = {"chan": "1 1", "HBresult": "1 2", "obsratio": "1 3", "ncomb": "1 4"}
#: The same for HiggsSignals-1; HiggsSignals-2 numbers its block differently.
SIGNALS_ENTRIES = {
    "nobs(mu)": "4", "nobs(mh)": "5", "nobs(tot)": "7",
    "csq(mu)": "11", "csq(mh)": "9", "csq(tot)": "12", "Pvalue": "13",
}  # fmt: skip
_BOUNDS_COLUMNS = (
    "n",
    "Mh(1)",
    "Mhplus(1)",
    *BOUNDS_ENTRIES.keys() - {"chan", "obsratio", "ncomb"},
    "chan",
    "obsratio",
    "ncomb",
)
_SIGNALS_COLUMNS = ("n", "Mh(1)", "Mhplus(1)", *SIGNALS_ENTRIES)


class HiggsBounds(Command):
    """HiggsBounds 4 or 5.

    Parameters
    ----------
    path : path-like
        The program ``HiggsBounds``; with ``mode="stem"``, ``HBwithSLHA``.
    read : mapping of str to str or Reader
        Observable to result column: ``HBresult`` (1 allowed, 0 excluded), ``obsratio`` (below 1 allowed), ``chan``,
        ``ncomb``, and ``Mh(1)`` and the like in effC mode; or any other reader.
    mode : {"effC", "SLHA", "stem"}
        ``effC``: from the side files that a SARAH-generated SPheno left in the point's directory
        (``HiggsBounds LandH effC 3 1 ./``). ``SLHA``: from a copy of the spectrum, to which it appends its results
        (``HiggsBounds LandH SLHA 3 1 hb.1``). ``stem``: the example program ``HBwithSLHA 1 hb``.
    neutral, charged : int
        Number of neutral and charged Higgs bosons, as in the model and in this order.
    analyses : str
        ``LandH``, ``onlyL``, ``onlyH``, ``onlyP``.
    spectrum : str
        The spectrum in the point's directory, for the modes that read one.
    timeout, limits, env, keep_files, name, base
        As for `Command`.

    Notes
    -----
    ``HBresult = -1`` makes the point unphysical.

    References
    ----------
    .. [1] P. Bechtle et al., HiggsBounds-5, Eur. Phys. J. C 80 (2020) 1211, arXiv:2006.06007.
    """

    results = "HiggsBounds_results.dat"
    block = "HiggsBoundsResults"
    entries: Mapping[str, str] = BOUNDS_ENTRIES
    columns: Sequence[str] = _BOUNDS_COLUMNS
    usual_limits = Limits(timeout=300.0, file_bytes=256 * 2**20)

    def __init__(
        self,
        path: str | Path | Sequence[str],
        *,
        read: Mapping[str, Any],
        mode: Mode = "effC",
        neutral: int = 3,
        charged: int = 1,
        analyses: str = "LandH",
        spectrum: str = "SPheno.spc",
        timeout: float | Literal["auto"] = "auto",
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        keep_files: Sequence[str] = (),
        name: str = "HiggsBounds",
        base: str | Path | None = None,
    ) -> None:
        arguments = [analyses, mode, str(neutral), str(charged), "./" if mode == "effC" else COPY]
        self._start(
            path, arguments, {}, mode, spectrum, read=read, timeout=timeout, limits=limits, env=env,
            keep_files=keep_files, name=name, base=base,
        )  # fmt: skip

    def _start(
        self,
        path: str | Path | Sequence[str],
        arguments: list[str],
        files: dict[str, InputFile],
        mode: str,
        spectrum: str,
        **options: Any,
    ) -> None:
        """Set up the command that both programs share."""
        if mode not in MODES:
            msg = f"{options['name']}: mode = {mode!r}; expected one of {', '.join(MODES)}"
            raise ConfigError(msg)
        self.mode = mode
        program = list(path) if not isinstance(path, str | Path) else [str(path)]
        super().__init__(
            [*program, *(["1", STEM] if mode == "stem" else arguments)],
            files=files if mode == "effC" else {**files, COPY: FromStage(spectrum)},
            output=self.results if mode == "effC" else COPY,
            success=Success(forbid=()),
            **options,
        )

    def reader(self, observable: str, spec: object) -> Reader:
        return as_reader(observable, spec, default=lambda column: self._result(observable, column))

    def _result(self, observable: str, column: str) -> Reader:
        """Return the reader of a result column, wherever this mode puts it."""
        if self.mode == "effC":
            if column not in self.columns and not column.startswith(("Mh(", "Mhplus(")):
                near = did_you_mean(column, self.columns)
                msg = f"observable {observable!r}: {self.results} has no column {column!r}{near}"
                raise ConfigError(msg)
            return Column(column)
        if column in self.entries:
            return SLHAEntry(f"{self.block} {self.entries[column]}")
        msg = (
            f"observable {observable!r}: {column!r} is not known in the block {self.block}"
            f"{did_you_mean(column, self.entries)}; give its entry, such as 'slha:{self.block} 1'"
        )
        raise ConfigError(msg)

    def judge_readings(self, readings: Mapping[str, Reading], outputs: Outputs) -> Verdict:
        if "HBresult" in self.entries:
            flag = self._result("HBresult", "HBresult").read(outputs, self.output)
            if flag.value == -1:
                return Verdict(
                    Status.UNPHYSICAL, f"HiggsBounds: HBresult = -1 in {self.output}: the input is unphysical"
                )
        return super().judge_readings(readings, outputs)


class HiggsSignals(HiggsBounds):
    """HiggsSignals 1 or 2.

    Parameters
    ----------
    path : path-like
        The program ``HiggsSignals``; with ``mode="stem"``, ``HSwithSLHA`` or ``HBandHSwithSLHA``.
    read : mapping of str to str or Reader
        Observable to result column: ``csq(mu)``, ``csq(mh)``, ``csq(tot)``, ``nobs(tot)``, ``Pvalue``, …
    mode : {"effC", "SLHA", "stem"}
        As for `HiggsBounds`. HiggsSignals-2 numbers its SLHA block differently: there, give ``slha:`` entries.
    version : {2, 1}
        The command line: ``latestresults 2 effC …``, or with ``peak`` in front of the 2.
    pdf : int
        Mass uncertainty: 1 box, 2 Gaussian, 3 both.
    mass_uncertainty : float or sequence of float or None
        Theory uncertainty of the masses in GeV, one for all or one for each neutral and charged Higgs boson; written to
        ``MHall_uncertainties.dat`` in effC mode. None when an earlier stage wrote that file.
    neutral, charged, spectrum, timeout, limits, env, keep_files, name, base
        As for `HiggsBounds`.

    References
    ----------
    .. [1] P. Bechtle et al., HiggsSignals-2, Eur. Phys. J. C 81 (2021) 145, arXiv:2012.09197.
    """

    results = "HiggsSignals_results.dat"
    block = "HiggsSignalsResults"
    columns = _SIGNALS_COLUMNS

    def __init__(
        self,
        path: str | Path | Sequence[str],
        *,
        read: Mapping[str, Any],
        mode: Mode = "effC",
        version: Literal[1, 2] = 2,
        neutral: int = 3,
        charged: int = 1,
        observables: str = "latestresults",
        pdf: int = 2,
        mass_uncertainty: float | Sequence[float] | None = 3.0,
        spectrum: str = "SPheno.spc",
        timeout: float | Literal["auto"] = "auto",
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        keep_files: Sequence[str] = (),
        name: str = "HiggsSignals",
        base: str | Path | None = None,
    ) -> None:
        if version not in (1, 2):
            msg = f"{name}: version = {version!r}; expected 1 or 2"
            raise ConfigError(msg)
        self.entries = SIGNALS_ENTRIES if version == 1 else {}
        peak = ["peak"] if version == 1 else []
        bosons = [str(neutral), str(charged)]
        arguments = [observables, *peak, str(pdf), mode, *bosons, "./" if mode == "effC" else COPY]
        files: dict[str, InputFile] = {}
        if mode == "effC" and mass_uncertainty is not None:
            files[UNCERTAINTIES] = Template(_uncertainties(name, mass_uncertainty, neutral + charged))
        self._start(
            path, arguments, files, mode, spectrum, read=read, timeout=timeout, limits=limits, env=env,
            keep_files=keep_files, name=name, base=base,
        )  # fmt: skip


def _uncertainties(name: str, values: float | Sequence[float], bosons: int) -> str:
    """Return the one line of ``MHall_uncertainties.dat``."""
    each = [float(values)] * bosons if isinstance(values, int | float) else [float(value) for value in values]
    if len(each) != bosons or min(each) < 0:
        msg = f"{name}: mass_uncertainty = {values!r}; expected one number >= 0, or {bosons} of them"
        raise ConfigError(msg)
    return f"1  {'  '.join(f'{value:.10E}' for value in each)}\n"
