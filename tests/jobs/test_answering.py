"""A shard answered: as online, and with every row accounted for."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tenfold.formats.batches import Content, Reading, unpack
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Layout, pack
from tenfold.jobs import answering
from tenfold.jobs.answering import Answered, Answering, Order, block_rows
from tenfold.jobs.tasks import Setup
from tenfold.pipeline import Failure, Pipeline
from tenfold.scaffold.served import Served
from tenfold.service import Service, find, spec
from tenfold.validation import block
from tests.jobs.making import rows, service

KEEP = ["code", "note"]
SETUP = Setup("job", "id", KEEP, Dialect(), "parquet")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The service, in this process."""
    return find(service(tmp_path_factory.mktemp("jobs") / "doubled")).start()


@pytest.fixture
def failures() -> list[Failure]:
    """What the service's own code raised."""
    return []


@pytest.fixture
def answers(started: Service, failures: list[Failure]) -> Answering:
    """What answers shards with it."""
    pipeline = Pipeline(started, report=failures.append)
    return Answering(pipeline, spec(started), Reading(pipeline.form, KEEP, Dialect()), SETUP)


def shard(started: Service, table: Any) -> Content:
    """A table as a worker gets it."""
    packed = io.BytesIO()
    pack(table, packed)
    return unpack(packed.getvalue(), Layout("table"), Reading(started.input.form, KEEP, Dialect()))


def order(**without: str) -> Order:
    """A shard that begins at row 1,000 of the input and row 100 of its file."""
    return Order("x.parquet", 100, 1000, 0, {int(row.removeprefix("r")): why for row, why in without.items()})


