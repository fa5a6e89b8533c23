"""What became of requests and of rows, in eight words: the sums that metrics and history show.

A row of a request with many has an outcome of its own. Goodput is what is ``good``.
"""

from __future__ import annotations

from collections import Counter

from tenfold.errors import CODES, status_of

OUTCOMES = {
    "good": "the model answered, within the deadline",
    "overdue": "the model answered, after the deadline",
    "fallback": "answered with the service's fallback",
    "refused": "the input or the request is not valid (4xx)",
    "failed": "the service's own code failed (500)",
    "shed": "refused at once for lack of time (503)",
    "unready": "no replica was ready (503)",
    "late": "the deadline passed (504)",
}
_BY_CODE = {"overloaded": "shed", "not_ready": "unready", "deadline": "late"}
_REQUESTS = {"good": ("good", "many:good"), "overdue": ("overdue", "many:overdue"), "fallback": ("requests:fallback",)}
_REQUESTS |= {outcome: () for outcome in OUTCOMES if outcome not in _REQUESTS}
for _code in CODES:
    _outcome = _BY_CODE.get(_code, "failed" if status_of(_code) >= 500 else "refused")
    _REQUESTS[_outcome] += (f"refusal:{_code}",)
_ROWS = {
    "good": ("good", "many_rows:good"),
    "overdue": ("overdue", "many_rows:overdue"),
    "fallback": ("fallback",),
    "refused": ("refused",),
    "failed": ("failed",),
    "shed": ("rows:shed",),
    "unready": ("rows:unready",),
    "late": ("rows:late",),
}


def requests_by_outcome(counters: Counter[str]) -> dict[str, int]:
    """How many requests had each outcome; one with many rows is what its best row is."""
    return {outcome: sum(counters[name] for name in names) for outcome, names in _REQUESTS.items()}


def rows_by_outcome(counters: Counter[str]) -> dict[str, int]:
    """How many rows had each outcome."""
    return {outcome: sum(counters[name] for name in names) for outcome, names in _ROWS.items()}
