"""For those who come from other scanners."""

from __future__ import annotations
