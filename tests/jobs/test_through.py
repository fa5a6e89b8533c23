"""``--through``: a job that a live service answers, behind its own requests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from tenfold.errors import Conflict, TenfoldError, UsageError, Violation
from tenfold.jobs import through
from tenfold.jobs.through import PATIENCE_S, Through
from tenfold.rows import Rows
from tenfold.service import Service, find, spec
from tests.jobs.making import read, rows, service, write
from tests.server.running import Running, serve

Reply = tuple[int, Mapping[str, str], bytes]


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The service, whose model nobody loads here."""
    return find(service(tmp_path_factory.mktemp("through") / "doubled"))


class Asked:
    """A service at the other end, which answers as a test says; or with the number of rows that came."""

    def __init__(self, doubled: Service, monkeypatch: pytest.MonkeyPatch, *replies: Reply | OSError) -> None:
        self.sizes: list[int] = []
        self.slept: list[float] = []
        self.release = f"doubled@{spec(doubled).release[:7]}"
        self._replies = [*replies]
        self._now = 0.0
        monkeypatch.setattr(through.Line, "post", lambda _, body: self._post(body))
        self.line = Through(doubled, spec(doubled), "http://127.0.0.1:1", sleep=self._sleep, clock=lambda: self._now)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds

    def _post(self, body: bytes) -> Reply:
        asked = json.loads(body)
        self.sizes.append(len(asked))
        if self._replies:
            reply = self._replies.pop(0)
            if isinstance(reply, OSError):
                raise reply
            return reply
        return self.answer([{"value": row["the x"], "size": "small", "together": len(asked)} for row in asked])

    def answer(self, outputs: list[Any], **more: Any) -> Reply:
        """What a server says of rows."""
        return 200, {}, json.dumps({"release": self.release, "outputs": outputs, "errors": [], **more}).encode()

    def ask(self, doubled: Service, n: int) -> Any:
        """Have n rows answered, which stood at 100, 101, … of a shard."""
        data = rows(n).drop_columns(["note"]).to_pylist()
        return self.line.run(Rows.of(data, doubled.input), np.arange(100, 100 + n))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://[::1",
        "http://h:99999",
        "http://h:0",
        "ftp://h",
        "h:8000",
        "http://",
        "http://a:secret@h:1",
        "x@secret@h",
    ],
)
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    """With its mend, before anything is started; and no password is repeated."""
    with pytest.raises(UsageError, match="--through") as caught:
        through.require_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h", "https://h:443/x", "http://[::1]:8000/doubled/predict"])
def test_an_address_may_have_a_port_and_a_path(url: str) -> None:
    """As the server prints it, or with the route of a service."""
    through.require_url(url)
    assert through.shown(url) == url


