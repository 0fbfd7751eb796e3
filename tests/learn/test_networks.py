"""The three networks and the user's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rayscan.errors import ConfigError
from rayscan.learn.data import Rows
from rayscan.learn.options import LearnOptions
from rayscan.learn.own_module import check_module
from rayscan.learn.paper.lesson import make_lesson
from rayscan.learn.paper.method import make_surrogate
from rayscan.learn.paper.networks import MLPClassifier, MLPRegressor
from rayscan.learn.paper.similarity import SimilarityClassifier, contrastive_loss, embedding_distance
from rayscan.learn.paper.training import batch_size, importance, split, step_budget
from rayscan.problem.target import Target

from .conftest import WINDOW, make_rows, observable

QUICK = {"steps": 300, "hidden": (32, 32), "encoder": (32, 32), "embedding": 16, "head": 16, "device": "cpu"}


def quick(surrogate, **more):
    return make_surrogate(2, WINDOW, ["y"], LearnOptions(surrogate=surrogate, **{**QUICK, **more}), seed=1)


def grid():
    u = np.random.default_rng(5).random((2000, 2))
    return u, WINDOW.judge({"y": observable(u)}).valid


@pytest.mark.parametrize("kind", ["classifier", "regressor", "similarity"])
def test_each_network_tells_valid_from_invalid(bump, kind):
    """Trained on a thousand points of a ball, each is right on more than 93 % of new ones (all invalid: 82 %)."""
    surrogate = quick(kind, steps=600)
    surrogate.fit(make_lesson(bump, WINDOW, ["y"]), seed=2)
    u, valid = grid()
    assert (surrogate.predict(u).sure == valid).mean() > 0.93


def test_the_paper_networks_have_the_papers_layers():
    """Four hidden layers of 100; an encoder of three of 100 and a projection to 500, a head of 100; linear ends."""

    def widths(module):
        return [(layer.in_features, layer.out_features) for layer in module.modules() if isinstance(layer, nn.Linear)]

    options = LearnOptions(device="cpu")
    four = [(5, 100), (100, 100), (100, 100), (100, 100)]
    assert widths(MLPClassifier(5, options, 0).module) == [*four, (100, 1)]
    assert widths(MLPRegressor(5, WINDOW, ["y"], options, 0).module)[:4] == four
    network = SimilarityClassifier(5, options, 0).module
    assert widths(network.encoder) == [(5, 100), (100, 100), (100, 100), (100, 500)]
    assert widths(network.head) == [(500, 100), (100, 1)]


def test_the_distances_and_the_contrastive_loss_are_equations_11_to_13():
    """Checked against values by hand: orthogonal and opposite unit vectors, same and different pairs."""
    a = torch.tensor([[1.0, 0.0]])
    b = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])
    assert embedding_distance(a, b, "euclidean").numpy()[0] == pytest.approx([2**0.5, 2.0, 0.0], abs=1e-5)
    assert embedding_distance(a, b, "cosine").numpy()[0] == pytest.approx([1.0, 2.0, 0.0], abs=1e-6)
    distance = torch.tensor([0.5, 0.5, 1.5])
    same = torch.tensor([1.0, 0.0, 0.0])
    assert contrastive_loss(distance, same, 1.0).tolist() == pytest.approx([0.25, 0.25, 0.0])
    assert contrastive_loss(distance, same, 2.0).tolist() == pytest.approx([0.25, 2.25, 0.25])


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_lie_on_a_sphere_with_classes_apart(bump, distance):
    """After stage 1, same-class pairs are nearer than different-class pairs, all on the unit sphere."""
    surrogate = quick("similarity", distance=distance)
    lesson = make_lesson(bump, WINDOW, ["y"])
    surrogate.fit(lesson, seed=0)
    embedded = surrogate.embed(lesson.u)
    assert torch.linalg.norm(embedded, dim=1).numpy() == pytest.approx(1.0, abs=1e-5)
    apart = embedding_distance(embedded[lesson.good], embedded[~lesson.good], distance).mean()
    together = embedding_distance(embedded[lesson.good], embedded[lesson.good], distance).mean()
    assert together < 0.3 * apart


def test_the_prediction_depends_on_the_encoder(bump):
    """With other weights in the encoder and the same head, the predictions are others."""
    surrogate = quick("similarity")
    surrogate.fit(make_lesson(bump, WINDOW, ["y"]), seed=0)
    u, _ = grid()
    before = surrogate.predict(u).score
    with torch.no_grad():
        for weight in surrogate.module.encoder.parameters():
            weight.mul_(-1.0)
    assert np.abs(surrogate.predict(u).score - before).max() > 0.1


def test_the_second_stage_leaves_the_encoder_as_it_is(bump):
    """Stage 2 changes the head and not one weight of the encoder; stage 1 the other way round."""
    surrogate = quick("similarity")
    lesson = make_lesson(bump, WINDOW, ["y"])
    weight = importance(lesson.good, None)

    def state(part):
        return [p.detach().clone() for p in getattr(surrogate.module, part).parameters()]

    def changed(part, before):
        return any(not torch.equal(a, b) for a, b in zip(before, state(part), strict=True))

    encoder, head = state("encoder"), state("head")
    surrogate._learn_embedding(lesson, weight, 20, np.random.default_rng(0))
    assert changed("encoder", encoder)
    assert not changed("head", head)
    encoder = state("encoder")
    surrogate._learn_head(lesson, weight, 20, np.random.default_rng(0))
    assert not changed("encoder", encoder)
    assert changed("head", head)
    assert not any(p.requires_grad for p in surrogate.module.encoder.parameters())


def test_the_regressor_learns_observables_and_takes_the_likelihood_from_the_target(bump):
    """The prediction for the window's observable is the target's own likelihood of the predicted value."""
    surrogate = quick("regressor", steps=800)
    surrogate.fit(make_lesson(bump, WINDOW, ["y"]), seed=0)
    u, _ = grid()
    truth = WINDOW.judge({"y": observable(u)}).likelihood
    assert np.abs(surrogate.predict(u).score - truth).mean() < 0.1
    assert surrogate.learned == ("y",)


def test_the_regressor_learns_the_likelihood_when_the_target_is_a_label():
    """With labels alone the output is the likelihood."""
    target = Target(labels="y")
    u = np.random.default_rng(0).random((1000, 2))
    rows = make_rows(u, (observable(u) > 0.8).astype(float), target)
    surrogate = MLPRegressor(2, target, ["y"], LearnOptions(surrogate="regressor", **{**QUICK, "steps": 800}), 0)
    surrogate.fit(make_lesson(rows, target, ["y"]), seed=0)
    new, valid = grid()
    assert surrogate.learned == ()
    assert ((surrogate.predict(new).score > 0.5) == valid).mean() > 0.9


def test_the_regressor_learns_where_points_fail(bump):
    """Valid values in a half that always fails do not make it promising."""
    u = bump.u
    rows = make_rows(u, np.where(u[:, 0] > 0.5, np.nan, observable(u)))
    surrogate = quick("regressor", steps=600)
    surrogate.fit(make_lesson(rows, WINDOW, ["y"]), seed=0)
    left, right = surrogate.predict(np.array([[0.4, 0.5], [0.6, 0.5]])).score
    assert right < 0.2 < 0.6 < left


@pytest.mark.parametrize("kind", ["classifier", "regressor", "similarity"])
@pytest.mark.parametrize(
    "values",
    [
        lambda u: np.full(len(u), 0.9),
        lambda u: np.full(len(u), 0.1),
        lambda u: np.full(len(u), np.nan),
        lambda u: np.where(u[:, 0] > 0.5, np.nan, 0.9),
        lambda u: 0.1 * u[:, 0],
        lambda u: np.where(np.arange(len(u)) % 2, 0.9, 0.1),
        lambda u: np.where(np.arange(len(u)) == 3, 0.9, 0.1),
    ],
    ids=["all valid", "all equally bad", "all failed", "half failed", "none valid", "equal classes", "one valid"],
)
@pytest.mark.parametrize("n", [0, 1, 7, 200])
def test_any_first_sample_can_be_learnt_from(kind, values, n):
    """Nothing crashes, hangs or predicts NaN, whatever the first rows are."""
    u = np.random.default_rng(n).random((n, 2))
    u[n // 2 :] = u[: n - n // 2]
    rows = make_rows(u, values(u)) if n else Rows.empty(2, 1)
    surrogate = quick(kind, steps=6)
    surrogate.fit(make_lesson(rows, WINDOW, ["y"]), seed=0)
    prediction = surrogate.predict(grid()[0][:50])
    assert np.isfinite(prediction.score).all()
    assert np.isfinite(prediction.merit).all()
    assert ((prediction.score >= 0) & (prediction.score <= 1)).all()
    if n < 2 or len(np.unique(values(u))) == 1:
        assert not surrogate.ready
    elif n == 200:
        assert surrogate.ready


def test_a_warm_start_goes_on_from_what_was_learnt(bump):
    """A second, short training on the same sample starts at a lower loss than the first one did."""
    lesson = make_lesson(bump, WINDOW, ["y"])
    surrogate = quick("classifier")
    surrogate.fit(lesson, seed=0)
    u, valid = grid()
    surrogate.options = LearnOptions(surrogate="classifier", **{**QUICK, "steps": 5})
    surrogate.fit(lesson, seed=1)
    cold = quick("classifier", steps=5)
    cold.fit(lesson, seed=1)
    warm_right, cold_right = (((s.predict(u).score > 0.5) == valid).mean() for s in (surrogate, cold))
    assert warm_right > 0.93 > cold_right


@pytest.mark.parametrize("kind", ["classifier", "regressor", "similarity"])
def test_the_same_seed_gives_the_same_network_and_state_restores_it(bump, kind):
    """Two trainings agree to the last digit whatever torch's own random state; a restored network predicts the same."""
    lesson = make_lesson(bump, WINDOW, ["y"])
    u, _ = grid()
    results = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        surrogate = quick(kind, steps=40)
        surrogate.fit(lesson, seed=3)
        results.append(surrogate.predict(u).score)
    assert np.array_equal(*results)
    other = quick(kind)
    other.load_state_dict(surrogate.state_dict())
    assert other.ready
    assert np.array_equal(other.predict(u).score, results[0])


