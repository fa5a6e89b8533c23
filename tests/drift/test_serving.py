"""A real server watches what it answers: rows are counted, labels joined, and the verdict is shown to whoever asks."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tenfold.cli import main
from tenfold.control.driftkept import Kept, kept, latest
from tenfold.control.servers import ask, serving
from tenfold.drift.folder import folder_of, replace
from tenfold.drift.monitor import came
from tenfold.drift.profile import pack

SERVICE = '''
"""Lends money."""

from typing import Annotated, Any, Literal

import numpy as np

from tenfold import Contract, Drift, Ge, Key, Le, Rows, Service


class Loan(Contract):
    """What is asked."""

    ref: Annotated[str, Key()]
    salary: float
    region: Literal["north", "south"]


class Repaid(Contract):
    """What is answered."""

    label: Literal["no", "yes"]
    yes: Annotated[float, Ge(0), Le(1)]


class Loans(Service):
    """Who will repay?"""

    input, output = Loan, Repaid
    model = staticmethod(lambda salary: salary)
    drift = Drift(window="1 s", labels_after="1 s")

    def preprocess(self, rows: Rows) -> Any:
        return rows.salary

    def postprocess(self, scores: Any) -> dict[str, Any]:
        yes = 1 / (1 + np.exp(-(scores - 40) / 8))
        return {"label": np.where(yes > 0.5, "yes", "no"), "yes": yes}
'''
PATIENCE_S = 60.0


class Client:
    """Asks a server, row after row."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.server = stack.enter_context(serving(folder))
        self.random = random.Random(1)
        self.asked = 0
        self.key = ""

    def restart(self) -> None:
        """End the server, and start another one in its place."""
        self.stack.close()
        self.server = self.stack.enter_context(serving(self.folder))

    def predict(self, rows: int, richer: float = 0.0) -> list[tuple[str, float]]:
        """The id and the probability of each of so many rows."""
        asked = []
        for _ in range(rows):
            self.asked += 1
            salary = self.random.gauss(40 + richer, 10)
            asked.append({"ref": f"r{self.asked}", "salary": salary, "region": self.random.choice(["north", "south"])})
        document = ask(f"{self.server.url}/loans/predict", json.dumps(asked).encode()).json()
        return [(f"{document['id']}/{k}", output["yes"]) for k, output in enumerate(document["outputs"])]

    def label(self, body: Any) -> tuple[int, Any]:
        """What the server says to labels."""
        reply = ask(f"{self.server.url}/loans/feedback", json.dumps(body).encode())
        return reply.status, reply.json()

    def challenge(self, body: Any, name: str = "loans") -> tuple[int, Any]:
        """What the server says to a challenger."""
        reply = ask(f"{self.server.admin_url}/api/challenge/{name}", json.dumps(body).encode(), key=self.key)
        return reply.status, reply.json()

    def drift(self) -> dict[str, Any]:
        """The verdict as it is now."""
        found: dict[str, Any] = ask(f"{self.server.admin_url}/api/drift/loans").json()
        return found


def until(what: Callable[[], Any]) -> Any:
    """The first true answer."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's folder."""
    made = tmp_path_factory.mktemp("loans")
    (made / "service.py").write_text(SERVICE, "utf-8")
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    """A server that answers rows."""
    with ExitStack() as stack:
        yield Client(folder, stack)


def test_what_is_answered_is_compared(client: Client) -> None:
    """The first window is the reference; salaries that rise are seen, and said on the sheet, in metrics and on a page."""
    client.predict(600)
    until(lambda: "first 600 live rows" in client.drift().get("source", ""))

    def moved() -> bool:
        client.predict(300, richer=15.0)
        return bool(client.drift()["verdict"] == "WATCH")

    until(moved)
    found = client.drift()
    assert (found["service"], found["replay"]) == ("loans", "tenfold drift loans")
    proven = {feature["name"] for feature in found["features"] if feature["proven"]}
    assert any(word in name for name in proven for word in ("salary", "label", "yes"))
    page = ask(f"{client.server.admin_url}/drift/loans").body.decode()
    assert "WATCH" in page
    assert found["because"].split(" (")[0] in page
    metrics = ask(f"{client.server.admin_url}/metrics").body.decode()
    assert "tenfold_drift_verdicts{" in metrics
    channels = re.findall(r'tenfold_drift_evidence_ratio\{.*channel="(\w+)"', metrics)
    assert sorted(channels) == ["answers", "estimated", "fields", "realised", "rules", "volume"]
    assert "WATCH" in json.dumps(ask(f"{client.server.admin_url}/api/answers/loans").json()["answers"][9])


