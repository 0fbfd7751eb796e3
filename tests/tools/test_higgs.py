"""HiggsBounds, HiggsSignals and HiggsTools as stages behind a spectrum generator."""

from __future__ import annotations

import importlib
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rayscan.errors import ConfigError
from rayscan.tools.base import Outcome, Status
from rayscan.tools.chain import Chain
from rayscan.tools.command import Command
from rayscan.tools.higgs import HiggsBounds, HiggsSignals, HiggsTools

Evaluate = Callable[..., Outcome]
Program = Callable[..., Path]
BOUNDS = {"hb": "HBresult", "ratio": "obsratio", "chan": "chan", "n": "ncomb"}
SIGNALS_TABLE = """\
 # generated with HiggsSignals
 #   csq(mu)    : Chi^2 from the signal strengths observables
 #cols:  n  Mh(1)  Mh(2)  Mh(3)  Mhplus(1)  csq(mu)  csq(mh)  csq(tot)  nobs(mu)  nobs(mh)  nobs(tot)  Pvalue
 #
   1  125.1  500.0  501.0  510.0  98.5  0.25  98.75  85  4  89  0.2251
"""


@pytest.fixture
def spectrum(data: Path) -> Command:
    """A first stage that leaves a spectrum and SPheno's side files."""
    source = str(data / "slha" / "sarah.spc")
    script = f"import shutil; shutil.copy({source!r}, 'SPheno.spc'); open('effC.dat', 'w').write('1 1.0')"
    return Command(["python", "-c", script], read={"mh": {"slha": "MASS 25", "file": "SPheno.spc"}}, name="spectrum")


def test_effc_mode_reads_columns_by_name(evaluate: Evaluate, program: Program, data: Path, spectrum: Command) -> None:
    """The program finds the side files in the point's directory, with the prefix ./"""
    table = (data / "higgs" / "HiggsBounds_results.dat").read_text()
    path = program(
        f"assert open('effC.dat').read()\nopen('HiggsBounds_results.dat','w').write({table!r})\nprint(args)",
        "HiggsBounds",
    )
    higgs = HiggsBounds(path, read={**BOUNDS, "m3": "Mh(3)"}, neutral=3, charged=1)
    seen: list[str] = []
    outcome = evaluate(Chain([spectrum, higgs]), look=lambda d: seen.append((d / "HiggsBounds.stdout").read_text()))
    assert outcome.status is Status.OK, outcome.message
    assert seen == ["['LandH', 'effC', '3', '1', './']\n"]
    got = {name: outcome.observables[name] for name in (*BOUNDS, "m3")}
    assert got == {"hb": 1.0, "ratio": 0.882667, "chan": 337.0, "n": 1.0, "m3": 1448.96}


@pytest.mark.parametrize(("mode", "arguments"), [("SLHA", ["onlyL", "SLHA", "3", "1", "hb.1"]), ("stem", ["1", "hb"])])
def test_slha_modes_work_on_a_copy_of_the_spectrum(
    evaluate: Evaluate, program: Program, data: Path, spectrum: Command, mode: Any, arguments: list[str]
) -> None:
    """Blocks are appended to the copy; the spectrum that later stages read stays as it was."""
    blocks = (data / "slha" / "higgsbounds_appended.slha").read_text()
    path = program(f"assert args == {arguments!r}, args\nopen('hb.1','a').write({blocks!r})", "HiggsBounds")
    higgs = HiggsBounds(path, read=BOUNDS, mode=mode, analyses="onlyL")
    seen: list[bytes] = []
    outcome = evaluate(Chain([spectrum, higgs]), look=lambda d: seen.append((d / "SPheno.spc").read_bytes()))
    assert outcome.status is Status.OK, outcome.message
    got = {name: outcome.observables[name] for name in BOUNDS}
    assert got == {"hb": 0.0, "ratio": 1.4274465594243051, "chan": 442.0, "n": 1.0}
    assert seen == [(data / "slha" / "sarah.spc").read_bytes()]


def test_a_program_that_appends_nothing_has_no_results(evaluate: Evaluate, program: Program, spectrum: Command) -> None:
    """The copy that it was given is not its output."""
    outcome = evaluate(Chain([spectrum, HiggsBounds(program("", "HiggsBounds"), read=BOUNDS, mode="SLHA")]))
    assert outcome.status is Status.TOOL_ERROR
    assert "hb.1 was not written: what is there is from before" in outcome.message