def test_rows_go_in_larger_requests_as_long_as_there_is_time(doubled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is a batch of the service's; each that is answered allows for twice as many."""
    asked = Asked(doubled, monkeypatch)
    full = doubled.batching.max_rows
    answer = asked.ask(doubled, 4 * full)
    assert asked.sizes == [full, 2 * full, full]
    assert answer.outputs["value"].tolist() == [float(k % 50) for k in range(4 * full)]
    assert answer.index.tolist() == list(range(100, 100 + 4 * full))
    assert asked.slept == []


def test_a_service_that_is_busy_is_asked_for_less_and_later(doubled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 says when to come back; then half of the rows are asked for, in the same order, and more only after a while: each
    time that is too much costs a wait."""
    asked = Asked(doubled, monkeypatch, (503, {"retry-after": "2"}, b"{}"), (504, {}, b"{}"))
    answer = asked.ask(doubled, 40)
    assert asked.sizes == [40, 20, 10, 10, 10, 10]
    assert asked.slept == [2.0, 0.05]
    asked.sizes.clear()
    asked.ask(doubled, 200)
    assert asked.sizes == [10] * (through.GROWS_AFTER - 3) + [20, 20, 20, 10]
    assert answer.index.tolist() == list(range(100, 140))


def test_a_service_without_room_is_told_of(
    doubled: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside a load that leaves nothing, a job waits for as long as it takes, and says so once a minute."""
    asked = Asked(doubled, monkeypatch, *[(503, {"retry-after": "5"}, b"{}")] * 30)
    assert len(asked.ask(doubled, 1).index) == 1
    said = [record.getMessage() for record in caplog.records]
    assert said == ["http://127.0.0.1:1 had no room for these rows for 60 s; they wait until it has"] * 2


def test_rows_that_came_too_late_among_others_are_asked_for_again(
    doubled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a missed deadline nor the fallback that stands for it is what becomes of a row of a job."""
    asked = Asked(doubled, monkeypatch)
    good = {"value": 1.0, "size": "small", "together": 1}
    late = {"row": 1, "pointer": "", "code": "deadline", "detail": "no answer within 1 s"}
    bad = {"row": 3, "pointer": "/the x", "code": "out_of_range", "detail": "too much"}
    asked._replies = [
        asked.answer(
            [good, None, good, None, None], errors=[late, bad], fallbacks=[{"row": 2, "because": "overloaded"}]
        )
    ]
    answer = asked.ask(doubled, 5)
    assert asked.sizes == [5, 2, 1]  # rows 1 and 2, then 4, of which nothing was said
    assert answer.index.tolist() == [100, 101, 102, 104]
    assert answer.violations == [Violation(103, "/the x", "out_of_range", "too much")]
    assert answer.fallbacks == {}


def test_a_service_that_starts_anew_is_waited_for(doubled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks costs nothing; one that stays away for a minute ends the job, which can go on later."""
    gone = ConnectionRefusedError("Connection refused")
    assert Asked(doubled, monkeypatch, gone, gone).ask(doubled, 3).index.tolist() == [100, 101, 102]
    with pytest.raises(TenfoldError, match="does not answer: Connection refused"):
        Asked(doubled, monkeypatch, *[gone] * int(PATIENCE_S + 5)).ask(doubled, 3)


def test_another_release_is_not_the_jobs(doubled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of two releases are never mixed."""
    other = {"release": "doubled@0000000", "outputs": [None]}
    with pytest.raises(Conflict, match="answers with doubled@0000000"):
        Asked(doubled, monkeypatch, (200, {}, json.dumps(other).encode())).ask(doubled, 1)


def test_a_refusal_that_time_does_not_mend_ends_the_job(doubled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key is told in the words of the service, with the option that has it."""
    with pytest.raises(TenfoldError, match="refuses the rows: No key was sent") as caught:
        Asked(doubled, monkeypatch, (401, {}, b'{"title": "No key", "detail": "No key was sent"}')).ask(doubled, 1)
    assert caught.value.hint == "--access KEY, or TENFOLD_KEY; the same command goes on"


@pytest.fixture(scope="module")
def live(doubled: Service) -> Iterator[Running]:
    """The service, running."""
    with serve(doubled.folder) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_live_service_answers_as_a_job_of_its_own(doubled: Service, live: Running) -> None:
    """Answers, changes, flags, fallbacks and bad rows are those of a job here, and no model is loaded for it."""
    home = doubled.folder.parent
    table = rows(3000, x={7: 500.0, 31: 95.0, 88: 88.0}, y={5: None}, z={6: -1.0}, odd={9: -5}, far={11: 11.0})
    write(home / "in.parquet", table)
    command = [
        sys.executable,
        "-m",
        "tenfold",
        "batch",
        "doubled",
        "in.parquet",
        "--json",
        "--shard-rows",
        "1000",
        "-o",
    ]
    found = []
    url = f"http://127.0.0.1:{live.port}"
    for out, more in (("here", []), ("there", ["--through", url])):
        done = subprocess.run([*command, out, *more], cwd=home, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)
        counts = [told[name] for name in ("rows", "answered", "changed", "flagged", "fallbacks", "codes")]
        aside = [
            {name: value for name, value in json.loads(line).items() if name != "reasons"}
            for line in (home / out / "quarantine" / "part-00000.ndjson").read_bytes().splitlines()
        ]
        found.append((counts, [{**row, "together": 0} for row in read(home / out)], aside))
    assert found[0] == found[1]
