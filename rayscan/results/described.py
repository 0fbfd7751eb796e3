"""What the description of a run says of its parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def scanned(description: Mapping[str, Any]) -> list[str]:
    """Return the parameters that were scanned, in the order of the axes of the unit cube.

    Parameters
    ----------
    description : mapping
        Of a `rayscan.store.RunDirectory`.
    """
    return [
        name
        for name, given in description.get("space", {}).items()
        # What follows from the others of a joint prior has no axis.
        if isinstance(given, Mapping) and given.get("prior") not in {"fixed", "derived"} and given.get("scanned", True)
    ]


def limits(description: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Return the range that a parameter was scanned in; infinite where its prior has no end."""
    given = description.get("space", {}).get(name)
    known = given if isinstance(given, Mapping) else {}
    return float(known.get("lo", -math.inf)), float(known.get("hi", math.inf))
