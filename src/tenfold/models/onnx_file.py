"""The little of an ONNX file that has to be known before the runtime sees it, read from the protocol buffer itself.

- Tensors may lie in other files, by a path that the model names. Runtimes have followed such paths out of the folder
  more than once (CVE-2022-25882, CVE-2024-27318), so every path is checked here, wherever in the file a tensor can
  be.
- A classifier's labels are an attribute of its node, and no part of what the runtime tells.

Field numbers are those of ``onnx/onnx.proto``; the encoding is https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from tenfold.errors import ModelError

Message = memoryview

# Of each message, the fields that hold messages, down to the tensors.
HOLDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
GRAPH = 7  # of Model
NODE, INITIALIZER = 1, 5  # of Graph
INPUT, OUTPUT, OPERATOR, ATTRIBUTE = 1, 2, 4, 5  # of Node
NAME, INTS, STRINGS = 1, 8, 9  # of Attribute
TYPE, INT32_DATA, STRING_DATA, INT64_DATA, TENSOR_NAME, RAW_DATA, EXTERNAL_DATA = 2, 5, 6, 7, 8, 9, 13  # of Tensor
KEY, VALUE = 1, 2  # of StringStringEntry
LABELS = (b"classlabels_strings", b"classlabels_ints", b"classlabels_int64s")
BYTES_OF: dict[object, int] = {6: 4, 7: 8}  # of an element of raw data, for the types int32 and int64
DEEPEST = 64  # graphs within attributes of nodes of graphs


def check_paths(path: Path) -> None:
    """Raise ``ModelError`` where a tensor's data lies outside of the model's folder, or in what is no plain file."""
    data = _mapped(path)
    if data.find(b"location") < 0:  # the key that every such path stands under; most models have none
        return
    for location in sorted(set(_locations(memoryview(data), "Model"))):
        _check_path(path, location)


def class_labels(path: Path, output: str) -> tuple[str | int, ...]:
    """The labels that an output of the model takes its values from, or its columns stand for; () where that is
    unknown.

    It is traced back to the node that lists them: a classifier, a ZipMap, or the lookup of an index in a constant.
    """
    graph = next(_messages(memoryview(_mapped(path)), GRAPH), memoryview(b""))
    made_by = {bytes(name): node for node in _messages(graph, NODE) for name in _messages(node, OUTPUT)}
    name = output.encode()
    while (node := made_by.pop(name, None)) is not None:
        inputs = [bytes(text) for text in _messages(node, INPUT)]
        listed = next(filter(None, map(_labels, _messages(node, ATTRIBUTE))), ())
        if listed or not inputs:
            return listed
        if bytes(next(_messages(node, OPERATOR), b"")) == b"ArrayFeatureExtractor":
            return _constant(graph, inputs[0])
        name = inputs[0]
    return ()


def _mapped(path: Path) -> mmap.mmap:
    """The bytes of the file, not read until they are looked at; unmapped when the last view of them is gone."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _labels(attribute: Message) -> tuple[str | int, ...]:
    """The attribute's items, if its name says that they are labels. The name comes first, so others cost nothing."""
    if bytes(next(_messages(attribute, NAME), b"")) not in LABELS:
        return ()
    texts = tuple(str(text, "utf-8") for text in _messages(attribute, STRINGS))
    return texts or tuple(_integers(attribute, INTS))


def _constant(graph: Message, name: bytes) -> tuple[str | int, ...]:
    """The texts or integers in the constant tensor of that name."""
    for tensor in _messages(graph, INITIALIZER):
        if bytes(next(_messages(tensor, TENSOR_NAME), b"")) == name:
            texts = tuple(str(text, "utf-8") for text in _messages(tensor, STRING_DATA))
            return texts or (*_raw_integers(tensor), *_integers(tensor, INT32_DATA), *_integers(tensor, INT64_DATA))
    return ()


def _raw_integers(tensor: Message) -> Iterator[int]:
    size = BYTES_OF.get(next((value for number, value in _fields(tensor) if number == TYPE), 0), 0)
    for data in _messages(tensor, RAW_DATA) if size else ():
        for at in range(0, len(data), size):
            yield int.from_bytes(data[at : at + size], "little", signed=True)


def _locations(message: Message, kind: str, depth: int = 0) -> Iterator[str]:
    """Every path at which data of a tensor is said to lie."""
    if depth > DEEPEST:
        raise ValueError("graphs within graphs, deeper than any model has them")
    for number, value in _fields(message):
        if not isinstance(value, memoryview):
            continue
        if kind == "Tensor" and number == EXTERNAL_DATA:
            entry = {key: bytes(text) for key, text in _fields(value) if isinstance(text, memoryview)}
            if entry.get(KEY) == b"location":
                yield str(entry.get(VALUE, b""), "utf-8")
        elif number in HOLDS[kind]:
            yield from _locations(value, HOLDS[kind][number], depth + 1)


def _check_path(model: Path, location: str) -> None:
    folder = model.parent.resolve()
    file = folder / location
    if Path(location).is_absolute() or ".." in Path(location).parts or "\\" in location or "\0" in location:
        why = "is a path out of the model's folder"
    elif not file.is_file():
        why = "does not exist"
    elif not file.resolve().is_relative_to(folder):
        why = "is a link out of the model's folder"
    else:
        return
    raise ModelError(
        f"{model.name} keeps weights in {location!r}, which {why}",
        "save the model in one file, or with its data beside it and named without a path",
    )


def _messages(message: Message, number: int) -> Iterator[Message]:
    """The fields of that number which have a length: texts and messages."""
    return (value for found, value in _fields(message) if found == number and isinstance(value, memoryview))


def _integers(message: Message, number: int) -> Iterator[int]:
    """Signed integers, one by one or packed together."""
    for found, value in _fields(message):
        if found != number:
            continue
        if isinstance(value, int):
            yield _signed(value)
        else:
            at = 0
            while at < len(value):
                item, at = _varint(value, at)
                yield _signed(item)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _fields(message: Message) -> Iterator[tuple[int, Message | int]]:
    """Number and value of each field: a view where it has a length, else the integer or the raw bits."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 1 | 5 as wire:
                size = 8 if wire == 1 else 4
                yield tag >> 3, int.from_bytes(_part(message, at, size), "little")
                at += size
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, _part(message, at, size)
                at += size
            case _:
                raise ValueError("not a protocol buffer")


def _part(message: Message, at: int, size: int) -> Message:
    if at + size > len(message):
        raise ValueError("the file ends early")
    return message[at : at + size]


def _varint(message: Message, at: int) -> tuple[int, int]:
    """A base-128 integer and where it ends."""
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("the file ends early")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
