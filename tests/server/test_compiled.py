"""What is compiled, beside its twins in Python: whatever comes, both do the same."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field, Form
from tenfold.server import compiled
from tenfold.server.compiled import hot
from tenfold.server.frames import Notes, pack, pack_each, unpack, unpack_each
from tenfold.server.items import Item, give, give_each
from tenfold.server.metrics import _PLACE, LATENCY_BUCKETS, count_each
from tenfold.server.remarks import Outcome, Remarks
from tenfold.server.replies import Ids, Replies
from tenfold.server.requests import Single
from tenfold.server.responses import response
from tenfold.server.routes import Site
from tenfold.server.wire import Connection, Handler, Head, Heads, Live
from tenfold.validation.scalar import Decoder, Slow

pytestmark = pytest.mark.skipif(hot is None, reason="nothing is compiled here: there was no C compiler, or no Python.h")


class Plain(Connection):
    """A connection that reads in Python."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        self._receive(data)


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def write(self, data: bytes) -> None:
        self.log.append(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.log.append(name)


class App:
    """Answers at once, or later, or fails, as the path says."""

    max_body_bytes = 64

    def __init__(self) -> None:
        self.draining = False
        self.seen: list[tuple[str, bytes]] = []

    def resolve(self, head: Head) -> Handler:
        return self.answer

    def answer(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        self.seen.append((head.path, body))
        if head.path == "/fails":
            raise ValueError
        if head.path != "/later":
            connection.send(response(200, body), head.keep_alive)


LINES = st.sampled_from(
    [b"", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"X-Request-Id: me\r\n", b"Content-Length: 1\r\n"]
)
REQUESTS = st.builds(
    lambda method, path, version, more, body: (
        b"%b /%b HTTP/%b\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (method, path, version, more, len(body), body)
    ),
    st.sampled_from([b"POST", b"HEAD", b"GET"]),
    st.sampled_from([b"x", b"x", b"x", b"fails", b"later"]),
    st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]),
    LINES,
    st.sampled_from([b"", b"one", b"\r\n\r\n", b"y" * 65]),
)
STREAMS = st.lists(REQUESTS | st.sampled_from([b"\r\n", b"nonsense\r\n\r\n"]), min_size=1, max_size=6)


@given(STREAMS, st.lists(st.integers(1, 90), max_size=12), st.booleans())
def test_whatever_a_client_sends_is_read_alike(stream: list[bytes], cuts: list[int], draining: bool) -> None:
    """However it is cut, the same is answered in the same order, and the connection ends in the same state."""

    async def told_by(kind: type[Connection]) -> str:
        app = App()
        app.draining = draining
        live, transport = Live(), Transport()
        connection = kind(app, Heads(app), live)
        connection.connection_made(transport)  # type: ignore[arg-type]
        for piece in pieces(stream, cuts):
            if connection.busy and not connection._buffer:  # a handler took its time
                connection.send(response(200, b"later"))
            connection.data_received(piece)
            await asyncio.sleep(0)
        state = (connection.busy, connection._buffer, connection._last, connection._stays, connection._rejected)
        return dated((transport.log, app.seen, state))

    assert asyncio.run(told_by(Connection)) == asyncio.run(told_by(Plain))


def pieces(stream: list[bytes], cuts: list[int]) -> Iterator[bytes]:
    """Requests as they may arrive: each by itself, or cut somewhere."""
    if not cuts:
        yield from stream
        return
    whole = b"".join(stream)
    for size in cuts:
        if whole:
            yield whole[:size]
        whole = whole[size:]
    if whole:
        yield whole


def dated(told: Any) -> str:
    """Without what the clock says."""
    return repr(told).partition("date: ")[0] + "".join(part[40:] for part in repr(told).split("date: ")[1:])


class Books:
    """A lane and its counters, as far as answers need them."""

    def __init__(self) -> None:
        self.counters, self.log, self.fallback, self.tight_s = self, self, b"{}", 0.5
        self.replies = Replies('a "release"@1')
        self.counted: list[object] = []
        self.offered: list[Single] = []

    def offer(self, request: Single) -> None:
        self.offered.append(request)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *said, **more: self.counted.append(name)


MOMENTS = st.floats(0, 20)
TIMES = st.sampled_from([0.0, 1e-7, 0.0000011, 0.009999, 0.00999999, 0.01, 0.0100005, 1.2345678, 12.0]) | MOMENTS


