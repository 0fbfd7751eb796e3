"""Figures look as they did when somebody last looked at them, and no text lies on another.

``RAYSCAN_NEW_PICTURES=1 python -m pytest tests/results/test_pictures.py`` draws the pictures anew: look at them before
they are committed. They are small and have no text, so that fonts and versions of matplotlib do not matter.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from rayscan.results.plot import Plots
from tests.results.invented import FAMILIES, GRADED, NAMES, drawn, figures

PICTURES = Path(__file__).parent / "pictures"
BY_PARAMETER = ("corner", "histograms", "parallel", "evenness", "failures")
"""Families that look different with more parameters."""
CASES = [(family, d) for family in BY_PARAMETER for d in (2, 5, 20)]
CASES += [(family, 5) for family in FAMILIES if family not in BY_PARAMETER]
ROWS, DPI, BLOCK = 1500, 48, 6
AIR = 2.0
"""Pixels by which texts may overlap."""
TOLERANCE = 4.0
"""Root mean square of the differences of colours, of 255, that other versions and edges of lines may make."""


@functools.cache
def scan(d: int, *, graded: bool) -> Plots:
    return figures(d, ROWS, graded=graded)


@dataclass(frozen=True)
class Written:
    """Something that is written on a figure, in pixels."""

    text: str
    box: Bbox
    rotation: float
    height: float

    def upright(self) -> Bbox:
        """Return the box as it lies in a picture that is turned so that the text is horizontal."""
        turn = math.radians(self.rotation)
        away = abs(math.cos(turn)), abs(math.sin(turn))
        width = (self.box.width - self.height * away[1]) / away[0] if away[0] > 0.1 else self.box.height
        x, y = (self.box.x0 + self.box.x1) / 2, (self.box.y0 + self.box.y1) / 2
        x, y = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        return Bbox.from_bounds(x - width / 2, y - self.height / 2, width, self.height)

    def lies_on(self, other: Written) -> bool:
        """Return whether two texts overlap, by more than the air around them."""
        same = self.rotation == other.rotation
        one, another = (self.upright(), other.upright()) if same else (self.box, other.box)
        overlap = Bbox.intersection(one, another)
        return overlap is not None and min(overlap.width, overlap.height) > AIR


def texts(figure: Any) -> list[Written]:
    """Return everything that is written."""
    figure.draw_without_rendering()
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            # Ticks beyond the ends of an axis are there, but not drawn.
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not (low <= tick.get_loc() <= high and axes.axison and axis.get_visible()):
                    hidden |= {id(tick.label1), id(tick.label2)}
    shown = [
        text for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden
        and (text.axes is None or text.axes.axison)
    ]  # fmt: skip
    pixels = figure.dpi / 72
    return [
        Written(text.get_text(), text.get_window_extent(), text.get_rotation(), text.get_fontsize() * pixels)
        for text in shown
    ]


def without_text(figure: Any) -> np.ndarray:
    """Return the picture as coarse blocks, with nothing written on it."""
    for axes in figure.axes:
        axes.tick_params(which="both", **dict.fromkeys(("labelbottom", "labelleft", "labelright", "labeltop"), False))
    for written in (*figure.findobj(Text), *figure.findobj(Legend)):
        written.set_visible(False)
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba(), dtype=float)[..., :3]
    height, width = (side // BLOCK for side in pixels.shape[:2])
    blocks = pixels[: height * BLOCK, : width * BLOCK].reshape(height, BLOCK, width, BLOCK, 3)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)


@pytest.mark.parametrize(("family", "d"), CASES)
def test_a_figure_looks_as_it_did_and_can_be_read(family: str, d: int, tmp_path: Path):
    """No label lies on another or beyond the edge, and the picture is the one that was looked at."""
    options = {"columns": (*NAMES[:8], "mh", "omega")} if (family, d) == ("corner", 20) else {}
    figure = drawn(scan(d, graded=family in GRADED), family, **options)
    written = texts(figure)
    for one, other in itertools.combinations(written, 2):
        assert not one.lies_on(other), f"{one.text!r} lies on {other.text!r}"
    whole = figure.bbox
    for one in written:
        kept = Bbox.intersection(whole.padded(1), one.box)
        assert kept is not None, f"{one.text!r} is off the picture"
        assert np.allclose(kept.get_points(), one.box.get_points()), f"{one.text!r} is cut off"
    seen, path = without_text(figure), PICTURES / f"{family}-{d}.png"
    if os.environ.get("RAYSCAN_NEW_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        Image.fromarray(seen).save(path, optimize=True)
    expected = np.asarray(Image.open(path), dtype=float)
    assert seen.shape == expected.shape
    away = float(np.sqrt(np.mean((seen.astype(float) - expected) ** 2)))
    if away > TOLERANCE:
        Image.fromarray(seen).save(tmp_path / path.name)
    assert away <= TOLERANCE, f"{path.name} is off by {away:.1f}; what was drawn is {tmp_path / path.name}"
