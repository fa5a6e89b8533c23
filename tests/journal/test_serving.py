"""The journal of a running server: what clients were told can be looked up."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tenfold.cli import main
from tenfold.journal.segment import FOLDER
from tests.server.running import Running, kill, serve, until, write_service

pytestmark = pytest.mark.slow

SERVICE = '''
"""Doubles a number."""

import time
from typing import Annotated, Any

from tenfold import Contract, Deadline, Drift, Ge, Key, Le, Private, Rows, Service, rule


class Number(Contract):
    sample: Annotated[str, Key()]
    x: Annotated[float, Ge(0), Le(1000)]
    name: Annotated[str | None, Private()]

    @rule
    def not_unlucky(rows: Rows) -> Any:
        return rows.x != 13


class Double(Contract):
    y: float
    whose: Annotated[str, Private()]


class Doubles(Service):
    input, output = Number, Double
    model = staticmethod(lambda columns: columns)
    deadline = Deadline("300 ms")
    drift = Drift(journal="inputs")

    def preprocess(self, rows: Rows) -> Any:
        if (rows.x == 999).any():
            time.sleep(0.6)
        return rows.x * 2

    def postprocess(self, doubled: Any, rows: Rows) -> Any:
        return {"y": doubled, "whose": ["Ada Lovelace"] * len(rows)}
'''


@pytest.fixture(scope="module")
def doubles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was served and asked, until the server was told to stop."""
    folder = write_service(tmp_path_factory.mktemp("doubles"), SERVICE)
    with serve(folder, "--fronts", "2") as server:
        answers = [ask(server, sample=f"s{k}", x=20 + k, name="Ada Lovelace") for k in range(20)]
        many = server.ask("/predict", [{"sample": "m", "x": x} for x in (1, -1, 13, 4)]).json
        late = server.ask("/predict", {"sample": "late", "x": 999})
        assert (late.status, many["answered"], many["refused"]) == (504, 2, 2)
        told = {"answers": answers, "many": many}
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(10) == 0
    (folder / "told.json").write_text(json.dumps(told))
    return folder


def ask(server: Running, **row: Any) -> Any:
    """The answer to one row, on a connection of its own."""
    reply = server.ask("/predict", row)
    assert reply.status == 200
    return reply.json


def looked_up(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What ``tenfold journal`` finds."""
    capsys.readouterr()
    assert main(["journal", str(folder), "--json", *arguments]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["predictions"]
    return found


def test_each_answer_can_be_looked_up(doubles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the id that the client was given and by its own key, though two fronts answered and both have ended."""
    told = json.loads((doubles / "told.json").read_text())["answers"]
    for answer in told[::7]:
        (found,) = looked_up(capsys, doubles, "--id", answer["id"])
        assert found["key"] == answer["key"]
        assert found["release"] == answer["release"]
        assert found["output"] == {"y": answer["output"]["y"]}
        assert looked_up(capsys, doubles, "--key", answer["key"]) == [found]
    assert len(looked_up(capsys, doubles, "--since", "1h")) == len(told) + 2


def test_rows_of_many_have_their_places(doubles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused rows are left out, by whichever process they were refused."""
    many = json.loads((doubles / "told.json").read_text())["many"]
    found = looked_up(capsys, doubles, "--id", many["id"])
    assert {(one["id"], one["output"]["y"], one["input"]["x"]) for one in found} == {
        (f"{many['id']}/0", 2.0, 1.0),
        (f"{many['id']}/3", 8.0, 4.0),
    }


def test_nobody_finds_what_was_not_given(doubles: Path) -> None:
    """An answer that came too late is not there, and neither is anything Private."""
    assert main(["journal", str(doubles), "--key", "late"]) == 4
    segments = [path.read_bytes() for path in (doubles / FOLDER).rglob("*.journal")]
    assert segments
    assert not any(b"Ada" in data or b"whose" in data for data in segments)


def test_a_front_that_is_killed_leaves_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The next front writes to a file of its own, beside the one of the dead."""
    folder = write_service(tmp_path, SERVICE)
    with serve(folder) as server:
        first = ask(server, sample="before", x=1)
        until(lambda: looked_up(capsys, folder, "--since", "1h"), "the first prediction on the disk")
        (front,) = server.pids("front")
        kill(front)
        until(lambda: server.pids("front") not in ([], [front]), "another front")
        second = until(lambda: _asked(server), "an answer")
        until(lambda: len(looked_up(capsys, folder, "--since", "1h")) >= 2, "the next prediction on the disk")
    found = [one["id"] for one in looked_up(capsys, folder, "--since", "1h")]
    assert found[0] == first["id"]
    assert second["id"] in found
    assert len(list((folder / FOLDER).rglob("*.journal"))) == 2


def _asked(server: Running) -> Any:
    """The answer of a front that may not be ready yet."""
    try:
        reply = server.ask("/predict", {"sample": "after", "x": 2})
    except OSError:
        return None
    return reply.json if reply.status == 200 else None