@st.composite
def batches(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What may be true of each row of a batch."""
    row = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["plain"] * 8 + ["part"]),
            "done": st.sampled_from([False] * 5 + [True]),
            "gone": st.sampled_from([False] * 5 + [True]),
            "remarks": st.sampled_from([False] * 8 + [True]),
            "output": st.sampled_from([b'{"y":1}', b'{"y":1}', b"{}" * 40, None]),
            "trace_id": st.sampled_from([b"", b"", b"mine"]),
            "traceparent": st.sampled_from([False] * 8 + [True]),
            "keep_alive": st.sampled_from([True] * 4 + [False]),
            "draining": st.sampled_from([False] * 8 + [True]),
            "ahead": st.sampled_from([False] * 4 + [True]),
            "only_head": st.sampled_from([False] * 8 + [True]),
            "decode_s": TIMES,
            "queue_s": TIMES,
        }
    )
    return draw(st.lists(row, min_size=1, max_size=5))


@given(batches(), st.booleans(), st.sampled_from([0.1, 0.5, 5.0]))
def test_whatever_comes_back_is_given_alike(batch: list[dict[str, Any]], noted: bool, left_s: float) -> None:
    """Every client reads the same bytes; what is counted at once and what later adds up to the same."""

    async def told_by(each: Callable[..., None]) -> str:
        lane, came = Books(), list[float]()
        items, transports = asked(batch, lane, left_s)
        notes = {0: Notes()} if noted else None
        outcome = Outcome([row["output"] for row in batch], notes, 100.0, b", model;dur=1.000")
        each(items, outcome, 101.0, lane, came)
        counted = sorted([*map(str, lane.counted), *["answered"] * len(came)])
        said = [transport.log for transport in transports]
        return dated((said, counted, [item.done for item in items], [item.connection.busy for item in items]))

    assert asyncio.run(told_by(give)) == asyncio.run(told_by(give_each))


def asked(batch: list[dict[str, Any]], lane: Any, left_s: float) -> tuple[list[Item], list[Transport]]:
    """Requests, and where their answers go."""
    items: list[Item] = []
    transports = []
    for k, row in enumerate(batch):
        app = App()
        app.draining = row["draining"]
        transports.append(transport := Transport())
        connection = Connection(app, Heads(app), Live())
        connection.connection_made(transport)  # type: ignore[arg-type]
        connection.busy, connection._only_head = True, row["only_head"]
        connection._buffer = b"" if not row["ahead"] else b"GET"
        headers = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"} if row["traceparent"] else {}
        head = Head("POST", b"/x", headers, row["keep_alive"])
        head.trace_id = row["trace_id"]
        decoded = 100.0 - row["queue_s"]
        request = Single(
            lane,
            connection,
            head,
            b"%036d" % k,
            decoded - row["decode_s"],
            decoded,
            101.0 + left_s,
            b"{}",
            ((b"row",),),
        )
        request.done = row["done"]
        request.remarks = Remarks() if row["remarks"] else None
        if row["gone"]:
            connection.transport = None
        items.append(request if row["kind"] == "plain" else Once(request))  # type: ignore[arg-type]
    return items, transports


class Once:
    """Rows that answer for themselves, as parts of a larger request do."""

    def __init__(self, request: Single) -> None:
        self.rows, self.due, self.connection = 1, request.due, request.connection
        self.done = False

    def answer(self, outcome: Outcome, at: int, now: float) -> None:
        self.done = True


@given(st.lists(MOMENTS | st.floats(0, 1e-2) | st.floats(0, 200), max_size=20))
def test_latencies_are_counted_alike(taken: list[float]) -> None:
    """Also those beyond the last bucket."""
    told = []
    for count in (hot.count_latencies, count_each):
        slots = memoryview(bytearray(8 * (3 + LATENCY_BUCKETS))).cast("Q")
        count(slots, 3, _PLACE, 300.0, [300.0 - seconds for seconds in taken])
        told.append(slots.tolist())
    assert told[0] == told[1]
    assert sum(told[0]) == len(taken)


def test_every_bucket_is_counted_alike() -> None:
    """Just at the bounds between buckets, and beside them."""
    taken = [us / 1e6 for k in range(9) for n in (99, 100, 101, 999) for us in (n * 10**k - 0.5, n * 10**k)]
    test_latencies_are_counted_alike.hypothesis.inner_test(taken)  # type: ignore[attr-defined]


class Row(msgspec.Struct):
    """What a service reads."""

    x: float


def site(has_key: bool) -> Any:
    """A service's routes, without its pages."""
    made = Site.__new__(Site)
    decode = msgspec.json.Decoder(Row).decode

    def one(body: bytes) -> tuple[bytes, ...]:
        if body == b"slow":
            raise Slow
        if body == b"broken":
            raise ZeroDivisionError
        return (b"%r" % decode(body).x,)

    made.lane = Books()  # type: ignore[assignment]
    made._one, made._has_key = one, has_key
    made._decoder = made  # type: ignore[assignment]
    made.key_of = lambda packed: "key"  # type: ignore[attr-defined]
    made.said = []  # type: ignore[attr-defined]
    made._predict_slowly = lambda *asked: made.said.append("slowly")  # type: ignore[method-assign,attr-defined]
    made._predict_many = lambda *asked, **more: made.said.append("many")  # type: ignore[method-assign,attr-defined]
    return made


@pytest.mark.parametrize("has_key", [False, True])
@pytest.mark.parametrize("body", [b'{"x":1}', b"slow", b'[{"x":1}]', b'{"x":"no"}', b"\xff", b"", b"broken"])
def test_a_row_is_read_alike(body: bytes, has_key: bool) -> None:
    """A row becomes the same request; what is none goes the same other way."""
    told = []
    head = Head("POST", b"/predict", {}, True)
    head.budget_s = 2.5
    for read in (Site._predict, Site._read):
        here = site(has_key)
        try:
            read(here, None, head, body, 7.0)  # type: ignore[arg-type]
        except ZeroDivisionError:
            here.said.append("broken")
        told.append((here.said, [about(request, here) for request in here.lane.offered]))
    assert told[0] == told[1]
    assert told[0] != ([], [])


def about(request: Single, here: Any) -> tuple[object, ...]:
    """What is the same whenever it is asked."""
    assert request.lane is here.lane
    assert len(request.id) == 36
    assert time.monotonic() - 5 < request.decoded <= time.monotonic()
    key = request.remarks.key if request.remarks else None
    return request.started, request.due, request.body, request.packed, request.done, request.deaths, key


def test_ids_go_on_whoever_makes_them() -> None:
    """Ids are all different, and in order, while both make some."""
    ids: list[bytes] = []
    head = Head("POST", b"/predict", {}, True)
    here = site(False)
    for k in range(9000):
        (Site._predict if k % 3 else Site._read)(here, None, head, b'{"x":1}', 1.0 + k // 5000)  # type: ignore[arg-type]
    ids = [request.id for request in here.lane.offered]
    assert len(ids) == 9000
    assert ids == sorted(set(ids))
    assert isinstance(Ids().next(0.0), bytes)


def test_an_answer_that_cannot_be_given_is_told() -> None:
    """Fewer outputs than rows are an error, as in Python, and never read from somewhere else in memory."""
    lane = Books()
    items, _ = asked([row, row] if (row := plain_row()) else [], lane, 5.0)
    for each in (give, give_each):
        for item in items:
            item.request.done = False
        with pytest.raises(IndexError):
            each(items, Outcome([b"{}"], None, 100.0, b""), 101.0, lane, [])  # type: ignore[arg-type]


def plain_row() -> dict[str, Any]:
    """Nothing special."""
    return {
        "kind": "plain", "done": False, "gone": False, "remarks": False, "output": b"{}", "trace_id": b"",
        "traceparent": False, "keep_alive": True, "draining": False, "ahead": False, "only_head": False,
        "decode_s": 0.0, "queue_s": 0.0,
    }  # fmt: skip


BYTES = st.binary(max_size=40)
PARTS: st.SearchStrategy[list[Any]] = st.lists(BYTES | BYTES.map(memoryview), max_size=9)  # type: ignore[arg-type]
WORDS = st.integers(0, 2**32 - 1)


@given(st.integers(0, 255), WORDS, WORDS, st.integers(-(2**63), 2**63 - 1), PARTS, st.data())
def test_frames_are_alike(kind: int, number: int, rows: int, due: int, parts: list[Any], data: st.DataObject) -> None:
    """A frame has the same bytes, and is read alike; also one that was cut off or altered on the way."""
    sent = pack(kind, number, rows, due, parts)
    assert sent == pack_each(kind, number, rows, due, parts)
    altered = bytearray(sent)
    if data.draw(st.booleans()):
        altered[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    altered = altered[: data.draw(st.integers(0, len(sent)) | st.just(len(sent)))]
    assert told_of(unpack, bytes(altered)) == told_of(unpack_each, bytes(altered))


def told_of(read: Callable[[bytes], Any], data: bytes) -> object:
    """What a frame says, or what kind of error it is."""
    try:
        frame = read(data)
    except Exception as error:
        return type(error)
    return frame.kind, frame.number, frame.rows, frame.due_ns, [bytes(part) for part in frame.parts]


@pytest.mark.parametrize("wrong", [(256, 1, 1, 0), (1, 2**32, 1, 0), (1, -1, 1, 0), (1, 1, 1, 2**63)])
def test_a_number_that_no_frame_holds_is_refused(wrong: tuple[int, int, int, int]) -> None:
    """It is never cut to what fits."""
    for made in (pack, pack_each):
        with pytest.raises(struct.error):
            made(*wrong, [])


FIELDS = st.lists(
    st.sampled_from(
        [
            {"kind": "float"},
            {"kind": "float", "ge": 0.0, "le": 9.0},
            {"kind": "int", "ge": -5},
            {"kind": "int"},
            {"kind": "bool"},
            {"kind": "category", "categories": ("a", "b", "é:")},
            {"kind": "category", "categories": (1, 2)},
        ]
    ),
    min_size=1,
    max_size=6,
)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [0, 1, 2, -7, 0.5, 1e300, 2**63, -(2**63), 2**63 - 1, True, False, None, "a", "b", "é:", "c", [], {}]
)


@given(FIELDS, st.data())
def test_rows_are_packed_alike(fields: list[dict[str, Any]], data: st.DataObject) -> None:
    """A row becomes the same bytes; one that the second pass has to judge goes there."""
    form = Form(name="F", fields=tuple(Field(name=f"x{k}", wire=f"x {k}", **f) for k, f in enumerate(fields)))
    decoder = Decoder(form)
    assert decoder.plain is not None
    read = hot.row_reader(*decoder.plain, decoder.one)
    fitting: dict[str, list[Any]] = {"float": [0, 2.5], "int": [0, 2**40], "bool": [True, False]}
    row = {
        f"x {k}": data.draw(st.sampled_from(fitting.get(f["kind"]) or list(f["categories"])))
        for k, f in enumerate(fields)
    }
    assert read(msgspec.json.encode(row)) == decoder.one(msgspec.json.encode(row))
    name = data.draw(st.sampled_from([*row, "other", "x 0\\u0020"]))
    bad = msgspec.json.encode(row | {name: data.draw(VALUES)})
    twice = bad[:-1] + b',"x 0":1}'
    for body in (bad, twice, bad[: data.draw(st.integers(0, len(bad)))], b"[%b]" % bad):
        assert read_by(read, body) == read_by(decoder.one, body)


def read_by(read: Callable[[bytes], object], body: bytes) -> object:
    """The parts of a row, or what kind of error it is."""
    try:
        return read(body)
    except Exception as error:
        return type(error)


def test_rows_that_hold_more_are_read_in_python() -> None:
    """Texts, dates, nested rows and values that may be absent have no plan."""
    for more in (
        Field(name="t", wire="t", kind="text"),
        Field(name="d", wire="d", kind="date"),
        Field(name="f", wire="f", kind="float", nullable=True),
        Field(name="f", wire="f", kind="float", multiple_of=0.5),
    ):
        assert Decoder(Form(name="F", fields=(Field(name="x", wire="x", kind="float"), more))).plain is None


@pytest.mark.slow
def test_what_was_compiled_of_another_source_is_not_used(tmp_path: Path) -> None:
    """After an update whose C was not compiled, everything runs in Python, and doctor says so and how to mend it."""
    ours, theirs = Path(compiled.__file__).parent, tmp_path / "tenfold" / "server"
    theirs.mkdir(parents=True)
    for folder, copy in ((ours.parent, theirs.parent), (ours, theirs)):
        for entry in folder.iterdir():
            if not (copy / entry.name).exists():
                (copy / entry.name).symlink_to(entry)
    (theirs / "_hot.c").unlink()
    (theirs / "_hot.c").write_bytes((ours / "_hot.c").read_bytes() + b"\n")
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    findings = {finding["word"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["compiled"]["state"] == "open"
    assert "of another version, and not used" in findings["compiled"]["text"]
    assert "gcc" in findings["compiled"]["fix"]
    assert findings["serving"]["state"] == "ok"
