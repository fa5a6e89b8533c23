"""Ten rules, one per question: is it met, open or broken, because of what, and what is next?

*Met* means that there is evidence, or that nothing is left to show; *open* that something was declared and nobody has
shown it yet; *broken* that the evidence says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from tenfold.answers.capacity import at_a_rate, capacity
from tenfold.answers.case import Case, Found
from tenfold.answers.drift import drift
from tenfold.answers.evidence import Fit, Golden
from tenfold.answers.releases import releases
from tenfold.answers.scaling import scaling
from tenfold.contract.form import leaves
from tenfold.model import Facts
from tenfold.spec import Spec
from tenfold.units import duration

BEFORE_MODEL = ("decode", "pictures", "preprocess")
RECORD = "in the training script: tenfold.record(…, model_input=…, output=…)"


def contract(case: Case) -> Found:
    """The fields are those that the model needs, and real rows fit them."""
    fit, facts = case.evidence.fit, case.facts
    measured = _fitted(fit) if fit else {}
    live = {"text": f"{case.rows:,} rows", "rows": case.rows} if case.live else {}
    if facts and 3 in case.spec.defaults and (fault := _misfit(case.spec, facts)):
        return Found("broken", *fault, measured, live)
    if fit and fit.refused == fit.rows > 0:
        return Found("broken", f"no row of {fit.source} fits the contract", case.command("check"), measured, live)
    if facts or fit or case.live:
        return Found("met", "its fields are those that the model takes", "", measured, live)
    return Found("open", f"whether it fits the model: {case.unmeasured()}", case.command("check"), measured, live)


def _fitted(fit: Fit) -> dict[str, Any]:
    accepted = fit.rows - fit.refused
    text = f"{accepted:,} of {fit.rows:,} rows fit"
    return {"text": text, "rows": fit.rows, "accepted": accepted, "source": fit.source, "at": fit.at}


def _misfit(spec: Spec, facts: Facts) -> tuple[str, str] | None:
    """How the contract differs from what the model takes, and the mend."""
    fields = [(name, wire, leaf.kind) for name, wire, _, leaf in leaves(spec.input.fields) if not leaf.key]
    known = {name for field in fields for name in field[:2]}
    for feature in facts.features:
        if feature not in known:
            near = get_close_matches(feature, known, 1)
            mend = f"rename {near[0]!r}, or give it Alias({feature!r})" if near else f"add it to {spec.input.name}"
            return f"the model needs {feature!r}, and {spec.input.name} has no such field", mend
    one_value_each = all(kind not in ("image", "tensor", "list") for _, _, kind in fields)
    if not facts.features and one_value_each and facts.width not in (None, len(fields)):
        return (
            f"the model takes {facts.width} values a row, {spec.input.name} has {len(fields)} fields",
            "name the fields of training in its order, or write preprocess(self, rows)",
        )
    return None


def validation(case: Case) -> Found:
    """Every row is checked; what counts is how many are refused."""
    fit, live = case.evidence.fit, case.live
    measured: dict[str, Any] = {}
    if fit and fit.rows:
        counts = {"refused": fit.refused, "changed": fit.changed, "flagged": fit.flagged}
        measured = {"text": f"{_share(fit.refused, fit.rows)} would be refused", **counts, "at": fit.at}
    now = _refused_now(case) if live else {}
    if case.busy and 2 * live["refused"] > case.rows:
        because = f"{live['refused']:,} of {case.rows:,} rows are refused"
        known = {name: count for name, count in live["violations"].items() if name != ":other"}
        if not known:
            return Found("broken", because, case.command("check"), measured, now)
        pointer, code = _parts(max(known, key=known.__getitem__))
        because += f", most of them {pointer} {code}".replace("  ", " ")
        return Found("broken", because, f"tenfold explain {code.partition(':')[0]}", measured, now)
    because = "every row is checked; what is invalid is refused, or changed as the contract says"
    return Found("met", because, "", measured, now)


def _refused_now(case: Case) -> dict[str, Any]:
    """The share of rows that is refused, and the change that is made most often."""
    live = case.live
    words = [f"{_share(live['refused'], case.rows)} refused"]
    if live["changes"]:
        name = max(live["changes"], key=live["changes"].__getitem__)
        words.append(f"{' '.join(_parts(name))} {_share(live['changes'][name], case.rows)}".strip())
    counts = {"refused": live["refused"], "violations": dict(live["violations"]), "changes": dict(live["changes"])}
    return {"text": "; ".join(words), **counts}


def _share(part: int, whole: int) -> str:
    """A part in percent, two digits of it: 0.34 %, 3.1 %, 52 %."""
    percent = 100 * part / max(whole, 1)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _parts(counter: str) -> tuple[str, str]:
    """The field and the code of a counter such as "/mean radius:out_of_range" or ":rule:NAME"."""
    if counter.startswith(":"):
        return "", counter[1:]
    pointer, _, code = counter.rpartition(":")
    return pointer[1:].replace("/", ".").replace("~1", "/").replace("~0", "~"), code


def preprocess(case: Case) -> Found:
    """What serving makes of a row equals what training made of it."""
    golden, fit, live = case.evidence.golden, case.evidence.fit, case.stage("preprocess")
    if golden and golden.diverged in BEFORE_MODEL:
        return Found("broken", _diverged(golden), case.command("check"), _replayed(golden), live)
    if fit and fit.equal is not None and fit.equal < fit.rows - fit.refused:
        because = f"{fit.rows - fit.refused - fit.equal:,} rows are answered otherwise than by model.predict"
        return Found("broken", because, case.command("check"), _compared(fit), live)
    if golden and golden.provenance == "training":
        return Found("met", "what training fed the model is what serving feeds it", "", _replayed(golden), live)
    if fit and fit.equal is not None:
        return Found("met", f"served answers equal model.predict on {fit.source}", "", _compared(fit), live)
    if golden:
        because = "the service made its golden records itself: they catch changes, and prove nothing about training"
        return Found("open", because, RECORD, _replayed(golden), live)
    return Found("open", f"equality with training: {case.unmeasured()}", RECORD, {}, live)


def _replayed(golden: Golden) -> dict[str, Any]:
    said = "equal to training" if golden.provenance == "training" else "unchanged"
    text = (
        f"{golden.diverged} differs"
        if golden.diverged in BEFORE_MODEL
        else f"{said} {golden.records} of {golden.records}"
    )
    counts = {"records": golden.records, "equal": golden.equal, "provenance": golden.provenance}
    return {"text": text, **counts, "at": golden.at}


def _compared(fit: Fit) -> dict[str, Any]:
    text = f"equals predict, {fit.equal:,} of {fit.rows - fit.refused:,}"
    return {"text": text, "rows": fit.rows, "equal": fit.equal, "largest": fit.largest, "at": fit.at}


def _diverged(golden: Golden) -> str:
    return f"golden records differ at {golden.diverged}" + (f": {golden.detail}" if golden.detail else "")


def postprocess(case: Case) -> Found:
    """What goes out satisfies the output contract, and is what it was."""
    golden, failed = case.evidence.golden, case.live.get("failed", 0)
    measured = _valid(case)
    live = {"text": f"{failed:,} failed", "failed": failed} if case.live else {}
    if failed * 1000 > case.rows:
        because = f"{failed:,} of {case.rows:,} rows failed in the service's own code"
        return Found("broken", because, "tenfold explain model_failed", measured, live)
    invalid = golden.records - golden.unanswered - golden.valid if golden else 0
    if invalid:
        because = f"{invalid} golden answers break the output contract"
        return Found("broken", because, "tenfold explain output_invalid", measured, live)
    if golden and golden.diverged and golden.diverged not in BEFORE_MODEL:
        return Found("broken", _diverged(golden), f"if that was meant: {case.command('record')}", measured, live)
    if golden and golden.unanswered:
        return Found("open", f"not reached: {_diverged(golden)}", case.command("record"), measured, live)
    if measured or case.busy:
        return Found("met", "every answer is checked against the output contract", "", measured, live)
    return Found("open", f"whether answers are valid: {case.unmeasured()}", case.command("check"), measured, live)


def _valid(case: Case) -> dict[str, Any]:
    golden, fit = case.evidence.golden, case.evidence.fit
    if golden and golden.unanswered < golden.records:
        answered = golden.records - golden.unanswered
        return {"text": f"{golden.valid} of {answered} valid", "valid": golden.valid, "at": golden.at}
    if fit and not golden:
        return {"text": f"{fit.rows - fit.refused:,} answers valid", "valid": fit.rows - fit.refused, "at": fit.at}
    return {}


def batching(case: Case) -> Found:
    """A full batch is answered within the deadline."""
    latency, rows = case.evidence.latency, case.live.get("batch_rows", {}).get("p50")
    live = {"text": f"median {rows} row{'s' * (rows != 1)}", "p50_rows": rows} if rows else {}
    if not latency:
        return Found("open", f"what a batch costs: {case.unmeasured()}", case.command("check"), {}, live)
    text = f"1: {duration(latency.one_s)}, {latency.many_rows}: {duration(latency.many_s)}"
    figures = {"one_s": latency.one_s, "rows": latency.many_rows, "many_s": latency.many_s}
    measured = {"text": text, **figures, "machine": latency.machine, "at": latency.at}
    if latency.many_s > case.budget_s:
        because = f"{latency.many_rows} rows take {duration(latency.many_s)}, the deadline is {duration(case.budget_s)}"
        fewer = max(1, int(latency.many_rows * case.budget_s / latency.many_s / 2))
        return Found("broken", because, f"Batching(max_rows={fewer}), or a later Deadline", measured, live)
    return Found("met", "a free replica takes what waits; a full batch keeps the deadline", "", measured, live)


def deadline(case: Case) -> Found:
    """A row is answered within its time, 99 times of 100: alone, and at the rate that was promised."""
    latency, late = case.evidence.latency, case.live.get("late", 0) + case.live.get("shed", 0)
    measured: dict[str, Any] = {}
    if latency:
        text = f"p99 {duration(latency.one_p99_s)} for one row"
        measured = {"text": text, "p99_s": latency.one_p99_s, "machine": latency.machine, "at": latency.at}
    carried = case.benched is not None and case.benched.card.rows_per_s > 0
    if case.benched and carried:
        measured = at_a_rate(case.benched)
    live = _latency_now(case) if case.live else {}
    if latency and latency.one_s > case.budget_s and not carried:
        because = f"one row takes {duration(latency.one_s)}, of {duration(case.budget_s)}"
        return Found("broken", because, "a later Deadline, or a faster model", measured, live)
    if latency and latency.one_p99_s > case.budget_s and not carried:  # an uneven model, or a busy machine
        often, rarely = duration(latency.one_s), duration(latency.one_p99_s)
        because = f"one row takes {often}, but {rarely} at the 99th percentile, of {duration(case.budget_s)}"
        return Found("open", because, case.command("bench"), measured, live)
    if case.busy and late * 100 > case.rows:
        because = f"{late:,} requests were late, or refused for lack of time"
        return Found("broken", because, f"more replicas: {case.command('serve')} --replicas N", measured, live)
    if measured or (case.busy and (case.p99_s or 0.0) <= case.budget_s):
        return Found("met", "answers keep it; what cannot be in time is refused at once", "", measured, live)
    return Found("open", f"how long a row takes: {case.unmeasured()}", case.command("check"), measured, live)


def _latency_now(case: Case) -> dict[str, Any]:
    late, shed = case.live["late"], case.live["shed"]
    text = "no answer yet" if case.p99_s is None else f"p99 {duration(case.p99_s)}, {late + shed:,} late"
    return {"text": text, "p99_s": case.p99_s, "late": late, "shed": shed, "deadline_s": case.budget_s}


RULES: tuple[Callable[[Case], Found], ...] = (
    contract,
    validation,
    preprocess,
    postprocess,
    batching,
    deadline,
    capacity,
    scaling,
    releases,
    drift,
)
