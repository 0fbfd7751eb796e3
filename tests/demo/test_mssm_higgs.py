"""The demonstration spectrum program: its physics against independent calculations, and its behaviour as a program."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pyslha
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayscan.demo import mssm_higgs
from rayscan.demo.mssm_higgs import UnphysicalPointError, higgs_masses, main, read_card, running_top, stop_sector

SCRIPT = Path(mssm_higgs.__file__)
EXAMPLE = Path(__file__).parents[2] / "examples" / "mssm_higgs" / "LesHouches.in"
M_Z, G_F = 91.1876, 1.166379e-5
STOPS = {"m_q3": 2000.0, "m_u3": 2000.0}


def cos_2beta(tan_beta: float) -> float:
    return (1 - tan_beta**2) / (1 + tan_beta**2)


@pytest.mark.parametrize("tan_beta", [1.5, 3.0, 10.0, 50.0])
def test_tree_level_decoupling_limit(tan_beta: float) -> None:
    """Without loops and with a heavy A, m_h is m_Z |cos 2β|."""
    mh = higgs_masses(tan_beta, 1e5, 0.0, **STOPS, loops=False)["mh"]
    assert mh == pytest.approx(M_Z * abs(cos_2beta(tan_beta)), rel=1e-5)


@given(st.floats(1.01, 60), st.floats(10, 5000), st.floats(-4000, 4000))
def test_tree_level_mass_relations(tan_beta: float, m_a: float, a_t: float) -> None:
    """The tree-level sum rules and bounds of the MSSM Higgs masses hold everywhere."""
    masses = higgs_masses(tan_beta, m_a, a_t, 3000, 3000, loops=False)
    mh, big = masses["mh"], masses["mH"]
    assert mh**2 + big**2 == pytest.approx(m_a**2 + M_Z**2, rel=1e-9)
    assert mh * big == pytest.approx(m_a * M_Z * abs(cos_2beta(tan_beta)), rel=1e-3)
    assert mh <= min(m_a, M_Z) * abs(cos_2beta(tan_beta)) * (1 + 1e-6) <= big * (1 + 1e-5)
    assert masses["mHpm"] ** 2 == pytest.approx(m_a**2 + 80.379**2, rel=1e-12)
    assert -math.pi / 2 <= masses["alpha"] <= 0


@given(st.floats(1.01, 50), st.floats(100, 3000), st.floats(-5000, 5000), st.floats(300, 5000), st.floats(300, 5000))
def test_a_point_is_ordered_or_refused(tan_beta: float, m_a: float, a_t: float, m_q3: float, m_u3: float) -> None:
    """Every point of the scanned box gives finite ordered masses or an error that names a tachyon."""
    point = (tan_beta, m_a, a_t, m_q3, m_u3)
    try:
        masses = higgs_masses(*point)
    except UnphysicalPointError:
        with pytest.raises(UnphysicalPointError, match="tachyon"):
            higgs_masses(*point)
        return
    assert all(math.isfinite(value) for value in masses.values())
    assert 0 < masses["mh"] <= masses["mH"]
    assert 0 < masses["mst1"] <= masses["mst2"]
    assert masses["mh"] < 140


def effective_potential(
    x: float, y: float, z: float, a_t: float, mu: float, m_q3: float, m_u3: float, h2: float
) -> float:
    """One-loop potential of top and stops without D-terms, x = |H_u|², y = |H_d|², z = Re H_u H_d, scale 1 TeV."""
    left, right = m_q3**2 + h2 * x, m_u3**2 + h2 * x
    mixing_sq = h2 * (a_t**2 * x + mu**2 * y - 2 * a_t * mu * z)
    half_gap = math.sqrt((left - right) ** 2 / 4 + mixing_sq)
    stops = [(left + right) / 2 + sign * half_gap for sign in (-1, 1)]
    terms = [(1, m2) for m2 in stops] + [(-2, h2 * x)]
    return 3 / (32 * math.pi**2) * sum(w * m2**2 * (math.log(m2 / 1e6) - 1.5) for w, m2 in terms)


@pytest.mark.parametrize(
    ("tan_beta", "a_t", "mu", "m_q3", "m_u3"),
    [(10, 1500, 500, 1000, 1000), (2, -1200, 800, 900, 1400), (5, 2500, -1500, 2000, 1200), (20, 300, 400, 700, 701)],
)
def test_top_stop_terms_are_the_curvature_of_the_effective_potential(
    tan_beta: float, a_t: float, mu: float, m_q3: float, m_u3: float
) -> None:
    """With gauge couplings off, the mass matrix is m_A's plus numerical second derivatives of the potential."""
    m_top, m_a = 150.0, 400.0
    beta = math.atan(tan_beta)
    v2 = 1 / (2 * math.sqrt(2) * G_F)
    up, down = math.sqrt(v2) * math.sin(beta), math.sqrt(v2) * math.cos(beta)
    here = (up * up, down * down, up * down)

    def potential(*shift: float) -> float:
        x, y, z = (value + step for value, step in zip(here, shift, strict=True))
        return effective_potential(x, y, z, a_t, mu, m_q3, m_u3, (m_top / up) ** 2)

    def second(i: int, j: int) -> float:
        total = 0.0
        for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            shift = [0.0, 0.0, 0.0]
            shift[i] += a * 0.004 * v2
            shift[j] += b * 0.004 * v2
            total += a * b * potential(*shift)
        return total / (4 * (0.004 * v2) ** 2)

    gradient = {"d": (0.0, 2 * down, up), "u": (2 * up, 0.0, down)}  # of (x, y, z) along each field

    def delta(first: str, other: str) -> float:
        pairs = [(i, j) for i in range(3) for j in range(3)]
        return sum(gradient[first][i] * gradient[other][j] * second(i, j) for i, j in pairs) / 2

    m = higgs_masses(tan_beta, m_a, a_t, m_q3, m_u3, mu, m_z=1e-6, fixed_top=m_top)
    sin_a, cos_a = math.sin(m["alpha"]), math.cos(m["alpha"])
    s, c = math.sin(beta), math.cos(beta)
    light, heavy = m["mh"] ** 2, m["mH"] ** 2
    loop_dd = heavy * cos_a**2 + light * sin_a**2 - (m_a * s) ** 2
    loop_uu = heavy * sin_a**2 + light * cos_a**2 - (m_a * c) ** 2
    loop_du = (heavy - light) * sin_a * cos_a + m_a**2 * s * c
    assert loop_dd == pytest.approx(delta("d", "d"), rel=2e-3, abs=0.5)
    assert loop_du == pytest.approx(delta("d", "u"), rel=2e-3, abs=0.5)
    assert loop_uu == pytest.approx(delta("u", "u"), rel=2e-3)


