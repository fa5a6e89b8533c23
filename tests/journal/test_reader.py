"""Reading: by time, by release, by id and by key; and what there is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from tenfold.contract.form import Field, Form
from tenfold.errors import NotFound, UsageError
from tenfold.journal.reader import Predictions
from tests.journal.answering import (
    INPUT,
    OUTPUT,
    RELEASE,
    frame,
    given,
    journal,
    pack,
    part,
    single,
    spec,
    told,
    writer,
)
from tests.server.running import until

NOON_US = 1_800_000_000_000_000
HOUR_US = 3_600_000_000
NUMBERED = replace(INPUT, fields=(Field(name="number", wire="number", kind="int", key=True), INPUT.fields[1]))
NAMELESS = replace(INPUT, fields=INPUT.fields[1:])


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A folder with an answer every hour, from noon to midnight: "row 0" to "row 11"."""
    hour = 0

    def since_boot() -> float:
        return 3600.0 * hour

    kept = writer(tmp_path, clock=lambda: NOON_US / 1e6 + since_boot(), monotonic=since_boot)
    for hour in range(12):
        kept.add(since_boot(), given(f"row {hour}"), told(1, hour))
        kept._wake.set()
        until(lambda: kept._dealt == kept._queued, "the flush")
    kept.close(5.0)
    return tmp_path


def scores(found: Iterable[Predictions]) -> list[float]:
    """The scores of some predictions, in order."""
    return [score for one in found for score in one.outputs.score.tolist()]


def test_a_range_of_time(day: Path) -> None:
    """What was answered from one moment on, and before another."""
    kept = journal(day)
    assert scores(kept.read()) == list(range(12))
    assert scores(kept.read(since_us=NOON_US + 3 * HOUR_US, until_us=NOON_US + 5 * HOUR_US)) == [3, 4]
    assert scores(kept.read(until_us=NOON_US)) == []
    assert scores(kept.read(since_us=NOON_US + 11 * HOUR_US + 1)) == []


def test_columns_and_not_rows(day: Path) -> None:
    """A batch has one array for each column, with the names and the types of the contract."""
    (first, *_) = journal(day).read()
    assert first.outputs.label.tolist() == ["malignant"]
    assert first.outputs["the score"].dtype == np.float64
    assert first.times.dtype == np.dtype("datetime64[us]")
    assert first.header.release == RELEASE


def test_by_id(day: Path) -> None:
    """The id of an answer finds its prediction; any other finds none, and what is no id is told."""
    (name,) = next(iter(journal(day).read(since_us=NOON_US + 7 * HOUR_US))).ids
    assert scores(journal(day).by_id(name)) == [7]
    assert scores(journal(day).by_id(name.upper())) == [7]
    assert scores(journal(day).by_id(name + "/0")) == []
    assert scores(journal(day).by_id("0199f3a2-6c1e-7b3d-9f00-3c5a1d2e4f60")) == []
    for wrong in ("", "42", name[:-1], "row 7", name + "/x"):
        with pytest.raises(UsageError, match="is no id of a prediction"):
            list(journal(day).by_id(wrong))


def test_by_the_id_of_a_request_of_many(tmp_path: Path) -> None:
    """Its id finds all its rows, and with a place behind it the one."""
    kept = writer(tmp_path)
    rows = pack(INPUT, [{"the sample": "s", "x": 0}] * 4)
    first, second = part([0, 1], rows[:2]), part([2, 3], rows[2:])
    second.request = first.request
    kept.add(0.0, [first], told(2))
    kept.add(0.0, [*given("other"), second], told(3, 2.0))
    kept.close(5.0)
    name = first.request.id.decode()
    assert scores(journal(tmp_path).by_id(name)) == [0.5, 1.5, 3.0, 4.0]
    assert scores(journal(tmp_path).by_id(f"{name}/3")) == [4.0]


def test_by_key(day: Path) -> None:
    """A key finds every prediction for it, and no other that merely contains it."""
    assert scores(journal(day).by_key("row 1")) == [1]
    assert scores(journal(day).by_key("row")) == []


def test_by_a_number(tmp_path: Path) -> None:
    """A key that is a number is found by its digits."""
    kept = writer(tmp_path, spec(NUMBERED))
    rows = pack(NUMBERED, [{"number": number, "x": 0} for number in (7, -7, 7, 2**62)])
    kept.add(0.0, [single(row) for row in rows], told(4))
    kept.close(5.0)
    assert scores(journal(tmp_path).by_key("7")) == [0.5, 2.5]
    assert scores(journal(tmp_path).by_key(str(2**62))) == [3.5]
    assert scores(journal(tmp_path).by_key("seven")) == []
    assert scores(journal(tmp_path).by_key(str(2**70))) == []


def test_a_journal_without_keys_says_so(tmp_path: Path) -> None:
    """Whoever asks for a key where there is none learns what to do."""
    kept = writer(tmp_path, spec(NAMELESS))
    kept.add(0.0, [single(row) for row in pack(NAMELESS, [{"x": 0}])], told(1))
    kept.close(5.0)
    with pytest.raises(NotFound, match="these predictions have no key"):
        list(journal(tmp_path).by_key("row 1"))


def test_releases_are_kept_apart(tmp_path: Path) -> None:
    """Each release has its own contracts and its own rows, and all of them are read together where nobody says which."""
    other = Form(name="Told", fields=(*OUTPUT.fields, Field(name="why", wire="why", kind="text")))
    first, second = writer(tmp_path), writer(tmp_path, spec(told=other), "echo@7654321")
    first.add(0.0, given("a"), told(1))
    first.close(5.0)
    rows = pack(other, [{"label": "benign", "the score": 9.0, "why": "ünknown"}])
    second.add(0.0, given("a"), frame(other, rows))
    second.close(5.0)
    kept = journal(tmp_path)
    assert sorted(scores(kept.by_key("a"))) == [0.5, 9.0]
    (one,) = kept.read(release="echo@7654321")
    assert one.outputs.why.tolist() == ["ünknown"]
    assert list(kept.read(release="echo@0000000")) == []


def test_what_there_is(day: Path) -> None:
    """So many rows of each release, from when to when, in so many files."""
    (held,) = journal(day).held()
    assert (held.header.release, held.rows, held.segments) == (RELEASE, 12, 12)
    assert (held.first_us, held.last_us) == (NOON_US, NOON_US + 11 * HOUR_US)
    assert held.size == sum(path.stat().st_size for path in day.rglob("*.journal"))
    assert journal(day / "elsewhere").held() == []


def test_taking_some(day: Path) -> None:
    """A selection keeps every column in step."""
    (one,) = journal(day).read(since_us=NOON_US + 11 * HOUR_US)
    none = one.take(np.array([False]))
    assert (none.size, none.ids, len(none.outputs)) == (0, [], 0)
