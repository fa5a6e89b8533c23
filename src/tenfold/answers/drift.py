"""Question 10: is the model still what it was, as far as anybody can tell?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.answers.case import Case, Found

BROKEN = ("UPDATE_RECOMMENDED", "UPDATE_WONT_HELP", "FIX_DATA", "ROLLBACK")


def drift(case: Case) -> Found:
    """Live rows are compared with a reference, and the verdict is none that asks for an update."""
    watched: Mapping[str, Any] = case.live.get("drift") or {}
    measured = {"text": f"reference: {watched['source']}"} if watched.get("source") else {}
    if not watched:
        because = "live rows are compared once it serves: with those of training, else with the first of them"
        return Found("open", because, "keep each label with the id of its answer: tenfold feedback", measured)
    verdict, because = watched["verdict"], watched["because"]
    live = {**watched, "text": _text(watched)}
    if verdict in BROKEN:
        return Found("broken", because, watched["next"], measured, live)
    if not verdict:
        return Found("open", because, case.command("drift"), measured, live)
    if verdict == "NEED_LABELS":
        return Found("open", because, watched["next"], measured, live)
    return Found("met", because, "", measured, live)


def _text(watched: Mapping[str, Any]) -> str:
    """The verdict, since when, and how many labels it rests on."""
    if not watched["verdict"]:
        return "no window is judged yet"
    since = f" since {str(watched['since'])[:10]}" if watched["since"] else ""
    labels = f"; {watched['labelled']:,} of {watched['labels_due']:,} labels" if watched["labels_due"] else ""
    return f"{watched['verdict']}{since}{labels}"
