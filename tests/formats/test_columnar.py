"""Parquet and Arrow files, cut into shards; and what of them is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from tenfold.errors import TenfoldError
from tenfold.formats.columnar import Arrow, Columnar, Parquet
from tenfold.formats.places import find
from tenfold.formats.shards import Limits, Place

TABLE = pa.table({"a": range(50), "b": [f"b{k}" for k in range(50)], "c": [{"d": k} for k in range(50)]})


def write(path: Path, table: Any = TABLE) -> Path:
    """The table in the format of the suffix, in pieces of 8 rows."""
    match path.suffix:
        case ".parquet":
            parquet.write_table(table, path, row_group_size=8)
        case ".feather":
            feather.write_feather(table, str(path), chunksize=8)
        case _:
            with pa.ipc.new_stream(str(path), table.schema) as stream:
                stream.write_table(table, max_chunksize=8)
    return path


def opened(path: Path, names: Sequence[str] = ("a", "b", "c")) -> Columnar:
    """A reader of some columns."""
    [file] = find([str(path)])
    make = Parquet if file.kind == "parquet" else Arrow
    return make(file, lambda columns: [name for name in columns if name in names])


KINDS = ["x.parquet", "x.feather", "x.arrows"]


@pytest.mark.parametrize("name", KINDS)
def test_shards_are_the_same_from_any_place_on(tmp_path: Path, name: str) -> None:
    """A job that goes on reads what it has not read, wherever the file's own pieces end."""
    reader = opened(write(tmp_path / name))
    assert (reader.rows, reader.size, list(reader.columns)) == (50, 50, ["a", "b", "c"])
    whole = list(reader.shards(Place(), Limits(7)))
    assert [shard.rows for shard in whole] == [7] * 7 + [1]
    assert pa.concat_tables(shard.content for shard in whole).to_pylist() == TABLE.to_pylist()
    for k, shard in enumerate(whole):
        rest = list(opened(tmp_path / name).shards(shard.end, Limits(7)))
        assert [one.content.to_pylist() for one in rest] == [one.content.to_pylist() for one in whole[k + 1 :]]
        assert [one.start for one in rest] == [one.start for one in whole[k + 1 :]]


@pytest.mark.parametrize("name", KINDS)
def test_only_what_is_wanted_is_read(tmp_path: Path, name: str) -> None:
    """A wide file costs what the contract's columns cost."""
    reader = opened(write(tmp_path / name), ["b"])
    assert [shard.content.column_names for shard in reader.shards(Place(), Limits())] == [["b"]]
    assert reader.nothing().schema.names == ["b"]


@pytest.mark.parametrize("name", KINDS)
def test_wide_rows_make_small_shards(tmp_path: Path, name: str) -> None:
    """A shard is bounded in bytes, so that memory is; by those in memory, however well they are packed."""
    table = pa.table({"a": [b"x" * 10_000] * 40})
    shards = list(opened(write(tmp_path / name, table)).shards(Place(), Limits(1000, 100_000)))
    assert [shard.rows for shard in shards] == [9] * 4 + [4]


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_file_has_no_shards(tmp_path: Path, name: str) -> None:
    """No rows are no fault."""
    reader = opened(write(tmp_path / name, TABLE.slice(0, 0)))
    assert list(reader.shards(Place(), Limits())) == []
    assert reader.nothing().num_rows == 0


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("left", [0, 10, 300])
def test_a_truncated_file_is_told_at_once(tmp_path: Path, name: str, left: int) -> None:
    """A file that broke off is one message with its mend, before anything is answered."""
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(TenfoldError, match="cannot be read") as caught:
        opened(path)
    assert caught.value.hint


def test_damage_within_is_told_where_it_is(tmp_path: Path) -> None:
    """A damaged page is found when it is read, and the rows before it are answered."""
    path = write(tmp_path / "x.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = b"\xff" * 200
    path.write_bytes(data)
    with pytest.raises(TenfoldError, match=r"x\.parquet, from row \d+ on, cannot be read"):
        list(opened(path).shards(Place(), Limits(7)))
