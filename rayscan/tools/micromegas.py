"""micrOMEGAs: a model's ``main`` run on a parameter file or a spectrum, its numbers read by name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rayscan.errors import ConfigError, did_you_mean
from rayscan.sandbox.limits import Limits
from rayscan.tools.base import Outcome, Status
from rayscan.tools.command import Command, Keep
from rayscan.tools.inputs import InputFile, NameValue, SLHAFile
from rayscan.tools.number import NUMBER
from rayscan.tools.outputs import Outputs
from rayscan.tools.readers import Reader, Reading, Regex, as_reader
from rayscan.tools.verdict import Success, Verdict, last_line

if TYPE_CHECKING:
    from rayscan.sandbox.sandbox import Sandbox

PARAMETERS = "data.par"
_NOT_BRACKETED = r"(?:\s*\[[^\]]*\])?"
_CROSS_SECTION = rf"^\s*@nucleon\s+SI\s+({NUMBER}){_NOT_BRACKETED}\s+SD\s+({NUMBER})"
_AMPLITUDE = rf"^\s*@nucleon:\s+SI\s+({NUMBER}){_NOT_BRACKETED}\s+SD\s+({NUMBER})"
_CALCULATION_FAILED = re.compile(
    r"can\s?not calculate|can't calculate|charged|is not a? ?neutral|color particle|no DM|mass.*problem", re.IGNORECASE
)

#: What can be read by name: a pattern of standard output and the group with the number.
QUANTITIES: dict[str, tuple[str, int]] = {
    "Omega": (rf"\b(?:dark)?Omega\s*=\s*({NUMBER})", 1),
    "darkOmega": (rf"\b(?:dark)?Omega\s*=\s*({NUMBER})", 1),
    "Xf": (rf"\bXf\s*=\s*({NUMBER})", 1),
    "err": (rf"Omega\s*=.*\berr\s*=\s*({NUMBER})", 1),
    "VWdecay": (rf"\bVWdecay\s*=\s*({NUMBER})", 1),
    "mass": (rf"Dark matter candidate is.*\bmass\s*=\s*({NUMBER})", 1),
    **{
        f"{nucleon}_{kind}{suffix}": (pattern.replace("@nucleon", nucleon), group)
        for suffix, pattern in (("", _CROSS_SECTION), ("_amplitude", _AMPLITUDE))
        for nucleon in ("proton", "neutron")
        for kind, group in (("SI", 1), ("SD", 2))
    },
}  # fmt: skip
_OMEGA = ("Omega", "darkOmega")


@dataclass(frozen=True)
class Printed(Regex):
    """A quantity of micrOMEGAs, which messages name by what is printed before it."""

    words: str = ""
    kind: ClassVar[str] = "micrOMEGAs"

    @property
    def where(self) -> str:
        return self.words

    def absent(self, file: str) -> str:
        return f"no line with {self.words} in {file}"

    def describe(self) -> dict[str, Any]:
        # What it reads is the pattern; the words are for people, and no run of an older version must differ by them.
        described = {**super().describe(), "kind": Regex.kind}
        del described["words"]
        return described


class MicrOMEGAs(Command):
    """The ``main`` of a compiled micrOMEGAs model.

    It is called by its absolute path from the point's own directory. The model's folder is never copied: the path of
    its ``work`` directory is compiled into the binary, so a copy would go on using the original.

    Parameters
    ----------
    path : path-like
        The executable ``main``, or the model's directory with ``main`` in it.
    write : mapping of str to str, or sequence of str, optional
        Parameter to name in the parameter file (a sequence when both are the same), or to SLHA address with `card`.
    read : mapping of str to str or Reader
        Observable to quantity: ``Omega`` (also ``darkOmega``), ``Xf``, ``err``, ``VWdecay``, ``mass``; cross sections
        in pb ``proton_SI``, ``proton_SD``, ``neutron_SI``, ``neutron_SD``; amplitudes in GeV^-2 with ``_amplitude``
        added; ``channel:~x1 ~x1 -> W+ W-`` for a contribution in per cent (NaN below the 1 % that is printed); or any
        other reader, such as an SLHA entry of a file, ``{slha = "DARKMATTER 1", file = "omg.out"}``.
    parameters : path-like or mapping of str to float, optional
        A ``name value`` file (read once, never changed), or the values of names that are not scanned.
    card : path-like, optional
        An SLHA card instead, for a main that reads SLHA.
    spectrum : str, optional
        Instead of both, the file in the point's directory that an earlier stage wrote, such as ``SPheno.spc``.
    processors : int
        ``nParProc``: how many processors it may use for compiling and computing.
    timeout : float or "auto"
        Seconds; by default learned, and 1800 at most, as in `Command`. A point that opens a new process makes
        micrOMEGAs compile, which can take minutes.
    warm_up_timeout : float
        Seconds for the first point, on which everything is compiled before the pool starts.
    limits, env, keep, keep_files, unused, name, base
        As for `Command`.

    Raises
    ------
    ConfigError
        For an empty parameter file (micrOMEGAs would silently take the model's defaults), and for an unknown quantity.

    Notes
    -----
    A point is unphysical when the relic density is NaN or not positive, ``err`` is not 0, or a constraint of the model
    cannot be calculated.

    References
    ----------
    .. [1] G. Alguero et al., micrOMEGAs 6.0, Comput. Phys. Commun. 299 (2024) 109133, arXiv:2312.14894.
    """

    needs_warm_up = True
    usual_limits = Limits(timeout=1800.0, file_bytes=2**30)

    def __init__(
        self,
        path: str | Path | Sequence[str],
        *,
        read: Mapping[str, Any],
        write: Mapping[str, str] | Sequence[str] | None = None,
        parameters: str | Path | Mapping[str, float] | None = None,
        card: str | Path | None = None,
        spectrum: str | None = None,
        processors: int = 1,
        timeout: float | Literal["auto"] = "auto",
        warm_up_timeout: float = 3600.0,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        keep: Keep | None = None,
        keep_files: Sequence[str] = (),
        unused: Sequence[str] = (),
        name: str = "micrOMEGAs",
        base: str | Path | None = None,
    ) -> None:
        files = _input_files(write, parameters, card, spectrum, base)
        super().__init__(
            [*_main(path, base), spectrum or PARAMETERS],
            files=files,
            read=read,
            timeout=timeout,
            limits=limits,
            success=Success(),
            env={"nParProc": str(processors), **(env or {})},
            keep=keep,
            keep_files=keep_files,
            unused=unused,
            name=name,
            base=base,
        )
        self.warm_up_timeout = warm_up_timeout
        self.inputs_from_stages = (spectrum,) if spectrum else ()
        reads_omega = any(self.read[o] == quantity(o, n) for o in self.read for n in _OMEGA)
        self._guards = {} if reads_omega else {"Omega": quantity("Omega", "Omega", optional=True)}
        self._guards["err"] = quantity("err", "err", optional=True)

    def reader(self, observable: str, spec: object) -> Reader:
        return as_reader(observable, spec, default=lambda name: quantity(observable, name))

    def check_stage(self, known: Sequence[str]) -> None:
        super().check_stage(known)
        variables = model_variables(self.commands[0].program)
        names = self.files.get(PARAMETERS)
        if not variables or not isinstance(names, NameValue):
            return
        for name in names.names:
            if name not in variables:
                msg = (
                    f"{self.name}: the model in {Path(self.commands[0].program).parent} has no variable "
                    f"{name!r}{did_you_mean(name, variables)}"
                )
                raise ConfigError(msg)

    def warm_up(self, point: Mapping[str, float], sandbox: Sandbox) -> Outcome:
        """Evaluate the first point, with the time that compiling takes.

        Run it once, before several evaluators start, so that they find the model's processes compiled.
        """
        usual = self.limits
        self.limits = dataclasses.replace(usual, timeout=self.warm_up_timeout)
        try:
            return self.evaluate(point, sandbox)
        finally:
            self.limits = usual

    def refusal(self, outputs: Outputs) -> Verdict | None:
        if outputs.exit_code not in (0, None):
            said = last_line(outputs.text("stdout")) or last_line(outputs.text("stderr"))
            if _CALCULATION_FAILED.search(outputs.text("stdout")):
                return Verdict(Status.UNPHYSICAL, f"micrOMEGAs cannot calculate the point: {said}")
            return Verdict(Status.TOOL_ERROR, f"micrOMEGAs: exit code {outputs.exit_code}: {said}")
        return super().refusal(outputs)

    def judge_readings(self, readings: Mapping[str, Reading], outputs: Outputs) -> Verdict:
        guards = {name: reader.read(outputs, "stdout") for name, reader in self._guards.items()}
        omegas = [r for o, r in readings.items() if self.read[o] in {quantity(o, n) for n in _OMEGA}]
        for reading in [*omegas, *([guards["Omega"]] if "Omega" in guards else [])]:
            if not reading.missing and not reading.value > 0:
                return Verdict(Status.UNPHYSICAL, f"no relic density: Omega = {reading.text}")
        error = guards["err"]
        if not error.missing and error.value != 0:
            return Verdict(Status.UNPHYSICAL, f"relic density not reliable: err = {error.text}")
        return super().judge_readings(readings, outputs)

    def describe(self) -> dict[str, Any]:
        version = re.search(r"micromegas[_-]?(\d+(?:\.\d+)+)", self.commands[0].program, re.IGNORECASE)
        return {**super().describe(), "version": version[1] if version else None}


def quantity(observable: str, name: str, *, optional: bool = False) -> Reader:
    """Return the reader of a quantity of micrOMEGAs' output.

    Raises
    ------
    ConfigError
        If there is no quantity of that name.
    """
    kind, colon, channel = name.partition(":")
    if colon and kind.strip() == "channel":
        incoming, _, outgoing = channel.partition("->")
        words = rf"{_spaced(incoming)}\s*->\s*{_spaced(outgoing)}"
        told = f"{' '.join(incoming.split())} -> {' '.join(outgoing.split())}"
        return Printed(rf"^\s*({NUMBER})%\s+{words}\s*$", optional=True, words=told)
    if name not in QUANTITIES:
        known = [*QUANTITIES, "channel:"]
        msg = (
            f"observable {observable!r}: micrOMEGAs prints no {name!r}{did_you_mean(name, known)}; for other outputs "
            "write for example 'key:NAME' or 'regex:…'"
        )
        raise ConfigError(msg)
    pattern, group = QUANTITIES[name]
    return Printed(pattern, group=group, optional=optional, words=_words(name))


def _words(name: str) -> str:
    """Return what micrOMEGAs prints before a quantity."""
    nucleon, _, kind = name.partition("_")
    if nucleon in ("proton", "neutron"):
        return f"{nucleon}{':' if kind.endswith('_amplitude') else ''} {kind[:2]}"
    return f"{name}="


def model_variables(program: str) -> set[str]:
    """Return the free variables of the model that a ``main`` belongs to, none when its model files are not there."""
    try:
        text = (Path(program).parent / "work" / "models" / "vars1.mdl").read_text(errors="replace")
    except OSError:
        return set()
    rows = [line.partition("|")[0].strip().lstrip("*") for line in text.splitlines() if "|" in line]
    return {name for name in rows if name and name != "Name" and not name.startswith("%")}


def _spaced(words: str) -> str:
    return r"\s+".join(map(re.escape, words.split()))


def _main(path: str | Path | Sequence[str], base: str | Path | None) -> list[str]:
    if not isinstance(path, str | Path):
        return list(path)
    full = Path(path).expanduser()
    full = full if full.is_absolute() else Path(base or ".").absolute() / full
    return [str(full / "main" if full.is_dir() else full)]


def _input_files(
    write: Mapping[str, str] | Sequence[str] | None,
    parameters: str | Path | Mapping[str, float] | None,
    card: str | Path | None,
    spectrum: str | None,
    base: str | Path | None,
) -> dict[str, InputFile]:
    """Return the input file that is meant; ConfigError when none or several are."""
    given = [
        name
        for name, value in (("parameters", parameters), ("card", card), ("spectrum", spectrum))
        if value is not None
    ]
    if len(given) > 1:
        msg = f"micrOMEGAs: {' and '.join(given)} are given; expected one of them"
        raise ConfigError(msg)
    if spectrum is not None:
        if write:
            msg = f"micrOMEGAs: write= does not go with spectrum = {spectrum!r}, which an earlier stage writes"
            raise ConfigError(msg)
        return {}
    if not write:
        msg = (
            "micrOMEGAs: nothing is written, so every point would have the same values (and an empty file silently "
            "means the model's defaults); expected write=['Mdm1', …]"
        )
        raise ConfigError(msg)
    if card is not None:
        if not isinstance(write, Mapping):
            msg = "micrOMEGAs: with card=, expected write={parameter: SLHA address}"
            raise ConfigError(msg)
        return {PARAMETERS: SLHAFile(card, write, base=base)}
    return {PARAMETERS: NameValue(parameters, write, add=True, base=base)}
