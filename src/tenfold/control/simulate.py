"""``tenfold simulate``: what scaling policies would have cost and missed on a traffic, by what was measured of a service."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tenfold.answers import Evidence, Simulation, keep
from tenfold.config import environment, require_environment
from tenfold.control import benches
from tenfold.control.simulate_trace import Columns, Trace, read_journal, read_trace
from tenfold.errors import GateFailed, ServiceError, UsageError
from tenfold.scaling.options import Scaling
from tenfold.scaling.rivals import Hpa, HpaPolicy, Knative, KnativePolicy
from tenfold.scaling.simulation import FIT_AFTER, FIT_HEADROOM, Ours, Outcome, Policy, Setting, always, fit, simulate
from tenfold.service import Service, Spec, find, spec
from tenfold.units import duration, percent, ratio, seconds, throughput

__all__ = ["Line", "Simulated", "Wanted", "run"]

NO_LIMIT = 100_000  # replicas, where nobody says how many there may be
MOST_REPLICAS = 10_000  # that are replayed
MAY_MISS = 0.01  # of the rows, before that is said

Say = Callable[[str, int, int], None]


class Wanted(NamedTuple):
    """What is asked for, as it was written; what is "" or None is left to the service."""

    trace: str = ""
    time: str = ""
    counts: str = ""
    every: str = ""
    rate_per_replica: str = ""
    start: str = ""
    deadline: str = ""
    least: int | None = None
    most: int | None = None
    env: str = ""
    fit: bool = False
    miss: str = ""


class Line(NamedTuple):
    """A policy, in words, and what became of the traffic under it."""

    name: str
    words: str
    outcome: Outcome


class Simulated(NamedTuple):
    """A traffic under several policies, ours first. ``broken`` says why no number of replicas would do, "" where one does;
    ``fitted`` are the criteria that ``--fit`` found."""

    name: str
    trace: Trace
    setting: Setting
    source: str
    scaling: Scaling
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    broken: str = ""
    mend: str = ""
    fitted: Scaling | None = None

    @property
    def ours(self) -> Outcome:
        """What became of it under the service's own policy, or the fitted one."""
        return self.lines[0].outcome


class _Subject(NamedTuple):
    """What is replayed: a service with what is known of it, or nothing but the figures of a command line."""

    name: str
    scaling: Scaling
    setting: Setting
    source: str
    service: Service | None = None
    spec: Spec | None = None


def run(target: str | None, wanted: Wanted, say: Say = lambda *_: None) -> Simulated:
    """Replay a traffic through the policy of ``target`` (a folder or a ``file.py[:Class]``) and those of others.

    Without a target it takes ``rate_per_replica`` and ``start``. Raises ``UsageError`` for figures that nobody gave and
    nobody measured, ``BadTrace`` for a file that is no traffic, and ``GateFailed`` where even one row alone takes longer than
    the deadline.
    """
    subject, miss = _subject(target, wanted), _may_miss(wanted)
    say("reading the trace", 0, 0)
    trace = _trace(subject, wanted)
    _require_bounds(subject, trace)
    fitted = None
    if wanted.fit:
        fitted, _ = fit(trace.counts, subject.scaling, subject.setting, miss, lambda *done: say("fitting", *done))
        subject = subject._replace(scaling=fitted)
    lines = []
    for number, (name, words, policy) in enumerate(_policies(subject, trace)):
        say("replaying", number, 3)
        lines.append(Line(name, words, simulate(trace.counts, policy, subject.setting, subject.scaling.bounds)))
    lines.append(_fixed(subject, trace))
    broken, mend = _judged(subject, trace)
    remarks = (*trace.remarks, *_remarks(subject, trace, lines[0].outcome, miss, broken, fitted is not None))
    found = Simulated(
        subject.name,
        trace,
        subject.setting,
        subject.source,
        subject.scaling,
        tuple(lines),
        remarks,
        broken,
        mend,
        fitted,
    )
    _keep(subject, found, wanted)
    return found


# -- what is replayed --------------------------------------------------------------------------------------------------


def _subject(target: str | None, wanted: Wanted) -> _Subject:
    rate = _quantity(wanted.rate_per_replica, "--rate-per-replica", benches.rate_of)
    start_s = _quantity(wanted.start, "--start", lambda text: seconds(text if _has_unit(text) else f"{text} s"))
    budget_s = _quantity(wanted.deadline, "--deadline", seconds)
    if target is None:
        if rate is None or start_s is None:
            mend = "name a SERVICE, or add --rate-per-replica 40 --start 30s"
            raise UsageError("what a replica carries, and how long it takes to start, is not said", mend)
        scaling = _bounded(Scaling(1, NO_LIMIT), wanted)
        source = "as given"
        return _Subject("", scaling, Setting(rate, start_s, budget_s or 1.0), source)
    service = find(target, env=environment(wanted.env))
    require_environment(wanted.env, target)
    stated = spec(service)
    known = Evidence.read(service.folder).of(stated)
    scaling = _bounded(stated.scaling, wanted)
    if rate is None:
        rate = _measured_rate(target, known, stated)
    if start_s is None:
        if known.startup is None:
            raise UsageError(f"how long {target} takes to start was not measured", f"tenfold check {target}")
        start_s = known.startup.seconds
    setting = Setting(rate, start_s, budget_s or stated.deadline.budget_s, scaling.hold_s, scaling.hold_rows)
    return _Subject(stated.name, scaling, setting, _source(wanted), service, stated)


