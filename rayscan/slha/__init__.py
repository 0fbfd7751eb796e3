"""SLHA files: read selected entries, and write values into a card that otherwise stays as it is.

`Address` names an entry, `read_values`, `read_texts` and `has_block` read output files, `Card` is an input file as a
template.

References
----------
P. Skands et al., JHEP 07 (2004) 036 (SLHA1); B. C. Allanach et al., Comput. Phys. Commun. 180 (2009) 8 (SLHA2);
F. Mahmoudi et al., Comput. Phys. Commun. 183 (2012) 285 (FLHA); HiggsBounds and XSECTION blocks by their programs.
"""

from __future__ import annotations

from rayscan.slha.address import Address
from rayscan.slha.card import Card, Entry
from rayscan.slha.reader import has_block, read_texts, read_values

__all__ = ["Address", "Card", "Entry", "has_block", "read_texts", "read_values"]
