"""A tool on its way to the nodes of a cluster, together with the directories that it brings along."""

from __future__ import annotations

import io
import logging
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import ray
from ray import cloudpickle

from rayscan.errors import ToolError
from rayscan.sandbox.shelf import Shelf
from rayscan.tools.base import Tool
from rayscan.tools.parcel import Parcel, pack, unpack

logger = logging.getLogger("rayscan")

SLOWEST = 10 * 2**20
"""Bytes a second with which a node gets a parcel at least."""


@dataclass(frozen=True)
class Cargo:
    """Parcels in Ray's object store, each packed once.

    Attributes
    ----------
    parcels : tuple of Parcel
    contents : tuple of ray.ObjectRef
        Their archives as arrays of bytes, which a node reads without a copy.
    """

    parcels: tuple[Parcel, ...]
    contents: tuple[Any, ...]

    @classmethod
    def of(cls, tool: Tool) -> Cargo | None:
        """Pack what a tool brings along from this machine; None where that is nothing.

        Raises
        ------
        ConfigError
            It is not there, or has changed since the tool was described.
        """
        if not tool.parcels:
            return None
        for parcel in tool.parcels:
            logger.info("shipping %s, %.1f MiB, as %s", parcel.source, parcel.size / 2**20, parcel.digest[:8])
        packed = (np.frombuffer(pack(parcel), dtype=np.uint8) for parcel in tool.parcels)
        return cls(tool.parcels, tuple(ray.put(content) for content in packed))

    @property
    def seconds(self) -> float:
        """What its way to a node may take."""
        return sum(parcel.size for parcel in self.parcels) / SLOWEST


class Freight:
    """A tool that finds its parcels wherever it is unpacked.

    Parameters
    ----------
    tool : Tool
        As it is on the machine where the parcels come from.
    cargo : Cargo or None
    """

    def __init__(self, tool: Tool, cargo: Cargo | None) -> None:
        self.cargo = cargo
        self._plain = tool if cargo is None else None
        self._packed = b"" if cargo is None else _dumps(tool, _names(cargo.parcels))

    def unpack(self, scratch: str | None) -> Unpacked:
        """Have the parcels on this node, and return the tool that finds them.

        Parameters
        ----------
        scratch : str or None
            Root of the scratch directories.

        Raises
        ------
        ToolError
            There is no room for them, or the machine that they come from is gone.
        """
        if self.cargo is None:
            assert self._plain is not None
            return Unpacked(self._plain, {}, ())
        shelves: list[Shelf] = []
        try:
            for parcel, content in zip(self.cargo.parcels, self.cargo.contents, strict=True):
                shelves.append(Shelf(parcel.digest[:16], _filler(content), scratch))
            places = [str(shelf.directory / parcel.name)
                      for shelf, parcel in zip(shelves, self.cargo.parcels, strict=True)]  # fmt: skip
            tool = _loads(self._packed, _moves(self.cargo.parcels, places))
        except BaseException:
            for shelf in shelves:
                shelf.close()
            raise
        origins = {place: parcel.source for place, parcel in zip(places, self.cargo.parcels, strict=True)}
        return Unpacked(tool, origins, tuple(shelves))


@dataclass(frozen=True)
class Unpacked:
    """A tool on the node where it works.

    Attributes
    ----------
    tool : Tool
    origins : mapping of str to str
        Places of parcels on this node to where they come from.
    shelves : tuple of Shelf
        What keeps the parcels there.
    """

    tool: Tool
    origins: Mapping[str, str]
    shelves: tuple[Shelf, ...]

    def close(self) -> None:
        """Give the parcels up."""
        for shelf in self.shelves:
            shelf.close()


def _filler(content: Any) -> Callable[[Path], None]:
    def fill(directory: Path) -> None:
        try:
            archive = ray.get(content)
        except ray.exceptions.RayError as error:
            msg = f"what the tool brings along did not arrive: {error}"
            raise ToolError(msg) from error
        unpack(memoryview(archive), directory)

    return fill


def _names(parcels: tuple[Parcel, ...]) -> re.Pattern[str]:
    """Return what matches the path of any parcel where it stands as a whole path or the start of one."""
    paths = sorted({path for parcel in parcels for path in (parcel.source, parcel.real)}, key=len, reverse=True)
    return re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, paths))})(?![\w.+-])")


def _moves(parcels: tuple[Parcel, ...], places: list[str]) -> Callable[[str], str]:
    """Return a function that replaces paths of parcels by their places in a text."""
    place_of = {path: place for parcel, place in zip(parcels, places, strict=True)
                for path in (parcel.real, parcel.source)}  # fmt: skip
    names = _names(parcels)
    return lambda text: names.sub(lambda match: place_of[match[0]], text)


def _dumps(tool: Tool, names: re.Pattern[str]) -> bytes:
    """Pickle a tool with every text and path in it that names a parcel marked, whatever its class keeps where."""

    class Pickler(cloudpickle.CloudPickler):
        def persistent_id(self, one: Any) -> str | None:
            # One letter for the kind: pickle would look into a tuple, and come here again.
            if type(one) is str:
                return f"s{one}" if names.search(one) else None
            if isinstance(one, PurePath):
                return f"p{one}" if names.search(str(one)) else None
            if type(one) is bytes:
                text = one.decode("utf-8", "surrogateescape")
                return f"b{text}" if names.search(text) else None
            return None

    stream = io.BytesIO()
    pickler: Any = Pickler(stream)  # type: ignore[no-untyped-call]
    pickler.dump(tool)
    return stream.getvalue()


def _loads(packed: bytes, moved: Callable[[str], str]) -> Tool:
    class Unpickler(pickle.Unpickler):
        def persistent_load(self, marked: str) -> Any:
            text = moved(marked[1:])
            if marked[0] == "b":
                return text.encode("utf-8", "surrogateescape")
            return Path(text) if marked[0] == "p" else text

    tool: Tool = Unpickler(io.BytesIO(packed)).load()
    return tool
