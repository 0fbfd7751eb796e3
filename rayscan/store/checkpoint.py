"""The driver's saved state: one file, replaced in one step, checked when it is read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rayscan.errors import StoreError
from rayscan.plain_file import read_plain
from rayscan.store.files import write_atomically

MAGIC = b"rayscan checkpoint 1\n"
LARGEST = 2**33
"""More bytes than any learner's state has."""
CURRENT, PREVIOUS = "state", "state.previous"


def save(directory: Path, blob: bytes, meta: Mapping[str, Any]) -> None:
    """Save `blob` with a short description; the one before it is kept as a fallback.

    Raises
    ------
    StoreError
        With the ``errno``; the previous checkpoint is untouched.
    """
    header = json.dumps(dict(meta)).encode()
    digest = hashlib.sha256(header + blob).digest()
    data = b"".join([MAGIC, len(header).to_bytes(8, "big"), digest, header, blob])
    current, previous = directory / CURRENT, directory / PREVIOUS
    if current.exists():
        link = directory / (PREVIOUS + ".part")
        with contextlib.suppress(OSError):
            link.unlink(missing_ok=True)
            os.link(current, link)
            link.replace(previous)
    write_atomically(current, data)


def load(directory: Path) -> tuple[bytes, dict[str, Any]] | None:
    """Return the newest whole checkpoint and its description, or None if none was ever saved.

    Nothing in it is executed here; the blob is for a reader that takes tensors and numbers only.

    Raises
    ------
    StoreError
        Every checkpoint is damaged.
    """
    damaged: list[Path] = []
    for path in (directory / CURRENT, directory / PREVIOUS):
        try:
            data = read_plain(path, LARGEST)
        except FileNotFoundError:
            continue
        except OSError:
            damaged.append(path)
            continue
        loaded = _decode(data)
        if loaded is not None:
            return loaded
        damaged.append(path)
    if damaged:
        msg = (
            f"{damaged[0]}: expected a whole checkpoint, got a damaged one; remove the folder {directory} to continue "
            "from the stored points alone (the surrogate is then trained anew)"
        )
        raise StoreError(errno.EINVAL, msg)
    return None


def _decode(data: bytes) -> tuple[bytes, dict[str, Any]] | None:
    start = len(MAGIC) + 8 + 32
    if not data.startswith(MAGIC) or len(data) < start:
        return None
    split = start + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 8], "big")
    if hashlib.sha256(memoryview(data)[start:]).digest() != data[start - 32 : start] or split > len(data):
        return None
    try:
        meta = json.loads(data[start:split])
    except (ValueError, RecursionError):
        return None
    return (data[split:], meta) if isinstance(meta, dict) else None
