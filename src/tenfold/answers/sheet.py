"""The sheet as a value: made from what is declared, what was measured and what is live, and encoded as it stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tenfold.answers.case import Case, Found
from tenfold.answers.evidence import Evidence
from tenfold.answers.rules import RULES
from tenfold.questions import Declared, declared
from tenfold.spec import Spec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, with the reason of its state (``because``) and what to do about one that isn't met (``next``).

    ``measured`` and ``live`` are empty where nothing is known; else ``text`` says it in words, the other keys hold the
    figures (seconds, rows), and ``at`` in ``measured`` says when.
    """

    n: int
    word: str
    question: str
    state: Literal["met", "open", "broken"]
    declared: str
    measured: dict[str, Any]
    live: dict[str, Any]
    because: str
    next: str


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """The ten answers of one release of one service."""

    schema: int = 1
    service: str
    release: str
    answers: tuple[Answer, ...]

    def count(self) -> Counter[str]:
        """How many answers are met, open and broken."""
        return Counter(answer.state for answer in self.answers)

    def in_state(self, state: str) -> list[Answer]:
        """The answers that are met, open or broken."""
        return [answer for answer in self.answers if answer.state == state]

    def to_json(self) -> bytes:
        """The sheet as the JSON that commands, routes and pages share."""
        return msgspec.json.encode(self)


def sheet(
    spec: Spec,
    *,
    evidence: Evidence | None = None,
    live: Mapping[str, Any] | None = None,
    target: str = "",
) -> Sheet:
    """The ten answers of a service, each judged.

    What the model says of itself is part of the evidence: whoever asks is told the same. ``live`` are the counters of a
    running server, as ``server.metrics.live`` sums them. ``target`` is the SERVICE that the suggested commands name.
    """
    kept = evidence or Evidence()
    case = Case(
        spec=spec,
        evidence=kept.of(spec),
        outdated=tuple(kept.outdated(spec)),
        live=live or {},
        target=target,
    )
    answers = tuple(_answer(stated, rule(case)) for stated, rule in zip(declared(spec), RULES, strict=True))
    return Sheet(service=spec.name, release=spec.release, answers=answers)


def _answer(stated: Declared, found: Found) -> Answer:
    n, word, question = stated.question
    return Answer(
        n=n,
        word=word,
        question=question,
        state=found.state,
        declared=stated.text,
        measured=found.measured,
        live=found.live,
        because=found.because,
        next=found.next,
    )