@pytest.mark.parametrize("tan_beta", [1.5, 4.0])
def test_gauge_logarithms_are_the_running_of_the_quartic_couplings(tan_beta: float) -> None:
    """Without mixing the matrix holds λ_2 and λ_345 run by the top Yukawa coupling alone: 12 h² and 6 h² over 16π²."""
    m_top, m_a = 150.0, 300.0
    m = higgs_masses(tan_beta, m_a, 0.0, **STOPS, mu=0.0, fixed_top=m_top)
    s, c = math.sin(math.atan(tan_beta)), math.cos(math.atan(tan_beta))
    yukawa_sq = m_top**2 * 2 * math.sqrt(2) * G_F / s**2
    running = math.log(math.sqrt(m["mst1"] * m["mst2"]) / m_top) / (16 * math.pi**2)
    off_diagonal = (m["mH"] ** 2 - m["mh"] ** 2) * math.sin(m["alpha"]) * math.cos(m["alpha"])
    assert off_diagonal / (-s * c) - m_a**2 == pytest.approx(M_Z**2 * (1 - 6 * yukawa_sq * running), rel=1e-9)
    trace = m_a**2 + M_Z**2 * (1 - 12 * yukawa_sq * running * s**2) + 24 * yukawa_sq * m_top**2 * running
    assert m["mH"] ** 2 + m["mh"] ** 2 == pytest.approx(trace, rel=1e-9)


@given(st.floats(0, 4000), st.floats(3, 50), st.floats(-1000, 1000))
def test_decoupled_mh_does_not_see_the_sign_of_x_t(x_t: float, tan_beta: float, mu: float) -> None:
    """For a heavy A the leading correction depends on X_t² only."""
    plus, minus = (higgs_masses(tan_beta, 3e4, sign * x_t + mu / tan_beta, **STOPS, mu=mu)["mh"] for sign in (1, -1))
    assert plus == pytest.approx(minus, abs=0.01)


