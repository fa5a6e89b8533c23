"""The load generator as a process, against servers of known behaviour."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tenfold.bench.generator import Generator, Unanswered
from tenfold.bench.target import Body, Target
from tenfold.capacity.histogram import Histogram
from tenfold.capacity.trial import Trial
from tenfold.errors import NotFound, TenfoldError
from tests.bench.servers import served

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server, without a path."""
    with served() as url:
        yield url


def drive(url: str, rate: float, seconds: float, deadline_s: float = 1.0) -> Trial:
    """What becomes of requests to a URL at random moments."""
    requests = Target.of(url).requests([Body(b'{"x": 1}')], {})
    with Generator(url, requests, deadline_s) as generator:
        return generator.drive(rate, 1.0, seconds, seed=1, watch=lambda *_: False)


def noted(url: str) -> dict[str, int]:
    """What the server saw besides."""
    with urllib.request.urlopen(f"{url}/noted", timeout=60) as reply:
        found: dict[str, int] = json.load(reply)
        return found


def test_a_server_that_answers_is_seen_to_answer(server: str) -> None:
    """All requests of a rate are sent, about as many as it says, and each is counted."""
    trial = drive(f"{server}/at-once", 200, 2)
    assert 320 <= trial.requests <= 480
    assert trial.good == trial.requests == sum(count for _, count in trial.latency)
    assert trial.seconds == pytest.approx(2, abs=0.05)
    assert trial.quantile(0.5) < 0.02


def test_a_stall_is_seen_as_everybody_would_have_seen_it(server: str) -> None:
    """Who comes at random while a server stalls for 200 ms waits between 0 and 200 ms, any time as likely as another.

    Of the requests to a server that stalls so every 2 s, 10 % come then; a generator that waits for answers before it
    sends again would see a handful, and call it a fast server.
    """
    trial = drive(f"{server}/stall?ms=200&every=2", 500, 6.4)
    latency = Histogram(trial.latency)
    assert trial.good == trial.requests
    for waited_s in (0.04, 0.08, 0.12, 0.16):
        stalls = 600 / 6400  # three of 200 ms
        expected = stalls * (1 - waited_s / 0.2)
        assert 1 - latency.share_within(waited_s) == pytest.approx(expected, abs=0.25 * stalls)
    assert latency.quantile(0.99) == pytest.approx(0.178, abs=0.04)
    assert latency.quantile(0.8) < 0.05


def test_a_queue_is_measured_to_its_end(server: str) -> None:
    """Where 100 a second come and 50 are answered, half are still unanswered when the last has been sent."""
    trial = drive(f"{server}/queue?ms=20", 100, 2, deadline_s=0.1)
    assert trial.good < 0.3 * trial.requests
    assert trial.late + trial.silent + trial.good == trial.requests
    assert not trial.steady
    assert trial.quantile(0.99) > 0.4


def test_refusals_and_failures_are_counted_apart(server: str) -> None:
    """A 503 is a refusal, a 500 a failure, and neither is a fast answer."""
    refused = drive(f"{server}/each?n=4&status=503", 200, 1)
    assert refused.refused + refused.good == refused.requests
    assert refused.refused == pytest.approx(refused.requests / 4, abs=1)
    assert sum(count for _, count in refused.latency) == refused.good
    failed = drive(f"{server}/each?n=2&status=500", 200, 1)
    assert failed.failed + failed.good == failed.requests
    assert failed.failed == pytest.approx(failed.requests / 2, abs=1)
    assert failed.missed == failed.failed


def test_fallback_answers_have_missed(server: str) -> None:
    """A constant is quickly given, and carries nothing."""
    trial = drive(f"{server}/fallback?n=4", 200, 1)
    assert trial.fallback + trial.good == trial.requests
    assert trial.fallback == pytest.approx(trial.requests / 4, abs=1)


def test_lost_connections_are_counted(server: str) -> None:
    """A request whose connection is closed instead of an answer has missed, unless it may be sent once more."""
    trial = drive(f"{server}/drop?n=5", 100, 1)
    assert trial.good + trial.broken == trial.requests
    assert trial.broken == noted(server)["fresh"]
    assert trial.good > 0


