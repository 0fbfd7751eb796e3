"""DLScanner's sampler on rayscan: its arguments, its attributes, and none of its faults (G1 to G13)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rayscan.compat.dlscanner import sampler
from rayscan.errors import ConfigError, FailureRateError

BOX = [[-1.0, 1.0], [0.0, 4.0]]
SMALL = {"K": 40, "L": 800, "epochs": 15, "neurons": 16, "hlayers": 2, "verbose": 0}


def ring(x: np.ndarray) -> np.ndarray:
    """A label: 1 in a disc around (0, 2), a fifth of the box."""
    return (x[:, 0] ** 2 + (x[:, 1] / 2 - 1) ** 2 < 0.25).astype(float)


def bowl(x: np.ndarray) -> np.ndarray:
    """A likelihood that exceeds 0.5 in about the same disc."""
    return np.exp(-2.8 * (x[:, 0] ** 2 + (x[:, 1] / 2 - 1) ** 2))


def make(f: Any = ring, **options: Any) -> sampler:
    return sampler(f, 2, BOX, **{**SMALL, **options})


def test_the_documented_program_runs() -> None:
    """Constructor, advance and every attribute, in the shapes that scripts for the predecessor expect."""
    calls: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return ring(x)

    scan = make(counted, method="Classifier", use_vegas_map=True, vegas_frac=0.5)
    assert calls == [40]
    scan.advance(2)
    scan.advance()
    assert calls == [40] * 4
    assert scan.samples.shape == (160, 2)
    assert scan.samples_out.shape == (160, 1)
    assert [len(step) for step in scan.samples_list] == [40] * 4
    assert np.array_equal(np.concatenate(scan.samples_list), scan.samples)
    assert np.array_equal(np.concatenate(scan.samples_out_list), scan.samples_out)
    assert np.array_equal(scan.samples_out[:, 0], ring(scan.samples))
    low, high = np.array(BOX).T
    assert ((scan.samples >= low) & (scan.samples <= high)).all()
    assert (scan.K, scan.L, scan.ndim, scan.outdim) == (40, 800, 2, 1)


def test_model_map_and_histories_are_those_of_all_points_so_far() -> None:
    """The network separates what it has seen, the map draws where points were good, losses fall."""
    scan = make(vegas_frac=0.5, epochs=60)
    scan.advance(3)
    probability = scan.model(scan.samples).numpy().flatten()
    assert np.array_equal(scan.model.predict(scan.samples, verbose=0)[:, 0], probability)
    agree = (probability > 0.5) == (scan.samples_out[:, 0] > 0.5)
    assert agree.mean() > 0.85
    assert scan.vegas_map_gen is not None
    drawn, jacobian = scan.vegas_map_gen(4000)
    assert drawn.shape == (4000, 2)
    assert ring(drawn).mean() > 1.3 * np.pi / 16
    assert abs(float((ring(drawn) * jacobian).mean()) - np.pi / 2) < 0.2
    histories = scan.histories
    assert len(histories) == 4
    assert all(np.isfinite(history.history["loss"]).all() for history in histories)
    assert histories[-1].history["loss"][-1] < np.log(2)


def test_g1_the_regressor_works_with_any_values() -> None:
    """Two distinct values, many, all different, all the same, or far from [0, 1]."""
    scan = make(bowl, method="Regressor", epochs=60)
    scan.advance(3)
    there = scan.model(scan.samples).numpy().flatten()
    assert np.corrcoef(there, scan.samples_out[:, 0])[0, 1] > 0.9
    assert (scan.samples_out_list[-1] > 0.5).mean() > 1.5 * (scan.samples_out_list[0] > 0.5).mean()
    big = make(lambda x: 1e4 * bowl(x) - 5000, method="Regressor", threshold_suggest=0.0)
    big.advance(2)
    assert big.in_target.tolist() == (big.samples_out[:, 0] > 0).tolist()
    for flat in (lambda x: np.zeros(len(x)), lambda x: np.ones(len(x)), ring):
        make(flat, method="Regressor").advance(1)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_g2_one_class_alone_is_no_problem(label: float) -> None:
    """No point in target, or no other: the scan goes on, blindly."""
    scan = make(lambda x: np.full(len(x), label))
    scan.advance(2)
    assert len(scan.samples) == 120
    assert not scan.model.ready
    assert scan.in_target.tolist() == [label == 1.0] * 120
    assert len(np.unique(scan.samples, axis=0)) == 120


def test_g3_most_points_in_target() -> None:
    """The common class may be either one; training ends, and the network learns the rare one."""
    scan = make(lambda x: 1.0 - ring(x), epochs=60)
    scan.advance(2)
    assert scan.samples_out[:40].mean() > 0.5
    probability = scan.model(scan.samples).numpy().flatten()
    assert probability[ring(scan.samples) == 1].mean() < probability[ring(scan.samples) == 0].mean() - 0.3


def test_g4_g9_the_same_seed_gives_the_same_points_whatever_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Points do not depend on verbosity or on anyone's global random state; another seed gives others."""
    np.random.seed(1)  # noqa: NPY002 - the state that must not matter
    quiet = make(vegas_frac=0.5, seed=7)
    quiet.advance(2)
    assert capsys.readouterr().out == ""
    np.random.seed(2)  # noqa: NPY002 - as above
    loud = make(vegas_frac=0.5, seed=7, verbose=2)
    loud.advance(2)
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"step 2 of 2: {int(loud.samples_out.sum())} of 120 points in target"
    assert np.array_equal(quiet.samples, loud.samples)
    drawn = [scan.vegas_map_gen(10)[0] for scan in (quiet, loud) if scan.vegas_map_gen is not None]
    assert np.array_equal(*drawn)
    assert np.array_equal(quiet.model(quiet.samples), loud.model(loud.samples))
    other = make(vegas_frac=0.5, seed=[7, 1])
    assert not np.array_equal(other.samples, quiet.samples[:40])
    assert not np.array_equal(make(seed=None).samples, make(seed=None).samples)


