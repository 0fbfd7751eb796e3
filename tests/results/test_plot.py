"""Figures are drawn from a table alone, however few points it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt
from matplotlib.image import imread

import rayscan as rs
from rayscan.errors import ConfigError
from rayscan.results.plot import Plots, draw
from rayscan.store import Schema, Store
from rayscan.store.times import as_times
from rayscan.tools.inputs import SLHAFile

D = 3


def scan(n: int, valid: np.ndarray | None = None) -> pa.Table:
    """Return ``n`` points of three parameters (uniform, logarithmic, uniform), a fixed one and an observable."""
    rng = np.random.default_rng(1)
    u = rng.random((n, D))
    schema = Schema(("tanb", "mA", "At", "mu"), ("mh", "flat"), D, {}, {"mA": "GeV", "mh": "GeV"})
    good = np.abs(u[:, 0] - 0.5) < 0.2 if valid is None else valid
    columns: dict[str, Any] = {
        "point_id": np.arange(n), "status": np.zeros(n, int), "valid": good, "u": u, "origin": np.arange(n) % 2 + 2,
        "generation": np.arange(n) // 50, "issued": 0.0, "started": 1.0, "ended": 2.0,
        "tanb": 1 + 49 * u[:, 0], "mA": 100 * 30 ** u[:, 1], "At": -5000 + 10000 * u[:, 2], "mu": 500.0,
        "mh": 120 + 10 * u[:, 0], "flat": 7.0,
    }  # fmt: skip
    return pa.Table.from_batches([schema.batch([schema.take({**columns, "kept": [()] * n})])])


def axis_labels(figure: Any) -> list[str]:
    return [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]


def test_the_corner_has_the_parameters_that_vary_and_the_constrained_observables():
    """Fixed parameters are left out; units are shown; logarithmic priors are drawn as logarithms."""
    figure = Plots(scan(600), constrained=["mh"]).corner()
    assert axis_labels(figure) == ["tanb", "log$_{10}$ mA / GeV", "At", "mh [GeV]"]
    assert len(figure.axes) == 16
    drawn = figure.axes[4]
    assert drawn.get_xlim()[0] == pytest.approx(1, abs=3)
    assert drawn.get_xlim()[1] == pytest.approx(50, abs=3)
    assert drawn.get_ylim()[0] == pytest.approx(2.0, abs=0.1)
    x = np.concatenate([line.get_xdata() for line in drawn.lines])
    assert x.min() > 1 + 49 * 0.3 - 1e-6
    assert x.max() < 1 + 49 * 0.7 + 1e-6
    assert "valid points of 600 evaluations" in figure.get_suptitle()


@pytest.mark.parametrize("count", [1, 2, 4, 5, 40])
def test_few_valid_points_are_drawn_one_by_one(count):
    """Fewer points than columns are no error: each is in the picture."""
    valid = np.arange(300) < count
    figure = Plots(scan(300, valid), constrained=["mh"]).corner()
    (below,) = [axes for axes in figure.axes if axes.get_ylabel() == "log$_{10}$ mA / GeV"]
    assert len(below.lines[0].get_xdata()) == count
    assert figure.get_suptitle().startswith(f"{count} valid point{'s' if count > 1 else ''} of 300 evaluations")
    assert ("too few for densities" in figure.get_suptitle()) is (count <= 4)


@pytest.mark.parametrize("n", [0, 1, 30])
def test_without_valid_points_the_corner_says_so(n):
    """The figure is a sentence."""
    figure = Plots(scan(n, np.zeros(n, bool))).corner()
    assert not figure.axes
    assert figure.texts[0].get_text() == f"no valid point among {n} evaluations yet"


def test_an_observable_without_spread_can_be_drawn():
    """A column with one value gets a range around it."""
    figure = Plots(scan(600), constrained=["flat"]).corner(columns=["tanb", "flat"])
    low, high = figure.axes[2].get_ylim()
    assert low < 7.0 < high


@pytest.mark.parametrize("kind", ["corner", "progress", "acceptance"])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 700])
def test_every_figure_is_saved_at_any_size(tmp_path, kind, n):
    """Each kind of figure is written as a picture with ink on it, from no points up."""
    path = tmp_path / "new" / f"{kind}.png"
    getattr(Plots(scan(n)), kind)(path)
    image = imread(path)
    assert image.shape[0] > 200
    assert image[..., :3].std() > 0.01


def test_figures_leave_no_global_state(tmp_path):
    """Drawing opens no pyplot figure, and changes neither back-end nor style."""
    before = dict(mpl.rcParams)
    plots = Plots(scan(300))
    plots.corner(tmp_path / "a.pdf")
    plots.progress(tmp_path / "b.png")
    plots.acceptance(tmp_path / "c.svg")
    plots.scatter("tanb", "mh", colour="mA", path=tmp_path / "d.png")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before
    assert {p.name for p in Path(tmp_path).iterdir()} == {"a.pdf", "b.png", "c.svg", "d.png"}


def test_the_progress_curve_counts_valid_points_in_the_order_of_issue():
    """The curve ends at the number of valid points, and uniform sampling is drawn beside it."""
    table = scan(400)
    valid = table["valid"].to_numpy()
    figure = Plots(table).progress()
    curve, ideal, uniform = figure.axes[0].lines
    assert (ideal.get_xdata()[-1], ideal.get_ydata()[-1]) == (400, 400)
    assert curve.get_ydata()[-1] == valid.sum()
    assert curve.get_ydata()[200] == valid[:200].sum()
    rate = valid[table["origin"].to_numpy() == "uniform"].mean()
    assert uniform.get_ydata()[-1] == pytest.approx(400 * rate)


def test_acceptance_is_drawn_for_each_proposal():
    """The bars are the shares of valid points by origin; the lines follow them through the generations."""
    table = scan(400)
    valid, origin = table["valid"].to_numpy(), table["origin"].to_numpy()
    left, right = Plots(table).acceptance().axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx(
        [valid[origin == "uniform"].mean(), valid[origin == "map"].mean()]
    )
    assert [line.get_label() for line in right.lines] == ["uniform", "map"]
    first = (origin == "map") & (np.arange(400) < 50)
    assert right.lines[1].get_ydata()[0] == pytest.approx(valid[first].mean())


def test_a_scatter_shows_valid_points_by_colour_above_the_others():
    """Invalid points are behind; the colour is the column asked for; a logarithmic parameter has such an axis."""
    table = scan(300)
    figure = Plots(table).scatter("mA", "At", colour="mh")
    axes, bar = figure.axes
    others, valid = axes.collections
    n = int(table["valid"].to_numpy().sum())
    assert (len(others.get_offsets()), len(valid.get_offsets())) == (300 - n, n)
    assert valid.get_array().tolist() == table["mh"].to_numpy()[table["valid"].to_numpy()].tolist()
    assert axes.get_xscale() == "log"
    assert bar.get_ylabel() == "mh [GeV]"
    assert len(Plots(table).scatter("mA", "At", only_valid=True).axes[0].collections) == 1


def test_the_figures_of_a_run_show_what_its_description_names(tmp_path):
    """Scanned parameters come from the space, constrained observables from the target; fixed ones stay out."""
    space = {"tanb": {"prior": "uniform"}, "mA": {"prior": "log"}, "At": {"prior": "uniform"}, "mu": {"prior": "fixed"}}
    description = {"space": space, "target": {"mh": {"kind": "window"}, "threshold": 0.9}}
    schema = Schema(("tanb", "mA", "At", "mu"), ("mh", "flat"), D)
    with Store.create(tmp_path / "run", schema, "", description) as store:
        plots = Plots.of_run(scan(30), store.run)
    assert plots.parameters == ["tanb", "mA", "At"]
    assert plots.constrained == ["mh"]


def test_large_tables_are_thinned(monkeypatch):
    """A picture has a bounded number of dots, spread over all points."""
    monkeypatch.setattr("rayscan.results.plot.style.MAX_DRAWN", 100)
    figure = Plots(scan(1000, np.ones(1000, bool))).scatter("tanb", "At")
    dots = figure.axes[0].collections[1].get_offsets()
    assert len(dots) == 100
    assert np.ptp(dots[:, 0]) > 40


def test_a_wrong_column_is_named():
    """Unknown names get a suggestion, and columns without numbers are refused."""
    plots = Plots(scan(20))
    with pytest.raises(ConfigError, match=r"no column 'tan_b' in the table; did you mean 'tanb'"):
        plots.scatter("tan_b", "mA")
    with pytest.raises(ConfigError, match=r"column 'status' holds no numbers"):
        plots.scatter("tanb", "status")
    with pytest.raises(ConfigError, match=r"column 'u' holds no numbers"):
        plots.corner(columns=["u"])
    with pytest.raises(ConfigError, match=r"no column 'mhh'"):
        Plots(scan(20), constrained=["mhh"])


def test_a_flat_likelihood_has_a_region_and_no_lines():
    """Under windows alone no point is better than another: a profile shows where points are valid, without levels."""
    table = scan(600)
    likelihood = np.where(table["valid"].to_numpy(), 1.0, 0.2)
    table = table.set_column(table.column_names.index("likelihood"), "likelihood", pa.array(likelihood))
    axes = Plots(table).profile("tanb", "At").axes
    assert len(axes) == 1
    assert not list(axes[0].texts)
    assert "the region in target" in axes[0].get_title(loc="left")


def test_a_notebook_shows_a_figure_by_itself():
    """Without any back-end, a figure gives its picture to whoever asks a rich object for it."""
    assert Plots(scan(300)).histogram("tanb")._repr_png_().startswith(b"\x89PNG")


def test_figures_are_drawn_into_the_axes_and_figures_of_a_caller():
    """What is drawn on is what was given."""
    figure, ax = plt.subplots()
    assert Plots(scan(300)).density("tanb", "At", ax=ax) is figure
    assert ax.lines
    plt.close(figure)
    mine = mpl.figure.Figure()
    assert Plots(scan(300)).histograms(figure=mine) is mine
    assert len(mine.axes) == 3


@pytest.mark.parametrize("kind", ["calibration", "training", "vegas", "density", "evenness"])
def test_what_the_data_cannot_support_is_said(kind, tmp_path):
    """Without scores, checkpoint or valid points there is no figure, and the error says what is missing."""
    columns = ["tanb", "At"] if kind == "density" else []
    with pytest.raises(ConfigError, match=r"plot.*(expected|only)"):
        draw(Plots(scan(60, np.zeros(60, bool))), kind, columns, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_labels_of_the_caller_stand_on_the_axes():
    """A label replaces the column's name and keeps its unit."""
    figure = Plots(scan(300), labels={"mA": "$m_A$"}).histogram("mA")
    assert figure.axes[0].get_xlabel() == "$m_A$ [GeV]"