def test_maximal_mixing_is_near_root_six() -> None:
    """For degenerate stops m_h is largest at |X_t| ≈ √6 M_S, where mixing adds 9 m_t⁴ / (4π² v²) to m_h²."""
    ratios = [0.02 * i for i in range(176)]
    masses = [higgs_masses(20, 1e4, 2000 * r + 500 / 20, **STOPS)["mh"] for r in ratios]
    best = ratios[masses.index(max(masses))]
    assert best == pytest.approx(math.sqrt(6), abs=0.1)
    m_top = running_top(2000, m_top_pole=173.1, alpha_s=0.1184, m_z=M_Z, g_f=G_F)
    leading = 9 * m_top**4 / (4 * math.pi**2) * 2 * math.sqrt(2) * G_F
    assert max(masses) ** 2 - masses[0] ** 2 == pytest.approx(leading, rel=0.03)


def test_equal_stop_masses_are_a_smooth_limit() -> None:
    """The series used for nearly equal stops joins the closed form without a step."""
    for total, r in ((2e6, 0.0199999), (5e5, 0.019999)):
        below = mssm_higgs.mixing_functions(total * (1 - r) / 2, total * (1 + r) / 2)
        above = mssm_higgs.mixing_functions(total * (0.98 - 2e-6) / 2, total * (1.02 + 2e-6) / 2)
        assert below == pytest.approx(above, rel=1e-6)
    assert mssm_higgs.mixing_functions(1e6, 1e6) == pytest.approx((1e-6, -1 / 6 * 1e-12))


def test_running_top_mass() -> None:
    """m_t(m_t) is 163 GeV for a pole mass of 173.1 GeV, and the mass falls with the scale to 148 GeV at 1 TeV."""
    sm = {"m_top_pole": 173.1, "alpha_s": 0.1184, "m_z": M_Z, "g_f": G_F}
    assert running_top(163.4, **sm) == pytest.approx(163.3, abs=0.5)
    assert running_top(1000, **sm) == pytest.approx(148, abs=1.5)
    assert running_top(100, **sm) == running_top(1e-9, **sm)
    scales = [running_top(q, **sm) for q in (200, 500, 1000, 5000)]
    assert scales == sorted(scales, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # m_h^mod+ scenario, arXiv:1302.7033: M_S = 1 TeV, X_t(MS-bar) = 1.6 M_S, m_h = 125.5 ± 3 GeV by construction.
        ({"tan_beta": 20, "m_a": 1000, "a_t": 1610, "m_q3": 1000, "m_u3": 1000, "mu": 200, "m_top_pole": 173.2}, 125.5),
        # SPheno 4.0.5 on examples/mssm_higgs/LesHouches.in, as it stands and with other scanned values.
        ({"tan_beta": 20, "m_a": 1500, "a_t": 2800, "m_q3": 2000, "m_u3": 2000}, 124.358),
        ({"tan_beta": 10, "m_a": 800, "a_t": -3500, "m_q3": 2500, "m_u3": 1500}, 124.736),
        ({"tan_beta": 45, "m_a": 2500, "a_t": 500, "m_q3": 3500, "m_u3": 4200}, 124.327),
        ({"tan_beta": 5, "m_a": 400, "a_t": 3000, "m_q3": 2800, "m_u3": 3600}, 120.377),
    ],
)
def test_mh_agrees_with_published_programs(arguments: dict[str, float], expected: float) -> None:
    """m_h lies within 3 GeV, the accuracy that the docstring states, of full calculations."""
    assert higgs_masses(**arguments)["mh"] == pytest.approx(expected, abs=3.0)


def test_mixing_angle_agrees_with_spheno() -> None:
    """The mixing angle far from decoupling, where it differs from β - π/2, is SPheno's effective angle to 3 %."""
    masses = higgs_masses(5, 400, 3000, 2800, 3600)
    assert masses["alpha"] == pytest.approx(-0.229407, rel=0.03)


def test_stop_rotation_diagonalises_the_mass_matrix() -> None:
    """θ and the two eigenvalues give the stop mass matrix back, its lighter state first."""
    m1_sq, m2_sq, theta = stop_sector(10.0, -1500.0, 1200.0, 800.0, 150.0, 1e-9)
    c, s = math.cos(theta), math.sin(theta)
    assert m1_sq < m2_sq
    assert m1_sq * c * c + m2_sq * s * s == pytest.approx(1200**2 + 150**2)
    assert m1_sq * s * s + m2_sq * c * c == pytest.approx(800**2 + 150**2)
    assert (m1_sq - m2_sq) * s * c == pytest.approx(-1500 * 150)