def test_a_connection_that_was_closed_as_idle_is_no_fault(server: str) -> None:
    """Servers close what is idle, with a word or without: clients connect anew, and so does the generator. A request that
    crosses with the close is sent once more, however many do."""
    for path in ("/bye", "/leave?n=3"):
        trial = drive(f"{server}{path}", 100, 1)
        assert trial.good == trial.requests, noted(server)


def test_an_answer_that_nobody_asked_for_counts_for_nothing(server: str) -> None:
    """Some servers say 408 before they close what is idle; that is an answer to no request, but to one that crosses with it:
    its client cannot know better."""
    trial = drive(f"{server}/goodbye", 20, 1.5)
    assert trial.good + trial.failed == trial.requests
    assert trial.failed == noted(server)["crossed"]


def test_answers_in_chunks_are_answers(server: str) -> None:
    """Whatever frames an answer, after however many interim ones, it counts."""
    trial = drive(f"{server}/chunked", 100, 0.5)
    assert trial.good == trial.requests


def test_a_server_that_hangs_does_not_hang_the_generator(server: str) -> None:
    """What is not answered by the deadline has missed, and then it is over."""
    began = time.monotonic()
    trial = drive(f"{server}/hang?after=20", 100, 1, deadline_s=0.2)
    assert (trial.good, trial.silent) == (19, trial.requests - 19)  # one was asked alone before
    assert trial.quantile(0.5) > 0.2
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("path", ["/hang?after=0", "/nonsense", "/each?n=1&status=500", "/fallback?n=1"])
def test_a_server_that_does_not_answer_one_is_not_asked_many(
    server: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so, within the patience that one request is given."""
    monkeypatch.setattr("tenfold.bench.generator.LEAST_PATIENCE_S", 0.3)
    with pytest.raises(Unanswered, match="request 1 alone"):
        drive(f"{server}{path}", 100, 1, deadline_s=0.1)


def test_nobody_there() -> None:
    """A port that nobody listens on is an error and not a capacity."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(NotFound, match="nobody answers"):
            drive(f"http://127.0.0.1:{free.getsockname()[1]}/", 100, 1)


def test_a_generator_that_is_late_itself_says_so(server: str) -> None:
    """A process that the machine did not let run cannot tell what the server would have done."""
    url = f"{server}/at-once"
    with Generator(url, Target.of(url).requests([Body(b"{}")], {}), 0.1) as generator:
        threading.Timer(0.5, os.kill, (generator.pid, signal.SIGSTOP)).start()
        threading.Timer(1.0, os.kill, (generator.pid, signal.SIGCONT)).start()
        trial = generator.drive(300, 1.0, 2.0, seed=1, watch=lambda *_: False)
    assert trial.behind > 0.15 * trial.requests
    assert trial.doubtful
    assert not trial.hopeless


def test_a_generator_that_dies_is_an_error(server: str) -> None:
    """Nobody waits for a process that is gone."""
    url = f"{server}/at-once"
    with Generator(url, Target.of(url).requests([Body(b"{}")], {}), 0.1) as generator:
        threading.Timer(0.3, os.kill, (generator.pid, signal.SIGKILL)).start()
        with pytest.raises(TenfoldError, match="the load generator ended"):
            generator.drive(50, 1.0, 5.0, seed=1, watch=lambda *_: False)


def test_a_trial_ends_when_enough_is_known(server: str) -> None:
    """Whoever watches can end a hopeless trial."""
    url = f"{server}/each?n=2&status=503"
    with Generator(url, Target.of(url).requests([Body(b"{}")], {}), 0.1) as generator:
        trial = generator.drive(200, 1.0, 30.0, seed=1, watch=lambda _, missed: missed > 20)
    assert trial.seconds < 5
    assert trial.refused > 20


def test_a_rate_at_which_nothing_comes_is_no_error(server: str) -> None:
    """One row in an hour does not come within half a second."""
    assert drive(f"{server}/at-once", 1 / 3600, 0.5).requests == 0


def test_the_same_seed_sends_as_many(server: str) -> None:
    """Two runs of one rate are the same load."""
    assert drive(f"{server}/at-once", 150, 1).requests == drive(f"{server}/at-once", 150, 1).requests
