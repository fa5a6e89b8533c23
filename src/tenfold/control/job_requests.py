"""Jobs as an API: asked for, looked at, cancelled and fetched over HTTP. Done by ``job_runner``, in a process of its own.

    POST   /{service}/jobs                 a body of rows, or {"input": "s3://…"}: 202 and the job
    GET    /{service}/jobs                 all of them, the newest first
    GET    /{service}/jobs/ID              how far it is, and what became of it
    GET    /{service}/jobs/ID/FILE         a file of its folder: part-00000.parquet, summary.json, quarantine/…
    DELETE /{service}/jobs/ID              stop it; what is safe stays

The queue is in the store of the service's home, and whatever belongs to a job in a folder beside it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tenfold.config import server
from tenfold.control.job_runners import JOBS, OPEN
from tenfold.engines.folder import home as folder_of
from tenfold.errors import NotFound, TenfoldError, UsageError, status_of
from tenfold.formats.dialect import Dialect
from tenfold.formats.tables import SUFFIXES
from tenfold.jobs.budget import budget_of
from tenfold.server.admin import Asked
from tenfold.server.responses import JSON, PROBLEM, problem_document
from tenfold.store import Store, open_store
from tenfold.store.records import Job

OUT = "out"
MOST_SHARD_ROWS = 1_000_000
log = logging.getLogger("tenfold")
BODIES = {  # the suffix of an upload, by its media type
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".ndjson",
    "application/jsonl": ".ndjson",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.apache.arrow.file": ".arrow",
    "application/vnd.apache.arrow.stream": ".arrow",
}
TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".json": JSON,
    ".html": "text/html; charset=utf-8",
}

Answered = tuple[bytes, str, int]  # the body, its media type, the status


class Malformed(UsageError):
    """A body that cannot be read at all."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of a job: the options of ``tenfold batch``. ``input`` is left out where the rows are sent."""

    input: str | tuple[str, ...] = ()
    format: str = "parquet"
    keep: tuple[str, ...] = ()
    max_bad: tuple[str, ...] = ()
    shard_rows: int = 100_000
    delimiter: str = ""
    encoding: str = "utf-8"
    decimal: str = "."
    nulls: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files that are named."""
        return (self.input,) if isinstance(self.input, str) else self.input


def answer(about: Mapping[str, Any], asked: Asked, body: bytes) -> Answered:
    """The answer to a request about the jobs of the service that the supervisor tells ``about``."""
    if asked.method == "POST" and asked.media_type not in ("", JSON, *BODIES):
        return _problem("unsupported_media_type", f"a job is {JSON}, and rows are {', '.join(BODIES)}")
    try:
        return _answer(about, asked, body)
    except NotFound as error:
        return _problem("not_found", error.message)
    except UsageError as error:
        code = "malformed" if isinstance(error, Malformed) else "invalid_option"
        return _problem(code, f"{error.message}; {error.hint}" if error.hint else error.message)
    except TenfoldError as error:  # it names places on this machine, which are for the log
        log.error("jobs of %s: %s", about["service"]["name"], error.message)
        return _problem("not_ready", "the server cannot keep or look up jobs now; its log says why")


def _answer(about: Mapping[str, Any], asked: Asked, body: bytes) -> Answered:
    home = Path(about["home"])
    name, _, file = asked.path.strip("/").partition("/")
    try:
        store = open_store(home, create=asked.method == "POST")
    except NotFound:  # nobody asked for a job yet
        return _problem("not_found", f"there is no job {name[:64]}") if name else _json({"jobs": []})
    with closing(store):
        match asked.method, name, file:
            case "POST", "", "":
                return _json(told(add(store, about, asked, body), home), 202)
            case (("GET" | "HEAD"), "", ""):
                return _json({"jobs": [told(job, home) for job in store.jobs.list(about["service"]["name"])]})
            case (("GET" | "HEAD"), id, ""):
                return _json(told(_job(store, about, id), home))
            case "DELETE", id, "":
                job = _job(store, about, id)
                job = store.jobs.cancel(job.id) or job
                (home / JOBS / job.id / OPEN).unlink(missing_ok=True)
                return _json(told(job, home))
            case (("GET" | "HEAD"), id, file):
                return _file(home / JOBS / _job(store, about, id).id / OUT, file)
    return _problem("method_not_allowed", f"{asked.method} is nothing that can be done with jobs")


def add(store: Store, about: Mapping[str, Any], asked: Asked, body: bytes) -> Job:
    """Queue a job. Raises ``UsageError`` where it could never be done."""
    suffix = BODIES.get(asked.media_type, "")
    wish = _said(asked.query) if suffix else _wished(body)
    if wish.format not in SUFFIXES:
        raise UsageError(f"answers are written as {', '.join(SUFFIXES)}, not as {wish.format!r}")
    if not 1 <= wish.shard_rows <= MOST_SHARD_ROWS:
        raise UsageError(f"shard_rows is at least 1 and at most {MOST_SHARD_ROWS:,}")
    _require_text(wish, suffix)
    budget_of(wish.max_bad)
    if suffix and wish.inputs:
        raise UsageError("the rows are the body; there is no further input")
    _require_allowed(wish.inputs, Path(folder_of(about["folder"])))
    if not suffix and not wish.inputs:
        raise UsageError(
            'a job needs rows: send them as the body, or {"input": "s3://…"}', f"bodies are {', '.join(BODIES)}"
        )
    jobs = Path(about["home"]) / JOBS
    jobs.mkdir(parents=True, exist_ok=True)
    upload = _uploaded(jobs, body, suffix) if suffix else None
    plan = {"wish": msgspec.to_builtins(wish), "upload": f"rows{suffix}" if suffix else "", "folder": about["folder"]}
    job = store.jobs.add(about["service"]["name"], plan)
    (jobs / job.id).mkdir()
    if upload is not None:
        upload.replace(jobs / job.id / plan["upload"])
    (jobs / job.id / OPEN).touch()
    return job


def _require_text(wish: Wish, suffix: str) -> None:
    """Raise ``UsageError`` where no CSV file could be written in the way that is said."""
    by_name = "\t" if suffix == ".tsv" else ","
    Dialect(
        delimiter={"": by_name, r"\t": "\t"}.get(wish.delimiter, wish.delimiter),
        decimal=wish.decimal,
        encoding=wish.encoding,
    )


def told(job: Job, home: Path) -> dict[str, Any]:
    """A job as clients read it."""
    out = home / JOBS / job.id / OUT
    url = f"/{job.service}/jobs/{job.id}"
    names = sorted(str(file.relative_to(out)) for file in out.rglob("*") if file.is_file() and file.name[0] != ".")
    document = {"id": job.id, "service": job.service, "state": job.state, "at": job.at, "changed": job.changed}
    result = {name: value for name, value in job.result.items() if name != "token"}
    return document | result | {"files": [f"{url}/{name}" for name in names], "url": url}


def _job(store: Store, about: Mapping[str, Any], id: str) -> Job:  # noqa: A002 -- its own word
    job = store.jobs.get(id)
    if job is None or job.service != about["service"]["name"]:
        raise NotFound(f"there is no job {id[:64]}")
    return job


def _file(out: Path, name: str) -> Answered:
    """A file of a job's folder, and of nothing else on this machine."""
    place = out / name
    if not place.resolve().is_relative_to(out.resolve()) or place.name.startswith(".") or not place.is_file():
        raise NotFound("the job has no such file")
    return place.read_bytes(), TYPES.get(place.suffix, "application/octet-stream"), 200


