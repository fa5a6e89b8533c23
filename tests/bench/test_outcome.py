"""What an answer is worth."""

from __future__ import annotations

import pytest

from tenfold.bench.outcome import outcome

ONE = b'{"id": "1", "release": "a@1", "output": {"label": "benign", "probability": 0.9}}'
MANY = b'{"id": "1", "answered": 1, "refused": 1, "outputs": [{"x": 1}, null], "errors": [{"row": 1, "code": "%b"}]}'


@pytest.mark.parametrize("status", [429, 503, 504])
def test_too_busy_is_a_refusal(status: int) -> None:
    """A server that says that it is too busy refuses; it has not failed."""
    assert outcome(status, b"{}") == "refused"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422, 500, 502])
def test_any_other_status_is_a_failure(status: int) -> None:
    """An answer that is none is quickly given, and counts for nothing."""
    assert outcome(status, b"{}") == "failed"


@pytest.mark.parametrize(
    "body", [ONE, b"", b"OK", b"\x89PNG", MANY % b"missing", b'{"fallback": true}', b'["deadline"]']
)
def test_an_answer_is_good(body: bytes) -> None:
    """Any service's answer is, and one of ours with rows that the contract refuses: whatever words are in it."""
    assert outcome(200, body) == "good"


def test_a_fallback_is_not_the_models_answer() -> None:
    """For one row or for some of many, a constant does not count as carried."""
    because = b'{"because": "overloaded", "by": "Deadline"}'
    assert outcome(200, ONE[:-1] + b', "fallback": ' + because + b"}") == "fallback"
    assert outcome(200, b'{"outputs": [{}], "fallbacks": [' + because + b"]}") == "fallback"


@pytest.mark.parametrize("code", [b"deadline", b"overloaded", b"not_ready"])
def test_many_rows_of_which_some_were_late_are_refused(code: bytes) -> None:
    """A 200 may hide rows that there was no time for."""
    assert outcome(200, MANY % code) == "refused"
