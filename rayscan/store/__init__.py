"""Where rows live: a run directory with append-only Arrow segments, a journal, checkpoints and a lock."""

from __future__ import annotations

from rayscan.store.fingerprint import compare, fingerprint
from rayscan.store.reader import as_rows, read_table
from rayscan.store.run_directory import RunDirectory, is_live, is_run
from rayscan.store.schema import Schema
from rayscan.store.writer import Issued, Store

__all__ = [
    "Issued",
    "RunDirectory",
    "Schema",
    "Store",
    "as_rows",
    "compare",
    "fingerprint",
    "is_live",
    "is_run",
    "read_table",
]
