"""DLScanner's two kinds of input files, imported by the command line and run: on real programs where there are any."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rayscan.cli import app
from rayscan.scan import Scan

ROOT = Path(__file__).parents[2]
SPHENO_INPUT = """pathS:        {folder}
Lesh:         LesHouches.in.MSSM
SPHENOMODEL:  MSSM
output_dir:   {folder}/output
TotVarScanned: 3

VarMin: 2.0E+00   VarMax: 5.0E+01   VarLabel: # tanb   VarNum: 25
VarMin: -5.0E+03
VarMax: 5.0E+03
VarLabel: # At
VarNum: 11
VarMin: 3.0E+02   VarMax: 5.0E+03   VarLabel: # mQ3   VarNum: 43

TotTarget: 1
TargetMin: 124
TargetMax: 126
TargetLabel: # {label}
TargetNum: 25
TargetResNum: 1
"""
MICROMEGAS_INPUT = """path_micromegas:    {folder}
input: data.par
output_dir:    {folder}/output
#################################
TotVarScanned: 2

VarMin: 2.00000E+02
VarMax: 4.000E+02
VarLabel: Mdm1

VarMin: 5.00000E-02
VarMax: 3.000E-01
VarLabel: laSH
##### what is wanted #####
TotTarget: 1

TargetMin: 0.09
TargetMax: 0.1
TargetLabel: Omega
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def imported(folder: Path) -> Path:
    """Import as the command line does."""
    config = folder / "scan.toml"
    done = CliRunner().invoke(app, ["import-dlscanner", str(folder / "input.txt"), "--to", str(config)])
    assert done.exit_code == 0, done.output
    return config


@pytest.mark.spheno
def test_the_spheno_file_on_the_real_program(tmp_path: Path) -> None:
    """Labels of card and spectrum become addresses, and points have Higgs masses."""
    program = os.environ.get("RAYSCAN_SPHENO", "")
    if not program:
        pytest.skip("RAYSCAN_SPHENO is not set: the real SPheno was NOT tested")
    _run_spheno(tmp_path, program, "h0")


def test_the_spheno_file_on_the_demonstration_program(tmp_path: Path) -> None:
    """The same with the program that comes along."""
    _run_spheno(tmp_path, f"{sys.executable} -S -E {ROOT / 'rayscan' / 'demo' / 'mssm_higgs.py'}", "h0")


def _run_spheno(tmp_path: Path, program: str, label: str) -> None:
    folder = tmp_path / "SPheno"
    # A program of SARAH's kind, which the predecessor asks for: it says when it has finished.
    executable(
        folder / "bin" / "SPhenoMSSM",
        f'#!/bin/sh\n{program} "$1" "$2" && grep -qi \'block *mass\' "$2" && echo \' Finished!\'\nexit 0\n',
    )
    card = (ROOT / "examples" / "mssm_higgs" / "LesHouches.in").read_text()
    for old, new in (("tan(beta)                  (scanned)", "tanb"), ("A_t                        (scanned)", "At"),
                     ("m_Q3                       (scanned)", "mQ3")):  # fmt: skip
        assert card.count(old) == 1
        card = card.replace(old, new)
    (folder / "LesHouches.in.MSSM").write_text(card)
    (folder / "input.txt").write_text(SPHENO_INPUT.format(folder=folder, label=label))
    scan = Scan.from_file(imported(folder), evaluators=0, out=tmp_path / "run")
    table = scan.run(evaluations=12, progress=None).table
    statuses = Counter(table["status"].to_pylist())
    assert set(statuses) <= {"ok", "unphysical"}
    assert statuses["ok"] >= 6
    masses = [row[scan.problem.observables[0]] for row in table.to_pylist() if row["status"] == "ok"]
    assert all(50 < mass < 140 for mass in masses)
    assert len(set(masses)) == len(masses)
    assert (folder / "LesHouches.in.MSSM").read_text() == card
    assert not (folder / "output").exists()


@pytest.mark.micromegas
def test_the_micromegas_file_on_the_real_program(tmp_path: Path) -> None:
    """Names of the parameter file are written, Omega is read."""
    program = os.environ.get("RAYSCAN_MICROMEGAS", "")
    if not program:
        pytest.skip("RAYSCAN_MICROMEGAS is not set: the real micrOMEGAs was NOT tested")
    _run_micromegas(tmp_path, f'#!/bin/sh\nexec {program} "$@"\n')


def test_the_micromegas_file_on_a_stand_in(tmp_path: Path) -> None:
    """The same with a formula in the program's place."""
    formula = (
        "p = dict(line.split() for line in open(sys.argv[1]))\nomega = 3e-8 * (float(p['Mdm1'])/float(p['laSH']))**2"
    )
    _run_micromegas(
        tmp_path, f"#!{sys.executable} -SE\nimport sys\n{formula}\nprint(f'Xf=2.5e+01 Omega={{omega:.2E}}')\n"
    )


def _run_micromegas(tmp_path: Path, main: str) -> None:
    folder = tmp_path / "SingletDM"
    executable(folder / "main", main)
    (folder / "data.par").write_text("Q 14.0\nMh 125.0\nlaS 0.1\nMdm1 700.0\nlaSH 0.15\n")
    (folder / "input.txt").write_text(MICROMEGAS_INPUT.format(folder=folder))
    scan = Scan.from_file(imported(folder), evaluators=0, out=tmp_path / "run")
    table = scan.run(evaluations=8, progress=None).table
    assert table["status"].to_pylist() == ["ok"] * 8
    assert all(value > 0 for value in table["Omega"].to_pylist())
    assert len(set(table["Omega"].to_pylist())) > 4
