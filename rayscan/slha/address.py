"""The name of one entry of an SLHA file, as a user writes it in code and in TOML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from rayscan.errors import SLHAError

#: Section keywords that hold a total width and branching ratios (``DECAY1L``: one-loop widths of SARAH's SPheno).
DECAY_KEYWORDS: Final = frozenset({"DECAY", "DECAY1L"})
#: Column marks of a pattern: the value to read or write, and a column of any content.
VALUE: Final = "_"
ANY: Final = "*"

#: FLHA blocks whose value is followed by scheme and scale (arXiv:1008.0762).
_SCHEME_AND_SCALE: Final = frozenset({"FMASS", "FCONST", "FCONSTRATIO", "FBAG"})
#: FLHA observables: parent, type, value, q, number of daughters, daughters (arXiv:1008.0762).
_OBSERVABLES: Final = frozenset({"FOBS", "FOBSSM"})
_EXAMPLES: Final = (
    "write for example 'MASS 25', 'NMIX 1 2', 'ALPHA', 'MSOFT@Q=1000 43', 'GAUGE@Q=max 1', 'DECAY 25', "
    "'DECAY 25 -> 5 -5', 'HiggsBoundsInputHiggsCouplingsBosons 25 24 24', 'BLOCKNAME _ * 25 5 5' (_ is the value, "
    "* is any column) or 'XSECTION 13000 2212 2212 -> 1000021 1000021'"
)
_NAME: Final = re.compile(r"(?P<block>[A-Za-z_][^\s@#=>]*)(?:@[Qq]=(?P<scale>\S+))?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Column = int | str


@dataclass(frozen=True, slots=True)
class Address:
    """One entry of an SLHA file. Build it with `Address.parse`; ``str`` gives a text that parses back to it.

    ======================================== ====================================================================
    ``MASS 25``, ``NMIX 1 2``, ``ALPHA``     block (any case) and its indices; imaginary blocks by name: ``IMNMIX 1 2``
    ``MSOFT@Q=1000 43``                      the block given at that scale (GeV, to a relative 1e-4)
    ``GAUGE@Q=max 1``, ``GAUGE@Q=min 1``     the block at the highest (lowest) scale. Without a choice: the scale of
                                             the block's last occurrence (SPheno writes GUT scale, then SUSY scale)
    ``DECAY 25``                             total width
    ``DECAY 25 -> 5 -5``                     branching ratio, daughters in any order
    ``SPINFO 4``                             text entries too
    ``HiggsCouplingsBosons 25 24 24``        blocks ``…HiggsCouplingsBosons``: value, number of particles, particles
    ``HiggsCouplingsFermions _ * 3 25 5 5``  any layout: the line with ``_`` for the value and ``*`` for any column
                                             (here the scalar coupling; ``* _ 3 25 5 5`` is the pseudoscalar one)
    ``FOBS 5 1 -> 3 22``                     flavour observable: parent, type, daughters in the file's order
    ``XSECTION 13000 2212 2212 -> 35 36``    cross section: √s in GeV, initial and final particles in any order. A
                                             line of several is chosen by its leading columns after a colon:
                                             ``… : 0 1 *`` (scale scheme, QCD order, EW order, κ_F, κ_R, PDF)
    ======================================== ====================================================================

    Attributes
    ----------
    block : str
        Upper-case block name, or ``DECAY``, ``DECAY1L``, ``XSECTION``.
    columns : tuple of int or str
        Blocks: the columns of the line with ``"_"`` for the value. Decays: the particle. Cross sections: the two
        initial particles, sorted.
    scale : float or str or None
        Blocks: the wanted Q in GeV, ``"max"``, ``"min"`` or None. Cross sections: √s in GeV.
    products : tuple of int or None
        Sorted final-state particles of a branching ratio or cross section.
    options : tuple of float or str
        Leading columns of a cross-section line.
    """

    block: str
    columns: tuple[Column, ...]
    scale: float | str | None = None
    products: tuple[int, ...] | None = None
    options: tuple[float | str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address from text such as ``"MASS 25"``.

        Raises
        ------
        SLHAError
            If `text` is no address; the message says what is expected, with examples.
        """
        text = str(text)
        left, arrow, right = text.partition("->")
        words = left.split()
        if len(words) > 1 and words[0].upper() == "BLOCK":
            words = words[1:]
        named = _NAME.fullmatch(words[0]) if words and text.isascii() else None
        if named is None or named["block"].upper() == "BLOCK":
            _refuse(text, "it does not start with a block name")
        block = named["block"].upper()
        if block == "XSECTION":
            return _cross_section(text, words[1:], right)
        products = _integers(text, right.split()) if arrow else None
        if products == ():
            _refuse(text, "no particles follow '->'")
        scale = _scale(text, named["scale"])
        if block in DECAY_KEYWORDS:
            if len(words) != 2 or scale is not None:
                _refuse(text, f"{block} takes one PDG code, then '->' and the daughters if a branching ratio is meant")
            return cls(block, _integers(text, words[1:]), products=products and tuple(sorted(products)))
        return cls(block, _columns(text, block, words[1:], products), scale)

    def __str__(self) -> str:
        if self.block == "XSECTION":
            options = f" : {_join(self.options)}" if self.options else ""
            return f"XSECTION {_short(self.scale)} {_join(self.columns)} -> {_join(self.products or ())}{options}"
        if self.products is not None:
            return f"{self.block} {_join(self.columns)} -> {_join(self.products)}"
        name = self.block if self.scale is None else f"{self.block}@Q={_short(self.scale)}"
        explicit = self.block in _SCHEME_AND_SCALE or "HIGGSCOUPLINGS" in self.block
        shown = self.columns if explicit or not self.is_plain else self.columns[:-1]
        return f"{name} {_join(shown)}".rstrip()

    @property
    def is_block(self) -> bool:
        """Whether the entry belongs to a ``BLOCK`` (not to a decay or a cross section)."""
        return self.block != "XSECTION" and self.block not in DECAY_KEYWORDS

    @property
    def is_plain(self) -> bool:
        """Whether it is a block entry whose value simply follows its integer indices."""
        return self.is_block and self.columns[-1] == VALUE and ANY not in self.columns

    @property
    def key(self) -> bytes:
        """What its section is called in the file: upper-case block name, ``DECAY 25`` or ``XSECTION``."""
        decay = self.block in DECAY_KEYWORDS
        return (f"{self.block} {self.columns[0]}" if decay else self.block).encode("utf-8", "replace")


