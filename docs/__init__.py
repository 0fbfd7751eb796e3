"""The documentation, and what makes its figures and tables."""
