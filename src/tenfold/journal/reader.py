"""Reading the journal: what was predicted, as columns, by time, by id and by key.

A segment is read as it stands at that moment; whoever writes it is never waited for, nor made to wait.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import NotFound, UsageError
from tenfold.journal.picking import Buffer, part_count
from tenfold.journal.segment import ALONE, FOLDER, GONE, TIME, Header, read_header, segments
from tenfold.layout import Layout
from tenfold.rows import Rows

Array = NDArray[Any]
ReadRows = Callable[[Layout, int, Sequence[Buffer]], Rows]
Span = tuple[int, int]
EVER = (-(2**62), 2**62)
PLACES, ANSWERED = 1, 2  # of the parts of a record
EXAMPLE = "0199f3a2-6c1e-7b3d-9f00-3c5a1d2e4f60, or …/2 for a row of many"


class Predictions(NamedTuple):
    """Rows that were answered, each with its output, as one segment or a part of it has them.

    ``requests`` are the ids of their requests (16 bytes each) and ``places`` their positions in these (``ALONE`` for the
    only one); ``ids`` are both as clients know them. ``times`` are datetime64[us] in UTC. ``keys`` and ``inputs`` are None
    where they are not kept; ``outputs`` and ``inputs`` have no Private fields.
    """

    header: Header
    requests: Array
    places: Array
    times: Array
    keys: Array | None
    outputs: Rows
    inputs: Rows | None

    @property
    def size(self) -> int:
        """How many rows these are."""
        return len(self.places)

    @property
    def ids(self) -> list[str]:
        """The id of each prediction: that of its request, and its place where the request had many rows."""
        texts = (piece.hex() for piece in self.requests.view("V16").tolist())
        named = (f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in texts)
        return [
            name if place == ALONE else f"{name}/{place}"
            for name, place in zip(named, self.places.tolist(), strict=True)
        ]

    def take(self, index: Array) -> Predictions:
        """Those at these positions (integers or a mask)."""
        return Predictions(
            self.header,
            self.requests[index],
            self.places[index],
            self.times[index],
            None if self.keys is None else self.keys[index],
            self.outputs.take(index),
            None if self.inputs is None else self.inputs.take(index),
        )


class Held(NamedTuple):
    """What the journal has of one release. Times are in microseconds since 1970."""

    header: Header
    rows: int
    first_us: int
    last_us: int
    segments: int
    size: int


class Journal:
    """The journal of a service's folder, all releases of all its services."""

    def __init__(self, home: Path, read_rows: ReadRows) -> None:
        """``home`` is the service's folder; ``read_rows`` makes rows of the parts of a batch, and is handed in by the
        server, whose wire they came over."""
        self._root = home / FOLDER
        self._read_rows = read_rows

    def read(self, since_us: int = EVER[0], until_us: int = EVER[1], release: str = "") -> Iterator[Predictions]:
        """What was answered from ``since_us`` on and before ``until_us``, by one release or by all of them.

        A batch is of one segment, and segments follow each other by their first record: rows that several fronts answered
        at the same time are not merged.
        """
        for data, header, spans in self._segments(since_us, until_us, release):
            chosen = [span for span in spans if since_us <= TIME.unpack_from(data, span[0])[0] < until_us]
            yield from self._gathered(data, header, chosen)

    def by_id(self, name: str) -> Iterator[Predictions]:
        """The prediction of this id; all those of a request of many rows, where its place is not named. None, if there is
        none. Raises ``UsageError`` for what is no id."""
        request, place = _read_id(name)
        wanted = np.frombuffer(request, dtype="S16")[0]
        for found in self._holding(lambda _: request):
            mask = found.requests == wanted
            yield from _some(found, mask if place is None else mask & (found.places == place))

    def by_key(self, key: str) -> Iterator[Predictions]:
        """The predictions for this key. Raises ``NotFound`` where the journal has no keys at all."""
        has_keys = has_any = False

        def needle(header: Header) -> bytes | None:
            nonlocal has_any, has_keys
            has_any, has_keys = True, has_keys or bool(header.key)
            return _key_bytes(header, key)

        for found in self._holding(needle):
            assert found.keys is not None
            yield from _some(found, found.keys == (int(key) if found.keys.dtype.kind == "i" else key))
        if has_any and not has_keys:
            raise NotFound(
                "these predictions have no key", "mark a field that is not Private with Key(), or use the id"
            )

    def held(self) -> list[Held]:
        """What there is of each release, in the order in which they first answered."""
        found: dict[str, Held] = {}
        for data, header, spans in self._segments():
            records = _read_records(header, data, spans)
            if not records.rows:
                continue
            old = found.get(header.release, Held(header, 0, EVER[1], EVER[0], 0, 0))
            found[header.release] = Held(
                header,
                old.rows + int(_given(records)[2].sum()),
                min(old.first_us, records.times_us[0]),
                max(old.last_us, records.times_us[-1]),
                old.segments + 1,
                old.size + len(data),
            )
        return list(found.values())

    def _segments(
        self, since_us: int = EVER[0], until_us: int = EVER[1], release: str = ""
    ) -> Iterator[tuple[bytes, Header, Iterator[Span]]]:
        """The bytes of each segment that may have records of that time, what it holds, and where its records are."""
        folders = [self._root / release] if release else sorted(self._root.glob("*"))
        for segment in segments(folders):
            if segment.start_us >= until_us or segment.end_us < since_us:
                continue
            try:
                data = segment.path.read_bytes()
            except FileNotFoundError:  # deleted meanwhile, since it was old
                continue
            header, spans = read_header(data, segment.path)
            if header is not None:
                yield data, header, spans

    def _holding(self, needle: Callable[[Header], bytes | None]) -> Iterator[Predictions]:
        """The records that have these bytes somewhere, which is quickly found out."""
        for data, header, spans in self._segments():
            wanted = needle(header)
            if wanted is not None and wanted in data:
                yield from self._gathered(data, header, [span for span in spans if data.find(wanted, *span) >= 0])

    def _gathered(self, data: bytes, header: Header, spans: Sequence[Span]) -> Iterator[Predictions]:
        """The rows of these records together."""
        if not spans:
            return
        records = _read_records(header, data, spans)
        places, positions, given = _given(records)
        at = positions[given]
        if not len(at):
            return
        ids, _, _, *parts = records.parts
        outputs, inputs = self._tables(header, parts, len(places), len(positions))
        inputs = None if inputs is None else inputs.take(at)
        yield Predictions(
            header=header,
            requests=np.frombuffer(b"".join(ids), dtype="S16")[at],
            places=places[at],
            times=np.repeat(records.times_us, records.rows)[at].view("datetime64[us]"),
            keys=inputs[header.key] if inputs is not None and header.key else None,
            outputs=outputs if given.all() else outputs.take(given),
            inputs=inputs if header.inputs else None,
        )

    def _tables(
        self, header: Header, parts: Sequence[Sequence[Buffer]], rows: int, answered: int
    ) -> tuple[Rows, Rows | None]:
        """Outputs and inputs of records whose parts these are."""
        layout = header.output.layout
        count = part_count(layout)
        outputs = self._read_rows(layout, answered, _joined(layout, parts[:count]))
        if header.input is None:
            return outputs, None
        layout = header.input.layout
        return outputs, self._read_rows(layout, rows, _joined(layout, parts[count:]))


