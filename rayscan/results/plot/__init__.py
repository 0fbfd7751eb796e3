"""Figures of a scan: `Plots` saves and names them, each family is drawn in a file of its own."""

from rayscan.results.plot.plots import KINDS, Plots, draw

__all__ = ["KINDS", "Plots", "draw"]
