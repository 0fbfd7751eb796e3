"""A learner's state as bytes, and back, without pickle's power to run code."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from rayscan.errors import StoreError

_ARRAY = "__array__"


def to_bytes(state: Any) -> bytes:
    """Serialise nested dicts, lists, numbers, strings, ndarrays and tensors."""
    import torch

    buffer = io.BytesIO()
    torch.save(_pack(state), buffer)
    return buffer.getvalue()


def from_bytes(blob: bytes) -> Any:
    """Restore what `to_bytes` wrote.

    Raises
    ------
    StoreError
        If the bytes are damaged, or hold anything but plain data.
    """
    import torch

    with usable():
        return _unpack(torch.load(io.BytesIO(blob), weights_only=True, map_location="cpu"))


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """Whatever goes wrong inside is the fault of the checkpoint that is being restored.

    Raises
    ------
    StoreError
        In place of any error but that of a disk: plain data of the wrong kind can fail anywhere in a learner.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        msg = (
            f"the checkpoint cannot be read ({type(error).__name__}); it is damaged, not ours, or of another version. "
            "The rows are safe: delete the directory 'checkpoint' and start again, and the scan goes on from the rows "
            "alone"
        )
        raise StoreError(msg) from error


def _pack(value: Any) -> Any:
    import torch

    if isinstance(value, np.ndarray):
        if value.dtype == bool or value.dtype.kind in "iuf":
            plain = value.astype(np.int64) if value.dtype.kind == "u" else value
            return {_ARRAY: torch.from_numpy(np.ascontiguousarray(plain)).clone(), "dtype": str(value.dtype)}
        msg = f"cannot save an array of {value.dtype}"
        raise TypeError(msg)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        if _ARRAY in value:
            return value[_ARRAY].numpy().astype(value["dtype"])
        return {key: _unpack(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpack(item) for item in value]
    return value