def _columns(text: str, block: str, words: list[str], products: tuple[int, ...] | None) -> tuple[Column, ...]:
    """Columns of a block entry from the indices that the user wrote, with the value's place filled in."""
    columns = tuple(word if word in (VALUE, ANY) else _integers(text, [word])[0] for word in words)
    if block in _OBSERVABLES and products is not None:
        if len(columns) != 2 or VALUE in columns:
            _refuse(text, f"{block} takes parent and type before '->', as in '{block} 5 1 -> 3 22'")
        return (*columns, VALUE, ANY, len(products), *products)
    if products is not None:
        _refuse(text, "'->' belongs to DECAY, XSECTION, FOBS and FOBSSM only")
    if columns.count(VALUE) > 1:
        _refuse(text, "'_' marks the one value and may occur only once")
    if VALUE in columns:
        return columns
    if ANY in columns:
        _refuse(text, "'*' needs '_' at the value's column")
    if block.endswith("HIGGSCOUPLINGSBOSONS"):
        return (VALUE, len(columns), *columns)
    if block.endswith("HIGGSCOUPLINGSFERMIONS"):
        ids = _join(columns)
        _refuse(
            text,
            f"a line of this block holds two values: write '{block} _ * {len(columns)} {ids}' for the scalar or "
            f"'{block} * _ {len(columns)} {ids}' for the pseudoscalar coupling",
        )
    return (*columns, VALUE, ANY, ANY) if block in _SCHEME_AND_SCALE else (*columns, VALUE)


def _cross_section(text: str, words: list[str], right: str) -> Address:
    """Address of a cross section; `words` precede the arrow, `right` follows it."""
    final, _, chosen = right.partition(":")
    products = _integers(text, final.split())
    if len(words) != 3 or not products:
        _refuse(text, "XSECTION takes √s in GeV, two initial PDG codes, '->' and the final PDG codes")
    options = tuple(word if word == ANY else _real(text, word) for word in chosen.split())
    if len(options) > 6:
        _refuse(text, "at most six columns stand before the value of a cross section")
    initial = tuple(sorted(_integers(text, words[1:])))
    return Address("XSECTION", initial, _real(text, words[0]), tuple(sorted(products)), options)


def _scale(text: str, word: str | None) -> float | str | None:
    if word is None or word.lower() in ("max", "min"):
        return word and word.lower()
    return _real(text, word)


def _integers(text: str, words: list[str]) -> tuple[int, ...]:
    for word in words:
        if _INTEGER.fullmatch(word) is None:
            _refuse(text, f"{word!r} is no integer index")
    return tuple(int(word) for word in words)


def _real(text: str, word: str) -> float:
    if _REAL.fullmatch(word) is None or not math.isfinite(float(word)):
        _refuse(text, f"{word!r} is no number")
    return float(word)


def _short(scale: float | str | None) -> str:
    return str(scale).removesuffix(".0")


def _join(columns: tuple[Column, ...] | tuple[float | str, ...]) -> str:
    return " ".join(_short(column) for column in columns)


def _refuse(text: str, why: str) -> NoReturn:
    message = f"SLHA address {text!r}: {why}; {_EXAMPLES}"
    raise SLHAError(message)
