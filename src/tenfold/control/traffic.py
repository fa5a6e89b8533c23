"""The requests that a benchmark sends: a service's golden ones, those of a file, or an example of its contract."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.bench.target import Body
from tenfold.contract.form import Form
from tenfold.contract.schema import example
from tenfold.errors import NotFound, UsageError
from tenfold.parity import exists, golden

JSON = "application/json"
MOST = 10_000  # requests that are kept at hand; they are sent in rotation
MEDIA_TYPES = {
    ".json": JSON,
    ".arrow": "application/vnd.apache.arrow.stream",
    ".parquet": "application/vnd.apache.parquet",
}
LINES = (".ndjson", ".jsonl")


class Traffic(NamedTuple):
    """Bodies and, in words, what they are."""

    bodies: Sequence[Body]
    words: str
    is_example: bool = False

    @property
    def rows_each(self) -> float:
        """How many rows a request has on average."""
        return sum(body.rows for body in self.bodies) / len(self.bodies)

    def describe(self) -> str:
        """What is sent, such as "20 golden requests, 1 row each"."""
        rows = self.rows_each
        return f"{self.words}, {rows:,.4g} row{'s' * (rows != 1)} each"


def golden_requests(folder: Path, form: Form) -> Traffic:
    """The golden requests of a service folder; one made from the contract where there is none."""
    if not exists(folder):
        return example_request(example(form))
    kept = golden.read(folder)
    types = [record.media_type for record in kept.golden.records]
    bodies = [_body(body, media_type) for body, media_type in zip(kept.bodies, types, strict=True)]
    if not bodies:
        return example_request(example(form))
    return Traffic(bodies, f"{len(bodies)} golden request{'s' * (len(bodies) != 1)}")


def example_request(row: Any) -> Traffic:
    """One row that a contract gives as an example."""
    return Traffic([Body(msgspec.json.encode(row))], "an example that the contract made up", is_example=True)


def requests_of(path: Path) -> Traffic:
    """A body for each line of an NDJSON file; any other file is one body."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}", "NDJSON has a body on each line; any other file is one body")
    content = path.read_bytes()
    if path.suffix.lower() not in LINES:
        media_type = MEDIA_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
        try:
            return Traffic([_body(content, media_type or "application/octet-stream")], path.name)
        except msgspec.MsgspecError as error:
            raise UsageError(f"{path}: {error}", "write one JSON body") from None
    bodies = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                msgspec.json.decode(line)
                bodies.append(_body(line, JSON))
            except msgspec.MsgspecError as error:
                raise UsageError(f"{path}, line {number}: {error}", "write one JSON body on each line") from None
    if not bodies:
        raise UsageError(f"{path} has no body", "write one JSON body on each line")
    return Traffic(bodies[:MOST], f"{min(len(bodies), MOST):,} requests of {path.name}")


def _body(content: bytes, media_type: str) -> Body:
    """A body with its rows counted: the items of a JSON array, else one."""
    rows = 1
    if media_type == JSON and content.lstrip(b" \t\r\n")[:1] == b"[":
        rows = max(len(msgspec.json.decode(content, type=list[msgspec.Raw])), 1)
    return Body(content, media_type, rows)
