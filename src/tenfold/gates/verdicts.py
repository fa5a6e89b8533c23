"""From what was seen to a verdict: one pure function for each gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from tenfold.contract.changes import Difference
from tenfold.gates.seen import Answered, Golden, Seen, Variant
from tenfold.units import throughput

Verdict = Literal["passed", "failed", "unproven"]
Swap = Literal["overlap", "in place"]

ROOM = 0.9  # of the free memory may be used: what serves goes on allocating, and so does everybody else
GROWTH = 0.25  # of the memory of a template that a fork of it comes to own, by counting references
ANOTHER_MODEL = 0.1  # share of labels that differ, above which somebody should look
ENOUGH = 20  # answers, of which one and the same to all of them is no chance


class Word(NamedTuple):
    """What a gate says, and the reason in a sentence."""

    verdict: Verdict
    because: str


class Measured(NamedTuple):
    """The highest rate that was shown to keep the deadline, in rows per second; the share of requests that missed it at the
    promised rate (None where that was not tried); how many may; and whether it was measured on this machine."""

    rows_per_s: float
    missed_at_promise: float | None
    may_miss: float
    here: bool


def contract(differences: Sequence[Difference], replayed: Sequence[Answered]) -> Word:
    """Does anybody who talks to the service have to change? ``replayed`` are answers to requests that were taken before."""
    breaking = [one for one in differences if one.breaks]
    refused = [one for one in replayed if one.code and one.code != "model_failed" and one.code != "output_invalid"]
    told = [f"{one.pointer}: {one.was} → {one.now}: {one.breaks}" for one in breaking[:3]]
    if refused:
        worst, count = Counter((one.at, one.code) for one in refused).most_common(1)[0]
        kind = f"{count} of them {worst[1]} at {worst[0] or 'the row'}"
        told.append(f"{len(refused)} of {len(replayed)} requests of before are refused, {kind}")
    if told:
        more = f" (and {len(breaking) - 3} more)" if len(breaking) > 3 else ""
        return Word("failed", "; ".join(told) + more)
    tried = f"; {len(replayed)} requests of before are taken" if replayed else ""
    if not differences:
        return Word("passed", f"the contract is the same{tried}")
    return Word("passed", f"{_count(differences, 'difference')}, and none of them breaks anybody{tried}")


def golden(found: Golden | None) -> Word:
    """Does serving equal training, stage by stage?"""
    if found is None:
        return Word("unproven", "there are no golden records: tenfold.record(…) in the training script makes them")
    if found.state == "broken":
        return Word("failed", f"{found.diverged} differs: {found.says}" if found.diverged else found.says)
    return Word("passed" if found.state == "ok" else "unproven", found.says)


def skew(found: Golden | None, tried: Sequence[Variant]) -> Word:
    """Which settings do the answers depend on, and is it shown that training and serving agree on them?"""
    if found is None or found.state == "broken":
        return Word("unproven", "it takes golden records that hold to try what answers depend on")
    settings = [one for one in tried if one.is_setting and one.matters and not one.blind]
    blind = [one for one in tried if one.is_setting and one.blind]
    others = [one for one in tried if not one.is_setting and one.matters]
    beside = f"; answers also move with {', '.join(map(str, others))}" if others else ""
    listed = ", ".join(map(str, settings))
    if settings and not found.proven:
        said = f"these matter, and nothing shows that training and serving agree on them: {listed}"
        return Word("unproven", said + beside)
    if blind:
        shown = f"; these matter, and are shown: {listed}" if settings else ""
        return Word("unproven", f"the golden records cannot tell {', '.join(map(str, blind))}{shown}{beside}")
    if not settings:
        said = "no setting of pictures was seen to matter" if any(one.is_setting for one in tried) else "no pictures"
        return Word("passed", said + beside)
    return Word("passed", f"these matter, and training has shown that serving does as it did: {listed}{beside}")


def predictions(old: Sequence[Answered], new: Sequence[Answered]) -> Word:
    """How far do the answers move? ``old`` and ``new`` are the answers of two releases to the same requests."""
    both = [(was, now) for was, now in zip(old, new, strict=True) if not was.code]
    if not both:
        return Word("unproven", "there is no request that the current release answers: no golden record, no journal")
    lost = [now for _, now in both if now.code in ("model_failed", "output_invalid")]
    if lost:
        return Word(
            "failed", f"{len(lost)} of {len(both)} requests that are answered now get no answer: {lost[0].detail}"
        )
    rows = [pair for was, now in both if not now.code for pair in zip(was.rows, now.rows, strict=False)]
    if not rows:
        return Word("unproven", "none of the requests of before is taken")
    moved = [_moved(was, now) for was, now in rows]
    labels, largest = sum(label for label, _ in moved), max((number for _, number in moved), default=0.0)
    if not labels and not largest:
        return Word("passed", f"equal in {_count(rows, 'row')}")
    said = f"{labels} of {len(rows)} rows get another label, numbers move by at most {largest:.2g}"
    if _is_dead(rows):
        return Word("failed", f"one and the same answer to all {len(rows)} rows, which got different ones; {said}")
    if labels > ANOTHER_MODEL * len(rows):
        return Word("unproven", f"{said}: that is much; shadowing and the canary will tell whether it is better")
    return Word("passed", said)


def capacity(promised: float | None, measured: Measured | None) -> Word:
    """Does it carry what it promises?"""
    if promised is None:
        return Word("passed", "nothing is promised")
    said = f"{throughput(promised)} promised"
    if measured is None:
        return Word("unproven", f"{said}, not yet measured: tenfold bench, and push again")
    shown = f"{throughput(measured.rows_per_s)} shown"
    if not measured.here:
        return Word("unproven", f"{said}, {shown} on another machine")
    if measured.rows_per_s >= promised:
        return Word("passed", f"{said}, {shown}")
    if measured.missed_at_promise is not None and measured.missed_at_promise > measured.may_miss:
        return Word(
            "failed", f"{said}, {shown}; at the promised rate {measured.missed_at_promise:.1%} miss the deadline"
        )
    return Word("unproven", f"{said}, {shown}, which is less but no proof: tenfold bench longer, on idle cores")


def memory(need: int, free: int | None, freed: int) -> tuple[Word, Swap]:
    """Do both releases fit while one takes over from the other? ``need`` is what the new one takes, ``free`` what is free now
    (None where nobody can say) and ``freed`` what the current one gives back; bytes."""
    takes = f"it takes {_mib(need)}"
    if free is None:
        return Word("unproven", f"{takes}, and this system does not say what is free"), "overlap"
    if need <= ROOM * free:
        return Word("passed", f"{takes} beside what runs, of {_mib(free)} that are free"), "overlap"
    if need <= ROOM * (free + freed):
        said = f"{takes}, and {_mib(free)} are free: the old release goes first, and comes back if the new one fails"
        return Word("passed", said), "in place"
    return Word("failed", f"{takes}, and {_mib(free)} are free, {_mib(freed)} more without the old release"), "in place"


def need_bytes(seen: Seen, replicas: int) -> int:
    """What so many replicas of a release take: forks share what their template loaded, others share nothing."""
    if not seen.forkable:
        return replicas * seen.peak_bytes
    own = seen.peak_bytes - seen.loaded_bytes + int(GROWTH * seen.loaded_bytes)
    return seen.peak_bytes + replicas * own


def _moved(was: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[bool, float]:
    """Whether a label differs between two answers, and how far a number moves at most."""
    away = [
        abs(float(was[name]) - float(now[name])) for name in was if _is_number(was[name]) and _is_number(now.get(name))
    ]
    labels = any(
        value != now.get(name) for name, value in was.items() if not (_is_number(value) and _is_number(now.get(name)))
    )
    return labels, max(away, default=0.0)


def _is_dead(rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> bool:
    before, after = ({repr(sorted(pair[side].items())) for pair in rows} for side in (0, 1))
    return len(rows) >= ENOUGH and len(after) == 1 < len(before)


def _is_number(value: Any) -> bool:
    return isinstance(value, float)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _count(things: Sequence[Any], noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"