def test_stop_d_terms_follow_isospin_and_charge() -> None:
    """Without mixing the D-terms are m_Z² cos 2β (T_3 - Q sin²θ_W) for t_L and m_Z² cos 2β Q sin²θ_W for t_R."""
    light, heavy, _ = stop_sector(3.0, 0.0, 300.0, 900.0, 150.0, M_Z)
    assert light - 300**2 - 150**2 == pytest.approx(M_Z**2 * -0.8 * (0.5 - 2 / 3 * 0.2312))
    assert heavy - 900**2 - 150**2 == pytest.approx(M_Z**2 * -0.8 * 2 / 3 * 0.2312)


def card(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = EXAMPLE.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path / "point.in"
    path.write_text(text)
    return path


@pytest.mark.parametrize("command", [[str(SCRIPT)], ["-m", "rayscan.demo.mssm_higgs"]], ids=["script", "module"])
def test_executable_round_trip(tmp_path: Path, command: list[str]) -> None:
    """Run as a program it writes SLHA that another reader understands, with the function's values."""
    env = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    card(tmp_path)
    run = subprocess.run(
        [sys.executable, *command, "point.in", "out.spc"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    blocks = pyslha.read(str(tmp_path / "out.spc")).blocks
    expected = higgs_masses(20, 1500, 2800, 2000, 2000, 500)
    codes = {25: "mh", 35: "mH", 36: "mA", 37: "mHpm", 1000006: "mst1", 2000006: "mst2"}
    assert dict(blocks["MASS"].items()) == pytest.approx(
        {code: expected[key] for code, key in codes.items()}, rel=1e-10
    )
    assert dict(blocks["ALPHA"].items())[None] == pytest.approx(expected["alpha"])
    assert blocks["STOPMIX"][1, 2] == pytest.approx(math.sin(expected["theta_stop"]))
    assert blocks["MSOFT"].q == 2000
    assert (blocks["EXTPAR"][25], blocks["EXTPAR"][11], blocks["MSOFT"][43]) == (20, 2800, 2000)
    assert 4 not in blocks["SPINFO"].keys()  # noqa: SIM118 - pyslha blocks have no `in` for keys


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("11   2.800000E+03", "11   1.0E+06", "stop tachyon"),
        ("11   2.800000E+03", "11   9.0E+03", "Higgs tachyon"),
        ("25   2.000000E+01", "25  -2.0E+01", "tan_beta"),
        ("25   2.000000E+01", "25   0", "tan_beta"),
        ("26   1.500000E+03", "26   0.0", "m_A"),
        ("26   1.500000E+03", "26  -1500", "m_A"),
        ("43   2.000000E+03", "43   1E300", "m_Q3"),
    ],
)
def test_unphysical_point_becomes_a_stub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str
) -> None:
    """Like SPheno: exit code 0, one line on stdout, an output with SPINFO 4 that has replaced the old spectrum."""
    if reason == "Higgs tachyon":  # heavy enough stops, too much mixing for m_h²
        source = card(tmp_path, (old, new), ("46   2.000000E+03", "46   1.0E+03"))
    else:
        source = card(tmp_path, (old, new))
    output = tmp_path / "out.spc"
    output.write_text("Block MASS\n 25 125.0\n")
    assert main([str(source), str(output)]) == 0
    assert capsys.readouterr().out == "There has been a problem during the run.\n"
    blocks = read_card(str(output))
    assert set(blocks) == {"SPINFO"}
    assert {3, 4} <= set(blocks["SPINFO"])
    assert reason in output.read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("26   1.500000E+03", "26   heavy", "block EXTPAR entry 26 is 'heavy'"),
        ("26   1.500000E+03", "26   NaN", "block EXTPAR entry 26 is 'NaN'"),
        ("26   1.500000E+03", "26   Infinity", "block EXTPAR entry 26"),
        ("26   1.500000E+03", "26   1_500", "block EXTPAR entry 26"),
        ("31   2.000000E+03", "31   ****", "block EXTPAR entry 31"),
        ("26   1.500000E+03", "# 26", "no entry 26 in block EXTPAR"),
        ("25   2.000000E+01", "# 25", "no entry 25 in block EXTPAR"),
        ("Block EXTPAR", "Block OTHER", "in block EXTPAR"),
        ("     1   0  ", "     1   1  ", "MODSEL 1 is '1'"),
        ("6   1.731000E+02", "6   0.0", "block SMINPUTS entry 6"),
    ],
)
def test_bad_card_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    """A card that cannot be read gives exit code 2, a message naming the entry, and no output file."""
    source = card(tmp_path, (old, new))
    output = tmp_path / "out.spc"
    assert main([str(source), str(output)]) == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert str(source) in stderr
    assert not output.exists()


