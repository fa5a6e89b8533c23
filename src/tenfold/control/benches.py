"""``tenfold bench``: a service is started, or found running, asked at many rates, and what it carries is kept."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from tenfold.answers import Capacity, Evidence, Sheet, keep, machine, render_curve, sheet
from tenfold.bench.drive import tolerated_s
from tenfold.bench.generator import Generator, Unanswered
from tenfold.bench.measuring import Bench, Measured
from tenfold.bench.target import Target, header
from tenfold.capacity.card import Card, card_of
from tenfold.capacity.stopping import DOUBT, needed
from tenfold.capacity.trial import BEHIND, Trial, by_rate
from tenfold.config import environment, require_environment
from tenfold.control.servers import ask, serving
from tenfold.control.sheets import service_url
from tenfold.control.traffic import Traffic, example_request, golden_requests, requests_of
from tenfold.errors import NotFound, UsageError
from tenfold.service import Service, Spec, find, spec
from tenfold.units import duration, percent, rows_per_s, seconds, throughput

__all__ = ["Benched", "Trial", "Wanted", "bench"]

PICTURE = Path(".tenfold") / "capacity.svg"
FEW = 10  # requests show nothing at all
UNEVEN = 0.6  # of the machine's highest speed meanwhile; below that it did something else, too

ADDRESS = re.compile(r"[\w.-]+:\d+(/|$)")  # of somebody who left out http://

Say = Callable[[str], None]


class Wanted(NamedTuple):
    """What is asked for, as it was written; what is "" or None is left to the service."""

    rate: str = ""
    requests: str = ""
    deadline: str = ""
    span: str = "10 s"
    replicas: int | None = None
    env: str = ""
    headers: Sequence[str] = ()
    svg: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured, and with what. ``folder`` is None where it was found running; ``promised`` where nothing is."""

    name: str
    release: str
    url: str
    traffic: Traffic
    deadline_s: float
    replicas: int
    promised: float | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Benched:
    """What was found of a subject. ``trials`` are those of each rate in one, from the lowest rate to the highest, and
    ``shown`` the one that counts, None where no rate was kept. ``broken`` says what was not kept, "" where all was, and
    ``mend`` what the answer sheet would have one do next."""

    subject: Subject
    card: Card
    trials: tuple[Trial, ...]
    shown: Trial | None
    machine: str
    remarks: tuple[str, ...]
    broken: str = ""
    mend: str = ""
    picture: Path | None = None


def bench(target: str, wanted: Wanted, say: Say = lambda _: None) -> Benched:
    """Measure what ``target`` carries: a folder, a ``file.py[:Class]``, or the URL of any HTTP service.

    Raises ``UsageError``, ``NotFound``, ``Unanswered`` where a single request gets no good answer, or whatever keeps a
    service from being started.
    """
    rate = quantity(wanted.rate, "--rate", rate_of)
    span_s = quantity(wanted.span, "--for", seconds)
    if rate and wanted.svg:
        raise UsageError("--svg draws a curve, and --rate measures one point of it", "leave one of them out")
    if target.startswith(("http://", "https://")):
        subject = _found(target, wanted)
        return _measure(subject, wanted, rate, span_s or 0.0, say)
    if ADDRESS.match(target) and not Path(target).exists():
        raise NotFound(f"there is no folder {target}", f"if it is a service that runs: tenfold bench http://{target}")
    service = find(target, env=environment(wanted.env))
    require_environment(wanted.env, target)
    stated = spec(service)
    with _started(target, service, stated, wanted, say) as subject:
        found = _measure(subject, wanted, rate, span_s or 0.0, say)
    return _judged(found, stated, target, rate)


# -- what is measured --------------------------------------------------------------------------------------------------


