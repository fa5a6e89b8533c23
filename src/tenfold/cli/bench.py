"""``tenfold bench``: what a service carries within its deadline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tenfold.cli import screen

if TYPE_CHECKING:
    from tenfold.control.benches import Benched, Trial

NOT_KEPT = 6
REASONS = ("late", "refused", "fallback", "failed", "broken", "silent")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@click.command()
@screen.service_argument
@click.option("--rate", default="", metavar="R", help='Measure this rate alone, in rows/s: "500".')
@click.option("--requests", default="", metavar="FILE", help="Bodies to send: NDJSON, or a file that is one.")
@click.option("--deadline", default="", metavar="TIME", help='What counts as in time, such as "50 ms".')
@click.option(
    "--for", "span", default="10 s", show_default=True, metavar="TIME", help="How long a rate has to be kept."
)
@click.option("--replicas", type=click.IntRange(1, 256), help="Processes per model.  [default: 1]")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header to send; may be repeated.")
@click.option("--svg", default="", metavar="FILE", help="Draw the curve there, and not beside the service.")
@click.option("--env", default="", help="Options of this environment in tenfold.toml.")
@screen.json_option
def bench(service: str, as_json: bool, **wanted: Any) -> None:
    """Find the highest rate of SERVICE at which 99 of 100 answers are in time.

    SERVICE is a folder or a file.py[:Class], which is started and asked its golden requests, or the URL of any HTTP
    service that takes a POST. Requests come at random moments, whether those before them are answered or not; latency
    counts from the moment at which a request was due. Exits with 6 where a promised Capacity, or the --rate, is not
    kept.
    """
    with screen.Progress() as progress:
        progress("starting")
        from tenfold.control import benches

        found = benches.bench(service, benches.Wanted(**wanted), progress)
    rate = bool(wanted["rate"])
    code = NOT_KEPT if found.broken else 0
    if as_json:
        screen.print_json({**document(found, rate), "exit": code})
    else:
        screen.print_facts(facts(found, service, rate), width=11)
    click.get_current_context().exit(code)


# -- for people --------------------------------------------------------------------------------------------------------


def facts(found: Benched, target: str, rate: bool) -> Iterator[tuple[str, str]]:
    """What is printed, a word and a text for each line."""
    subject, card = found.subject, found.card
    yield "service", f"{subject.url} · {replicas(subject.replicas)} · deadline {milliseconds(subject.deadline_s)}"
    yield "traffic", f"{subject.traffic.describe()}; one alone takes {milliseconds(card.alone_s)}"
    yield "rates", f"{'rows/s':>9}{'p50':>11}{'p99':>11}   missed"
    for trial in found.trials:
        yield "rates", line(trial)
    if not rate and found.shown:
        yield "capacity", capacity(found)
    kept = screen.paint(f"broken: {found.broken}", "red") if found.broken else screen.paint("kept", "green")
    if rate:
        yield "rate", kept
    elif subject.promised or found.broken:
        promise = f"{rows(subject.promised)} rows/s: " if subject.promised else ""
        yield "promised", promise + kept
    calibrated = f", which makes {rows(card.calibrated)} rows/s at 1" if card.rows_per_s and not rate else ""
    yield "machine", f"{found.machine} · speed {card.speed:.2f}{calibrated}"
    for remark in found.remarks:
        yield "note", screen.paint(remark, "yellow")
    if found.picture:
        yield "curve", str(found.picture)
    yield "next", found.mend or (f"tenfold answers {target}" if not found.broken else "tenfold bench --help")


def line(trial: Trial) -> str:
    """One rate: latencies, and what became of those that missed."""
    reasons = [f"{getattr(trial, reason):,} {reason}" for reason in REASONS if getattr(trial, reason)]
    queue = "" if trial.steady else " · more came than were answered"
    words = f"{trial.missed:,} of {trial.requests:,}" + (f": {', '.join(reasons)}" if reasons else "") + queue
    p50, p99 = (milliseconds(trial.quantile(share)) for share in (0.5, 0.99))
    return f"{rows(trial.rate):>9}{p50:>11}{p99:>11}   {words}"


def capacity(found: Benched) -> str:
    """The number, how fast it then was, how sure it is, and where it ends."""
    card = found.card
    sure = f"{min(100 * card.confidence, 99.99):.4g} % sure"
    above = f"; not {rows(card.above)}" if card.above else ""
    return f"{rows(card.rows_per_s)} rows/s in time, p99 {milliseconds(card.p99_s)}, {sure}{above}"


def rows(per_s: float) -> str:
    """Rows per second to the digits that mean something."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def milliseconds(seconds: float) -> str:
    """A latency to three digits."""
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.3g} ms"


def replicas(count: int) -> str:
    """How many processes answer."""
    return f"{count} replica{'s' * (count != 1)}"


# -- for programs ------------------------------------------------------------------------------------------------------


def document(found: Benched, rate: bool) -> dict[str, Any]:
    """The same as JSON. With ``--rate``, ``rows_per_s`` are those that were answered in time, else the capacity."""
    subject, card = found.subject, found.card
    trial = found.trials[-1] if rate else found.shown
    latency = {name: trial.quantile(share) for name, share in QUANTILES.items()} if trial else {}
    return {
        "service": subject.name,
        "release": subject.release,
        "url": subject.url,
        "rows_per_s": trial.goodput if rate and trial else card.rows_per_s,
        "p99_s": latency.get("p99"),
        "latency_s": latency,
        "deadline_s": subject.deadline_s,
        "replicas": subject.replicas,
        "machine": found.machine,
        "speed": card.speed,
        "calibrated_rows_per_s": card.calibrated,
        "above_rows_per_s": card.above,
        "limit": card.limit,
        "confidence": card.confidence,
        "promised_rows_per_s": subject.promised,
        "kept": not found.broken,
        "because": found.broken,
        "traffic": subject.traffic.describe(),
        "rates": [rate_json(one) for one in found.trials],
        "notes": list(found.remarks),
        "svg": str(found.picture) if found.picture else None,
    }


def rate_json(trial: Trial) -> dict[str, Any]:
    """One rate, with all that became of its requests."""
    counts = {reason: getattr(trial, reason) for reason in ("good", *REASONS, "behind")}
    known = {"rate": trial.rate, "seconds": trial.seconds, "requests": trial.requests, "kept": trial.kept}
    return {**known, **counts, "p50_s": trial.quantile(0.5), "p99_s": trial.quantile(0.99)}
