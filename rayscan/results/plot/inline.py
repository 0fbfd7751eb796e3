"""A figure inside a page: as a drawing where it is small, else as a picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl

LARGEST = 250_000
"""Bytes of a drawing beyond which a picture loads faster."""
MOST_PANELS = 16
"""Panels beyond which a drawing is seldom small, and takes long to find out."""
DPI = 140


def data_uri(figure: Any) -> str:
    """Return a figure as the address of itself, which needs no file; the same figure has the same one each time."""
    kind, content = "svg+xml", _bytes(figure, "svg") if len(figure.axes) <= MOST_PANELS else b""
    if not 0 < len(content) <= LARGEST:
        kind, content = "png", _bytes(figure, "png")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _bytes(figure: Any, kind: str) -> bytes:
    tray = io.BytesIO()
    when = {"metadata": {"Date": None}} if kind == "svg" else {}
    with mpl.rc_context({"svg.hashsalt": "rayscan"}):
        figure.savefig(tray, format=kind, dpi=DPI, bbox_inches="tight", **when)
    return tray.getvalue()
