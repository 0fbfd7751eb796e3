r"""A small MSSM Higgs spectrum program: SLHA card in, SPheno-style SLHA spectrum out.

Run it as ``python -m rayscan.demo.mssm_higgs [LesHouches.in [SPheno.spc]]`` or by the path of this file.

The CP-even mass matrix in the basis (H_d, H_u), with s = sin β, c = cos β, v = (2√2 G_F)^(-1/2) = 174 GeV::

    M²_dd = m_A² s² + m_Z² c²                  + k m_t⁴ (μ X_t)² g
    M²_du = -s c [m_A² + m_Z² (1 - e/2)]       - k m_t⁴ μ X_t [f + A_t X_t g]
    M²_uu = m_A² c² + m_Z² s² (1 - e)          + k {m̂_t⁴ ln(m₁² m₂² / m̂_t⁴) + m_t⁴ [2 A_t X_t f + (A_t X_t)² g]}

    X_t = A_t - μ cot β        k = 3 G_F / (2√2 π² s²)        e = 3 m̂_t² / (16 π² v² s²) · ln(m₁² m₂² / m̂_t⁴)
    f = ln(m₂²/m₁²) / (m₂² - m₁²)        g = [2 - (m₂² + m₁²) f] / (m₂² - m₁²)²

* The terms in m_t⁴ are the one-loop effective potential of top and stops, with m_A the physical mass [1]_.
* The terms in e are the top-loop logarithms of order m_Z² m_t², from the running of the quartic couplings [2]_.
* The scales are those of [3]_: the logarithm takes m̂_t = m_t(√(m_t M_S)), the mixing terms and the stop
  mass matrix take m_t = m_t(M_S), M_S = √(m_Q3 m_U3); this absorbs the leading two-loop logarithms.
* m_t(μ) is the Standard Model MS-bar mass: two-loop QCD from the pole mass [4]_, then one-loop running in the
  strong (summed) and the top Yukawa coupling. It is 158 GeV at 300 GeV, 148 GeV at 1 TeV and 144 GeV at 2 TeV.
* Stop masses m₁ ≤ m₂ are tree level with D-terms. m_H±² = m_A² + m_W² is tree level.

Left out: sbottoms, staus, gauginos and Higgs bosons in the loop, momentum dependence, non-logarithmic two-loop terms,
the difference between MS-bar and DR-bar input. A_t and the soft masses are read as values at M_S whatever ``Q`` is.

Accuracy of m_h against SPheno 4.0.5 (full one-loop, two-loop third generation), 40,000 points uniform in tan β 2-50,
m_A 200-3000, A_t ±6000, m_Q3 and m_U3 300-5000 GeV, μ = 500 GeV, where SPheno has 115 < m_h < 135 GeV:
bias +0.2 GeV, rms 2.0 GeV; 75 % of the points within 2 GeV, 89 % within 3, 97 % within 5, the worst 15. Typically
+4 GeV for |X_t| > 2.5 M_S, +3 for M_S < 1.5 TeV and -1.5 for M_S > 3 TeV. Every point refused here is refused by
SPheno, which refuses a further 5 %, mostly for tachyons at one loop.
No number here was adjusted to that comparison. It is a program to try scans on, not one to publish spectra from.

References
----------
.. [1] J. Ellis, G. Ridolfi, F. Zwirner, Phys. Lett. B 257 (1991) 83 and B 262 (1991) 477.
.. [2] H. E. Haber, R. Hempfling, Phys. Rev. D 48 (1993) 4280, hep-ph/9307201.
.. [3] H. E. Haber, R. Hempfling, A. H. Hoang, Z. Phys. C 75 (1997) 539, hep-ph/9609331.
.. [4] N. Gray, D. J. Broadhurst, W. Grafe, K. Schilcher, Z. Phys. C 48 (1990) 673.
.. [5] P. Skands et al., JHEP 07 (2004) 036, hep-ph/0311123 (SLHA).
"""

