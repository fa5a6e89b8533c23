"""What the admin process shows: the services of a server, their answer sheets, and the counters for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tenfold.answers import Evidence, Sheet, render_html, sheet
from tenfold.console.metrics import exposition
from tenfold.console.pages import overview
from tenfold.server.admin import Admin, Page, Served, View
from tenfold.server.wire import HTML, Head, encode_json, problem_document
from tenfold.spec import Spec


def answers_of(served: Served) -> Sheet:
    """The sheet of a running service: what it declares, what was measured of it, and what it does now."""
    about = served.about
    stated = msgspec.convert(about["service"], Spec)
    since = datetime.fromtimestamp(served.live["since"], UTC).isoformat(timespec="seconds")
    live = {**served.live, "since": since}
    return sheet(stated, evidence=Evidence.read(Path(about["home"])), live=live, target=about["folder"])


def status(admin: Admin, head: Head) -> Page:
    """``/api/status``: every service in one object."""
    return Page(encode_json({"schema": 1, "services": [_line(served) for served in admin.served()]}))


def _line(served: Served) -> Mapping[str, Any]:
    judged = answers_of(served)
    about = served.about
    return {
        "name": judged.service,
        "release": about["release"],
        "rows_per_s": served.live["rows_per_s"],
        "p99_s": served.live["latency_s"]["p99"],
        "deadline_s": msgspec.convert(about["service"], Spec).deadline.budget_s,
        "replicas": about["replicas"],
        "ready": about["replicas"] > 0,
        "answers": [answer.state for answer in judged.answers],
    }


def answers(admin: Admin, head: Head) -> Page:
    """``/api/answers/NAME``: the sheet, as JSON or, where a browser asks, as a page."""
    name = head.path.rstrip("/").rpartition("/")[2]
    for served in admin.served():
        if served.about["service"]["name"] == name:
            judged = answers_of(served)
            if "text/html" in head.headers.get("accept", ""):
                return Page(render_html(judged).encode(), HTML)
            return Page(judged.to_json())
    return Page(problem_document("not_found", f"no service {name} is running"), "application/problem+json", 404)


def metrics(admin: Admin, head: Head) -> Page:
    """``/metrics``: the counters in Prometheus' text format."""
    text = "".join(exposition(list(_counted(admin))))
    return Page(text.encode(), "text/plain; version=0.0.4; charset=utf-8")


def _counted(admin: Admin) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    for about in admin.fleet:
        yield about["service"]["name"], about["release"], admin.counters(about["release"])


def front_page(admin: Admin, head: Head) -> Page:
    """``/``: every service, worst first, with its ten answers."""
    host, port = admin.public
    return Page(overview([answers_of(served) for served in admin.served()], f"http://{host}:{port}"), HTML)


VIEWS: dict[str, View] = {
    "/": front_page,
    "/metrics": metrics,
    "/api/status": status,
    "/api/answers": answers,
}
