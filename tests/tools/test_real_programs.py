"""Real SPheno and real micrOMEGAs, alone and behind each other, through whole scans.

Paths by environment variables; without them the tests are skipped and say so:

RAYSCAN_SPHENO            SPheno 4
RAYSCAN_MICROMEGAS        a main of micrOMEGAs' SingletDM
RAYSCAN_MICROMEGAS_MSSM   a main of micrOMEGAs' MSSM that reads an SLHA file
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

import rayscan as rs
from rayscan.slha import Address, read_values

EXAMPLE = Path(__file__).parents[2] / "examples" / "mssm_higgs"
PMSSM5 = {"tanb": "EXTPAR 25", "mA": "EXTPAR 26", "At": "EXTPAR 11", "mQ3": "EXTPAR 43", "mU3": "EXTPAR 46"}
RANGES = {"tanb": (2, 50), "mA": (200, 3000), "At": (-6000, 6000), "mQ3": (300, 5000), "mU3": (300, 5000)}
MSSM = rs.Space(RANGES)


def program(variable: str) -> str:
    """The path in an environment variable, or a skip that is seen."""
    path = os.environ.get(variable, "")
    if not path:
        pytest.skip(f"{variable} is not set: the real program was NOT tested")
    return path


def benchmark(name: str) -> ModuleType:
    """One of the benchmarks, which are scripts rather than a package."""
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def spheno() -> str:
    """A real SPheno 4."""
    return program("RAYSCAN_SPHENO")


@pytest.fixture(scope="module")
def singlet() -> str:
    """A real SingletDM."""
    return program("RAYSCAN_MICROMEGAS")


@pytest.fixture(scope="module")
def ray_session() -> Iterator[None]:
    """One Ray for the module, behind a token."""
    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    yield
    import ray

    ray.shutdown()
    patch.undo()


def check_chain(table: pa.Table, second: str, low: float, high: float) -> tuple[int, int]:
    """Check that the second stage ran where m_h passed and nowhere else; return (points, runs of the second stage)."""
    runs = 0
    for row in table.to_pylist():
        last = row["stages"][-1]
        assert last["name"] == second
        passed = low <= row["mh"] <= high
        if row["stages"][0]["status"] == "ok":
            assert (last["status"] is not None) == passed, row
        runs += last["status"] is not None
        assert row["valid"] <= passed
    return table.num_rows, runs


@pytest.mark.spheno
@pytest.mark.micromegas
@pytest.mark.slow
@pytest.mark.timeout(3600)  # the first point of a new installation compiles for minutes
def test_micromegas_reads_the_spectrum_of_spheno_where_the_mass_passes(
    spheno: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The MSSM main gets SPheno's spectrum for points with a good m_h only, and its relic density is in the row."""
    first = rs.SPheno(spheno, EXAMPLE / "LesHouches.in", write=PMSSM5, read={"mh": "MASS 25", "m_chi": "MASS 1000022"})
    second = rs.MicrOMEGAs(
        program("RAYSCAN_MICROMEGAS_MSSM"), spectrum="SPheno.spc", timeout=1800,
        read={"omega": "Omega", "si": "proton_SI", "dm_mass": "mass"},
    )  # fmt: skip
    # Squarks too heavy to coannihilate, which would compile a process more for each of them.
    space = rs.Space({**RANGES, "mQ3": (1200, 5000), "mU3": (1200, 5000)})
    scan = rs.Scan(
        space, rs.Chain([first, second], when={"micrOMEGAs": "mh"}), rs.Target(mh=(124, 126), omega=rs.Below(1e3)),
        out=tmp_path / "run", evaluators=0, seed=3,
    )  # fmt: skip
    table = scan.run(evaluations=16, progress=None).table
    points, runs = check_chain(table, "micrOMEGAs", 124, 126)
    assert 0 < runs < points
    valid = table.filter(table["valid"]).to_pylist()
    assert valid
    for row in valid:
        assert row["omega"] > 0
        assert row["si"] > 0
        assert abs(row["dm_mass"] - abs(row["m_chi"])) < 0.01 * row["dm_mass"]
    with capsys.disabled():
        print(f"\n  SPheno -> micrOMEGAs (MSSM): {points} points, {runs} reached micrOMEGAs, {len(valid)} valid")


