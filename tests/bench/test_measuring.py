"""A whole measurement: the search, the generator and a server whose capacity is known."""

from __future__ import annotations

import pytest

from tenfold.bench.generator import Generator
from tenfold.bench.measuring import Bench
from tenfold.bench.target import Body, Target
from tenfold.capacity.card import card_of
from tests.bench.servers import served
from tests.capacity.queues import Queue

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_the_capacity_of_a_server_is_found() -> None:
    """A queue of 2 ms a row and a deadline of 50 ms carries what the same queue does on paper."""
    said: list[str] = []
    with served() as server:
        url = f"{server}/queue?ms=2"
        with Generator(url, Target.of(url).requests([Body(b"{}")], {}), 0.05) as generator:
            measured = Bench(generator, 1.0, 0.05, said.append).search(1.0, None)
    truth = Queue(deadline_s=0.05, fixed_s=0.002).capacity()
    assert measured.found.shown is not None
    assert measured.found.shown.rate == pytest.approx(truth, rel=0.25)
    assert measured.found.missed is not None
    assert measured.alone.p50_s == pytest.approx(0.003, abs=0.002)
    assert len(said) == len(measured.tried) + 1
    assert all("left" in words for words in said[1:])
    assert len(measured.speeds) == len(measured.tried) + 1
    assert min(measured.speeds) > 0
    card = card_of(measured.found, measured.tried, 0.05, None)
    assert len(card.curve) >= 6


def test_one_rate_is_measured_as_it_is() -> None:
    """A rate above the capacity is seen to be, and one below it is kept."""
    with served() as server:
        url = f"{server}/queue?ms=5"
        with Generator(url, Target.of(url).requests([Body(b"{}", rows=2)], {}), 0.1) as generator:
            few = Bench(generator, 2.0, 0.1, lambda _: None).one(100.0, 1.0)
            many = Bench(generator, 2.0, 0.1, lambda _: None).one(1000.0, 1.0)
    assert few.found.shown is not None
    assert few.found.shown.requests == pytest.approx(50, abs=25)
    assert few.found.shown.goodput == pytest.approx(100.0, abs=50.0)
    assert many.found.shown is None
    assert many.found.missed is not None


def test_a_server_that_is_too_slow_for_its_deadline_is_not_searched() -> None:
    """One request alone is late, so that no rate can be kept."""
    with served() as server:
        url = f"{server}/queue?ms=50"
        with Generator(url, Target.of(url).requests([Body(b"{}")], {}), 0.01) as generator:
            measured = Bench(generator, 1.0, 0.01, lambda _: None).search(1.0, 100.0)
    assert measured.found == (None, None)
    assert measured.tried == ()
    assert measured.alone.p50_s > 0.05
