"""What follows from a verdict: others are told of it once, and training runs where somebody asked for that."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tenfold.control.driftactions import AGAIN_S, Actions
from tenfold.drift.options import Drift
from tenfold.drift.verdicts import Report, Verdict
from tenfold.errors import TenfoldError
from tenfold.store import open_store
from tests.drift.test_serving import SERVICE

LIMIT_S = 120.0
TRAIN = """
import json, os
from pathlib import Path
from typing import Any, ClassVar

recent = Path(os.environ["TENFOLD_RECENT"])
assert json.loads((recent / "verdict.json").read_text())["verdict"] == "UPDATE_RECOMMENDED"
assert (recent / "predictions.ndjson").exists() and (recent / "labels.ndjson").exists()
text = Path("service.py").read_text()
Path("service.py").write_text(text.replace("(scores - 40)", "(scores - 42)"))
"""


class Hearing(BaseHTTPRequestHandler):
    """Keeps what it is told, and answers as it is wished."""

    heard: ClassVar[list[tuple[dict[str, str], bytes]]] = []
    statuses: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        """Take an event."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.statuses.pop(0) if self.statuses else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own word
        """Say nothing."""


@contextmanager
def hearing(*statuses: int) -> Iterator[str]:
    """A server that is told."""
    Hearing.heard, Hearing.statuses = [], list(statuses)
    server = HTTPServer(("127.0.0.1", 0), Hearing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()


class Clock:
    """A time that the test sets."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def verdict(of: Verdict) -> Report:
    """A verdict with hardly any evidence."""
    return Report(verdict=of, since="2026-09-01T00:00:00Z", because="salary moved", next="look", windows=())


def actions(folder: Path, clock: Clock) -> Actions:
    """The actions of a service."""
    return Actions(folder, "loans", "loans@1234567", clock)


def told(doing: Actions, report: Report, policy: Drift) -> None:
    """Consider a verdict, and wait for what follows."""
    doing.consider(report, policy, 1000)
    doing.wait(LIMIT_S)


def test_a_new_verdict_is_told_once_and_signed(tmp_path: Path) -> None:
    """As a CloudEvent; whoever has the secret can tell that it is ours, and nobody else can read the secret."""
    clock = Clock()
    with hearing() as url:
        policy = Drift(webhook=url)
        doing = actions(tmp_path, clock)
        for of in (Verdict.HEALTHY, Verdict.WATCH, Verdict.WATCH):
            told(doing, verdict(of), policy)
        told(actions(tmp_path, clock), verdict(Verdict.WATCH), policy)  # after a restart
    ((headers, body),) = Hearing.heard
    event = json.loads(body)
    assert (event["specversion"], event["type"]) == ("1.0", "io.tenfold.drift_WATCH")
    assert event["data"]["detail"]["because"] == "salary moved"
    secret = tmp_path / ".tenfold" / "drift" / "webhook.secret"
    assert secret.stat().st_mode & 0o077 == 0
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    digest = hmac.new(secret.read_bytes(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_what_was_not_taken_is_told_again_under_the_same_id(tmp_path: Path) -> None:
    """A receiver that is down misses nothing, and can tell a repetition."""
    clock = Clock()
    with hearing(503, 500) as url:
        doing = actions(tmp_path, clock)
        for seconds in (0, 1, 6, 10, 30):
            clock.now = Clock.now + seconds
            told(doing, verdict(Verdict.FIX_DATA), Drift(webhook=url))
    assert len(Hearing.heard) == 3
    assert len({json.loads(body)["id"] for _, body in Hearing.heard}) == 1


def test_a_verdict_that_comes_and_goes_is_told_once_a_day(tmp_path: Path) -> None:
    """A flapping alarm wakes nobody every hour."""
    clock = Clock()
    with hearing() as url:
        doing = actions(tmp_path, clock)
        for hour in range(12):
            clock.now = Clock.now + 3600 * hour
            told(doing, verdict(Verdict.WATCH if hour % 2 else Verdict.HEALTHY), Drift(webhook=url))
        clock.now = Clock.now + AGAIN_S + 3 * 3600
        told(doing, verdict(Verdict.WATCH), Drift(webhook=url))
    types = [json.loads(body)["type"].rpartition("_")[2] for _, body in Hearing.heard]
    assert types == ["WATCH", "HEALTHY", "WATCH"]


def test_nothing_is_trained_unless_an_update_is_recommended(tmp_path: Path) -> None:
    """Broken data would teach the fault, and without labels there is nothing to learn."""
    doing = actions(tmp_path, Clock())
    policy = Drift(retrain="python train.py")
    told(doing, verdict(Verdict.FIX_DATA), policy)
    doing.consider(verdict(Verdict.UPDATE_RECOMMENDED), policy, 199)
    told(doing, verdict(Verdict.UPDATE_RECOMMENDED), Drift())
    assert not (tmp_path / ".tenfold" / "drift" / "training").exists()


def test_training_makes_a_release(tmp_path: Path) -> None:
    """It runs in a copy with the recent data at hand; what it made is pushed, and what serves is left as it is."""
    (tmp_path / "service.py").write_text(SERVICE, "utf-8")
    (tmp_path / "train.py").write_text(TRAIN, "utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "loans"\nversion = "1"\n', "utf-8")
    clock = Clock()
    doing = actions(tmp_path, clock)
    policy = Drift(retrain="python train.py")
    told(doing, verdict(Verdict.UPDATE_RECOMMENDED), policy)
    said = (tmp_path / ".tenfold" / "drift" / "recent" / "output.txt").read_text()
    store = open_store(tmp_path)
    assert [release.name for release in store.releases.list("loans")] == ["loans@1"], said
    store.close()
    assert (tmp_path / "service.py").read_text("utf-8") == SERVICE
    clock.now += 3600
    doing.consider(verdict(Verdict.UPDATE_RECOMMENDED), policy, 1000)  # not again within a week
    assert doing._training is not None
    assert not doing._training.is_alive()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"webhook": "example.org"}, "begins with https://"),
        ({"retrain_at_most_every": "1 s"}, "a minute is the least"),
        ({"retrain_at_most_every": "often"}, "retrain_at_most_every"),
    ],
)
def test_an_action_that_cannot_be_meant_is_refused(options: dict[str, Any], words: str) -> None:
    """At the class, with the mend, and not on the day."""
    with pytest.raises(TenfoldError, match=words):
        Drift(**options)