class _Records(NamedTuple):
    """Records as they were read, and each of their parts as a list of what the records have of it."""

    times_us: list[int]
    rows: list[int]
    parts: list[list[bytes]]


def _read_records(header: Header, data: bytes, spans: Iterable[Span]) -> _Records:
    times_us: list[int] = []
    sizes: list[int] = []
    parts: list[list[bytes]] = [[] for _ in range(header.part_count)]
    head = header.head
    for begin, _ in spans:
        times_us += TIME.unpack_from(data, begin)
        rows, _, *lengths = head.unpack_from(data, begin + TIME.size)
        sizes.append(rows)
        at = begin + TIME.size + head.size
        for length, pieces in zip(lengths, parts, strict=True):
            pieces.append(data[at : at + length])
            at += length
    return _Records(times_us, sizes, parts)


def _given(records: _Records) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The place of each row in its request; the positions of the rows that have an output; which of these were given to
    somebody."""
    sizes = np.array(records.rows)
    places, answered = records.parts[PLACES], records.parts[ANSWERED]
    if not any(places) and not any(answered):
        total = int(sizes.sum())
        return np.full(total, ALONE, dtype=np.int32), np.arange(total), np.ones(total, dtype=bool)
    place = np.concatenate(
        [
            np.frombuffer(part, dtype="<i4") if part else np.full(rows, ALONE, dtype=np.int32)
            for part, rows in zip(places, records.rows, strict=True)
        ]
    )
    positions = np.concatenate(
        [
            base + (np.frombuffer(part, dtype="<u4").astype(np.intp) if part else np.arange(rows))
            for part, rows, base in zip(answered, records.rows, np.cumsum(sizes) - sizes, strict=True)
        ]
    )
    return place, positions, place[positions] != GONE


def _joined(layout: Layout, parts: Sequence[Sequence[Buffer]]) -> list[Buffer]:
    """The parts of one batch that has the rows of several, one after the other."""
    following = iter(parts)
    joined: list[Buffer] = [b"".join(next(following)) for _ in layout.blocks]
    if layout.optional:
        joined.append(b"".join(next(following)))
    for column in layout.own:
        if column.kind != "tensor":
            joined.append(_joined_offsets(next(following)))
        joined.append(b"".join(next(following)))
    return joined


def _joined_offsets(parts: Sequence[Buffer]) -> bytes:
    """Offsets of the pieces of several batches, as if they were of one: each batch's begin at 0 and end at its length."""
    offsets = np.frombuffer(b"".join(parts), dtype="<u4").astype(np.int64)
    firsts = np.cumsum([len(part) // 4 for part in parts])[:-1]
    lengths = np.delete(np.diff(offsets), firsts - 1)
    return np.concatenate([[0], np.cumsum(lengths)]).astype("<u4").tobytes()


def _some(found: Predictions, mask: Array) -> Iterator[Predictions]:
    if mask.any():
        yield found.take(mask)


def _read_id(name: str) -> tuple[bytes, int | None]:
    """The 16 bytes of a request's id, and the place behind a slash."""
    text, slash, place = name.strip().partition("/")
    try:
        request = bytes.fromhex(text.replace("-", ""))
        if len(request) == 16:
            return request, int(place) if slash else None
    except ValueError:
        pass
    raise UsageError(f"{name!r} is no id of a prediction", 'it is the "id" of an answer, such as ' + EXAMPLE)


def _key_bytes(header: Header, key: str) -> bytes | None:
    """The key as a segment has it; None where it cannot be there."""
    if header.input is None or not header.key:
        return None
    if header.input.layout.by_name[header.key].kind == "text":
        return key.encode()
    try:
        return struct.pack("<q", int(key))
    except (ValueError, struct.error):
        return None