def test_a_scan_labels_what_it_stores(tmp_path):
    """Symbols of SLHA entries are the tool's, the others the user's, whose word counts more."""
    card = tmp_path / "in"
    card.write_text("Block EXTPAR\n 25 10 # tan(beta)\n 43 1000\n")
    (tmp_path / "program").write_text("#!/bin/sh\nprintf 'Block MASS\\n 25 125.0\\nBlock X\\n 1 2.0\\n' > out\n")
    (tmp_path / "program").chmod(0o755)
    tool = rs.Command(
        [f"{tmp_path}/program"],
        files={"in": SLHAFile(str(card), {"tanb": "EXTPAR 25", "mQ3": "EXTPAR 43"})},
        read={"mh": "slha:MASS 25", "x": "slha:X 1"}, output="out",
    )  # fmt: skip
    written = {"labels": {"x": "$x$", "mQ3": "$M$"}, "units": {"x": "pb"}}
    space, target = rs.Space(tanb=(2, 50), mQ3=(100, 3000)), rs.Target(mh=(1, 200))
    with rs.Scan(space, tool, target, tmp_path / "run", evaluators=0, initial=4, K=4, **written) as scan:
        plot = scan.run(evaluations=4, progress=False).plot
    assert [plot._columns.label(name) for name in ("tanb", "mQ3", "mh", "x")] == [
        r"$\tan\beta$", "$M$ [GeV]", "$m_h$ [GeV]", "$x$ [pb]",
    ]  # fmt: skip


