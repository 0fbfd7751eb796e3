"""DLScanner's figures of a file of points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rayscan as rs
from rayscan.compat import dlscanner
from rayscan.compat.dlscanner_points import write_points
from rayscan.errors import ConfigError


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a scan writes for such scripts."""
    monkeypatch.chdir(tmp_path)
    result = rs.Scan(
        rs.Space(m0=(100, 3000), m12=rs.Log(100, 3000), tanb=(2, 60)),
        rs.Function(lambda x: x[:, 0] + x[:, 1], outputs=["y"], vectorized=True), rs.Target(y=(1000, 3000)),
        evaluators=0,
    ).run(evaluations=200, progress=None)  # fmt: skip
    return write_points(result, "Accumulated_points.txt")


def test_the_four_figures_come_from_the_file_with_the_same_arguments(points: Path):
    """Names stand on the axes, the area of a normalised histogram is 1, and pictures have the names that they had."""
    data = np.loadtxt(points, delimiter=",")
    figure = dlscanner.plot_hist(str(points), 1, width=6, hight=4, bins=20)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "m12"
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(1)
    counted = dlscanner.plot_hist(points, 1, 6, 4, 20, False, False).axes[0]
    assert sum(bar.get_height() for bar in counted.patches) == len(data)
    every = dlscanner.plot_hist_all(points, width=8, hight=6, bins=10)
    assert [one.get_xlabel() for one in every.axes] == ["m0", "m12", "tanb"]
    scatter = dlscanner.plot_scatter(points, 0, 2, "$m_0$", "tan/beta").axes[0]
    assert (scatter.get_xlabel(), scatter.get_ylabel()) == ("$m_0$", "tan/beta")
    contour = dlscanner.plot_contour(points, 0, -1, "m0", "tanb").axes[0]
    assert contour.get_ylabel() == "tanb"
    for name in ("plot_hist.pdf", "plot_hist_all.pdf", "contour_$m_0$_tan_beta.png", "contour_m0_tanb.png"):
        assert Path(name).stat().st_size > 1000


def test_a_file_without_names_is_drawn_and_one_of_words_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Columns have numbers then; what cannot be drawn is said before anything is written."""
    monkeypatch.chdir(tmp_path)
    Path("bare.txt").write_text("1,2\n3,4\n5,7\n")
    assert dlscanner.plot_hist("bare.txt", 0).axes[0].get_xlabel() == "column 0"
    with pytest.raises(ConfigError, match=r"bare.txt: no column 2; it has 2, counted from 0"):
        dlscanner.plot_scatter("bare.txt", 0, 2, "x", "y")
    Path("words.txt").write_text("# a\tb\nx,y\n")
    with pytest.raises(ConfigError, match=r"words.txt: expected lines of numbers"):
        dlscanner.plot_hist_all("words.txt")
    assert not Path("plot_hist_all.pdf").exists()