@pytest.mark.spheno
@pytest.mark.micromegas
@pytest.mark.slow
def test_an_observable_of_spheno_is_a_parameter_of_micromegas(
    spheno: str, singlet: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Higgs mass of one program goes into the other's parameter file, for points whose mass passes only."""
    first = rs.SPheno(spheno, EXAMPLE / "LesHouches.in", write=PMSSM5, read={"mh": "MASS 25"})
    second = rs.MicrOMEGAs(
        singlet, parameters={"laS": 0.1}, write={"Mdm1": "Mdm1", "laSH": "laSH", "mh": "Mh"}, timeout=600,
        read={"omega": "Omega", "si": "proton_SI"},
    )  # fmt: skip
    space = rs.Space(**RANGES, Mdm1=rs.Log(50, 1000), laSH=rs.Log(1e-2, 1))
    scan = rs.Scan(
        space, rs.Chain([first, second], when={"micrOMEGAs": "mh"}), rs.Target(mh=(122, 128), omega=(0, 1e6)),
        out=tmp_path / "run", evaluators=0, seed=4,
    )  # fmt: skip
    table = scan.run(evaluations=40, progress=None).table
    points, runs = check_chain(table, "micrOMEGAs", 122, 128)
    assert 0 < runs < points
    assert all(row["omega"] > 0 for row in table.filter(table["valid"]).to_pylist())
    with capsys.disabled():
        print(f"\n  SPheno -> micrOMEGAs (SingletDM): {points} points, {runs} reached micrOMEGAs")


@pytest.mark.ray
@pytest.mark.micromegas
@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_evaluators_share_one_micromegas(singlet: str) -> None:
    """Four evaluators on one installation give the values of a serial run, and leave nothing in it."""
    found = benchmark("micromegas_pool").compare(Path(singlet), points=16, evaluators=4)
    assert found.different == {}
    assert set(found.statuses) <= {"ok", "unphysical"}
    assert found.workers > 1
    assert found.leftovers == ()
    assert found.compiled > 0


@pytest.mark.spheno
def test_the_example_runs_on_the_real_spheno_with_one_line_changed(spheno: str, tmp_path: Path) -> None:
    """Its card is only read, nothing stays in its directory or the scratch place, and every point has a row."""
    place, scratch = tmp_path / "example", tmp_path / "scratch"
    place.mkdir()
    scratch.mkdir()
    for name in ("scan.toml", "LesHouches.in"):
        (place / name).write_bytes((EXAMPLE / name).read_bytes())
    text = (place / "scan.toml").read_text()
    assert text.count('path = "demo:mssm_higgs"') == 1
    (place / "scan.toml").write_text(text.replace('path = "demo:mssm_higgs"', f'path = "{spheno}"'))
    card = (EXAMPLE / "LesHouches.in").read_bytes(), (place / "LesHouches.in").stat().st_mtime_ns
    scan = rs.Scan.from_file(place, out=tmp_path / "run", evaluators=0, scratch=str(scratch), initial=60)
    result = scan.run(evaluations=60, progress=None)
    assert ((place / "LesHouches.in").read_bytes(), (place / "LesHouches.in").stat().st_mtime_ns) == card
    assert sorted(path.name for path in place.iterdir()) == ["LesHouches.in", "scan.toml"]
    assert [path for path in scratch.rglob("*") if path.is_file()] == []
    assert result.table["point_id"].to_pylist() == list(range(60))
    statuses = Counter(result.table["status"].to_pylist())
    assert set(statuses) == {"ok", "unphysical"}
    rows = result.table.to_pylist()
    assert all((row["mh"] == row["mh"]) == (row["status"] == "ok") for row in rows)
    assert all(row["message"] for row in rows if row["status"] == "unphysical")


@pytest.mark.spheno
@pytest.mark.parametrize("keep", ["valid", "never"])
def test_spectra_of_valid_points_are_kept_when_asked_for(spheno: str, tmp_path: Path, keep: str) -> None:
    """With keep = "valid" each valid point's own spectrum is in kept/, and no other; with "never" there is none."""
    tool = rs.SPheno(spheno, EXAMPLE / "LesHouches.in", write=PMSSM5, read={"mh": "MASS 25"})
    scan = rs.Scan(MSSM, tool, rs.Target(mh=(122, 128)), out=tmp_path / "run", evaluators=0, keep=keep, seed=5)
    table = scan.run(evaluations=20, progress=None).table
    valid = {row["point_id"]: row["mh"] for row in table.to_pylist() if row["valid"]}
    assert valid
    kept = sorted((tmp_path / "run").rglob("*SPheno.spc"))
    if keep == "never":
        assert kept == []
        return
    assert len(kept) == len(valid)
    mh = Address.parse("MASS 25")
    assert sorted(read_values(path.read_bytes(), [mh])[mh] for path in kept) == sorted(valid.values())