# Only built-in modules are imported: a scan starts this program once per point, and `re` or `pathlib` would cost as
# much as everything else it does.
from __future__ import annotations

import sys
from math import atan, atan2, atanh, cos, exp, isfinite, log, pi, sin, sqrt

PROGRAM = "rayscan-mssm-higgs"
VERSION = "1.0.0"

M_W = 80.379
SIN2_THETA_W = 0.2312
STANDARD_MODEL = {2: 1.166379e-5, 3: 0.1184, 4: 91.1876, 6: 173.1}
"""SMINPUTS entries that a card may leave out: G_F (GeV^-2), strong coupling at m_Z, m_Z, top pole mass (GeV)."""

REQUIRED = (11, 23, 25, 26, 43, 46)
"""EXTPAR entries that a card must have: A_t, μ, tan β, m_A, m_Q3, m_U3."""

Block = dict[int, str]


class UnphysicalPointError(ValueError):
    """The parameters have no acceptable spectrum."""


class CardError(ValueError):
    """The input card cannot be read as an SLHA card of the low-scale MSSM."""


def running_top(scale: float, *, m_top_pole: float, alpha_s: float, m_z: float, g_f: float) -> float:
    """Return the Standard Model MS-bar top mass in GeV at `scale` (GeV).

    Parameters
    ----------
    scale
        Renormalisation scale. Below m_t(m_t) the running has stopped: the top quark is no longer in the theory.
    m_top_pole
        Pole mass in GeV.
    alpha_s
        MS-bar coupling at `m_z`, five flavours.
    m_z, g_f
        Z mass in GeV and Fermi constant in GeV^-2.
    """
    alpha_top = alpha_s / (1 + alpha_s * (23 / 3) / (2 * pi) * log(m_top_pole / m_z))
    a = alpha_top / pi
    m_top = m_top_pole / (1 + 4 / 3 * a + 10.9 * a * a)
    step = max(0.0, log(scale / m_top))
    qcd = exp(-4 / 7 * log(1 + 7 * alpha_top / (2 * pi) * step))
    yukawa = m_top * m_top * 2 * sqrt(2) * g_f / (4 * pi)
    return m_top * qcd * exp(3 * yukawa / (8 * pi) * step)


def stop_sector(
    tan_beta: float, x_t: float, m_q3: float, m_u3: float, m_top: float, m_z: float
) -> tuple[float, float, float]:
    """Return m_1², m_2² (GeV², ascending) and the mixing angle θ of t_1 = cos θ t_L + sin θ t_R, at tree level."""
    cos_2beta = (1 - tan_beta * tan_beta) / (1 + tan_beta * tan_beta)
    d_term = m_z * m_z * cos_2beta
    left = m_q3 * m_q3 + m_top * m_top + d_term * (1 / 2 - 2 / 3 * SIN2_THETA_W)
    right = m_u3 * m_u3 + m_top * m_top + d_term * 2 / 3 * SIN2_THETA_W
    mixing = m_top * x_t
    half_gap = sqrt((left - right) * (left - right) / 4 + mixing * mixing)
    mean = (left + right) / 2
    theta = atan2(2 * mixing, left - right) / 2 + pi / 2
    return mean - half_gap, mean + half_gap, theta


def mixing_functions(m1_sq: float, m2_sq: float) -> tuple[float, float]:
    """Return f (GeV^-2) and g (GeV^-4) of the module docstring, stable for equal masses."""
    total = m1_sq + m2_sq
    r = (m2_sq - m1_sq) / total
    if r < 0.02:
        r2 = r * r
        return 2 / total * (1 + r2 / 3 + r2 * r2 / 5), -2 / (total * total) * (1 / 3 + r2 / 5 + r2 * r2 / 7)
    f = 2 * atanh(r) / (r * total)
    return f, (2 - total * f) / (m2_sq - m1_sq) ** 2


