"""Best fits of measurements."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_both_of_two_equal_optima_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements lead to each of two optima, with a region between them that has no answer."""
    # Behind whatever is installed: the benchmarks are scripts of the checkout.
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT)])
    fits = importlib.import_module("tests.benchmarks.fits")
    assert fits.default(fits.twins(), 0, 250, 50).keys() == {0.5, 0.9}
