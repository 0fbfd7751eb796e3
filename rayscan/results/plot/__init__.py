"""Figures of a scan."""
