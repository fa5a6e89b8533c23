"""The folder ``golden/``: raw requests as they were sent, and what every stage made of them, kept with the service in
git.

    records.json    provenance, model and versions, each request and its answer: what a person reads in a diff
    stages.npz      what the stages made, as arrays; never pickle
    0003.png        the bodies of requests that are not text

Values of ``Private`` fields are never recorded: another, valid value stands in their place.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import msgspec

from tenfold.contract.form import Form, leaves
from tenfold.contract.schema import example
from tenfold.errors import NotFound, ServiceError, TenfoldError
from tenfold.parity import values
from tenfold.parity.observe import JSON, with_example, without_private

SCHEMA = 1
FOLDER = "golden"
STAGES = ("decode", "pictures", "preprocess", "model", "postprocess")
BEFORE_MODEL = STAGES[:3]

Provenance = Literal["training", "self", ""]


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the recorded value of a stage is from: the training code, the service itself, or "" where there is none,
    for the reason given. ``labels`` is true where the model's stage holds labels and not scores."""

    provenance: Provenance
    because: str = ""
    labels: bool = False


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request, and the answer to it as JSON. The body is a JSON value where that is the same bytes when it is
    written again, else text, else in a file of the folder."""

    media_type: str
    request: Any = None
    file: str | None = None
    answer: Any = None


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """All records of a service. ``model`` is the digest of the model that answered; ``rows`` counts the rows of all
    requests, in whose order the stages' values stand."""

    schema: int = SCHEMA
    service: str
    recorded: str  # ISO 8601
    model: str
    contract: str
    versions: dict[str, str]
    rows: int
    stages: dict[str, Note]
    records: tuple[Record, ...]

    @property
    def provenance(self) -> Literal["training", "self"]:
        """Whether the training code gave anything that serving is held against."""
        return "training" if any(note.provenance == "training" for note in self.stages.values()) else "self"


class Kept(NamedTuple):
    """What the folder holds: the records, the body of each request, and the values of each stage that has any."""

    golden: Golden
    bodies: Sequence[bytes]
    stages: Mapping[str, Any]


def exists(folder: Path) -> bool:
    """Whether a service's folder has golden records."""
    return (folder / FOLDER / "records.json").is_file()


def read(folder: Path) -> Kept:
    """The golden records in a service's folder. Raises ``NotFound`` or ``ServiceError``."""
    place = folder / FOLDER
    try:
        golden = msgspec.json.decode((place / "records.json").read_bytes(), type=Golden)
        bodies = [_body(place, record) for record in golden.records]
        return Kept(golden, bodies, values.read(place / "stages.npz"))
    except FileNotFoundError as error:
        missing = Path(error.filename or place).name
        raise NotFound(f"{place} has no {missing}", "tenfold.record(…) in the training script writes it") from None
    except (
        msgspec.MsgspecError,
        ValueError,
        KeyError,
        OSError,
        EOFError,
        BadZipFile,
        MemoryError,
        RecursionError,
    ) as error:
        raise ServiceError(f"{place} cannot be read: {error}", "restore it from git, or record anew") from None


def sample(folder: Path, form: Form) -> bytes:
    """The body of the first recorded request, to be shown to anybody: its key is that of the contract's example.

    Empty where there is none, where it is of an older form, or where it holds a value that is Private by now.
    """
    try:
        kept = read(folder) if exists(folder) else None
        if kept is None or not kept.bodies:
            return b""
        body = kept.bodies[0]
        if kept.golden.records[0].media_type != JSON:
            return body
        made_up = example(form)
        if without_private(form, [body], [JSON], made_up) != [body]:
            return b""
        return with_example(body, [pointer for _, _, pointer, leaf in leaves(form.fields) if leaf.key], made_up)
    except (OSError, TenfoldError, msgspec.MsgspecError):
        return b""


def holds_private(kept: Kept, form: Form) -> bool:
    """Whether a recorded request holds a value of a field that is Private by now."""
    media_types = [record.media_type for record in kept.golden.records]
    return without_private(form, kept.bodies, media_types, example(form)) != list(kept.bodies)


def write(folder: Path, golden: Golden, bodies: Sequence[bytes], stages: Mapping[str, Any]) -> None:
    """Put records into a service's folder, in place of those that are there."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    if exists(folder):
        for record in msgspec.json.decode((place / "records.json").read_bytes(), type=Golden).records:
            if record.file:
                (place / record.file).unlink(missing_ok=True)
    records = [
        _put(place, number, record, body)
        for number, (record, body) in enumerate(zip(golden.records, bodies, strict=True))
    ]
    values.write(place / "stages.npz", stages)
    (place / "records.json").write_bytes(_text(golden, records))


def _text(golden: Golden, records: Sequence[Record]) -> bytes:
    """The document, a line for each record, so that a diff shows which of them changed."""
    head = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(golden, records=())), indent=1)
    lines = b",\n".join(b"  " + msgspec.json.encode(record) for record in records)
    return head.replace(b'"records": []', b'"records": [\n' + lines + b"\n ]") + b"\n"


def _put(place: Path, number: int, record: Record, body: bytes) -> Record:
    """The record with its body: text as text, anything else in a file."""
    if record.media_type == "application/json":
        parsed = msgspec.json.decode(body)
        plain = not isinstance(parsed, str) and msgspec.json.encode(parsed) == body
        return msgspec.structs.replace(record, request=parsed if plain else body.decode(), file=None)
    file = f"{number:04d}{mimetypes.guess_extension(record.media_type) or '.bin'}"
    (place / file).write_bytes(body)
    return msgspec.structs.replace(record, request=None, file=file)


def _body(place: Path, record: Record) -> bytes:
    if record.file is None:
        return record.request.encode() if isinstance(record.request, str) else msgspec.json.encode(record.request)
    if Path(record.file).name != record.file:
        raise ValueError(f"{record.file!r} is outside the folder")
    return (place / record.file).read_bytes()
