"""What entries of SLHA files are called in figures, and their units: as in the SLHA papers and the PDG."""

from __future__ import annotations

from dataclasses import dataclass

from rayscan.slha.address import Address

GEV = "GeV"
MASSES = {
    5: "m_b", 6: "m_t", 15: r"m_\tau", 23: "m_Z", 24: "m_W", 25: "m_h", 35: "m_H", 36: "m_A", 37: r"m_{H^\pm}",
    1000001: r"m_{\tilde d_L}", 1000002: r"m_{\tilde u_L}", 1000003: r"m_{\tilde s_L}", 1000004: r"m_{\tilde c_L}",
    1000005: r"m_{\tilde b_1}", 1000006: r"m_{\tilde t_1}", 1000011: r"m_{\tilde e_L}", 1000013: r"m_{\tilde\mu_L}",
    1000015: r"m_{\tilde\tau_1}", 1000012: r"m_{\tilde\nu_e}", 1000014: r"m_{\tilde\nu_\mu}",
    1000016: r"m_{\tilde\nu_\tau}", 1000021: r"m_{\tilde g}", 1000022: r"m_{\tilde\chi^0_1}",
    1000023: r"m_{\tilde\chi^0_2}", 1000024: r"m_{\tilde\chi^\pm_1}", 1000025: r"m_{\tilde\chi^0_3}",
    1000035: r"m_{\tilde\chi^0_4}", 1000037: r"m_{\tilde\chi^\pm_2}", 1000039: r"m_{\tilde G}",
    2000001: r"m_{\tilde d_R}", 2000002: r"m_{\tilde u_R}", 2000003: r"m_{\tilde s_R}", 2000004: r"m_{\tilde c_R}",
    2000005: r"m_{\tilde b_2}", 2000006: r"m_{\tilde t_2}", 2000011: r"m_{\tilde e_R}", 2000013: r"m_{\tilde\mu_R}",
    2000015: r"m_{\tilde\tau_2}",
}  # fmt: skip
SOFT = {
    1: "M_1", 2: "M_2", 3: "M_3", 11: "A_t", 12: "A_b", 13: r"A_\tau", 23: r"\mu", 26: "m_A", 27: r"m_{H^\pm}",
    31: r"m_{\tilde e_L}", 32: r"m_{\tilde\mu_L}", 33: r"m_{\tilde\tau_L}", 34: r"m_{\tilde e_R}",
    35: r"m_{\tilde\mu_R}", 36: r"m_{\tilde\tau_R}", 41: r"m_{\tilde q_1}", 42: r"m_{\tilde q_2}",
    43: r"m_{\tilde q_3}", 44: r"m_{\tilde u_R}", 45: r"m_{\tilde c_R}", 46: r"m_{\tilde t_R}",
    47: r"m_{\tilde d_R}", 48: r"m_{\tilde s_R}", 49: r"m_{\tilde b_R}",
}  # fmt: skip
TAN_BETA = {("EXTPAR", 25), ("MINPAR", 3)}
"""The other entries of MINPAR are what a model makes of them."""


@dataclass(frozen=True)
class Symbol:
    """How a quantity is written.

    Attributes
    ----------
    label : str
        In TeX, or an empty text where nothing better than its name is known.
    unit : str
        Empty where it has none, or none is known.
    """

    label: str = ""
    unit: str = ""


def symbol(address: Address) -> Symbol:
    """Return how an entry is written.

    Examples
    --------
    >>> symbol(Address.parse("MASS 25"))
    Symbol(label='$m_h$', unit='GeV')
    >>> symbol(Address.parse("NMIX 1 1"))
    Symbol(label='', unit='')
    """
    numbers = [column for column in address.columns if isinstance(column, int)]
    if address.products is not None or len(numbers) != 1:
        return Symbol()
    number = numbers[0]
    if address.block == "DECAY":
        return Symbol(unit=GEV)
    if (address.block, number) in TAN_BETA:
        return Symbol(r"$\tan\beta$")
    names = {"MASS": MASSES, "EXTPAR": SOFT, "MSOFT": SOFT}.get(address.block, {})
    if number in names:
        return Symbol(f"${names[number]}$", GEV)
    return Symbol(unit=GEV if address.block == "MASS" else "")
