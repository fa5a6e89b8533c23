"""The rule of question 8: do the replicas follow the traffic, and at what cost?"""

from __future__ import annotations

from typing import Any

from tenfold.answers.case import Case, Found
from tenfold.answers.evidence import Simulation
from tenfold.units import duration, percent

MAY_MISS = 0.01


def scaling(case: Case) -> Found:
    """As many replicas run as are needed, and a traffic was replayed to see what that costs and misses."""
    low, high = case.spec.scaling.bounds
    count, tried = case.live.get("replicas"), simulated(case)
    measured, live = _measured(tried) if tried else {}, _live(case)
    if count is not None and count < low:
        because = f"{count} of at least {low} replicas run"
        return Found("broken", because, f"{case.command('serve')} --replicas {low}", measured, live)
    if low == high:
        return Found("met", "it does not scale by itself, and says so", "", measured, live)
    if tried is None:
        because = f"it follows the traffic; what that costs and misses is {case.unmeasured()}"
        return Found(
            "open", because, f"{case.command('simulate')} --trace FILE, or without for its own journal", {}, live
        )
    if tried.broken:
        return Found("broken", tried.broken, f"{case.command('simulate')} says how many would do", measured, live)
    if tried.missed_ratio > MAY_MISS:
        because = f"{percent(round(tried.missed_ratio, 3))} of {tried.trace} would be missed while replicas start"
        return Found("open", because, f"{case.command('simulate')} --fit", measured, live)
    return Found("met", f"it follows the traffic, at {tried.cost_ratio:.2f} times the ideal cost", "", measured, live)


def simulated(case: Case) -> Simulation | None:
    """What was replayed with the scaling as it is declared now."""
    kept = case.evidence.simulation
    return kept if kept and kept.scaling == case.spec.scaling else None


def _measured(tried: Simulation) -> dict[str, Any]:
    missed = percent(round(tried.missed_ratio, 4))
    text = f"{tried.cost_ratio:.2f} × ideal, {missed} missed in {duration(tried.seconds)} of {tried.trace}"
    figures = {"cost_ratio": tried.cost_ratio, "late_ratio": tried.late_ratio, "refused_ratio": tried.refused_ratio}
    known = {"trace": tried.trace, "changes_per_day": tried.changes_per_day, "most_replicas": tried.most_replicas}
    return {"text": text, **figures, **known, "machine": tried.machine, "at": tried.at}


def _live(case: Case) -> dict[str, Any]:
    count, known = case.live.get("replicas"), case.live.get("scaling") or {}
    if count is None:
        return {}
    limit = f", limited by the machine's {known['limit']}" if known.get("limit") else ""
    text = f"{count} replica{'s' * (count != 1)}{limit}"
    figures = {key: known[key] for key in ("wanted", "rate", "startup_s", "because") if key in known}
    return {"text": text, "replicas": count, **figures}
