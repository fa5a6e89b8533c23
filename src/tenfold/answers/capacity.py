"""The rule of question 7: is the promised rate carried? And what a measured capacity says about question 6."""

from __future__ import annotations

import math
from typing import Any, Literal

from tenfold.answers.case import Case, Found
from tenfold.answers.evidence import Capacity
from tenfold.capacity.card import Point
from tenfold.capacity.stopping import DOUBT
from tenfold.units import duration, percent, throughput

Judged = tuple[Literal["met", "open", "broken"], str, str]


def capacity(case: Case) -> Found:
    """The promised rate is carried within the deadline: it was measured, or it comes and is answered now."""
    promised, benched = case.spec.capacity.rows_per_s, case.benched
    rate = case.live.get("rows_per_s", 0.0)
    measured = _measured(benched) if benched else {}
    live = {"text": _share_of(rate, benched), "rows_per_s": rate, "promised_rows_per_s": promised} if case.live else {}
    if promised and case.busy and rate >= promised and (case.p99_s or 0.0) <= case.budget_s:
        return Found("met", f"{throughput(rate)} are carried within the deadline", "", measured, live)
    if benched:
        return Found(*_judge(case, benched, promised), measured, live)
    if promised is None:
        because = f"nothing is promised, and what it carries is {case.unmeasured()}"
    else:
        because = f"{throughput(promised)} are promised, and nobody has shown them yet"
    return Found("open", because, case.command("bench"), {}, live)


def _judge(case: Case, benched: Capacity, promised: float | None) -> Judged:
    """What a measurement says of a promise."""
    card = benched.card
    carried = f"{throughput(card.rows_per_s)} were carried"
    if not card.rows_per_s:
        because = f"at no rate are 99 of 100 requests answered within {duration(card.deadline_s)}"
        return "broken", because, "a later Deadline, or a faster model"
    if promised and card.rows_per_s < promised:
        return _too_little(case, benched, promised)
    if card.confidence < 1 - DOUBT:
        because = f"{carried}, which {card.requests:,} requests make {percent(round(card.confidence, 2))} sure"
        return "open", because, f'{case.command("bench")} --for "1 min"'
    return "met", f"{carried} within the deadline", ""


def _too_little(case: Case, benched: Capacity, promised: float) -> Judged:
    """What to do about a capacity below the promise: more replicas may still keep it, if each carries as much."""
    card, most, bench = benched.card, case.spec.scaling.bounds[1], case.command("bench")
    because = f"{throughput(promised)} are promised, {throughput(card.rows_per_s)} were carried"
    if card.above is None:
        return "open", f"{because}, and no more was tried", bench
    needed = math.ceil(promised / card.per_replica)
    if needed <= most:
        return "open", f"{because} by {_replicas(card.replicas)}", f"{bench} --replicas {needed}"
    if card.limit == "generator":
        return "open", f"{because}, and the load generator could send no more", "bench it from a larger machine"
    mend = f"a faster model, a smaller promise, or Scaling(max_replicas={needed})"
    return "broken", f"{because} by {_replicas(card.replicas)}", mend


def at_a_rate(benched: Capacity) -> dict[str, Any]:
    """The latency at the promised rate, or at the highest that was carried."""
    card = benched.card
    at = card.promised or Point(card.rows_per_s, card.p50_s, card.p99_s, card.missed / max(card.requests, 1))
    text = f"p99 {duration(at.p99_s)} at {throughput(at.rate)}"
    figures = {"p99_s": at.p99_s, "p50_s": at.p50_s, "rows_per_s": at.rate}
    return {"text": text, **figures, "machine": benched.machine, "at": benched.at}


def _measured(benched: Capacity) -> dict[str, Any]:
    card = benched.card
    bounded = card.above is not None and card.limit != "generator"
    carried = f"{'' if bounded else 'at least '}{throughput(card.rows_per_s)}, {_replicas(card.replicas)}"
    figures = {"rows_per_s": card.rows_per_s, "above": card.above, "replicas": card.replicas, "p99_s": card.p99_s}
    known = {"deadline_s": card.deadline_s, "confidence": card.confidence, "speed": card.speed}
    text = carried if card.rows_per_s else "no rate in time"
    return {"text": text, **figures, **known, "machine": benched.machine, "at": benched.at}


def _share_of(rate: float, benched: Capacity | None) -> str:
    """The live rate, and how much of the capacity that is."""
    share = f", {100 * rate / benched.card.rows_per_s:.2g} %" if benched and benched.card.rows_per_s else ""
    return f"{rate:,.3g} rows/s{share}"


def _replicas(count: int) -> str:
    return f"{count} replica{'s' * (count != 1)}"