def told(done: Answered) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The answers, and the rows that were put aside."""
    made: list[dict[str, Any]] = parquet.read_table(io.BytesIO(done.answers)).to_pylist()
    return made, [json.loads(line) for line in done.aside.splitlines()]


def test_every_row_is_answered_or_put_aside(started: Service, answers: Answering) -> None:
    """Good rows have answers beside what was kept, changes and flags; bad ones their reasons."""
    table = rows(8, x={1: 500.0, 2: 95.0}, y={3: None}, z={4: -1.0}, odd={5: -5}, far={6: 11.0})
    made, aside = told(answers.answer(shard(started, table), order()))
    assert [row["id"] for row in made] == ["job/1000", "job/1002", "job/1003", "job/1004", "job/1005", "job/1007"]
    assert [row["code"] for row in made] == ["c0", "c2", "c3", "c4", "c5", "c7"]
    assert made[0] == {
        "id": "job/1000",
        "code": "c0",
        "note": "note 0",
        "value": 1.0,
        "size": "small",
        "together": 5,
        "changes": None,
        "flags": None,
        "fallback": None,
    }
    assert made[1]["flags"] == [{"pointer": None, "code": "rule:x_is_less_than_ninety"}]
    assert made[2]["changes"] == [{"pointer": "/y", "action": "impute", "code": "missing", "value": "1.5"}]
    assert made[3]["changes"] == [{"pointer": "/z", "action": "clamp", "code": "out_of_range", "value": "0.0"}]
    assert (made[4]["fallback"], made[4]["value"], made[4]["together"]) == ("out_of_range", 0.0, 0)
    assert [(row["row"], row["reasons"][0]["code"]) for row in aside] == [(101, "out_of_range"), (106, "out_of_range")]
    assert aside[0]["reasons"][0]["pointer"] == "/the x"
    assert aside[1]["reasons"][0]["pointer"] == "/far"


def test_the_counts_are_those_of_the_rows(started: Service, answers: Answering) -> None:
    """Rows are answered plus put aside, and bad ones count by their first reason."""
    table = rows(8, x={1: 500.0, 2: 95.0}, y={3: None}, odd={5: -5}, far={6: 11.0})
    counts = answers.answer(shard(started, table), order()).counts()
    assert counts | {"digest": "", "aside": "", "sample": ""} == {
        "rows": 8,
        "answered": 6,
        "quarantined": 2,
        "changed": 1,
        "flagged": 1,
        "fallbacks": 1,
        "codes": {"out_of_range": 2},
        "digest": "",
        "aside": "",
        "sample": "",
    }


def test_private_values_are_not_put_aside(started: Service, answers: Answering) -> None:
    """What is never recorded is not recorded because its row is bad."""
    _, [aside] = told(answers.answer(shard(started, rows(3, x={1: 500.0})), order()))
    assert aside["data"]["code"] == "c1"
    assert "name" not in aside["data"]
    assert "secret" not in json.dumps(aside)


def test_rows_are_answered_as_online(started: Service, answers: Answering) -> None:
    """The typed rows of a file are bit for bit those of a request, and so is what is said of them."""
    table = rows(60, x={1: 500.0, 2: 95.0}, y={3: None}, z={4: -1.0}, odd={5: -5}, far={6: 11.0}).drop_columns(["note"])
    online = Served(started)
    bodies = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    checked = online.check(json.dumps(bodies).encode())
    expected = online.answer(checked)
    batch = shard(started, table.append_column("note", pa.array([""] * 60))).batch(range(60))
    found = block.check(started.input.form, batch.data)
    for column in found.rows.layout.columns:
        assert np.array_equal(found.rows[column.name], checked.rows[column.name]), column.name
    made, aside = told(answers.answer(shard(started, table.append_column("note", pa.array([""] * 60))), order()))
    by_row = {int(row["id"].split("/")[1]) - 1000: row for row in made}
    for row, value in zip(expected.index.tolist(), expected.outputs["value"].tolist(), strict=True):
        assert by_row[row]["value"] == value
    assert {row["row"] - 100 for row in aside} == {violation.row for violation in expected.violations}
    assert sorted(row for row, one in by_row.items() if one["changes"]) == [change.row for change in expected.changes]
    assert sorted(row for row, one in by_row.items() if one["fallback"]) == sorted(expected.fallbacks)


def test_one_bad_row_among_many_costs_itself(started: Service, answers: Answering, failures: list[Failure]) -> None:
    """A row on which the model raises is found among thousands, and put aside with the reason."""
    table = rows(5000, x={4321: 88.0})
    done = answers.answer(shard(started, table), order())
    _, [aside] = told(done)
    assert (done.answered, done.quarantined) == (4999, 1)
    assert (aside["row"], aside["reasons"][0]["code"]) == (4421, "model_failed")
    assert isinstance(failures[0].error, ValueError)


def test_what_was_amiss_for_a_moment_costs_nothing(
    started: Service, answers: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that fail are tried once more; if that helps, the whole block is answered as it would have been."""
    expected = answers.answer(shard(started, rows(50)), order())
    calls = 0
    real = started.preprocess

    def flaky(given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 8:
            raise ConnectionError("the feature store is away")
        return real(given)

    monkeypatch.setattr(started, "preprocess", flaky)
    monkeypatch.setattr(answers._pipeline, "service", started)
    found = answers.answer(shard(started, rows(50)), order())
    assert (found.answers, found.quarantined) == (expected.answers, 0)


def test_rows_that_killed_are_left_out_and_told(started: Service, answers: Answering) -> None:
    """The others are answered together, and the guilty one says how the process ended."""
    done = answers.answer(shard(started, rows(5, x={2: 66.0})), order(r2="signal SIGKILL"))
    made, [aside] = told(done)
    assert [row["together"] for row in made] == [4] * 4
    assert aside["reasons"] == [{"pointer": "", "code": "quarantined", "detail": "signal SIGKILL"}]


def test_blocks_do_not_show(
    started: Service, answers: Answering, failures: list[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a shard is cut for the pipeline, its rows, their ids and reasons are the same."""
    table = rows(50, x={7: 500.0, 31: 95.0}, y={3: None}, odd={22: -1})
    whole, aside = told(answers.answer(shard(started, table), order()))
    answers._size = 8
    parts, aside_in_parts = told(answers.answer(shard(started, table), order()))
    for row in (*whole, *parts):
        del row["together"]
    assert (parts, aside_in_parts) == (whole, aside)


def test_a_shard_without_rows_has_columns(started: Service, answers: Answering) -> None:
    """An empty input has an empty answer, of the same types."""
    done = answers.answer(shard(started, rows(1).slice(0, 0)), order())
    full = answers.answer(shard(started, rows(2, y={1: None})), order())
    schemas = [parquet.read_schema(io.BytesIO(one.answers)) for one in (done, full)]
    assert (done.rows, schemas[0]) == (0, schemas[1])


def test_a_dry_run_says_what_would_be_answered(started: Service, answers: Answering) -> None:
    """Every row is validated, and none is answered."""
    table = rows(8, x={1: 500.0, 2: 95.0, 7: 66.0}, y={3: None}, odd={5: -5}, far={6: 11.0})
    done = answers.check(shard(started, table), order())
    assert (done.answered, done.quarantined, done.changed, done.flagged, done.fallbacks) == (6, 2, 1, 1, 1)
    assert done.answers == b""


def test_blocks_hold_what_memory_allows(started: Service) -> None:
    """Wide rows and pictures go through the pipeline few at a time."""
    from typing import Annotated

    from tenfold import Contract, Image, Tensor

    class Picture(Contract):
        picture: Annotated[Any, Image(size=(1024, 1024), dtype="float32", range=(0.0, 1.0))]

    class Unsized(Contract):
        picture: Annotated[Any, Image()]

    class Wide(Contract):
        signal: Annotated[Any, Tensor((100_000,), "float64")]

    assert block_rows(started.input.form) == answering.BLOCK_ROWS
    assert [block_rows(each.form) for each in (Picture, Unsized, Wide)] == [2, 8, 41]
