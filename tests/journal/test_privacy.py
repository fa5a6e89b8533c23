"""What is Private is not on the disk, in no form."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from tenfold.contract.form import Field, Form, Rule
from tenfold.drift import Drift
from tenfold.journal.segment import FOLDER
from tests.journal.answering import everything, frame, pack, single, spec, writer

NAME, NUMBER, DAY, INNER, KEY = "Ada Lovelace", 1234567.891, "1815-12-10", "Ockham Park", "patient-4711"

GIVEN = Form(
    name="Patient",
    fields=(
        Field(name="record", wire="record", kind="text", key=True, private=True),
        Field(name="full_name", wire="full name", kind="text", private=True),
        Field(name="income", wire="income", kind="float", private=True, nullable=True),
        Field(name="age", wire="age", kind="float", nullable=True),
        Field(name="born", wire="born", kind="date", private=True),
        Field(name="city", wire="city", kind="category", categories=("Horsley", "London"), private=True),
        Field(
            name="home",
            wire="home",
            kind="object",
            private=True,
            fields=(Field(name="street", wire="street", kind="text"),),
        ),
        Field(
            name="work",
            wire="work",
            kind="object",
            fields=(
                Field(name="street", wire="street", kind="text", private=True),
                Field(name="floor", wire="floor", kind="int"),
            ),
        ),
    ),
    rules=(Rule(name="income_fits_city"),),
)
TOLD = Form(
    name="Risk",
    fields=(
        Field(name="score", wire="score", kind="float"),
        Field(name="reason", wire="reason", kind="text", private=True),
        Field(name="premium", wire="premium", kind="float", private=True),
    ),
)
ROW = {
    "record": KEY,
    "full name": NAME,
    "income": NUMBER,
    "age": 36.5,
    "born": DAY,
    "city": "Horsley",
    "home": {"street": INNER},
    "work": {"street": INNER, "floor": 3},
}
ANSWER = {"score": 0.5, "reason": f"because of {NAME}", "premium": NUMBER}
SECRETS = [text.encode() for text in (NAME, KEY, INNER, "Horsley", "income", "full name", "premium", "reason")]
SECRETS += [struct.pack("<d", NUMBER), struct.pack("<q", -56270)]  # and the date of birth, in days since 1970


@pytest.mark.parametrize("kept", ["outputs", "inputs"])
def test_private_fields_are_not_in_the_file(tmp_path: Path, kept: str) -> None:
    """Neither the values nor the names of Private fields, keys and nested contracts among them, reach the disk."""
    journal = writer(tmp_path, spec(GIVEN, TOLD, Drift(journal=kept)))  # type: ignore[arg-type]
    rows, answers = pack(GIVEN, [ROW, ROW]), pack(TOLD, [ANSWER, ANSWER])
    journal.add(time.monotonic(), [single(row) for row in rows], frame(TOLD, answers))
    journal.close(5.0)
    (file,) = (tmp_path / FOLDER).rglob("*.journal")
    data = file.read_bytes()
    assert [secret for secret in SECRETS if secret in data] == []
    (found,) = everything(tmp_path)
    assert found.keys is None
    assert found.outputs.score.tolist() == [0.5, 0.5]
    if kept == "inputs":
        assert found.inputs is not None
        assert found.inputs.age.tolist() == [36.5, 36.5]
        assert found.inputs["work.floor"].tolist() == [3, 3]


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Other users of the machine cannot read what was predicted."""
    journal = writer(tmp_path, spec(GIVEN, TOLD))
    journal.add(time.monotonic(), [single(row) for row in pack(GIVEN, [ROW])], frame(TOLD, pack(TOLD, [ANSWER])))
    journal.close(5.0)
    (file,) = (tmp_path / FOLDER).rglob("*.journal")
    assert file.stat().st_mode & 0o077 == 0
