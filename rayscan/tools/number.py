"""Numbers as programs print and accept them."""

from __future__ import annotations

import math
import re

#: A number in running text, not part of a longer word: Fortran exponents (``1.0D+03``, ``0.25-102``), NaN, Infinity
#: and the asterisks of a field that was too narrow.
NUMBER = (
    r"(?<![\w.])[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[EeDdQq][+-]?\d+|[+-]\d{3})?|[Nn][Aa][Nn]|[Ii][Nn][Ff](?:[Ii][Nn][Ii][Tt][Yy])?)"
    r"(?![\w.])|\*{3,}"
)
NUMBER_PATTERN = re.compile(NUMBER)
_TOO_WIDE = re.compile(r"\d{4}")
_FORTRAN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[DdQq](?P<lettered>[+-]?\d+)|(?P<bare>[+-]\d{3}))")
_PLAIN = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)


def parse_number(text: str) -> float:
    """Return the number that `text` wholly is.

    Parameters
    ----------
    text : str
        Such as ``-1.5``, ``1.0D+03``, ``0.25-102`` (Fortran leaves the letter out of a three-digit exponent), ``NaN``,
        ``Infinity``; ``*****`` is a number that did not fit its field and reads as NaN.

    Raises
    ------
    ValueError
        For anything else, such as ``12abc``, ``2,0`` or an empty text.
    """
    word = text.strip()
    if _PLAIN.fullmatch(word):
        return float(word)
    fortran = _FORTRAN.fullmatch(word)
    if fortran:
        return float(f"{fortran[1]}e{fortran['lettered'] or fortran['bare']}")
    if word and not word.strip("*"):
        return math.nan
    msg = f"{text!r} is not a number"
    raise ValueError(msg)


def format_number(value: float, spec: str = "") -> str:
    """Return the text of a value for an input file.

    Parameters
    ----------
    value : float
        Finite.
    spec : str
        A Python format such as ``.10e``; ``d`` wants a whole number. Empty: the shortest text that reads back as the
        very same double (up to 17 digits).

    Raises
    ------
    ValueError
        If the value is not finite, or not whole where `spec` wants an integer.
    """
    if _TOO_WIDE.search(spec):
        msg = f"the format '{spec}' is wider than any input file; expected one such as .10e"
        raise ValueError(msg)
    if not math.isfinite(value):
        msg = f"{value} cannot be written into an input file; expected a finite number"
        raise ValueError(msg)
    if spec.endswith("d"):
        if value != int(value):
            msg = f"{value!r} is not a whole number, as the format '{spec}' wants"
            raise ValueError(msg)
        return format(int(value), spec)
    return format(value, spec) if spec else repr(float(value))
