"""Question 9: are changes deployed by themselves, and who changed what last?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tenfold.answers.case import Case, Found

PARTS = ("code", "model")  # of which the last change is shown


def releases(case: Case) -> Found:
    """A change takes over as declared, as soon as a store says what runs."""
    known: Mapping[str, Any] = case.live.get("releases") or {}
    measured, live = _gates(known.get("gates") or {}), _now(known)
    if case.spec.releases.external:
        return Found("met", "another system decides what runs", "", measured, live)
    if not known:
        because = "a folder is served as it is on disk: a change goes live at once, by a restart or a reload"
        next_ = f"tenfold push {case.target or '.'}, tenfold serve --store, tenfold deploy"
        return Found("open", because, next_, measured, live)
    service = known["release"].partition("@")[0]
    if held := known.get("held"):
        because = f"automatic deployments wait since {held['who']} took a release back: {held['why']}"
        return Found("open", because, held.get("fix", f"tenfold resume {service}"), measured, live)
    rollout = known.get("rollout")
    because = (
        rollout["said"] if rollout else "what the store deploys takes over step by step, and back on evidence of harm"
    )
    return Found("met", because, (rollout or {}).get("fix", ""), measured, live)


def _gates(gates: Mapping[str, Any]) -> dict[str, Any]:
    """What the gates said of the release that answers."""
    if not gates:
        return {}
    said = [f"{gates[verdict]} {verdict}" for verdict in ("passed", "failed", "unproven") if gates[verdict]]
    return {"text": f"gates: {', '.join(said)}", **gates}


def _now(known: Mapping[str, Any]) -> dict[str, Any]:
    """What answers, the release that is on its way, and who changed code and model last."""
    if not known:
        return {}
    number = f"@{known['release'].partition('@')[2]}"
    said = [number]
    if rollout := known.get("rollout"):
        said.append(f"@{rollout['release'].partition('@')[2]} {rollout['state']}, {rollout['percent']:g} %")
    changes = {part: known["changes"][part] for part in PARTS if part in known["changes"]}
    said += [f"{part} {_day(change['at'])} by {change['who']}" for part, change in changes.items()]
    return {"text": "; ".join(said), **known}


def _day(at: str) -> str:
    return f"{datetime.fromisoformat(at):%d %b %H:%M}"
