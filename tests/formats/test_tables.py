"""Columns of answers, written; and the same rows through every format."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tenfold import Contract, Key, Tensor, Timezone
from tenfold.formats.batches import JSON, Reading, unpack
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import open_files
from tenfold.formats.places import find
from tenfold.formats.shards import Limits, Place, pack
from tenfold.formats.tables import Columns, write
from tenfold.rows import Rows
from tenfold.validation import block


class Inner(Contract):
    city: str


class Everything(Contract):
    code: Annotated[str, Key()]
    price: float | None
    count: int | None
    sold: bool | None
    colour: Literal["red", "blue"] | None
    sides: Literal[2, 4] | None
    day: date | None
    at: Annotated[datetime, Timezone(None)] | None
    moment: datetime | None
    tags: list[str] | None
    days: list[date] | None
    grid: Annotated[Any, Tensor((2, 2), "float32")]
    ragged: Annotated[Any, Tensor((-1,), "int64")] | None
    place: Inner | None


FULL = {
    "code": "007",
    "price": 0.1,
    "count": 2**60 + 1,
    "sold": True,
    "colour": "blue",
    "sides": 4,
    "day": "2026-01-15",
    "at": "2026-01-15T10:00:00",
    "moment": "2026-01-15T10:00:00Z",
    "tags": ["a", "é"],
    "days": ["2026-01-15"],
    "grid": [[1, 2], [3, 4]],
    "ragged": [1, 2, 3],
    "place": {"city": "Ulm"},
}
EMPTY = {"code": "x", "grid": [[0, 0], [0, 0]]}


def table() -> Any:
    """A full row and an empty one, as columns."""
    return pa.table(Columns(Everything.form)(Everything.read([FULL, EMPTY])))


def test_types_depend_on_the_contract_alone() -> None:
    """All parts of an output can be read as one, whether their rows are full, empty or none."""
    columns = Columns(Everything.form)
    schemas = [pa.table(columns(Everything.read(rows))).schema for rows in ([FULL], [EMPTY], [])]
    assert schemas[0] == schemas[1] == schemas[2]


def test_parquet_has_every_value() -> None:
    """What is written is what is read, and what is missing is null."""
    full, empty = parquet.read_table(io.BytesIO(write(table(), "parquet"))).to_pylist()
    assert full == {
        "code": "007",
        "price": 0.1,
        "count": 2**60 + 1,
        "sold": True,
        "colour": "blue",
        "sides": 4,
        "day": date(2026, 1, 15),
        "at": datetime(2026, 1, 15, 10),
        "moment": datetime(2026, 1, 15, 10, tzinfo=UTC),
        "tags": ["a", "é"],
        "days": [date(2026, 1, 15)],
        "grid": [[1.0, 2.0], [3.0, 4.0]],
        "ragged": [1, 2, 3],
        "place.city": "Ulm",
    }
    assert {name for name, value in empty.items() if value is not None} == {"code", "grid"}


def test_csv_and_ndjson_say_the_same() -> None:
    """Lists are JSON in a cell, and nothing is an empty cell or null."""
    lines = [json.loads(line) for line in write(table(), "ndjson").splitlines()]
    assert lines[0]["grid"] == [[1.0, 2.0], [3.0, 4.0]]
    assert lines[0]["moment"] == "2026-01-15T10:00:00Z"
    assert lines[1]["price"] is None
    read = csv.read_csv(
        io.BytesIO(write(table(), "csv")),
        convert_options=csv.ConvertOptions(column_types={"code": pa.string()}, strings_can_be_null=True),
    ).to_pylist()
    assert read[0]["code"] == "007"
    assert json.loads(read[0]["tags"]) == ["a", "é"]
    assert read[1]["colour"] is None


def test_the_same_table_gives_the_same_bytes() -> None:
    """Outputs can be compared byte by byte."""
    for kind in ("parquet", "csv", "ndjson"):
        assert write(table(), kind) == write(table(), kind)


def test_kept_json_is_text_in_tables_and_itself_in_json() -> None:
    """A kept value of NDJSON goes on as it was."""
    field = pa.field("note", pa.string(), metadata=JSON)
    kept = pa.table([pa.array(['"abc"', '{"a":1}', "7", None])], schema=pa.schema([field]))
    cells = [row.as_py() for row in csv.read_csv(io.BytesIO(b"note\nx\n" + write(kept, "csv")[7:])).column(0)]
    assert cells[1:] == ["abc", '{"a":1}', "7"]
    assert [json.loads(line)["note"] for line in write(kept, "ndjson").splitlines()] == ["abc", {"a": 1}, 7, None]


def as_file(folder: Path, kind: str) -> Path:
    """The two rows in a file of some kind."""
    path = folder / f"rows.{kind}"
    match kind:
        case "ndjson":
            path.write_text(json.dumps(FULL) + "\n" + json.dumps(EMPTY) + "\n", "utf-8")
        case "csv":
            path.write_bytes(write(table(), "csv"))
        case "parquet":
            parquet.write_table(table(), path)
        case _:
            with pa.ipc.new_file(str(path), table().schema) as file:
                file.write_table(table())
    return path


def rows_of(path: Path) -> Rows:
    """The rows of a file, validated."""
    [reader] = open_files(find([str(path)]), Everything.form, Dialect(), [])
    [shard] = reader.shards(Place(), Limits())
    packed = io.BytesIO()
    pack(shard.content, packed)
    content = unpack(packed.getvalue(), reader.layout, Reading(Everything.form, (), Dialect()))
    checked = block.check(Everything.form, content.batch(range(content.rows)).data)
    assert list(checked.violations) == []
    return checked.rows


@pytest.mark.parametrize("kind", ["ndjson", "csv", "parquet", "arrow"])
def test_the_same_rows_are_the_same_bits_in_every_format(tmp_path: Path, kind: str) -> None:
    """A row means the same, whatever file it comes in."""
    expected, found = Everything.read([FULL, EMPTY]), rows_of(as_file(tmp_path, kind))
    for column in expected.layout.columns:
        name = column.name
        assert found.missing(name).tolist() == expected.missing(name).tolist(), name
        for k in range(2):
            if not expected.missing(name)[k]:
                assert np.array_equal(found[name][k], expected[name][k]), name
