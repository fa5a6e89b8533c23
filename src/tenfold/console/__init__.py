"""What the admin process shows: the services of a server, their answer sheets, and the counters for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tenfold.answers import Evidence, Sheet, render_html, sheet
from tenfold.console.charts import chart
from tenfold.console.exposition import document
from tenfold.console.metrics import Counted, measured
from tenfold.console.pages import overview
from tenfold.console.watching import Watching
from tenfold.errors import status_of
from tenfold.server.admin import View
from tenfold.server.history import MINUTES
from tenfold.server.responses import HTML, Page, encode_json, problem_document
from tenfold.server.survey import Served, Survey
from tenfold.server.wire import Head
from tenfold.spec import Spec


def answers_of(served: Served) -> Sheet:
    """The sheet of a running service: what it declares, what was measured of it, and what it does now."""
    about = served.about
    stated = msgspec.convert(about["service"], Spec)
    since = datetime.fromtimestamp(served.live["since"], UTC).isoformat(timespec="seconds")
    live = {**served.live, "since": since, "releases": about.get("releases")}
    live["scaling"] = about.get("scaling")
    return sheet(stated, evidence=Evidence.read(Path(about["home"])), live=live, target=about["folder"])


def status(survey: Survey, head: Head) -> Page:
    """``/api/status``: every service in one object."""
    return Page(encode_json({"schema": 1, "services": [_line(served) for served in survey.served()]}))


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
        "ready": about["replicas"] > 0 or (about.get("scaling") or {}).get("wanted") == 0,
        "scaling": about.get("scaling") or None,
        "trouble": about["trouble"],
        "memory": about["memory"],
        "answers": [answer.state for answer in judged.answers],
        "releases": about.get("releases"),
    }


def answers(survey: Survey, head: Head) -> Page:
    """``/api/answers/NAME``: the sheet, as JSON or, where a browser asks, as a page."""
    name = head.path.rstrip("/").rpartition("/")[2]
    for served in survey.served():
        if served.about["service"]["name"] == name:
            judged = answers_of(served)
            if "text/html" in head.headers.get("accept", ""):
                return Page(render_html(judged).encode(), HTML)
            return Page(judged.to_json())
    return _no_service(name)


def history(survey: Survey, head: Head) -> Page:
    """``/api/history/NAME?minutes=N``: what a service did in each of the last minutes, 60 unless said otherwise."""
    name = head.path.rstrip("/").rpartition("/")[2]
    if survey.about(name) is None:
        return _no_service(name)
    wanted = parse_qs(head.query).get("minutes", ["60"])[-1]
    if not wanted.isdecimal() or not 1 <= int(wanted) <= MINUTES:
        return _problem("bad_request", f"minutes is a number from 1 to {MINUTES}")
    minutes = [_minute(**record) for record in survey.history(name, int(wanted))]
    return Page(encode_json({"schema": 1, "service": name, "minutes": minutes}))


def _minute(minute: int, seconds: float, **figures: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(minute * 60, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
    rate = round(figures["rows"] / seconds, 3) if seconds else None
    return {"at": at, "seconds": round(seconds, 3), "rows_per_s": rate, **figures}


def drift(survey: Survey, head: Head) -> Page:
    """``/api/drift/NAME``: does the model need an update? As JSON or, where a browser asks, as a page."""
    name = head.path.rstrip("/").rpartition("/")[2]
    found = survey.about(name)
    if found is None:
        return _no_service(name)
    monitor = survey.aside.of(found["release"]) if isinstance(survey.aside, Watching) else None
    if monitor is None:
        return _problem("not_ready", f"{name} is not watched, or not yet")
    from tenfold.control import driftpages

    judged = monitor.report()
    if "text/html" in head.headers.get("accept", ""):
        return Page(driftpages.render(judged).encode(), HTML)
    contest = monitor.actions.contest
    told = {"challenger": contest.told()} if contest is not None else {}
    document = {"schema": 1, "service": name, "release": found["release"], **judged.to_dict(), **told}
    return Page(encode_json(document))


def drift_page(survey: Survey, head: Head) -> Page:
    """``/drift/NAME``: the same as a page, whoever asks."""
    page = drift(survey, head)
    if page.status != 200 or page.media_type == HTML:
        return page
    from tenfold.control import driftpages
    from tenfold.drift.verdicts import Report

    return Page(driftpages.render(Report.of(msgspec.json.decode(page.body))).encode(), HTML)


def scaling(survey: Survey, head: Head) -> Page:
    """``/api/scaling/NAME``: how many replicas there are to be, why, and the decisions of late."""
    name = head.path.rstrip("/").rpartition("/")[2]
    found = survey.about(name)
    if found is None:
        return _no_service(name)
    known = {"service": name, "release": found["release"], "replicas": found["replicas"]}
    return Page(encode_json({"schema": 1, **known, **(found.get("scaling") or {})}))


def metrics(survey: Survey, head: Head) -> Page:
    """``/metrics``: everything for Prometheus, in the format that it prefers."""
    releases = [_counted(survey, about) for about in survey.shown()]
    body, media_type = document(
        head.headers.get("accept", ""), measured(releases, survey.unattributed(), survey.usage(), survey.toll)
    )
    return Page(body, media_type)


def _counted(survey: Survey, about: Mapping[str, Any]) -> Counted:
    service, release = about["service"], about["release"]
    stated = msgspec.convert(service, Spec)
    return Counted(
        labels={"service": stated.name, "release": release},
        deadline_s=stated.deadline.budget_s,
        max_rows=stated.batching.max_rows,
        replicas=about["replicas"],
        counters=survey.counters(release),
        scaling=about.get("scaling") or {},
        drift=survey.aside.known(release).get("drift", {}),
    )


def _no_service(name: str) -> Page:
    return _problem("not_found", f"no service {name} is running")


def _problem(code: str, detail: str) -> Page:
    return Page(problem_document(code, detail), "application/problem+json", status_of(code))


def front_page(survey: Survey, head: Head) -> Page:
    """``/``: every service, worst first, with its ten answers."""
    host, port = survey.public
    names = [about["service"]["name"] for about in survey.fleet]
    charts = {name: chart(survey.history(name, 60)) for name in names}
    sheets = [answers_of(served) for served in survey.served()]
    return Page(overview(sheets, charts, f"http://{host}:{port}"), HTML)


VIEWS: dict[str, View] = {
    "/": front_page,
    "/metrics": metrics,
    "/api/status": status,
    "/api/answers": answers,
    "/api/drift": drift,
    "/drift": drift_page,
    "/api/history": history,
    "/api/scaling": scaling,
}