def test_an_unphysical_flag_makes_the_point_unphysical(evaluate: Evaluate, program: Program, data: Path) -> None:
    """HBresult = -1 is neither allowed nor excluded, even when only the ratio is read."""
    table = (data / "higgs" / "HiggsBounds_results.dat").read_text().replace("         1   337", "        -1   337")
    path = program(f"open('HiggsBounds_results.dat','w').write({table!r})", "HiggsBounds")
    outcome = evaluate(HiggsBounds(path, read={"ratio": "obsratio"}))
    assert outcome.status is Status.UNPHYSICAL
    assert "HBresult = -1" in outcome.message


@pytest.mark.parametrize(("version", "arguments"), [
    (2, ["latestresults", "2", "effC", "3", "1", "./"]),
    (1, ["latestresults", "peak", "2", "effC", "3", "1", "./"]),
])  # fmt: skip
def test_higgssignals_old_and_new(evaluate: Evaluate, program: Program, version: Any, arguments: list[str]) -> None:
    """The command line of each version, the file of mass uncertainties, results by name."""
    path = program(
        f"assert args == {arguments!r}, args\nv = open('MHall_uncertainties.dat').read().split()\n"
        "assert [float(x) for x in v] == [1, 3, 3, 3, 3], v\n"
        f"open('HiggsSignals_results.dat','w').write({SIGNALS_TABLE!r})",
        "HiggsSignals",
    )
    read = {"chi2": "csq(tot)", "chi2_mu": "csq(mu)", "p": "Pvalue", "n": "nobs(tot)"}
    higgs = HiggsSignals(path, read=read, version=version)
    higgs.check([])
    outcome = evaluate(higgs)
    assert outcome.observables == {"chi2": 98.75, "chi2_mu": 98.5, "p": 0.2251, "n": 89.0}, outcome.message


def test_higgssignals_1_blocks_by_name_and_2_by_entry(
    evaluate: Evaluate, program: Program, data: Path, spectrum: Command
) -> None:
    """The block's numbering is known for version 1; for version 2 the user gives the entry."""
    blocks = (data / "slha" / "higgsbounds_appended.slha").read_text()
    path = program(f"open('hb.1','a').write({blocks!r})", "HBandHSwithSLHA")
    read = {"chi2": "csq(tot)", "n": "nobs(tot)", "ratio": "slha:HiggsBoundsResults 1 3"}
    outcome = evaluate(Chain([spectrum, HiggsSignals(path, read=read, version=1, mode="stem")]))
    got = {name: outcome.observables[name] for name in read}
    assert got == {"chi2": 206.8751462, "n": 89.0, "ratio": 1.4274465594243051}
    with pytest.raises(
        ConfigError, match=r"'csq\(tot\)' is not known in the block HiggsSignalsResults; give its entry"
    ):
        HiggsSignals(path, read={"chi2": "csq(tot)"}, mode="stem")


@pytest.mark.parametrize(("make", "message"), [
    (lambda: HiggsBounds("hb", read={"r": "obsration"}), "has no column 'obsration'; did you mean 'obsratio'"),
    (lambda: HiggsBounds("hb", read={"r": "chan"}, mode="effc"), "mode = 'effc'; expected one of effC, SLHA, stem"),  # type: ignore[arg-type]
    (lambda: HiggsBounds("/no/hb", read={"r": "chan"}).check([]), "/no does not exist"),
    (lambda: HiggsSignals("hs", read={"p": "Pvalue"}, version=3), "version = 3; expected 1 or 2"),  # type: ignore[arg-type]
    (lambda: HiggsSignals("hs", read={"p": "Pvalue"}, mass_uncertainty=[1.0]), "expected one number >= 0, or 4"),
])  # fmt: skip
def test_mistakes_are_found_before_anything_runs(make: Callable[[], object], message: str) -> None:
    """Columns, modes, versions and counts."""
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.fixture
def higgs_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with HiggsTools' interface that counts how often its data sets are loaded."""
    modules = {
        "__init__": "",
        "bounds": """\
            LOADED = []
            class Limit:
                def __init__(self, ratio): self.ratio = ratio
                def obsRatio(self): return self.ratio
            class Result:
                def __init__(self, p):
                    self.selectedLimits = {str(i): Limit(p['ratio'] / k) for k, i in enumerate((25, 35), 1)}
                    self.allowed = all(l.ratio < 1 for l in self.selectedLimits.values())
            class Bounds:
                def __init__(self, path): LOADED.append(path)
                def __reduce__(self): raise TypeError('a data set cannot be pickled')
                def __call__(self, p): return Result(p)
        """,
        "signals": """\
            class Signals:
                def __init__(self, path): self.path = path
                def __call__(self, p): return p['chi2']
                def observableCount(self): return 159
        """,
        "tools/__init__": "",
        "tools/Input": """\
            def readHB5SLHA(path, neutral, charged):
                with open(path) as file: text = file.read()
                assert neutral == [25, 35, 36] and charged == [37], (neutral, charged)
                if 'broken' in text: raise KeyError('no HiggsCouplingsBosons')
                return {'ratio': float(text.split()[0]), 'chi2': float(text.split()[1])}
            def predictionsFromDict(data, neutral, charged, doubly):
                assert neutral == ['25', '35', '36'] and charged == ['37'] and doubly == []
                return data
        """,
    }
    for name, source in modules.items():
        path = tmp_path / "site" / "Higgs" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
    for data in ("hb", "hs"):
        (tmp_path / data).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name == "Higgs" or name.startswith("Higgs.")]:
        del sys.modules[name]


