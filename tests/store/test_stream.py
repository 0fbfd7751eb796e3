"""One stream of batches on a disk that forgets or garbles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rayscan.store import Schema
from rayscan.store.stream import SegmentWriter, Tail, read_stream

SIZES = (5, 40, 1, 300, 12)


@dataclass(repr=False)
class Written:
    """A stream of five batches: its file, the batches, where each ends, and its bytes. Failures do not print it."""

    path: Path
    batches: list[pa.RecordBatch]
    ends: list[int]
    stored: bytes

    def __iter__(self) -> Iterator[Any]:
        return iter((self.path, self.batches, self.ends, self.stored))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    schema = Schema(("x", "z"), ("y",), 2)
    path = tmp_path_factory.mktemp("stream") / "points-000001.arrows"
    writer = SegmentWriter(path, schema.arrow)
    batches, ends, first = [], [], 0
    for n in SIZES:
        ids = np.arange(first, first + n)
        columns: dict[str, Any] = {
            "point_id": ids, "u": np.column_stack([ids / 1e3, 1 - ids / 1e3]), "x": ids + 0.5, "z": ids - 0.5,
            "y": np.sin(ids + 1.0),
            "status": ids % 3, "origin": ids % 5, "valid": ids % 2 == 0, "issued": 1e9 + ids, "started": 1e9 + ids,
            "ended": 2e9 + ids,
            "host": "node1", "worker": "w", "likelihood": ids * 0.5,
            "penalty": ids * 0.25, "density": 1.0, "score": 0.5, "message": [f"text {i}" for i in ids],
        }  # fmt: skip
        batches.append(schema.batch([schema.take(columns)]))
        writer.encode(batches[-1])
        writer.write()
        ends.append(path.stat().st_size)
        first += n
    writer.abandon()
    return Written(path, batches, ends, path.read_bytes())


def read(path: Path, data: bytes) -> tuple[list[pa.RecordBatch], Tail]:
    copy = path.with_name("copy")
    copy.write_bytes(data)
    _, batches, tail = read_stream(copy)
    return batches, tail


def subset(found: list[pa.RecordBatch], batches: list[pa.RecordBatch]) -> list[int]:
    """Return which of the batches were found; every one found must be one that was written."""
    numbers = [next((k for k, batch in enumerate(batches) if batch.equals(one)), -1) for one in found]
    assert -1 not in numbers, "a batch that nobody wrote"
    assert numbers == sorted(set(numbers))
    return numbers


def test_what_was_written_is_read(written):
    """A stream without an end mark, as a crash of the process leaves it, gives every batch."""
    path, batches, _, data = written
    found, tail = read(path, data)
    assert subset(found, batches) == [0, 1, 2, 3, 4]
    assert tail is Tail.WHOLE


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), share=st.floats(0, 1), seed=st.none() | st.integers(0, 2**32))
def test_bytes_that_the_disk_lost_are_never_taken_for_values(written, at, share, seed):
    """With zeros, or noise, in place of any bytes, what is read was written; batches before them are all there."""
    path, batches, ends, stored = written
    start = int(at * len(stored))
    length = max(1, int(share * (len(stored) - start)))
    put = bytes(length) if seed is None else np.random.default_rng(seed).bytes(length)
    garbled = stored[:start] + put + stored[start + length :]
    found, tail = read(path, garbled)
    untouched = [k for k, end in enumerate(ends) if end <= start]
    assert subset(found, batches)[: len(untouched)] == untouched
    if len(found) < len(batches) and garbled[start:].strip(b"\0") and ends[-1] > start + length:
        # Nothing that could still be read by somebody may be thrown away.
        assert tail is not Tail.WHOLE


def test_one_garbled_batch_does_not_hide_the_next(written):
    """A number that changed on the disk costs its own batch only, and the file is kept for a human."""
    path, batches, _, stored = written
    at = stored.index(np.float64(20.5).tobytes())
    found, tail = read(path, stored[:at] + b"\x01" + stored[at + 1 :])
    assert subset(found, batches) == [0, 2, 3, 4]
    assert tail is Tail.DAMAGED


def test_a_garbled_label_is_noticed(written):
    """The texts that codes stand for are part of the checksum."""
    path, batches, _, stored = written
    at = stored.index(b"unphysical")
    found, tail = read(path, stored[:at] + b"unphysicaX" + stored[at + 10 :])
    assert subset(found, batches) == []
    assert tail is Tail.DAMAGED


def test_every_changed_byte_is_noticed(written):
    """Of the schema, of a header, of values, of the checksum, its name and the end: whichever byte changes."""
    path, batches, ends, stored = written
    schema_and_labels = range(stored.index(b"unphysical") + 40)
    for at in (*schema_and_labels, *range(ends[1], ends[1] + 2_000), *range(len(stored) - 40, len(stored))):
        found, _ = read(path, stored[:at] + bytes([stored[at] ^ 0x20]) + stored[at + 1 :])
        assert len(subset(found, batches)) < len(batches), f"byte {at}"


@pytest.mark.parametrize("text", ["00000000 rayscan.crc32", "rayscan.crc32", "00000000"])
def test_a_message_that_looks_like_a_checksum_is_stored_as_it_is(tmp_path, text):
    """Whatever a program writes ends in a column, and never where checksums are looked for."""
    schema = pa.schema([("message", pa.string())])
    batch = pa.record_batch([[text, text]], schema=schema)
    writer = SegmentWriter(tmp_path / "points-000001.arrows", schema)
    writer.encode(batch)
    writer.encode(batch)
    writer.finish()
    _, found, tail = read_stream(writer.path)
    assert [one["message"].to_pylist() for one in found] == [[text, text]] * 2
    assert tail is Tail.WHOLE


def test_a_first_page_that_was_lost_does_not_delete_the_rest(written):
    """Without its beginning a stream gives nothing, but is kept."""
    path, _, _, stored = written
    found, tail = read(path, bytes(512) + stored[512:])
    assert found == []
    assert tail is Tail.DAMAGED


def test_a_page_of_zeros_between_batches_is_no_end(written):
    """Zeros look like the end mark of a stream; with something after them, they are not."""
    path, batches, ends, stored = written
    found, tail = read(path, stored[: ends[1]] + bytes(4096) + stored[ends[1] :])
    assert subset(found, batches) == [0, 1]
    assert tail is Tail.DAMAGED


def test_streams_without_checksums_are_read(written, tmp_path):
    """Those of other writers have none."""
    _, batches, _, _ = written
    path = tmp_path / "plain.arrows"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    _, found, tail = read_stream(path)
    assert subset(found, batches) == [0, 1, 2, 3, 4]
    assert tail is Tail.WHOLE


@pytest.mark.parametrize("cut", [-1, -100, -4000])
def test_an_incomplete_end_is_torn(written, cut):
    """Cut off anywhere in its last batch, a stream is torn: nothing that counted is lost."""
    path, batches, _, stored = written
    found, tail = read(path, stored[:cut])
    assert len(subset(found, batches)) < 5
    assert tail is Tail.TORN


def test_a_writer_does_not_overwrite(written):
    """A file that is there already is never written over."""
    path, batches, _, stored = written
    writer = SegmentWriter(path, batches[0].schema)
    writer.encode(batches[0])
    with pytest.raises(OSError, match="exists"):
        writer.write()
    assert path.read_bytes() == stored
