"""Small real programs that the examples run when no high-energy-physics package is installed."""

from __future__ import annotations
