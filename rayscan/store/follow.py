"""Following a run that is being written: each look brings what was added since the last."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from rayscan.store.run_directory import RunDirectory
from rayscan.store.segments import CLOSED, OPEN, read_segment, segments
from rayscan.store.times import with_schema


class Follower:
    """Hands out the rows of a run, or the entries of its journal, each once and in the order of writing.

    Segments that cannot have grown are not read again: to follow a long scan costs what the newest segment costs.

    Parameters
    ----------
    run : RunDirectory
    prefix : {"points", "issued"}
        Of the files: evaluated points, or points that were issued.
    columns : sequence of str
        Only these.
    """

    def __init__(self, run: RunDirectory, prefix: str, columns: Sequence[str]) -> None:
        complete = run.schema.arrow if prefix == "points" else run.schema.journal
        self._schema = pa.schema([complete.field(name) for name in columns])
        self._directory, self._prefix = run.path, prefix
        self._taken: dict[str, int] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def news(self) -> pa.Table:
        """Return what has come since the last call.

        Raises
        ------
        StoreError
            A file is damaged.
        """
        taken, sizes, parts = dict(self._taken), dict(self._sizes), []
        for _, stem in segments(self._directory, self._prefix):
            size = _size(self._directory, stem)
            # A closed segment holds the same rows in the same order as when it was open.
            if size == sizes.get(stem):
                continue
            table, sizes[stem] = read_segment(self._directory, stem, self._schema.names), size
            before = taken.get(stem, 0)
            if table is not None and table.num_rows > before:
                taken[stem] = table.num_rows
                parts.append(with_schema(table.slice(before), self._schema.remove_metadata()))
        # Only now: where a file cannot be read, the next call brings all that this one would have.
        self._taken, self._sizes = taken, sizes
        return pa.concat_tables(parts).unify_dictionaries() if parts else self._schema.empty_table()


def _size(directory: Path, stem: str) -> tuple[int, int]:
    """Return the sizes of a segment's two forms, -1 for one that is not there."""
    sizes = [-1, -1]
    for place, ending in enumerate((OPEN, CLOSED)):
        with contextlib.suppress(FileNotFoundError):
            sizes[place] = (directory / (stem + ending)).lstat().st_size
    return sizes[0], sizes[1]
