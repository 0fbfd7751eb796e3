"""Stand-ins for the programs of the examples: each checks how it is called, and writes what the real one writes."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"

SPECTRUM = """\
Block SPINFO
     1   fake
Block MASS
        25     1.25000000E+02   # h
        35     1.00000000E+03   # H
   1000006     1.20000000E+03   # stop
   1000021     2.50000000E+03   # gluino
   1000022     4.00000000E+02   # neutralino
"""
FULL = """\
DECAY        25     4.00000000E-03
     5.80000000E-01    2           5        -5
Block FlavorKitQFV
   200     3.40000000E-04   # BR(B->X_s gamma)
"""
SIGNALS = """\
 #cols:  n  Mh(1)  Mh(2)  Mh(3)  Mhplus(1)  csq(mu)  csq(mh)  csq(tot)  nobs(mu)  nobs(mh)  nobs(tot)  Pvalue
   1  125.1  500.0  501.0  510.0  98.5  0.25  98.75  85  4  89  0.2251
"""
ENTRY = """\
def entry(text, block, *keys):
    inside = False
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].lower() == "block":
            inside = words[1].lower() == block.lower()
        elif inside and words[:len(keys)] == [str(key) for key in keys]:
            return float(words[len(keys)].lower().replace("d", "e"))
    raise SystemExit(f"no {block} {keys}")
"""
SPHENO = f"""
{ENTRY}
card = open(args[0]).read()
entry(card, "EXTPAR", 1)
decays = entry(card, "SPhenoInput", 11)
open(args[1], "w").write({SPECTRUM!r} + ({FULL!r} if decays else ""))
open("effC.dat", "w").write("1 1.0")
print(" Finished!")
"""

PROGRAMS: dict[str, str] = {
    "softsusy-4.1.20/softpoint.x": f"""
        {textwrap.indent(ENTRY, " " * 8).strip()}
        assert args == ["leshouches"], args
        card = sys.stdin.read()
        assert 100 <= entry(card, "MINPAR", 1) <= 5000
        assert 2 <= entry(card, "MINPAR", 3) <= 60
        print({SPECTRUM!r})
    """,
    "NMSSMTools_6.1.2/run": f"""
        {textwrap.indent(ENTRY, " " * 8).strip()}
        import os
        assert os.path.samefile(os.getcwd(), os.path.dirname(os.path.abspath(sys.argv[0])))
        assert "inp" in os.path.basename(args[0])
        card = open(args[0]).read()
        assert 1e-3 <= entry(card, "EXTPAR", 61) <= 0.7
        assert 1.5 <= entry(card, "MINPAR", 3) <= 30
        open(args[0].replace("inp.dat", "spectr.dat"), "w").write({SPECTRUM!r})
    """,
    "FlexibleSUSY/models/CMSSM/run_CMSSM.x": f"""
        given = dict(word.split("=") for word in args)
        assert "MINPAR" in open(given["--slha-input-file"]).read()
        open(given["--slha-output-file"], "w").write({SPECTRUM!r})
    """,
    "micromegas_6.0/SingletDM/main": f"""
        names = dict(line.split() for line in open(args[0]))
        assert 10 <= float(names["Mdm1"]) <= 3000 and names["laS"] == "0.1"
        print({(DATA / "micromegas" / "singletdm.stdout").read_text()!r})
    """,
    "SPheno-4.0.5/bin/SPheno": SPHENO,
    "SPheno-4.0.5/bin/SPhenoMSSM": SPHENO,
    "HiggsBounds-5.10.2/HiggsBounds": f"""
        assert args == ["LandH", "effC", "3", "1", "./"] and open("effC.dat").read()
        open("HiggsBounds_results.dat", "w").write({(DATA / "higgs" / "HiggsBounds_results.dat").read_text()!r})
    """,
    "HiggsSignals-2.6.2/HiggsSignals": f"""
        assert args == ["latestresults", "2", "effC", "3", "1", "./"]
        assert len(open("MHall_uncertainties.dat").read().split()) == 5
        open("HiggsSignals_results.dat", "w").write({SIGNALS!r})
    """,
    "tools/smodelsTools.py": """
        assert args[:3] == ["xseccomputer", "-s", "13"]
        open(args[-1], "a").write("XSECTION 1.30E+04 2212 2212 2 1000022 1000024 # fake\\n")
    """,
}
"""Path under the home directory to the body of the program."""

MADEVENT = """
import os
steering = open(args[0]).read()
assert steering.startswith("launch run_01")
assert not os.path.exists("Events/run_01")
os.makedirs("Events/run_01")
assert "DMINPUTS" in open("Cards/param_card.dat").read()
print("     Cross-section :   0.004500 +- 1.2e-05 pb")
"""
"""``bin/madevent`` in a process directory."""

FLAVIO = {
    "flavio.py": """
        def np_prediction(name, wilson, *arguments):
            assert wilson.scale == 4.8
            return {"BR(Bs->mumu)": 3.34e-9, "<P5p>(B0->K*mumu)": -0.44, "<Rmue>(B+->Kll)": 0.95}[name]
    """,
    "wilson.py": """
        class Wilson:
            def __init__(self, coefficients, scale, eft, basis):
                assert set(coefficients) == {"C9_bsmumu", "C10_bsmumu"} and (eft, basis) == ("WET", "flavio")
                self.scale = scale
    """,
}
SMODELS = {
    "smodels/__init__.py": "",
    "smodels/base/__init__.py": "",
    "smodels/base/model.py": """
        import pathlib
        class Model:
            def __init__(self, BSMparticles, SMparticles):
                self.text = ""
            def updateParticles(self, inputFile):
                self.text = pathlib.Path(inputFile).read_text()
    """,
    "smodels/base/physicsUnits.py": "GeV, fb = 1.0, 1.0",
    "smodels/decomposition/__init__.py": "",
    "smodels/decomposition/decomposer.py": """
        def decompose(model, sigmacut, minmassgap):
            assert "XSECTION" in model.text and "MASS" in model.text
            return {"TChiWZ": 1}
    """,
    "smodels/experiment/__init__.py": "",
    "smodels/experiment/databaseObj.py": """
        class Database:
            def __init__(self, base):
                self.base = base
    """,
    "smodels/matching/__init__.py": "",
    "smodels/matching/theoryPrediction.py": """
        class One:
            def __init__(self, r):
                self.r = r
            def getRValue(self):
                return self.r
        def theoryPredictionsFor(database, topologies):
            assert database.base == "official" and topologies
            return [One(0.4), One(None), One(0.2)]
    """,
    "smodels/share/__init__.py": "",
    "smodels/share/models/__init__.py": "",
    "smodels/share/models/mssm.py": "BSMList = []",
    "smodels/share/models/SMparticles.py": "SMList = []",
}
"""Python packages, by file."""


def install(home: Path) -> None:
    """Put every fake where the examples look for the real one, under a home directory."""
    for name, body in PROGRAMS.items():
        executable(home / name, body)


def executable(path: Path, body: str) -> None:
    """Write a Python script that can be run; ``args`` are its arguments."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -SE\nimport sys\nargs = sys.argv[1:]\n{textwrap.dedent(body)}\n")
    path.chmod(0o755)


def package(place: Path, files: dict[str, str]) -> None:
    """Write the files of a Python package."""
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