def _uploaded(jobs: Path, body: bytes, suffix: str) -> Path:
    """The body as a file, before any job speaks of it."""
    if not body:
        raise UsageError("the body is empty")
    place = jobs / f"upload-{os.urandom(8).hex()}{suffix}"
    hidden = place.with_name(f".{place.name}.tmp")
    try:
        with hidden.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(place)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise TenfoldError(f"the rows cannot be kept: {error.strerror}", "free some space on the server") from error
    return place


def _wished(body: bytes) -> Wish:
    try:
        return msgspec.json.decode(body, type=Wish)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = UsageError if isinstance(error, msgspec.ValidationError) else Malformed
        raise kind(f"this is no job: {error}", 'send {"input": "s3://…"}, or rows as text/csv, …') from None


def _said(query: str) -> Wish:
    """The options of a job whose body are the rows: ``?format=csv&keep=a&keep=b``."""
    many = {name for name, kind in Wish.__annotations__.items() if "tuple" in str(kind)}
    said = {name: values if name in many else values[-1] for name, values in parse_qs(query).items()}
    try:
        return msgspec.convert(said, Wish, strict=False)
    except msgspec.MsgspecError as error:
        raise UsageError(f"this is no option of a job: {error}") from None


def _require_allowed(inputs: Sequence[str], home: Path) -> None:
    """Raise ``UsageError`` where a client names a file that the server's owner does not let jobs read."""
    allowed = server(home).jobs_from
    for name in inputs:
        roots = [root.rstrip("/") + "/" for root in allowed]
        if ".." in name.split("/") or not any(name.startswith(root) for root in roots):
            raise UsageError(
                f"jobs of this server may not read {name}",
                'send the rows themselves; or its owner writes [server] jobs_from = ["s3://bucket/"] into tenfold.toml',
            )


def _json(value: Any, status: int = 200) -> Answered:
    return msgspec.json.encode(value), JSON, status


def _problem(code: str, detail: str) -> Answered:
    return problem_document(code, detail), PROBLEM, status_of(code)
