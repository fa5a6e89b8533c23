"""Frames between front and replica: what goes in comes out, however the bytes arrive."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field, Form, layout_of
from tenfold.rows import Rows
from tenfold.server import frames
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.frames import Joiner, Reader, offsets, pack
from tenfold.server.outputs import Outputs

PARTS = st.lists(st.binary(max_size=40), max_size=5)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), PARTS), max_size=6), st.integers(1, 50))
def test_frames_survive_any_cutting(sent: list[tuple[int, list[bytes]]], step: int) -> None:
    """A stream of frames is read alike in pieces of any size."""
    stream = b"".join(pack(frames.BATCH, number, 3, -5, parts) for number, parts in sent)
    reader = Reader()
    read = []
    for at in range(0, len(stream), step):
        for frame in reader.feed(stream[at : at + step]):
            assert (frame.kind, frame.rows, frame.due_ns) == (frames.BATCH, 3, -5)
            read.append((frame.number, [bytes(part) for part in frame.parts]))
    assert read == sent


def test_many_parts() -> None:
    """A contract may have hundreds of columns that are parts of their own."""
    parts = [bytes([k % 256]) * (k % 9) for k in range(1000)]
    (frame,) = Reader().feed(pack(frames.BATCH, 7, 1, 0, parts))
    assert (frame.number, [bytes(part) for part in frame.parts]) == (7, parts)


def test_blocks_are_aligned() -> None:
    """Every part begins at a multiple of eight bytes, so that NumPy reads it in place."""
    (frame,) = Reader().feed(pack(frames.BATCH, 1, 1, 0, [b"abc", b"", b"12345678"]))
    begin = np.frombuffer(frame.parts[0], dtype=np.uint8).__array_interface__["data"][0]
    for part in frame.parts[2:]:
        assert (np.frombuffer(part, dtype=np.uint8).__array_interface__["data"][0] - begin) % 8 == 0


EVERYTHING = Form(
    name="Everything",
    fields=(
        Field(name="x", wire="x x", kind="float"),
        Field(name="y", wire="y", kind="float", nullable=True),
        Field(name="n", wire="n", kind="int"),
        Field(name="flag", wire="flag", kind="bool", nullable=True),
        Field(name="label", wire="label", kind="category", categories=("a", "b"), nullable=True),
        Field(name="text", wire="text", kind="text", nullable=True),
        Field(name="list", wire="list", kind="list", item=Field(name="", wire="", kind="float")),
        Field(name="grid", wire="grid", kind="tensor", shape=(2, 2), dtype="float32"),
        Field(name="day", wire="day", kind="date"),
        Field(
            name="inner",
            wire="inner",
            kind="object",
            fields=(Field(name="z", wire="z", kind="int"), Field(name="words", wire="w", kind="text")),
        ),
    ),
)


def everything(size: int) -> Rows:
    """Rows of every kind of column."""
    layout = layout_of(EVERYTHING)
    numbers = np.arange(size)
    texts = np.empty(size, dtype=object)
    lists = np.empty(size, dtype=object)
    words = np.empty(size, dtype=object)
    for k in range(size):
        texts[k] = None if k % 3 == 0 else f"täxt {k}"
        lists[k] = np.arange(k % 4, dtype=float)
        words[k] = ""
    bits = np.zeros((size, 4), dtype=bool)
    bits[:, 0] = numbers % 2 == 0
    bits[:, 3] = numbers % 3 == 0
    blocks = {
        "f8": np.stack([numbers / 7, numbers * 1e300], axis=1).reshape(size, 2),
        "i8": np.stack([numbers - 2**62, numbers + 20000, numbers], axis=1).reshape(size, 3),
        "i4": (numbers % 2).astype(np.int32).reshape(size, 1),
        "u1": (numbers % 2).astype(np.uint8).reshape(size, 1),
    }
    grid = np.arange(size * 4, dtype=np.float32).reshape(size, 2, 2)
    return Rows(layout, size, blocks, bits, [texts, lists, grid, words])


@given(st.integers(0, 9))
def test_rows_cross_the_wire(size: int) -> None:
    """Every kind of column arrives as it was sent."""
    rows = everything(size)
    back = read_rows(rows.layout, size, write_rows(rows))
    for column in rows.layout.columns:
        sent, got = rows[column.name], back[column.name]
        assert len(sent) == len(got)
        assert all(np.array_equal(a, b) for a, b in zip(sent, got, strict=True))
        assert np.array_equal(rows.missing(column.name), back.missing(column.name))


def test_outputs_as_json() -> None:
    """The front writes a replica's columns as JSON with wire names, nested contracts and nulls."""
    rows = everything(2)
    first, second = (
        msgspec.json.decode(text)
        for text in Outputs(EVERYTHING).encode(2, [memoryview(part) for part in write_rows(rows)])
    )
    assert first == {
        "x x": 0.0,
        "y": None,
        "n": -(2**62),
        "flag": False,
        "label": "a",
        "text": None,
        "list": [],
        "grid": [[0.0, 1.0], [2.0, 3.0]],
        "day": "2024-10-04",
        "inner": {"z": 0, "w": ""},
    }
    assert (second["x x"], second["y"], second["label"], second["text"]) == (1 / 7, 1e300, "b", "täxt 1")


def test_joined_rows() -> None:
    """Rows that were packed one by one are read as a batch."""
    form = Form(
        name="F",
        fields=(Field(name="x", wire="x", kind="float"), Field(name="t", wire="t", kind="text", nullable=True)),
    )
    packed = [
        (np.array([1.5]).tobytes(), b"\0", b"one"),
        (np.array([2.5]).tobytes(), b"\1", b""),
    ]
    rows = read_rows(layout_of(form), 2, Joiner(layout_of(form)).join(packed))
    assert rows.x.tolist() == [1.5, 2.5]
    assert rows.t.tolist() == ["one", None]
    assert offsets([b"one", b""]) == np.array([0, 3, 3], dtype="<u4").tobytes()
