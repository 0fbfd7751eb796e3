"""The changes that rendering makes to a card: a value in its place, or a new line."""

from __future__ import annotations

import math
import operator
from typing import NamedTuple, SupportsIndex

from rayscan.errors import SLHAError
from rayscan.slha.address import ANY, VALUE, Address


class Edit(NamedTuple):
    """Replace ``start:end`` by ``before``, the value of ``address`` and ``after``."""

    start: int
    end: int
    before: str
    address: Address
    after: str
    integer: bool


def new_header(address: Address, newline: str) -> str:
    """Header line of a new section for `address`; empty for a width, which is its own header."""
    if not address.is_block and address.products is None:
        return ""
    if not address.is_block or isinstance(address.scale, str):
        message = f"cannot add {address} to a card that has no such section; write the section into the template"
        raise SLHAError(message)
    scale = "" if address.scale is None else f" Q= {address.scale:.8E}"
    return f"Block {address.block}{scale}{newline}"


def new_line(address: Address) -> tuple[str, str]:
    """Text before and after the value in a new line for `address`."""
    if address.products is not None:
        return "    ", f"    {len(address.products)}    {'  '.join(map(str, address.products))}"
    if not address.is_block:
        return f"{address.block}  {address.columns[0]}    ", ""
    if ANY in address.columns:
        message = f"cannot add {address}: '*' says nothing of what to write; give every column"
        raise SLHAError(message)
    at = address.columns.index(VALUE)
    before, after = address.columns[:at], address.columns[at + 1 :]
    return "".join(f" {c}" for c in before) + "    ", "".join(f"  {c}" for c in after)


def formatted(value: float | SupportsIndex, edit: Edit) -> str:
    """Text of a value; exact, with at least 13 significant digits.

    Raises
    ------
    SLHAError
        If the value is not finite.
    """
    if isinstance(value, float):
        real = value
    else:
        try:
            return str(operator.index(value))
        except TypeError:
            real = float(value)
    if not math.isfinite(real):
        message = f"cannot write {real} to {edit.address}: programs stop at it or ignore it; give a finite number"
        raise SLHAError(message)
    if edit.integer and real.is_integer():
        return str(int(real))
    text = f"{real:.12E}"
    return text if float(text) == real else f"{real:.16E}"
