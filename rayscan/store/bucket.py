"""A folder in an object store: named blocks of bytes, each of which is replaced as a whole."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from rayscan.errors import StoreError

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_uri(place: object) -> bool:
    """Whether a run directory is named by a URI, such as ``s3://bucket/runs/mssm``."""
    return isinstance(place, str) and _URI.match(place) is not None


class Bucket:
    """A folder in an object store.

    Parameters
    ----------
    uri : str
        ``s3://``, ``gs://``, ``abfs://``, ``file://`` or anything else that Arrow or fsspec knows; credentials and the
        end point come from where these look for them (``AWS_ENDPOINT_URL``, ``~/.aws``, …) or from the URI
        (``s3://bucket/path?endpoint_override=localhost:9000&scheme=http``).

    Raises
    ------
    StoreError
        Nobody knows such a URI.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._system, root = _open(uri)
        self._root = root.rstrip("/")
        if not self._root.strip("/"):
            msg = f"{uri}: expected a folder in a bucket, such as s3://bucket/runs/mssm"
            raise StoreError(errno.EINVAL, msg)
        self._local = self._system.type_name == "local"

    def read(self, name: str) -> bytes:
        """Return a block.

        Raises
        ------
        FileNotFoundError
        StoreError
            It cannot be had at present.
        """
        with self._errors(f"read {name}"), self._system.open_input_stream(self._path(name)) as stream:
            content: bytes = stream.read()
        return content

    def fetch(self, name: str, path: Path) -> None:
        """Copy a block into a file.

        Raises
        ------
        FileNotFoundError
        StoreError
        """
        with (
            self._errors(f"read {name}"),
            self._system.open_input_stream(self._path(name)) as stream,
            path.open("wb") as file,
        ):
            while block := stream.read(2**22):
                file.write(block)

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a block.

        Raises
        ------
        StoreError
        """
        path = self._path(name)
        with self._errors(f"write {name}"):
            if not self._local:
                with self._system.open_output_stream(path) as stream:
                    stream.write(content)
                return
            # A file system shows a file while it is written; an object store does not.
            self._system.create_dir(path.rpartition("/")[0], recursive=True)
            with self._system.open_output_stream(f"{path}.part") as stream:
                stream.write(content)
            self._system.move(f"{path}.part", path)

    def remove(self, name: str) -> None:
        """Remove a block; harmless where there is none.

        Raises
        ------
        StoreError
        """
        try:
            with self._errors(f"remove {name}"):
                self._system.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            msg = f"{self.uri}: cannot {what}: {reason}"
            raise StoreError(errno.EREMOTEIO, msg) from error


def _open(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError) as error:
        found = _by_fsspec(uri)
        if found is None:
            msg = f"{uri}: no file system for it: {error}; expected s3://, gs://, abfs:// or one that fsspec knows"
            raise StoreError(errno.EINVAL, msg) from error
        return found
    return system, path


def _by_fsspec(uri: str) -> tuple[fs.FileSystem, str] | None:
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(uri)
    except (ImportError, ValueError, OSError):
        return None
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path