def test_g5_equal_counts_and_labels_other_than_0_and_1() -> None:
    """Half of the points in target, and labels such as 0.2 and 0.9, are learnt from like any others."""
    half = make(lambda x: np.where(x[:, 0] > 0, 0.9, 0.2), samples0=[[-0.5, 1], [0.5, 1]] * 20, epochs=60)
    assert half.in_target.sum() == 20
    half.advance(2)
    assert half.in_target.tolist() == (half.samples[:, 0] > 0).tolist()
    assert (half.samples_list[-1][:, 0] > 0).mean() > 0.6


def test_g6_points_of_the_map_are_used() -> None:
    """With half of the candidates from the map, a good part of the evaluated points comes from it."""
    scan = make(vegas_frac=0.5, randpts=4)
    scan.advance(3)
    origins = scan.scan.result().table["origin"].to_pylist()[80:]
    assert origins.count("map") > 0.2 * len(origins)
    without = make(use_vegas_map=False)
    without.advance(2)
    assert without.vegas_map_gen is None
    assert "map" not in without.scan.result().table["origin"].to_pylist()


def test_g7_learning_rate_and_args_are_used() -> None:
    """Another rate trains another network; further arguments reach the function."""
    slow, fast = make(learning_rate=1e-6), make(learning_rate=1e-2)
    assert not np.allclose(slow.model(slow.samples), fast.model(fast.samples))
    shifted = make(lambda x, a, b: ring(x) * a + b, args=(2.0, 3.0))
    assert set(np.unique(shifted.samples_out)) <= {3.0, 5.0}
    assert set(np.unique(make(lambda x, a: ring(x) + a, args=1.0).samples_out)) <= {1.0, 2.0}


@pytest.mark.parametrize("count", [1, 7, 100])
def test_g8_any_number_of_first_points_with_or_without_values(count: int) -> None:
    """Given points are kept to the last digit, given values are not asked for again."""
    points = np.random.default_rng(3).uniform(*np.array(BOX).T, (count, 2))
    calls: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return ring(x)

    make(counted, samples0=points)
    assert calls == [count]
    calls.clear()
    scan = make(counted, samples0=points, out0=ring(points))
    assert calls == []
    assert np.array_equal(scan.samples, points)
    assert np.array_equal(scan.samples_out[:, 0], ring(points))
    scan.advance()
    assert calls == [40]
    assert [len(step) for step in scan.samples_list] == [count, 40]


def test_g10_failures_cost_only_their_own_points() -> None:
    """NaN and exceptions are points without a value; the others of their batch are kept, and the scan goes on."""

    def fragile(x: np.ndarray) -> np.ndarray:
        if (x[:, 1] > 3.6).any():
            msg = "out of my depth"
            raise ValueError(msg)
        return np.where(x[:, 0] > 0.8, np.nan, ring(x))

    for method in ("Classifier", "Regressor"):
        scan = make(fragile, method=method)
        scan.advance(2)
        x, y = scan.samples, scan.samples_out[:, 0]
        bad = (x[:, 1] > 3.6) | (x[:, 0] > 0.8)
        assert np.array_equal(np.isnan(y), bad)
        assert np.array_equal(y[~bad], ring(x[~bad]))
        assert np.isfinite(scan.model(x)).all()
        assert bad[80:].mean() < bad[:40].mean() + 0.1

    def hopeless(x: np.ndarray) -> np.ndarray:
        msg = "no such table"
        raise OSError(msg)

    with pytest.raises(FailureRateError, match="no such table"):
        make(hopeless).advance(1)


def test_g11_a_run_directory_is_resumed(tmp_path: Path) -> None:
    """The same program again goes on where the first one ended, without another call for what is known."""
    calls: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return ring(x)

    first = make(counted, out=tmp_path / "run", vegas_frac=0.5)
    first.advance(2)
    first.scan.close()
    calls.clear()
    again = make(counted, out=tmp_path / "run", vegas_frac=0.5)
    assert calls == []
    assert np.array_equal(again.samples, first.samples)
    assert [len(step) for step in again.samples_list] == [40, 40, 40]
    again.advance(1)
    assert calls == [40]
    straight = make(counted, vegas_frac=0.5)
    straight.advance(3)
    assert np.array_equal(again.samples, straight.samples)