def test_a_label_of_nothing_is_refused(tmp_path):
    """A misspelt name is found before anything starts."""
    with pytest.raises(ConfigError, match=r"labels: 'mhh' is no parameter or observable; did you mean 'mh'"):
        rs.Scan(
            rs.Space(x=(0, 1)), rs.Function(lambda x: {"mh": x}, outputs=["mh"]), rs.Target(mh=(0, 1)),
            tmp_path / "run", labels={"mhh": "$m_h$"},
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_a_calibrated_surrogate_lies_on_the_diagonal():
    """The share that came true is that of the points scored alike, at their mean score."""
    score = np.where(np.arange(400) % 2 == 0, 0.25, 0.75)
    valid = (np.arange(400) // 2) % 4 < np.where(score > 0.5, 3, 1)
    table = scan(400, valid)
    table = table.set_column(table.column_names.index("score"), "score", pa.array(score))
    points = Plots(table).calibration().axes[0].lines[1]
    assert points.get_xdata() == pytest.approx([0.25, 0.75])
    assert points.get_ydata() == pytest.approx([0.25, 0.75])


def test_a_time_line_of_very_many_evaluations_shows_what_time_was_spent_on():
    """Of bars thinner than a pixel the last ones drawn would hide the rest: a lane is divided by shares of the time."""
    n = 6000
    table = scan(n, np.arange(n) % 4 == 0)
    begin = 1e9 + np.arange(n, dtype=float)
    long = {"started": begin, "ended": begin + np.where(np.arange(n) % 4 == 0, 0.5, 0.25)}
    for name, times in long.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), as_times(times))
    axes = Plots(table).timeline().axes[0]
    boxes = [[path.get_extents() for path in bars.get_paths()] for bars in axes.collections]
    area = [sum(box.width * box.height for box in kind) for kind in boxes]
    span = axes.get_xlim()[1]
    assert np.array(area) / (0.8 * span) == pytest.approx([0.125, 0.1875], rel=0.02)