@contextmanager
def _started(target: str, service: Service, stated: Spec, wanted: Wanted, say: Say) -> Iterator[Subject]:
    """A service folder, served by a server of our own."""
    traffic = requests_of(Path(wanted.requests)) if wanted.requests else golden_requests(service.folder, stated.input)
    deadline_s = quantity(wanted.deadline, "--deadline", seconds) or stated.deadline.budget_s
    replicas = wanted.replicas or 1
    say("starting the service")
    options = ["--replicas", str(replicas), *(["--env", wanted.env] if wanted.env else [])]
    # what is kept of our own requests costs what it always does, and is nothing that the service was asked
    with tempfile.TemporaryDirectory() as home, serving(Path(target), options=[*options, "--home", home]) as server:
        yield Subject(
            name=stated.name,
            release=stated.release,
            url=f"{server.url}/{stated.name}/predict",
            traffic=traffic,
            deadline_s=deadline_s,
            replicas=replicas,
            promised=stated.capacity.rows_per_s,
            folder=service.folder,
        )


def _found(url: str, wanted: Wanted) -> Subject:
    """Whatever runs at a URL. One of our own services says what it takes and how fast it has to be."""
    Target.of(url)
    base, judged = _sheet_at(url)
    live = judged.answers[5].live | judged.answers[6].live | judged.answers[7].live if judged else {}
    deadline_s = quantity(wanted.deadline, "--deadline", seconds) or live.get("deadline_s")
    if not deadline_s:
        raise UsageError(f"{url} does not say how fast it has to answer", 'add --deadline "50 ms"')
    if wanted.requests:
        traffic = requests_of(Path(wanted.requests))
    elif judged:
        traffic = example_request(ask(f"{base}/contract").json()["examples"][0])
    else:
        raise UsageError(f"{url} does not say what it takes", "add --requests FILE: a body, or NDJSON with one a line")
    return Subject(
        name=judged.service if judged else urlsplit(url).netloc,
        release=judged.release if judged else "",
        url=f"{base}/predict" if judged else url,
        traffic=traffic,
        deadline_s=deadline_s,
        replicas=wanted.replicas or live.get("replicas", 1),
        promised=live.get("promised_rows_per_s"),
    )


def _sheet_at(url: str) -> tuple[str, Sheet | None]:
    """The URL of a service of ours and its sheet; None where it is another's."""
    base = url.rstrip("/").removesuffix("/predict")
    if urlsplit(url).query:
        return base, None
    try:
        base = service_url(base)
        reply = ask(f"{base}/answers", timeout_s=3.0)
        return base, msgspec.json.decode(reply.body, type=Sheet) if reply.status == 200 else None
    except (NotFound, msgspec.MsgspecError):  # whether anybody is there at all is found out later
        return base, None


# -- measuring ---------------------------------------------------------------------------------------------------------


def _measure(subject: Subject, wanted: Wanted, rate: float | None, span_s: float, say: Say) -> Benched:
    traffic = subject.traffic
    if rate and rate * span_s < FEW * traffic.rows_each:
        mend = f'--for "{math.ceil(needed() * traffic.rows_each / rate)} s" sends enough of them'
        raise UsageError(f"{throughput(rate)} for {duration(span_s)} are next to no requests", mend)
    requests = Target.of(subject.url).requests(traffic.bodies, dict(map(header, wanted.headers)))
    try:
        with Generator(subject.url, requests, subject.deadline_s) as generator:
            at_work = Bench(generator, traffic.rows_each, subject.deadline_s, say)
            measured = at_work.one(rate, span_s) if rate else at_work.search(span_s, subject.promised)
    except Unanswered as error:
        error.hint = _mend(error, subject)
        raise
    card = card_of(measured.found, measured.tried, subject.deadline_s, subject.promised)
    card = msgspec.structs.replace(
        card, replicas=subject.replicas, speed=sum(measured.speeds) / len(measured.speeds), alone_s=measured.alone.p50_s
    )
    found = Benched(
        subject=subject,
        card=card,
        trials=by_rate(one.trial for one in measured.tried),
        shown=measured.found.shown,
        machine=machine(),
        remarks=tuple(_remarks(subject, card, measured)),
        broken=_not_kept(subject, measured, rate),
    )
    if wanted.svg:
        Path(wanted.svg).write_text(render_curve(card, subject.name), "utf-8")
        found = replace(found, picture=Path(wanted.svg))
    return found