@pytest.mark.parametrize(("options", "message"), [
    ({"ndim": 3}, "expected ndim = 3 finite pairs"),
    ({"limits": [[0, 1], [1, 0]]}, "min < max"),
    ({"limits": [[0, np.inf], [0, 1]]}, "finite pairs"),
    ({"limits": "abc"}, "finite pairs"),
    ({"method": "Classifer"}, "did you mean 'Classifier'"),
    ({"method": "Custom"}, "needs model="),
    ({"model": object()}, "goes with method = 'Custom'"),
    ({"optimizer": "sgd"}, "expected 'Adam'"),
    ({"loss": "hinge"}, "is trained with 'binary_crossentropy'"),
    ({"callbacks": [object()]}, "callbacks"),
    ({"samples0": [[0.0, 5.0]]}, "point 0, .* outside the limits"),
    ({"samples0": [[0.0]]}, "expected .n, 2."),
    ({"samples0": [[0.0, 1.0]], "out0": [1, 0]}, r"expected \(1, 1\)"),
    ({"out0": [1]}, "expected samples0 with it"),
    ({"randpts": 41}, "from 0 to K = 40"),
    ({"L": 10}, "fewer than the K"),
    ({"K": 0}, "K = 0"),
    ({"neurons": 0}, "neurons = 0"),
    ({"outdim": 0}, "outdim = 0"),
    ({"seed": "x"}, "seed = 'x'"),
    ({"user_fun": 3}, "expected a function"),
    ({"vegas_frac": 2.0}, "map_share"),
])  # fmt: skip
def test_g12_mistakes_are_told_before_the_function_is_called(options: dict[str, Any], message: str) -> None:
    """Every argument is checked first, and named."""

    def never(x: np.ndarray) -> np.ndarray:
        raise AssertionError

    given = {"user_fun": never, "ndim": 2, "limits": BOX, **SMALL, **options}
    with pytest.raises(ConfigError, match=message):
        sampler(**given)


@pytest.mark.slow
def test_g13_a_training_is_bounded_whatever_the_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million epochs are an upper bound: each step trains a few thousand gradient steps, from the network it has."""
    from rayscan.learn.paper import networks

    done: list[int] = []
    real = networks.train

    def counted(*arguments: Any) -> Any:
        training = real(*arguments)
        done.append(training.steps)
        return training

    monkeypatch.setattr(networks, "train", counted)
    scan = make(epochs=10**6)
    scan.advance(2)
    assert len(done) == 2
    assert 0 < max(done) <= scan.scan.options.learn.steps


def test_settings_may_change_between_steps(tmp_path: Path) -> None:
    """Other epochs from some step on: all points so far are learnt from, none is evaluated or proposed again."""
    calls: list[int] = []

    def counted(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return ring(x)

    scan = make(counted)
    scan.advance(1)
    before = scan.samples
    scan.advance(2, epochs=5, batch_size=16, vegas_ninc=20)
    assert calls == [40] * 4
    assert np.array_equal(scan.samples[:80], before)
    assert len(np.unique(scan.samples, axis=0)) == 160
    assert [len(step) for step in scan.samples_list] == [40] * 4
    options = scan.scan.options.learn
    assert (options.epochs, options.batch, options.ninc) == (5, 16, 20)
    with pytest.raises(ConfigError, match="keeps its settings"):
        make(out=tmp_path / "run").advance(1, epochs=5)


def test_a_network_of_the_users_own() -> None:
    """method="Custom" trains the given module."""
    from torch import nn

    module = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    scan = make(method="Custom", model=module, loss="binary_crossentropy", epochs=60)
    scan.advance(1)
    assert isinstance(scan.model.surrogate.module[1], nn.Tanh)  # type: ignore[attr-defined]
    assert scan.model.ready


def test_the_similarity_classifier_by_name() -> None:
    """method="Similarity" learns the label through an embedding."""
    scan = make(method="Similarity", epochs=40)
    scan.advance(2)
    inside = ring(scan.samples) == 1
    probability = scan.model(scan.samples).numpy().flatten()
    assert probability[inside].mean() > probability[~inside].mean() + 0.2


def test_further_outputs_are_stored() -> None:
    """With outdim=2 the first number decides, and both are in the table."""
    scan = make(lambda x: np.column_stack([ring(x), x.sum(axis=1)]), outdim=2)
    scan.advance(1)
    assert scan.samples_out.shape == (80, 2)
    assert np.allclose(scan.samples_out[:, 1], scan.samples.sum(axis=1))
    assert scan.in_target.tolist() == (scan.samples_out[:, 0] > 0.5).tolist()