def higgs_masses(
    tan_beta: float,
    m_a: float,
    a_t: float,
    m_q3: float,
    m_u3: float,
    mu: float = 500.0,
    *,
    m_top_pole: float = STANDARD_MODEL[6],
    alpha_s: float = STANDARD_MODEL[3],
    m_z: float = STANDARD_MODEL[4],
    g_f: float = STANDARD_MODEL[2],
    fixed_top: float | None = None,
    loops: bool = True,
) -> dict[str, float]:
    """Compute the Higgs and stop masses of one MSSM point.

    Parameters
    ----------
    tan_beta
        Ratio of the vacuum expectation values, positive.
    m_a, a_t, m_q3, m_u3, mu
        CP-odd Higgs mass, stop trilinear coupling, soft stop masses and higgsino mass parameter, in GeV.
        `m_a`, `m_q3` and `m_u3` are positive; signs follow SLHA, X_t = A_t - μ cot β.
    m_top_pole, alpha_s, m_z, g_f
        Standard Model input, see `running_top`.
    fixed_top
        Use this running top mass in GeV at every scale instead of `running_top`.
    loops
        False gives tree-level Higgs masses.

    Returns
    -------
    dict
        ``mh``, ``mH``, ``mA``, ``mHpm``, ``mst1``, ``mst2`` in GeV, the angles ``alpha`` (in (-π/2, π/2)) and
        ``theta_stop`` (t_1 = cos θ t_L + sin θ t_R) in radians.

    Raises
    ------
    UnphysicalPointError
        If a parameter is out of its domain, a stop is a tachyon or m_h² is not positive.
    """
    check_domain(tan_beta=tan_beta, m_A=m_a, m_Q3=m_q3, m_U3=m_u3)
    m_s = sqrt(m_q3) * sqrt(m_u3)
    if fixed_top is None:
        m_top = running_top(m_s, m_top_pole=m_top_pole, alpha_s=alpha_s, m_z=m_z, g_f=g_f)
        log_scale = sqrt(m_top_pole * m_s)
        m_top_log = running_top(log_scale, m_top_pole=m_top_pole, alpha_s=alpha_s, m_z=m_z, g_f=g_f)
    else:
        m_top = m_top_log = fixed_top
    x_t = a_t - mu / tan_beta
    m1_sq, m2_sq, theta = stop_sector(tan_beta, x_t, m_q3, m_u3, m_top, m_z)
    if not m1_sq > 0:
        msg = f"stop tachyon: m_1^2 = {m1_sq:.4E} GeV^2"
        raise UnphysicalPointError(msg)

    beta = atan(tan_beta)
    s, c = sin(beta), cos(beta)
    log_term = log(m1_sq) + log(m2_sq) - 4 * log(m_top_log) if loops else 0.0
    quartic = 3 * m_top_log**2 * 2 * sqrt(2) * g_f / (16 * pi * pi * s * s) * log_term
    m_dd = (m_a * s) ** 2 + (m_z * c) ** 2
    m_du = -s * c * (m_a * m_a + m_z * m_z * (1 - quartic / 2))
    m_uu = (m_a * c) ** 2 + (m_z * s) ** 2 * (1 - quartic)
    if loops:
        f, g = mixing_functions(m1_sq, m2_sq)
        k = 3 * g_f / (2 * sqrt(2) * pi * pi * s * s)
        m_dd += k * m_top**4 * (mu * x_t) ** 2 * g
        m_du -= k * m_top**4 * mu * x_t * (f + a_t * x_t * g)
        m_uu += k * (m_top_log**4 * log_term + m_top**4 * (2 * a_t * x_t * f + (a_t * x_t) ** 2 * g))

    mean = (m_dd + m_uu) / 2
    half_gap = sqrt((m_dd - m_uu) ** 2 / 4 + m_du * m_du)
    mh_sq = mean - half_gap
    if not mh_sq > 0:
        msg = f"Higgs tachyon: m_h^2 = {mh_sq:.4E} GeV^2"
        raise UnphysicalPointError(msg)
    return {
        "mh": sqrt(mh_sq),
        "mH": sqrt(mean + half_gap),
        "mA": m_a,
        "mHpm": sqrt(m_a * m_a + M_W * M_W),
        "mst1": sqrt(m1_sq),
        "mst2": sqrt(m2_sq),
        "alpha": atan2(2 * m_du, m_dd - m_uu) / 2,
        "theta_stop": theta,
    }