def test_training_leaves_the_callers_torch_as_it_was(bump):
    """Neither the random state nor the number of threads changes."""
    torch.manual_seed(7)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    quick("classifier", steps=5).fit(make_lesson(bump, WINDOW, ["y"]), seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_the_users_module_is_trained_and_their_copy_is_not(bump):
    """Any module of the right shape works, with the output (n,) as well as (n, 1)."""

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

        def forward(self, x):
            return self.body(x)[:, 0]

    own = Flat()
    before = [p.detach().clone() for p in own.parameters()]
    surrogate = quick(own, steps=600)
    surrogate.fit(make_lesson(bump, WINDOW, ["y"]), seed=0)
    u, valid = grid()
    assert ((surrogate.predict(u).score > 0.5) == valid).mean() > 0.93
    assert all(torch.equal(a, b) for a, b in zip(before, own.parameters(), strict=True))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(3, 1), "a network of 2 inputs"),
        (nn.Linear(2, 2), r"got \(4, 2\)"),
        (nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()), "sigmoid"),
        (nn.Flatten(), "trainable"),
    ],
)
def test_a_module_that_does_not_fit_is_refused(module, message):
    """Wrong input, wrong output, a sigmoid of its own and nothing to train are each named."""
    with pytest.raises(ConfigError, match=message):
        check_module(module, ["a", "b"])