def _quantity(text: str, option: str, read: Callable[[str], float]) -> float | None:
    return benches.quantity(text, option, read, "simulate")


def _may_miss(wanted: Wanted) -> float:
    """The share of rows that may be missed before that is said."""
    if not wanted.miss:
        return MAY_MISS
    if not wanted.fit:
        raise UsageError("--miss says what --fit may miss", "add --fit, or leave it out")
    try:
        share = ratio(wanted.miss)
    except ValueError as error:
        raise UsageError(f"--miss: {error}", 'write --miss "1 %"') from None
    if not share < 1:
        raise UsageError(f"--miss {wanted.miss} is no share of the rows", 'write --miss "1 %", or 0% for none')
    return share


def _source(wanted: Wanted) -> str:
    """Who says what is known of a service's replicas."""
    given = [what for what, text in (("the rate", wanted.rate_per_replica), ("the start", wanted.start)) if text]
    if len(given) == 1:
        return f"{given[0]} as given, the other as measured"
    return "as given" if given else "as measured"


def _has_unit(text: str) -> bool:
    return not text.strip().replace(".", "", 1).isdigit()


def _measured_rate(target: str, known: Evidence, stated: Spec) -> float:
    """What one replica carries, by ``tenfold bench``."""
    if known.capacity is None:
        mend = f"tenfold bench {target}, or add --rate-per-replica"
        raise UsageError(f"what a replica of {target} carries was not measured", mend)
    card = known.capacity.card
    if not card.rows_per_s:
        within = duration(stated.deadline.budget_s)
        because = f"at no rate does {target} answer 99 of 100 requests within {within}"
        raise GateFailed(f"{because}: no number of replicas keeps that", "a later Deadline, or a faster model")
    return card.per_replica


def _bounded(scaling: Scaling, wanted: Wanted) -> Scaling:
    """The policy within the bounds of the command line. Raises ``UsageError`` where one of them contradicts the class."""
    low, high = scaling.bounds
    if wanted.least is not None and wanted.most is not None and wanted.least > wanted.most:
        raise UsageError(f"--min {wanted.least} is more than --max {wanted.most}", f"--max {wanted.least}, or more")
    if wanted.most is None and wanted.least is not None and low < high < wanted.least:
        raise UsageError(f"--min {wanted.least} is more than max_replicas={high}", f"add --max {wanted.least}, or more")
    if wanted.least is None and wanted.most is not None and wanted.most < low:
        raise UsageError(f"--max {wanted.most} is fewer than min_replicas={low}", f"add --min {wanted.most}, or fewer")
    bounds = {"min_replicas": wanted.least, "max_replicas": wanted.most}
    given = {name: value for name, value in bounds.items() if value is not None}
    try:
        return scaling.override(given, "--min and --max") if given else scaling
    except ServiceError as error:
        raise UsageError(error.message, error.hint) from None


def _trace(subject: _Subject, wanted: Wanted) -> Trace:
    if not wanted.trace:
        if subject.service is None:
            raise UsageError("there is no traffic to replay", "add --trace FILE")
        return read_journal(subject.service.folder)
    every_s = _quantity(wanted.every, "--every", seconds) or 0.0
    return read_trace(Path(wanted.trace), Columns(wanted.time, wanted.counts, every_s))


def _policies(subject: _Subject, trace: Trace) -> list[tuple[str, str, Policy]]:
    """Ours, and those of others as they come."""
    low, high = subject.scaling.bounds
    most = _needed(subject, trace) if high == NO_LIMIT or low == high else high
    knative, hpa = Knative(), Hpa()
    ours = subject.scaling.describe() if high < NO_LIMIT else f"at least {low} replica{'s' * (low != 1)}"
    return [
        ("tenfold", ours, Ours(subject.scaling, trace.begins)),
        ("knative", f"defaults: {percent(knative.utilization)} of a replica", KnativePolicy(knative, low, most)),
        ("hpa", f"defaults: {percent(hpa.utilization)} of a replica", HpaPolicy(hpa, low, most)),
    ]


