"""What a learner remembers of many rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayscan.learn.data import History, Rows


def rows_of(ids: np.ndarray) -> Rows:
    """Return rows that follow from their ids: one in ten valid, one in seven without a penalty."""
    n = len(ids)
    noise = np.sin(ids * 12.9898) * 43758.5453
    noise -= np.floor(noise)
    valid = ids % 10 == 0
    penalty = np.where(valid, 0.0, np.where(ids % 7 == 3, np.nan, noise + 0.01))
    return Rows(
        point_id=ids.astype(np.int64), u=np.column_stack([noise, 1 - noise]), status=np.zeros(n, np.int8),
        observables=noise[:, None], valid=valid, likelihood=noise, penalty=penalty, origin=np.zeros(n, np.int8),
        density=np.ones(n), score=np.full(n, np.nan), generation=np.zeros(n, np.int32),
    )  # fmt: skip


def test_few_rows_are_all_remembered():
    """Up to the limit nothing is forgotten, and rows stay in the order they were told."""
    history = History(2, 1, limit=100)
    ids = np.concatenate([np.arange(60, 100), np.arange(60)])
    history.add(rows_of(ids[:40]))
    history.add(rows_of(ids[40:]))
    assert history.rows.point_id.tolist() == ids.tolist()
    assert np.array_equal(history.rows.u, rows_of(ids).u)
    assert history.told == len(history) == 100


def test_of_many_rows_the_telling_ones_are_remembered():
    """The nearest to the target, valid ones, the latest, and an even sample of all; never more than the limit."""
    n, limit = 20_000, 1600
    history = History(2, 1, limit)
    for start in range(0, n, 500):
        history.add(rows_of(np.arange(start, start + 500)))
    kept, everything = history.rows, rows_of(np.arange(n))
    assert history.told == n
    assert limit * 0.8 < len(kept) <= limit
    assert kept.valid.sum() >= limit // 4
    others = np.where(everything.valid | np.isnan(everything.penalty), np.inf, everything.penalty)
    nearest = np.argsort(others)[: limit // 4]
    assert set(nearest.tolist()) <= set(kept.point_id.tolist())
    assert set(range(n - limit // 16, n)) <= set(kept.point_id.tolist())
    far = kept.point_id[(~kept.valid) & ~(kept.penalty <= others[nearest].max())]
    assert np.histogram(far, bins=8, range=(0, n))[0].min() > 0.6 * len(far) / 8
    assert np.isnan(kept.penalty).any(), "rows without a penalty are part of the sample"


def test_rows_hold_together():
    """What is remembered of a row is that row's, in every column."""
    history = History(2, 1, limit=64)
    history.add(rows_of(np.random.default_rng(1).permutation(5000)))
    expected = rows_of(history.rows.point_id)
    for name in Rows.__slots__:
        np.testing.assert_array_equal(getattr(history.rows, name), getattr(expected, name))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_order_and_batches_do_not_matter(data):
    """Told in any order, in any batches, looked at in between or not: the same rows are remembered."""
    n = data.draw(st.integers(1, 400))
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(n)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=12)))
    together, apart = History(2, 1, limit=32), History(2, 1, limit=32)
    together.add(rows_of(np.arange(n)))
    for start, stop in zip([0, *cuts], [*cuts, n], strict=True):
        apart.add(rows_of(order[start:stop]))
        if data.draw(st.booleans()):
            assert len(apart.rows) <= 32
    assert sorted(apart.rows.point_id.tolist()) == together.rows.point_id.tolist()
    assert apart.told == together.told == n


def test_memory_is_bounded():
    """However many rows are told, what is held stays a little above the limit."""
    history = History(2, 1, limit=160)
    for start in range(0, 40_000, 100):
        history.add(rows_of(np.arange(start, start + 100)))
        assert sum(len(batch) for batch in history._batches) <= 1.25 * 160 + 100


@pytest.mark.parametrize("valid", [True, False])
def test_nothing_but_valid_or_none(valid):
    """A target that everything hits, or nothing, leaves a sample all the same."""
    rows = rows_of(np.arange(3000))
    same = Rows(**{name: getattr(rows, name) for name in Rows.__slots__ if name not in {"valid", "penalty"}},
                valid=np.full(3000, valid), penalty=np.full(3000, 0.0 if valid else np.nan))  # fmt: skip
    history = History(2, 1, limit=320)
    history.add(same)
    assert 100 < len(history.rows) <= 320
