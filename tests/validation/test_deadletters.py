"""Dead letters: quarantined rows are kept for a person, as they were sent, and without what is private."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tenfold.contract.form import Field, Form, ImageForm
from tenfold.errors import Violation
from tenfold.validation.deadletters import DeadLetters

NOW = datetime(2026, 11, 14, 12, 30, tzinfo=UTC)
INNER = (Field(name="city", wire="city", kind="text"), Field(name="phone", wire="phone", kind="text", private=True))
FORM = Form(
    name="Row",
    fields=(
        Field(name="x", wire="x", kind="float"),
        Field(name="name", wire="name", kind="text", private=True),
        Field(name="home", wire="home", kind="object", fields=INNER),
    ),
)
REASON = [Violation(0, "/x", "out_of_range", "x must be at most 60, found more")]


def letters(home: Path) -> list[dict[str, Any]]:
    """What was kept."""
    lines = (home / ".tenfold" / "dead-letters" / "2026-11-14.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_row_is_kept_with_its_reasons_and_as_it_was_sent(tmp_path: Path) -> None:
    """A person can see what came and why it was put aside; private values and unknown ones are not there."""
    body = b'{"x": 1e2, "name": "Zo\xc3\xab", "home": {"city": "Basel", "phone": "1"}, "ssn": 7}'
    DeadLetters(tmp_path, FORM).write(NOW, "id-1", "3f9c", body, {0: REASON})
    assert letters(tmp_path) == [
        {
            "time": "2026-11-14T12:30:00Z",
            "id": "id-1",
            "release": "3f9c",
            "row": 0,
            "reasons": [{"pointer": "/x", "code": "out_of_range", "detail": "x must be at most 60, found more"}],
            "data": {"x": 100.0, "home": {"city": "Basel"}},
        }
    ]
    assert b'"x":1e2' in (tmp_path / ".tenfold/dead-letters/2026-11-14.ndjson").read_bytes()


def test_of_many_rows_only_those_put_aside_are_kept(tmp_path: Path) -> None:
    """Row 2 of a request is the third of its rows; what is no object has no data."""
    letters_of = DeadLetters(tmp_path, FORM)
    letters_of.write(NOW, "id-1", "3f9c", b'[{"x": 1}, "text", {"x": 3}]', {2: REASON, 1: REASON})
    letters_of.write(NOW, "id-2", "3f9c", b'{"x": 4, "home": 5}', {0: REASON})
    kept = [(letter["id"], letter["row"], letter["data"]) for letter in letters(tmp_path)]
    assert kept == [("id-1", 2, {"x": 3}), ("id-1", 1, None), ("id-2", 0, {"x": 4, "home": None})]


def test_a_picture_is_kept_as_base64(tmp_path: Path) -> None:
    """A body that is a picture can be looked at, unless pictures are private."""
    for private, data in ((False, {"image": "aGk="}), (True, {})):
        image = Field(name="image", wire="image", kind="image", image=ImageForm(), private=private)
        DeadLetters(tmp_path, Form(name="Row", fields=(image,))).write(NOW, "id", "r", b"hi", {0: REASON})
        assert letters(tmp_path)[-1]["data"] == data


@pytest.mark.parametrize("picture", [b"\xff\xd8\n{ \xff", b'\xff\xd8\n{"image": "aGk="}\n', b'{"\xff": 1}\n{}'])
def test_a_picture_that_looks_like_lines_is_one(tmp_path: Path, picture: bytes) -> None:
    """Any larger picture has a line somewhere that begins with a brace: it is kept all the same."""
    image = Field(name="image", wire="image", kind="image", image=ImageForm())
    DeadLetters(tmp_path, Form(name="Row", fields=(image,))).write(NOW, "id", "r", picture, {0: REASON})
    assert letters(tmp_path)[-1]["data"] == {"image": base64.b64encode(picture).decode()}


def test_of_lines_those_put_aside_are_kept(tmp_path: Path) -> None:
    """Blank lines are no rows, and what is no JSON is one."""
    DeadLetters(tmp_path, FORM).write(NOW, "id", "r", b'{"x": \n\r\n{"x": 3}\n', {1: REASON})
    assert letters(tmp_path)[-1]["data"] == {"x": 3}


def test_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    """Several fronts append to one file."""
    body = json.dumps({"x": 1, "home": {"city": "B" * 3000}}).encode()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(40):
            pool.submit(DeadLetters(tmp_path, FORM).write, NOW, "id", "r", body, {0: REASON})
    assert len(letters(tmp_path)) == 40


def test_a_disk_that_refuses_is_logged_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The row is refused anyway; losing its copy is no reason to fail the request."""
    (tmp_path / ".tenfold").write_text("a file where a folder should be")
    DeadLetters(tmp_path, FORM).write(NOW, "id-1", "r", b"{}", {0: REASON})
    assert "1 dead letters of id-1 are lost" in caplog.text


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    """Rows may be personal."""
    DeadLetters(tmp_path, FORM).write(NOW, "id", "r", b"{}", {0: REASON})
    assert (tmp_path / ".tenfold/dead-letters/2026-11-14.ndjson").stat().st_mode & 0o077 == 0