def test_labels_are_joined_by_id_and_by_key(client: Client) -> None:
    """Whatever names a prediction; what names none is counted as unknown."""
    (one, _), (other, _) = client.predict(2)
    known = f"r{client.asked}"
    right = {"label": "yes"}
    assert client.label({"id": one, "label": right}) == (202, {"accepted": 1, "unknown": 0})
    body = [{"key": known, "label": right}, {"key": "nobody", "label": right}, {"id": other[:-1] + "7", "label": right}]
    assert client.label(body) == (202, {"accepted": 1, "unknown": 2})
    lines = "\n".join(json.dumps({"id": name, "label": {"label": "no"}}) for name in (one, other))
    reply = ask(f"{client.server.url}/loans/feedback", lines.encode(), "application/x-ndjson")
    assert (reply.status, reply.json()) == (202, {"accepted": 2, "unknown": 0})


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"id": "x", "label": {"label": "maybe"}}, "unseen", "/label/label"),
        ({"id": "x", "label": {"colour": 1}}, "unknown_field", "/label/colour"),
        ({"id": "x", "label": {"yes": "much"}}, "wrong_type", "/label/yes"),
        ({"id": "x", "label": {}}, "missing", "/label"),
        ({"label": {"label": "yes"}}, "missing", ""),
        ({"id": "x", "key": "y", "label": {"label": "yes"}}, "missing", ""),
    ],
)
def test_a_label_that_cannot_be_read_is_refused(client: Client, body: Any, code: str, pointer: str) -> None:
    """The reason and its place are named, and nothing of the request is kept."""
    status, problem = client.label([{"id": "x", "label": {"label": "yes"}}, body])
    assert status == 422
    assert [(error["row"], error["pointer"], error["code"]) for error in problem["errors"]] == [(1, pointer, code)]


def test_what_is_no_label_at_all_is_refused(client: Client) -> None:
    """A body that cannot be parsed is the client's mistake; so is another method."""
    reply = ask(f"{client.server.url}/loans/feedback", b'{"id": 1, "label"')
    assert (reply.status, reply.json()["code"]) == (400, "malformed")
    assert ask(f"{client.server.url}/loans/feedback").status == 405


def test_labels_come_from_a_file(client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of another system, joined by its key; the label is a column of it."""
    client.predict(3)
    file = tmp_path / "labels.csv"
    file.write_text(f"ticket,repaid\nr{client.asked},yes\nr{client.asked - 1},\nnobody,no\n", "utf-8")
    words = ["feedback", "loans", str(file), "--key", "ticket", "--label", "repaid", "--server", client.server.url]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("1 label joined, 1 of no prediction that is known, 1 rows have none")
    assert main([*words[:-4], "--label", "nothing", *words[-2:]]) == 2


def test_the_command_asks_the_server(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The same verdict as text and as JSON, from the server and from its folder."""
    until(lambda: client.drift()["windows"])
    assert main(["drift", "loans", "--server", client.server.admin_url, "--fail-on", "UPDATE_RECOMMENDED"]) == 0
    assert "tenfold drift loans" in capsys.readouterr().out
    assert main(["drift", "loans", "--server", client.server.admin_url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"verdict", "since", "because", "windows"} <= found.keys()
    assert {"from", "to", "rows", "verdict", "estimated", "realised"} <= found["windows"][0].keys()
    assert main(["drift", "lenders", "--server", client.server.admin_url]) == 4


def test_the_verdict_outlives_the_server(client: Client) -> None:
    """Another server goes on where this one was: windows and reference stay, and can be read where none runs."""
    client.stack.close()
    before = kept(client.folder, "loans")
    assert before.windows
    client.restart()
    found = until(lambda: client.drift().get("windows"))
    assert [line["from"] for line in found][: len(before.windows)] == [line.start for line in before.windows]
    assert client.drift()["source"] == before.source


def test_rows_that_stopped_coming_are_said(client: Client) -> None:
    """A thousand rows in each hour of nine days, and none in the last five: the server that goes on with this says so on the
    sheet, in metrics and to the command; and once rows come again, that it was so."""
    client.stack.close()
    release, found = latest(client.folder)
    hour = int(time.time() // 3600)
    state = found.now.state
    for unit in range(hour - 9 * 24, hour):
        state = came(found.policy, state, state.volume, unit, 1000 if unit < hour - 5 else 0)
    found.now.state = state
    replace(folder_of(client.folder, release) / "state", pack(Kept(found.now, found.policy, found.taken)))
    client.restart()
    document = until(lambda: client.drift() if client.drift().get("verdict") == "FIX_DATA" else None)
    assert [fault["kind"] for fault in document["faults"]][-1] == "staleness"
    assert "where about 1,000 are usual in an hour" in document["because"]
    assert document["next"].startswith("mend the feed first")
    metrics = ask(f"{client.server.admin_url}/metrics").body.decode()
    assert re.search(r'tenfold_drift_evidence_ratio\{[^}]*channel="volume"[^}]*\} [1-9]', metrics)
    assert main(["drift", "loans", "--server", client.server.admin_url, "--fail-on", "FIX_DATA"]) == 6