def _fixed(subject: _Subject, trace: Trace) -> Line:
    """As many replicas at all times as the busiest second needs, or may have."""
    low, high = subject.scaling.bounds
    n = max(min(_needed(subject, trace), high if low < high else NO_LIMIT), low)
    return Line("fixed", f"{n} at all times", always(trace.counts, n, subject.setting, low))


def _needed(subject: _Subject, trace: Trace) -> int:
    """The replicas that the busiest second needs."""
    return max(math.ceil(max(trace.counts) / subject.setting.rate), 1)


def _require_bounds(subject: _Subject, trace: Trace) -> None:
    """Refuse what would have to be replayed with more replicas than anybody has."""
    busiest, each = max(trace.counts), subject.setting.rate
    if busiest / each > MOST_REPLICAS:
        many = f"the busiest second has {busiest:,.0f} rows, and a replica carries {each:.3g} rows/s"
        raise UsageError(
            f"{many}: that is more than {MOST_REPLICAS:,} replicas", "check the trace and --rate-per-replica"
        )


# -- what it means -----------------------------------------------------------------------------------------------------


def _judged(subject: _Subject, trace: Trace) -> tuple[str, str]:
    """Why no number of replicas within the limits keeps the budget on this traffic, and the mend; "" where one does."""
    high = subject.scaling.bounds[1]
    needed = _needed(subject, trace)
    if needed <= high:
        return "", ""
    missed = always(trace.counts, high, subject.setting).missed_ratio
    if missed <= MAY_MISS:
        return "", ""
    each = throughput(subject.setting.rate)
    said = f"even {high} replica{'s' * (high != 1)} at all times miss {percent(round(missed, 3))}"
    because = f"{said}: {max(trace.counts):,.0f} rows/s came at most, and each carries {each}"
    return because, f"Scaling(max_replicas={needed}), or a faster model"


def _remarks(subject: _Subject, trace: Trace, ours: Outcome, miss: float, broken: str, fitted: bool) -> list[str]:
    """What somebody has to know of the result, of which this share may be missed."""
    setting = subject.setting
    remarks = []
    low, high = subject.scaling.bounds
    if low == high:
        remarks.append(f"it does not scale by itself: Scaling(max_replicas={max(low * 4, 4)}) or --max would let it")
    elif ours.missed_ratio > miss and not broken:
        missed = f"{_share(ours)} are missed while replicas start, which takes {duration(setting.startup_s)}"
        if fitted:
            remarks.append(_unfit(subject, trace, miss, missed))
        else:
            mend = "a faster start, more min_replicas, headroom, or a schedule; --fit finds criteria"
            remarks.append(f"{missed}: {mend}")
    if setting.budget_s < 1:
        remarks.append(f"a replay by the second does not see what happens within {duration(setting.budget_s)}")
    return remarks


def _unfit(subject: _Subject, trace: Trace, miss: float, missed: str) -> str:
    """Why ``--fit`` found nothing, and what would help."""
    tried = (
        f"scale_in_after of {FIT_AFTER[0]} to {FIT_AFTER[-1]} with headroom of {FIT_HEADROOM[0]} to {FIT_HEADROOM[-1]}"
    )
    few = f"{percent(miss)} or less" if miss else "nothing"
    said = f"none of {len(FIT_AFTER) * len(FIT_HEADROOM)} settings misses {few} ({tried})"
    most = min(_needed(subject, trace), subject.scaling.bounds[1])
    best = always(trace.counts, most, subject.setting)
    if best.missed_ratio > miss:
        mend = "a higher limit (--max), a faster model, or a larger --miss"
        return f"{said}; even {most} replicas at all times miss {_share(best)}: {mend}"
    mend = "a faster start, more replicas at all times (--min), a schedule, or a larger --miss"
    return f"{said}; of the one that misses the least, {missed}: {mend}"


def _share(outcome: Outcome) -> str:
    """The share of rows that were missed, to the digits that mean something."""
    return percent(float(f"{outcome.missed_ratio:.2g}"))


def _keep(subject: _Subject, found: Simulated, wanted: Wanted) -> None:
    """Keep what concerns the service as it is declared, as evidence for its answer 8."""
    if subject.service is None or subject.spec is None or subject.scaling != subject.spec.scaling:
        return
    if wanted.rate_per_replica or wanted.start or wanted.deadline:
        return
    ours = found.ours
    piece = Simulation(
        trace=found.trace.name,
        scaling=subject.scaling,
        seconds=found.trace.seconds,
        rows=ours.rows,
        cost_ratio=ours.cost_ratio,
        late_ratio=ours.late_ratio,
        refused_ratio=ours.refused_ratio,
        changes_per_day=ours.changes_per_day,
        most_replicas=max(ours.replicas),
        broken=found.broken,
    )
    keep(subject.service.folder, subject.spec, datetime.now(UTC), piece)