def test_both_classes_count_alike_and_mistakes_count_more():
    """Each class has half the weight; a misclassified point has several times that of a sure one."""
    good = np.arange(100) < 10
    assert importance(good, None)[good].sum() == pytest.approx(0.5)
    score = np.where(good, 0.99, 0.01)
    score[[0, 20, 21]] = [0.01, 0.99, 0.5]
    weight = importance(good, score)
    assert weight[good].sum() == pytest.approx(0.5)
    assert weight[0] > 1.5 * weight[1]
    assert weight[20] > 1.5 * weight[30]
    assert weight[21] > 1.5 * weight[30]


def test_a_share_of_each_class_is_held_back_but_nothing_of_a_tiny_one():
    """Four good points all train; of the others a tenth is held back, and never trained on."""
    parts = split(np.arange(104) < 4, 0.1, np.random.default_rng(0))
    assert len(parts.held) == 10
    assert (parts.held >= 4).all()
    assert sorted([*parts.train, *parts.held]) == list(range(104))
    alone = split(np.array([True]), 0.1, np.random.default_rng(0))
    assert alone.held.tolist() == alone.train.tolist() == [0]


@pytest.mark.parametrize(
    ("n", "before", "steps"), [(100, 0, 1000), (1000, 900, 1000), (1000, 950, 500), (1000, 999, 200)]
)
def test_a_sample_that_grew_little_is_trained_on_less(n, before, steps):
    """All steps for a tenth of new points, fewer below, at least a fifth."""
    assert step_budget(n, before, LearnOptions(steps=1000)) == steps


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    """Asking for CUDA without any says so at once."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no usable GPU"):
        quick("classifier", device="cuda")


@pytest.mark.parametrize(("n", "size"), [(0, 32), (300, 32), (2000, 128), (10**7, 256)])
def test_batches_grow_with_the_sample_up_to_a_bound(n, size):
    """From 32 to 256, unless the user says otherwise."""
    assert batch_size(n, LearnOptions()) == size
    assert batch_size(n, LearnOptions(batch=77)) == 77
