"""Where rows live: a run directory with append-only Arrow segments, a journal, checkpoints and a lock."""

from __future__ import annotations

from rayscan.store.arrays import as_rows
from rayscan.store.fingerprint import compare, fingerprint
from rayscan.store.journal import Issued
from rayscan.store.lock import live_holder
from rayscan.store.manifest import ask_to_stop, for_reading, place_of, refresh
from rayscan.store.mirror import Mirror
from rayscan.store.reader import read_table
from rayscan.store.run_directory import RunDirectory, is_run
from rayscan.store.schema import Schema
from rayscan.store.writer import Store

__all__ = [
    "Issued",
    "Mirror",
    "RunDirectory",
    "Schema",
    "Store",
    "as_rows",
    "ask_to_stop",
    "compare",
    "fingerprint",
    "for_reading",
    "is_run",
    "live_holder",
    "place_of",
    "read_table",
    "refresh",
]