def higgstools(base: Path, **options: Any) -> HiggsTools:
    read = {
        "ok": "allowed",
        "ratio": "obsratio",
        "r35": "obsratio:35",
        "r36": "obsratio:36",
        "chi2": "chi2",
        "n": "observables",
    }
    return HiggsTools(**{"read": read, "bounds": "hb", "signals": "hs", "spectrum": "s", "base": base, **options})


def test_higgstools_loads_its_data_once_and_evaluates_many(evaluate: Evaluate, higgs_package: Path) -> None:
    """Data sets are read when the evaluator opens, not at every point, and the tool can be pickled at any time."""
    tool = higgstools(higgs_package)
    tool.check(["x"])
    tool = pickle.loads(pickle.dumps(tool))
    tool.open(higgs_package)
    for ratio, allowed in ((0.5, 1.0), (1.5, 0.0), (0.9, 1.0)):
        outcome = evaluate(tool, before=lambda d, r=ratio: (d / "s").write_text(f"{r} 152.5"))
        expected = {"ok": allowed, "ratio": ratio, "r35": ratio / 2, "r36": 0.0, "chi2": 152.5, "n": 159.0}
        assert (outcome.status, outcome.observables) == (Status.OK, expected), outcome.message
    loaded = importlib.import_module("Higgs.bounds").LOADED
    assert loaded == [str(higgs_package / "hb")]
    pickle.dumps(tool)
    tool.close()


def test_higgstools_takes_explicit_predictions(evaluate: Evaluate, higgs_package: Path) -> None:
    """A function of the point instead of a spectrum."""
    tool = higgstools(higgs_package, predictions=lambda point: {"ratio": point["x"], "chi2": 1.0})
    tool.open(higgs_package)
    assert evaluate(tool, {"x": 0.25}).observables["ratio"] == 0.25


def test_what_higgstools_cannot_use_is_a_failed_point(evaluate: Evaluate, higgs_package: Path) -> None:
    """A missing spectrum, an exception of the package, a chi2 that is NaN."""
    tool = higgstools(higgs_package)
    tool.open(higgs_package)
    assert "no file s in the point's directory" in evaluate(tool).message
    outcome = evaluate(tool, before=lambda d: (d / "s").write_text("broken"))
    assert (outcome.status, outcome.message) == (Status.TOOL_ERROR, "HiggsTools: KeyError: 'no HiggsCouplingsBosons'")
    outcome = evaluate(tool, before=lambda d: (d / "s").write_text("0.5 nan"))
    assert (outcome.status, outcome.message) == (Status.UNPHYSICAL, "HiggsTools: chi2 is not a finite number")


def test_a_missing_package_or_data_set_is_found_before_anything_runs(tmp_path: Path) -> None:
    """What to install, and from where."""
    (tmp_path / "hb").mkdir()
    if importlib.util.find_spec("Higgs") is None:
        with pytest.raises(ConfigError, match=r"HiggsTools is not installed.*gitlab.com/higgsbounds/higgstools"):
            HiggsTools(read={"ok": "allowed"}, bounds=tmp_path / "hb").check([])
    with pytest.raises(ConfigError, match=r"bounds = .*/none is not a directory"):
        HiggsTools(read={"ok": "allowed"}, bounds=tmp_path / "none").check([])
    with pytest.raises(ConfigError, match="HiggsTools gives no 'chisq'"):
        HiggsTools(read={"c": "chisq"}, signals=tmp_path)
    with pytest.raises(ConfigError, match="'chi2' needs the data set signals="):
        HiggsTools(read={"c": "chi2"}, bounds=tmp_path)
