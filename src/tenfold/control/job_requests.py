"""Jobs as an API: asked for, looked at, cancelled and fetched over HTTP. Done by ``job_runner``, in a process of its own.

    POST   /{service}/jobs                 a body of rows, or {"input": "s3://…"}: 202 and the job
    GET    /{service}/jobs                 all of them, the newest first
    GET    /{service}/jobs/ID              how far it is, and what became of it
    GET    /{service}/jobs/ID/FILE         a file of its folder: part-00000.parquet, summary.json, quarantine/…
    DELETE /{service}/jobs/ID              stop it; what is safe stays

The queue is in the store that the service was deployed from, or in that of its folder where it is served as it is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tenfold.config import server
from tenfold.control.job_files import Files
from tenfold.engines.folder import home as folder_of
from tenfold.errors import NotFound, TenfoldError, UsageError, status_of
from tenfold.formats.dialect import Dialect
from tenfold.formats.tables import SUFFIXES
from tenfold.jobs.budget import budget_of
from tenfold.server.aside import Asked
from tenfold.server.responses import JSON, PROBLEM, problem_document
from tenfold.server.spool import Spool
from tenfold.store import Store, open_store
from tenfold.store.jobs import WAITING
from tenfold.store.records import Job

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


class Full(TenfoldError):
    """There is no room for the rows of one more job."""


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


def answer(about: Mapping[str, Any], asked: Asked, body: bytes | Spool, place: str) -> Answered:
    """The answer to a request about the jobs of a service, which wait in the store at ``place``. ``about`` is what the
    supervisor tells of the service."""
    try:
        if asked.method == "POST" and asked.media_type not in ("", JSON, *BODIES):
            return _problem("unsupported_media_type", f"a job is {JSON}, and rows are {', '.join(BODIES)}")
        return _answer(about, asked, body, place)
    except NotFound as error:
        return _problem("not_found", error.message)
    except UsageError as error:
        code = "malformed" if isinstance(error, Malformed) else "invalid_option"
        return _problem(code, f"{error.message}; {error.hint}" if error.hint else error.message)
    except Full as error:
        return _problem("overloaded", error.message)
    except TenfoldError as error:  # it names places on this machine, which are for the log
        log.error("jobs of %s: %s", about["service"]["name"], error.message)
        return _problem("not_ready", "the server cannot keep or look up jobs now; its log says why")
    finally:
        if isinstance(body, Spool):
            body.abandon()


def _answer(about: Mapping[str, Any], asked: Asked, body: bytes | Spool, place: str) -> Answered:
    name, _, file = asked.path.strip("/").partition("/")
    try:
        store = open_store(place, create=asked.method == "POST" and not about["deployed"])
    except NotFound:  # nobody asked for a job yet
        return _problem("not_found", f"there is no job {name[:64]}") if name else _json({"jobs": []})
    with closing(store):
        files = Files(store)
        match asked.method, name, file:
            case "POST", "", "":
                return _json(told(add(store, files, about, asked, body), files), 202)
            case (("GET" | "HEAD"), "", ""):
                return _json({"jobs": [told(job, files) for job in store.jobs.list(about["service"]["name"])]})
            case (("GET" | "HEAD"), id, ""):
                return _json(told(_job(store, about, id), files))
            case "DELETE", id, "":
                job = _job(store, about, id)
                cancelled = store.jobs.cancel(job.id)
                if cancelled is not None and job.state == WAITING:
                    files.forget(job)
                return _json(told(cancelled or job, files))
            case (("GET" | "HEAD"), id, file):
                media_type = TYPES.get(Path(file).suffix, "application/octet-stream")
                return files.read(_job(store, about, id), file), media_type, 200
    return _problem("method_not_allowed", f"{asked.method} is nothing that can be done with jobs")


def add(store: Store, files: Files, about: Mapping[str, Any], asked: Asked, body: bytes | Spool) -> Job:
    """Queue a job. Raises ``UsageError`` where it could never be done."""
    suffix = BODIES.get(asked.media_type, "")
    wish = _said(asked.query) if suffix else _wished(body if isinstance(body, bytes) else b"")
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
    plan = {
        "wish": msgspec.to_builtins(wish),
        "upload": f"rows{suffix}" if suffix else "",
        "folder": "" if about["deployed"] else about["folder"],
        "release": about["deployed"],
        "env": about["env"],
    }
    service = about["service"]["name"]
    if not suffix:
        return store.jobs.add(service, plan)
    if not len(body):
        raise UsageError("the body is empty")
    if why := files.why_full(len(body)):
        raise Full(why)
    rows = files.written(body) if isinstance(body, bytes) else files.received(body)
    try:
        plan |= files.took(rows)
        with store.transaction():  # whoever takes the job on finds the rows
            job = store.jobs.add(service, plan)
            files.adopt(rows, job)
    finally:
        rows.unlink(missing_ok=True)
    return job


def _require_text(wish: Wish, suffix: str) -> None:
    """Raise ``UsageError`` where no CSV file could be written in the way that is said."""
    by_name = "\t" if suffix == ".tsv" else ","
    Dialect(
        delimiter={"": by_name, r"\t": "\t"}.get(wish.delimiter, wish.delimiter),
        decimal=wish.decimal,
        encoding=wish.encoding,
    )


def told(job: Job, files: Files) -> dict[str, Any]:
    """A job as clients read it."""
    url = f"/{job.service}/jobs/{job.id}"
    document = {"id": job.id, "service": job.service, "state": job.state, "at": job.at, "changed": job.changed}
    result = {name: value for name, value in job.result.items() if name != "token"}
    return document | result | {"files": [f"{url}/{name}" for name in files.names(job)], "url": url}


def _job(store: Store, about: Mapping[str, Any], id: str) -> Job:  # noqa: A002 -- its own word
    job = store.jobs.get(id)
    if job is None or job.service != about["service"]["name"]:
        raise NotFound(f"there is no job {id[:64]}")
    return job


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
