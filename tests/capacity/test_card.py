"""What is written on the card."""

from __future__ import annotations

import msgspec
import pytest

from tenfold.capacity.card import Card, card_of
from tenfold.capacity.histogram import Histogram
from tenfold.capacity.knee import Found, Tried
from tenfold.capacity.trial import Trial


def trial(rate: float, good: int = 1000, latency_s: float = 0.01, **counts: int) -> Trial:
    """A thousand requests in five seconds, all answers taking as long."""
    latency = Histogram()
    for _ in range(1000):
        latency.add(latency_s)
    return Trial(rate=rate, seconds=5, requests=1000, good=good, latency=tuple(latency.pairs()), **counts)


def card(found: Found, *tried: Trial, promised: float | None = None) -> Card:
    """The card for a deadline of 50 ms."""
    return card_of(found, [Tried("look", one) for one in tried], 0.05, promised)


def test_the_card_says_how_much_how_fast_and_how_sure() -> None:
    """The rate that was shown, the first that was not kept, and every rate between them and beyond."""
    shown, missed = trial(100, good=999, late=1), trial(110, good=900, late=100, latency_s=0.06)
    found = card(Found(shown, missed), trial(50), shown, missed)
    assert (found.rows_per_s, found.above, found.limit) == (100, 110, "deadline")
    assert found.p99_s == pytest.approx(0.01, rel=0.01)
    assert (found.requests, found.missed) == (1000, 1)
    assert found.confidence == shown.confidence
    assert [point.rate for point in found.curve] == [50, 100, 110]
    assert found.curve[-1].missed == 0.1


def test_why_a_rate_is_not_kept() -> None:
    """Because of the deadline, of a queue that grows, or of ourselves."""
    assert card(Found(None, trial(10, piled=500))).limit == "queue"
    assert card(Found(None, trial(10, good=500, late=500, behind=400))).limit == "generator"
    assert card(Found(trial(10), None), trial(10)).limit == ""


def test_a_rate_that_is_kept_never_looks_late() -> None:
    """The bucket of the last answer in time may end behind the deadline."""
    assert card(Found(trial(10, latency_s=0.04999), None), trial(10, latency_s=0.04999)).p99_s == 0.05


def test_the_promised_rate_is_pointed_out() -> None:
    """Question 6 is answered at the rate that was promised."""
    found = card(Found(trial(100), None), trial(20), trial(100), promised=20)
    assert found.promised is not None
    assert found.promised.rate == 20
    assert card(Found(None, None)).promised is None


def test_figures_of_one_replica_and_of_another_machine() -> None:
    """A capacity is comparable by replica, and by the speed of the machine."""
    found = Card(rows_per_s=900, deadline_s=1, replicas=3, speed=1.5)
    assert (found.per_replica, found.calibrated) == (300, 600)


def test_a_card_is_kept_as_json() -> None:
    """Evidence is read again as it was written."""
    found = card(Found(trial(100), trial(110, good=0)), trial(100), trial(110, good=0), promised=100)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Card) == found
