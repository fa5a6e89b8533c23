"""A running service from outside: asking for its verdict, and sending it the labels of a file."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.control import driftchallenge, driftkept, servers, stores
from tenfold.control.workshop import home_of
from tenfold.drift.verdicts import Report
from tenfold.errors import Conflict, NotFound, TenfoldError, UsageError
from tenfold.store import resolve

AT_ONCE = 5000  # labels in a request
TIMEOUT_S = 90.0
LONGEST_S = 1200.0  # that a challenger may take to load and to answer; it stands behind everything else
ASK_S = 0.5
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
        place, since = given.get("store") or "", given.get("since") or ""
        if not server:
            return challenge(name, challenger, place, since, say)
        if place:
            raise UsageError("the server knows its store", "leave --store out")
        return challenge_at(server, name, challenger, since, given.get("access") or "", say)
    if given.get("since") or given.get("store"):
        raise UsageError("--since and --store go with a challenger", f"tenfold drift {name} --challenger RELEASE")
    path = Path(name)
    if not server and path.exists():
        return driftkept.kept((path if path.is_dir() else path.parent).resolve(), name)
    return _told(server or servers.ADMIN, name, given.get("access") or "")[0]


def _told(server: str, name: str, access: str) -> tuple[Report, Mapping[str, Any]]:
    """The verdict that a server has reached, and what it says of whoever challenges."""
    reply = servers.ask(f"{server.rstrip('/')}/api/drift/{name}", key=access)
    if reply.status in (401, 403):
        raise _refused(reply)
    if reply.status != 200:
        raise NotFound(
            _said(reply), f"tenfold status {server} · lists its services; a folder's own verdict: tenfold drift FOLDER"
        )
    document = reply.json()
    again = f"tenfold drift {name}{'' if server == servers.ADMIN else f' --server {server}'}"
    return msgspec.structs.replace(Report.of(document), replay=again), document.get("challenger") or {}


def challenge(
    name: str, challenger: str, place: str, since: str, say: Callable[..., object] = lambda *_: None
) -> Report:
    """Have a release answer the labelled rows of the one that serves, and give the verdict with what came of that.

    ``name`` is a service's folder, or a service that the store ``place`` deploys. Rows count that were answered ``since``
    then (ISO 8601), or since the challenger was pushed: it must not have learnt from them. A server that runs goes on with
    it as labels come. Raises ``NotFound``, and ``Conflict`` where there is nothing that the two could be compared on.
    """
    path = Path(name)
    with stores.opened(place, name) as store:
        release = resolve(store, stores.within(store, challenger))
        home = (path if path.is_dir() else path.parent).resolve() if path.exists() else home_of(store, release.service)
        serving, known = driftkept.latest(home)
        contest = driftchallenge.against(store, release, serving, since)
    say("asking the challenger")
    begun = msgspec.structs.replace(contest, at=time.time())  # a server that runs takes its turn later, not beside this
    driftchallenge.begin(home, serving, begun)
    found = driftchallenge.go_on(home, serving, known.policy, time.time())
    if found is None or found.result is None:
        raise Conflict(found.trouble, found.mend) if found else Conflict("another challenger has come meanwhile")
    return driftkept.kept(home, name)


def challenge_at(
    server: str, name: str, challenger: str, since: str, access: str = "", say: Callable[..., object] = lambda *_: None
) -> Report:
    """The same by the server behind an admin address, from the store that it deploys from: wait for its first round.

    The release that challenges is loaded there, aside, and it goes on there as labels come.
    """
    wish = {"challenger": challenger, **({"since": since} if since else {})}
    reply = servers.ask(f"{server.rstrip('/')}/api/challenge/{name}", json.dumps(wish).encode(), key=access)
    if reply.status != 202:
        raise _refused(reply)
    asked = reply.json()["challenger"]["name"]
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        say("asking the challenger")
        report, contest = _told(server, name, access)
        if contest.get("name") != asked:
            raise Conflict("another challenger has come meanwhile", f"tenfold drift {name} --server {server}")
        if contest["state"] != "waiting":
            if report.challenge is None or report.challenge.name != asked:
                raise Conflict(contest["trouble"], contest["fix"])
            return report
        time.sleep(ASK_S)
    raise TenfoldError(f"{asked} was not heard of", f"tenfold drift {name} --server {server} asks again")


def _refused(reply: servers.Reply) -> TenfoldError:
    """Why a server does not take what it was asked for."""
    kind = {400: UsageError, 404: NotFound}.get(reply.status, TenfoldError)
    if reply.status in (401, 403):
        return kind(_said(reply), servers.NEEDS_KEY)
    try:
        return kind(_said(reply), reply.json().get("hint", ""))
    except ValueError:
        return kind(_said(reply))


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
