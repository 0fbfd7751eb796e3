"""What entries of SLHA files are called in figures."""

from __future__ import annotations

import pytest

from rayscan.slha.address import Address
from rayscan.slha.symbols import MASSES, SOFT, Symbol, symbol


@pytest.mark.parametrize(
    ("address", "label", "unit"),
    [
        ("MASS 25", "$m_h$", "GeV"),
        ("mass 1000006", r"$m_{\tilde t_1}$", "GeV"),
        ("MASS 9000001", "", "GeV"),
        ("EXTPAR 25", r"$\tan\beta$", ""),
        ("MINPAR 3", r"$\tan\beta$", ""),
        ("MINPAR 1", "", ""),
        ("EXTPAR 43", r"$m_{\tilde q_3}$", "GeV"),
        ("MSOFT@Q=max 1", "$M_1$", "GeV"),
        ("DECAY 25", "", "GeV"),
        ("DECAY 25 -> 5 -5", "", ""),
        ("NMIX 1 1", "", ""),
    ],
)
def test_an_entry_is_written_as_in_the_papers(address: str, label: str, unit: str) -> None:
    """Masses and soft parameters have symbols and units; of what a model is free to define nothing is claimed."""
    assert symbol(Address.parse(address)) == Symbol(label, unit)


def test_every_symbol_can_be_drawn() -> None:
    """Matplotlib's own TeX knows all of them."""
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    for name in (*MASSES.values(), *SOFT.values()):
        assert parser.parse(f"${name}$").width > 0