def _mend(error: Unanswered, subject: Subject) -> str:
    """What to do about a request that alone is not answered well."""
    if error.status in (401, 403):
        return 'add --header "Authorization: Bearer KEY"'
    if error.status in (404, 405):
        return "name the whole address, such as http://HOST:PORT/NAME/predict"
    if 400 <= error.status < 500:
        return f"it was sent {subject.traffic.words}; --requests FILE sends others"
    if not error.status:
        return "see whether it is running, and whether it hangs"
    return f"tenfold check {subject.folder}" if subject.folder else "see what it logs"


def _not_kept(subject: Subject, measured: Measured, rate: float | None) -> str:
    """What was not kept, in words: the rate that was asked for, any at all, or the promised one."""
    shown, missed, deadline = measured.found.shown, measured.found.missed, duration(subject.deadline_s)
    if rate and missed:
        because = f"{percent(missed.missed_share)} missed {deadline}" if missed.missed_share > DOUBT else "a queue grew"
        return f"{throughput(rate)} are not kept: {because}"
    if not shown:
        alone = f"one request alone takes {duration(measured.alone.p50_s)}"
        return f"at no rate are 99 of 100 requests answered within {deadline}; {alone}"
    if not rate and subject.promised and shown.rate < subject.promised:
        by = f"{subject.replicas} replica{'s' * (subject.replicas != 1)}"
        return f"{throughput(subject.promised)} are promised, {throughput(shown.rate)} were carried by {by}"
    return ""


def _remarks(subject: Subject, card: Card, measured: Measured) -> Iterator[str]:
    """What somebody has to know in order to believe the number."""
    found = [trial for trial in measured.found if trial]
    if subject.traffic.is_example:
        yield f"it was asked with {subject.traffic.words}; --requests FILE sends others"
    behind = max((trial.behind / max(trial.requests, 1) for trial in found), default=0.0)
    if behind > BEHIND:
        late = duration(tolerated_s(subject.deadline_s))
        yield f"{percent(round(behind, 3))} of the requests left over {late} late: this machine was too busy to send them"
    if card.limit == "generator":
        yield "the load generator could send no more than this; the service may well carry more"
    shown = measured.found.shown
    if shown and shown.confidence < 1 - DOUBT:
        more_s = math.ceil(needed(shown.missed) * shown.rows_each / shown.rate)
        sure = percent(round(shown.confidence, 2))
        yield f'{shown.requests:,} requests make it {sure} sure that 99 of 100 are in time; --for "{more_s} s" would do'
    if min(measured.speeds) < UNEVEN * max(measured.speeds):
        slow, fast = min(measured.speeds), max(measured.speeds)
        yield f"the machine's own speed went from {slow:.2g} to {fast:.2g} meanwhile: something else ran on it"


# -- what is kept ------------------------------------------------------------------------------------------------------


def _judged(found: Benched, stated: Spec, target: str, rate: float | None) -> Benched:
    """Keep evidence and curve beside the folder, and judge the promise by them."""
    folder = found.subject.folder
    assert folder is not None
    known = Evidence.read(folder).of(stated).capacity
    more = rate is None or (found.shown is not None and (known is None or known.card.rows_per_s < rate))
    if not more or found.subject.deadline_s > stated.deadline.budget_s:
        return found
    piece = Capacity(card=found.card, traffic=found.subject.traffic.describe())
    kept = keep(folder, stated, datetime.now(UTC), piece)
    if rate is None and found.picture is None:
        picture = folder / PICTURE
        picture.write_text(render_curve(found.card, stated.name), "utf-8")
        found = replace(found, picture=picture)
    answer = sheet(stated, evidence=kept, target=target).answers[6]
    return replace(found, mend=answer.next)


# -- quantities --------------------------------------------------------------------------------------------------------


def quantity(text: str, option: str, read: Callable[[str], float], command: str = "bench") -> float | None:
    """What an option of a command amounts to; None where it is "". It is to be more than nothing."""
    if not text:
        return None
    try:
        value = read(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", f"tenfold {command} --help shows how {option} is written") from None
    if not value > 0 or value == float("inf"):
        raise UsageError(f"{option} {text}: that measures nothing", f"write {option} with a number above 0")
    return value


def rate_of(text: str) -> float:
    """Rows per second of "500" or "500 rows/s"."""
    try:
        return float(text)
    except ValueError:
        return rows_per_s(text)