def check_domain(**positive: float) -> None:
    """Raise `UnphysicalPointError` unless every value is positive and finite."""
    for name, value in positive.items():
        if not 0 < value < 1e18:
            msg = f"{name} = {value:g} is outside (0, 1e18)"
            raise UnphysicalPointError(msg)


def read_card(path: str) -> dict[str, Block]:
    """Read the blocks of an SLHA card that have one integer index; block names in upper case, values as text [5]_."""
    blocks: dict[str, Block] = {}
    current: Block = {}
    with open(path, encoding="utf-8", errors="replace") as card:  # noqa: PTH123 - pathlib doubles the start-up time
        for line in card:
            words = line.split("#", 1)[0].split()
            if not words:
                continue
            head = words[0].upper()
            if head == "BLOCK" and len(words) > 1:
                current = blocks.setdefault(words[1].upper(), {})
            elif head == "DECAY":
                current = {}
            elif len(words) > 1 and head.isdigit():
                current[int(head)] = words[1]
    return blocks


def number(blocks: dict[str, Block], block: str, index: int, default: float | None = None) -> float:
    """Return one entry as a finite float (Fortran ``D`` exponents allowed).

    Raises
    ------
    CardError
        If the entry is missing without a `default`, is not a number or is not finite.
    """
    text = blocks.get(block, {}).get(index)
    if text is None:
        if default is None:
            msg = f"no entry {index} in block {block}: add the line '{index} <value>' below 'Block {block}'"
            raise CardError(msg)
        return default
    try:
        value = float(text.upper().replace("D", "E"))
    except ValueError:
        value = float("nan")
    if not isfinite(value) or "_" in text:
        msg = f"block {block} entry {index} is '{text}', expected a finite number such as 1.5E+03"
        raise CardError(msg)
    return value


def point_of(blocks: dict[str, Block]) -> tuple[dict[int, float], dict[int, float]]:
    """Return the EXTPAR and SMINPUTS entries (index → value) of a card, tan β always as EXTPAR 25.

    Raises
    ------
    CardError
        If an entry is missing or not a number, or the card asks for a model other than the low-scale MSSM.
    """
    if number(blocks, "MODSEL", 1) != 0:
        msg = f"MODSEL 1 is '{blocks['MODSEL'][1]}', expected 0 (MSSM with EXTPAR input at a low scale)"
        raise CardError(msg)
    entries = blocks.get("EXTPAR", {})
    if 25 not in entries and 3 in blocks.get("MINPAR", {}):
        entries[25] = blocks["MINPAR"][3]
    extpar = {index: number(blocks, "EXTPAR", index) for index in (*entries, *REQUIRED)}
    sm = {index: number(blocks, "SMINPUTS", index, default) for index, default in STANDARD_MODEL.items()}
    for index, value in sm.items():
        if not 0.5 < value / STANDARD_MODEL[index] < 2:
            msg = f"block SMINPUTS entry {index} is {value:g}, expected a value near {STANDARD_MODEL[index]:g}"
            raise CardError(msg)
    return extpar, sm


def solve(extpar: dict[int, float], sm: dict[int, float]) -> dict[str, float]:
    """Return `higgs_masses` of the entries that `point_of` read."""
    tan_beta, m_a, a_t, m_q3, m_u3, mu = (extpar[index] for index in (25, 26, 11, 43, 46, 23))
    return higgs_masses(tan_beta, m_a, a_t, m_q3, m_u3, mu, g_f=sm[2], alpha_s=sm[3], m_z=sm[4], m_top_pole=sm[6])


