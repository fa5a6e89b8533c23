"""A running service from outside: asking for its verdict, and sending it the labels of a file."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.control import driftchallenge, driftkept, servers, stores
from tenfold.control.driftchallenge import Contest
from tenfold.control.workshop import home_of
from tenfold.drift.verdicts import Report
from tenfold.errors import Conflict, NotFound, TenfoldError, UsageError
from tenfold.store import resolve

AT_ONCE = 5000  # labels in a request
TIMEOUT_S = 90.0
OPTIONS = ("server", "access", "challenger", "store", "since")  # that go with the name of a service

Row = Mapping[str, Any]


def judge(name: str, given: Mapping[str, Any], say: Callable[..., object] = lambda *_: None) -> Report:
    """The verdict on the service ``name`` of a server; or, where no server is named, the last one on a service's folder of
    that name.

    ``given`` are the options by name: ``server``, its admin address, and ``access``, a key for it; ``challenger`` with
    ``store`` and ``since`` (see ``challenge``). The others are about two tables, which go with no name. Raises
    ``UsageError`` and ``NotFound``.
    """
    for option, value in given.items():
        if value and option not in OPTIONS:
            raise UsageError(
                f"--{option.replace('_', '-')} is about two tables, and {name} is a service", "leave one out"
            )
    server, challenger = given.get("server") or "", given.get("challenger")
    if challenger:
        if server:
            raise UsageError(
                "a challenger is asked where its store is, not by a server", f"tenfold drift {name} --store"
            )
        return challenge(name, challenger, given.get("store") or "", given.get("since") or "", say)
    if given.get("since") or given.get("store"):
        raise UsageError("--since and --store go with a challenger", f"tenfold drift {name} --challenger RELEASE")
    path = Path(name)
    if not server and path.exists():
        return driftkept.kept((path if path.is_dir() else path.parent).resolve(), name)
    asked = f"{(server or servers.ADMIN).rstrip('/')}/api/drift/{name}"
    reply = servers.ask(asked, key=given.get("access") or "")
    if reply.status != 200:
        raise NotFound(
            _said(reply), f"tenfold status {server} lists its services; a folder's own verdict: tenfold drift FOLDER"
        )
    return Report.of(reply.json())


def challenge(
    name: str, challenger: str, place: str, since: str, say: Callable[..., object] = lambda *_: None
) -> Report:
    """Have a release answer the labelled rows of the one that serves, and give the verdict with what came of that.

    ``name`` is a service's folder, or a service that the store ``place`` deploys. Rows count that were answered ``since``
    then (ISO 8601), or since the challenger was pushed: it must not have learnt from them. A server that runs goes on with
    it as labels come. Raises ``NotFound``, and ``Conflict`` where there is nothing that the two could be compared on.
    """
    with stores.opened(place, name) as store:
        release = resolve(store, stores.within(store, challenger))
        path, place = Path(name), store.place
        home = home_of(store, release.service)
    if path.exists():
        home = (path if path.is_dir() else path.parent).resolve()
    serving, known = driftkept.latest(home)
    if serving.endswith(f"@{release.id[:7]}"):
        raise UsageError(
            f"{release.name} is the one that serves", f"tenfold releases {release.service} lists the others"
        )
    first = _moment(since) if since else release.at.timestamp()
    say("asking the challenger")
    driftchallenge.begin(home, serving, Contest(name=release.name, id=release.id, place=place, since=first))
    found = driftchallenge.go_on(home, serving, known.policy, time.time())
    if found is None or found.result is None:
        hint = "--since TIME, if it has learnt from none of the rows since then" if not since else "tenfold feedback"
        raise Conflict(found.trouble if found else "nothing was compared", hint)
    return driftkept.kept(home, name)


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--since {text}: that is no time", "2026-02-14 or 2026-02-14T21:20:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class Sent(NamedTuple):
    """What became of the labels of a file; ``empty`` are rows without one."""

    accepted: int
    unknown: int
    empty: int


def send(
    name: str,
    file: Path,
    columns: tuple[str, str, str],
    server: str,
    access: str = "",
    say: Callable[..., object] = lambda *_: None,
) -> Sent:
    """Send the labels of a file to the service ``name``, or to the one with that URL.

    ``columns`` are those of the key, of the id and of the label; the key's or the id's is "". CSV, Parquet and NDJSON are
    read. ``access`` is the key of a server that asks for one. ``say`` is told how far it is. Raises ``UsageError`` for a
    column that is not there.
    """
    key, id_, label = columns
    if bool(key) == bool(id_):
        raise UsageError("labels belong to predictions by a key or by an id", "--key COLUMN or --id COLUMN")
    url = name if name.startswith(("http://", "https://")) else f"{server.rstrip('/')}/{name}"
    accepted = unknown = empty = done = 0
    rows_of_file = _rows(file, (key or id_, label))
    while rows := list(islice(rows_of_file, AT_ONCE)):
        items = [
            {("key" if key else "id"): row[key or id_], "label": row[label]}
            for row in rows
            if row[label] not in (None, "")
        ]
        empty += len(rows) - len(items)
        done += len(rows)
        if items:
            found = _post(f"{url.rstrip('/')}/feedback", items, access)
            accepted, unknown = accepted + found["accepted"], unknown + found["unknown"]
        say("sending labels", done, done)
    return Sent(accepted, unknown, empty)


def _post(url: str, items: list[dict[str, Any]], access: str) -> dict[str, int]:
    body = json.dumps(items, default=str).encode()
    reply = servers.ask(url, body, timeout_s=TIMEOUT_S, key=access)
    if reply.status == 404:
        raise NotFound(f"there is no service at {url.removesuffix('/feedback')}: {_said(reply)}", "tenfold status")
    if reply.status != 202:
        hint = "--access KEY, of one that may send feedback" if reply.status in (401, 403) else "tenfold status"
        raise TenfoldError(_said(reply), hint)
    found: dict[str, int] = reply.json()
    return found


def _said(reply: servers.Reply) -> str:
    """What a server says of a request that it did not answer."""
    try:
        document = reply.json()
        errors = [error["detail"] for error in document.get("errors", [])[:1]]
        return ": ".join([document["detail"], *errors])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with HTTP {reply.status}"


def _rows(file: Path, columns: tuple[str, str]) -> Iterator[Row]:
    """The rows of a table, of which only these columns matter."""
    if not file.exists():
        raise NotFound(f"there is no file {file}", "check the path")
    read = {".csv": _csv, ".parquet": _parquet, ".pq": _parquet, ".ndjson": _lines, ".jsonl": _lines}.get(file.suffix)
    if read is None:
        raise UsageError(f"{file.name} is neither .csv, .parquet nor .ndjson", "write the table as one of these")
    for row in read(file):
        for column in columns:
            if column not in row:
                raise UsageError(f"{file.name} has no column {column!r}", f"its columns are {', '.join(row)}")
        yield row


def _csv(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _parquet(file: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UsageError("reading Parquet needs pyarrow", "pip install 'tenfold[batch]'") from None
    for batch in parquet.ParquetFile(file).iter_batches(AT_ONCE):
        yield from batch.to_pylist()


def _lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    yield dict(json.loads(line))
                except (ValueError, TypeError):
                    raise UsageError(
                        f"{file.name}, line {number}, is no JSON object", "one object in each line"
                    ) from None