def test_bad_command_lines_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing or empty card, one file for both ends, three arguments or an unwritable output give exit code 2."""
    good, output = card(tmp_path), tmp_path / "out.spc"
    before = good.read_text()
    empty = tmp_path / "empty.in"
    empty.write_bytes(b"\xff\x00\n")
    for arguments in (
        [str(tmp_path / "absent.in"), str(output)],
        [str(empty), str(output)],
        [str(good), str(good)],
        [str(good), str(output), "more"],
        [str(good), str(tmp_path / "absent" / "out.spc")],
    ):
        assert main(arguments) == 2
        assert "rayscan-mssm-higgs: " in capsys.readouterr().err
    assert good.read_text() == before
    assert not output.exists()


def test_card_dialects(tmp_path: Path) -> None:
    """Fortran exponents, CRLF, lower case, MINPAR tan β, repeated entries: the plain card's spectrum."""
    plain, dialect = tmp_path / "plain.spc", tmp_path / "dialect.spc"
    assert main([str(card(tmp_path)), str(plain)]) == 0
    source = card(
        tmp_path,
        ("Block EXTPAR", "block minpar # below\n 3 20\nblock extpar\n 26 300."),
        ("25   2.000000E+01", "# none here"),
        ("43   2.000000E+03", "43   2.0D3"),
        ("46   2.000000E+03", "46   +0.2d+04"),
    )
    source.write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert main([str(source), str(dialect)]) == 0
    assert dialect.read_text() == plain.read_text()


def test_scale_minus_one_means_the_stop_masses(tmp_path: Path) -> None:
    """EXTPAR 0 = -1 asks for the geometric mean of the stop masses as scale of the output."""
    output = tmp_path / "out.spc"
    assert main([str(card(tmp_path, ("0   2.000000E+03       # scale", "0   -1   # scale"))), str(output)]) == 0
    masses = higgs_masses(20, 1500, 2800, 2000, 2000)
    assert pyslha.read(str(output)).blocks["MSOFT"].q == pytest.approx(math.sqrt(masses["mst1"] * masses["mst2"]))


def test_default_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments it reads LesHouches.in and writes SPheno.spc in the working directory."""
    card(tmp_path).rename(tmp_path / "LesHouches.in")
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert "MASS" in read_card("SPheno.spc")


def test_card_controls_the_standard_model_input(tmp_path: Path) -> None:
    """A lighter top quark on the card lowers m_h by about 1 GeV per GeV."""
    mh = []
    for pole_mass in ("1.731000E+02", "1.711000E+02"):
        output = tmp_path / "out.spc"
        assert main([str(card(tmp_path, ("6   1.731000E+02", f"6   {pole_mass}"))), str(output)]) == 0
        mh.append(float(read_card(str(output))["MASS"][25]))
    assert 1 < mh[0] - mh[1] < 3


def test_start_up_is_light(tmp_path: Path) -> None:
    """The script loads none of the slow standard modules; its median wall time is printed."""
    card(tmp_path)
    command = [sys.executable, "-S", "-E", str(SCRIPT), "point.in", "out.spc"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, cwd=tmp_path, check=True)
        times.append(time.perf_counter() - start)
    print(f"start, one point, exit: median {1000 * statistics.median(times):.1f} ms")
    loaded = subprocess.run(
        [sys.executable, "-S", "-E", "-X", "importtime", str(SCRIPT), "point.in", "out.spc"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stderr
    modules = {line.rsplit("|", 1)[1].strip() for line in loaded.splitlines() if "|" in line}
    assert not modules & {"re", "typing", "pathlib", "dataclasses", "argparse", "os", "collections", "numpy", "rayscan"}


@pytest.mark.spheno
@pytest.mark.skipif("RAYSCAN_SPHENO" not in os.environ, reason="RAYSCAN_SPHENO names no SPheno program")
def test_example_card_runs_with_real_spheno(tmp_path: Path) -> None:
    """The example card is a valid point for real SPheno as well, with m_h within 3 GeV of ours."""
    card(tmp_path)
    program = os.environ["RAYSCAN_SPHENO"]
    subprocess.run([program, "point.in", "out.spc"], cwd=tmp_path, check=True, timeout=60)
    mh = float(read_card(str(tmp_path / "out.spc"))["MASS"][25])
    assert mh == pytest.approx(higgs_masses(20, 1500, 2800, 2000, 2000)["mh"], abs=3.0)