def header(problem: str | None = None) -> list[str]:
    """Return the SPINFO block; with a `problem`, entries 3 (reason) and 4 (failure flag) as well."""
    lines = [
        "# SUSY Les Houches Accord - Higgs and stop spectrum of the MSSM",
        "Block SPINFO         # Program information",
        f"     1   {PROGRAM}   # spectrum calculator",
        f"     2   {VERSION}      # version number",
    ]
    if problem is not None:
        lines += [f"     3   {problem}", f"     4   {problem}   # no spectrum for this point"]
    return lines


def spectrum(extpar: dict[int, float], result: dict[str, float]) -> list[str]:
    """Return the lines of a complete output file."""
    scale = extpar.get(0, -1.0)
    if scale <= 0:  # in SLHA, -1 and no entry both mean the geometric mean of the stop masses
        scale = sqrt(result["mst1"] * result["mst2"])
    cos_t, sin_t = cos(result["theta_stop"]), sin(result["theta_stop"])
    lines = [*header(), "Block MODSEL  # Model selection", "     1    0    # MSSM, low-scale input"]
    lines.append("Block EXTPAR  # input parameters")
    lines += [f"{index:6d}  {extpar[index]:18.10E}" for index in sorted(extpar)]
    lines.append(f"Block MSOFT Q= {scale:18.10E}  # soft SUSY breaking masses as read")
    lines += [f"{index:6d}  {extpar[index]:18.10E}" for index in (1, 2, 3, 43, 46) if index in extpar]
    lines.append("Block MASS  # Mass spectrum in GeV")
    masses = ((25, "mh", "h0"), (35, "mH", "H0"), (36, "mA", "A0"), (37, "mHpm", "H+"))
    stops = ((1000006, "mst1", "~t_1"), (2000006, "mst2", "~t_2"))
    lines += [f"{code:10d}  {result[key]:18.10E}   # {name}" for code, key, name in (*masses, *stops)]
    lines += ["Block ALPHA  # Higgs mixing angle", f"            {result['alpha']:18.10E}   # alpha"]
    lines.append("Block STOPMIX  # stop mixing matrix")
    rotation = ((1, 1, cos_t), (1, 2, sin_t), (2, 1, -sin_t), (2, 2, cos_t))
    lines += [f"{row:3d}{column:3d}  {value:18.10E}" for row, column, value in rotation]
    return lines


def main(argv: list[str] | None = None) -> int:
    """Read a card, write a spectrum.

    Returns
    -------
    int
        0 when the output was written, be it a spectrum or the stub of an unphysical point (as SPheno does; then
        "There has been a problem during the run." is on stdout); 2 when card or output file is bad, with the reason
        on stderr and nothing written.
    """
    names = sys.argv[1:] if argv is None else argv
    if len(names) > 2:
        print(f"{PROGRAM}: expected [input [output]], got {len(names)} arguments", file=sys.stderr)
        return 2
    source, destination = (*names, *("LesHouches.in", "SPheno.spc")[len(names) :])
    if source == destination:
        print(f"{PROGRAM}: '{source}' is named as input and as output: name two files", file=sys.stderr)
        return 2
    try:
        extpar, sm = point_of(read_card(source))
        try:
            lines = spectrum(extpar, solve(extpar, sm))
        except (UnphysicalPointError, OverflowError) as problem:
            print("There has been a problem during the run.")
            lines = header(str(problem))
        with open(destination, "w", encoding="utf-8") as output:  # noqa: PTH123 - pathlib doubles the start-up time
            output.write("\n".join(lines) + "\n")
    except CardError as problem:
        print(f"{PROGRAM}: input card '{source}': {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"{PROGRAM}: cannot read '{source}' or write '{destination}': {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
