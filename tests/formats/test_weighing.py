"""Small uploads that decode to gigabytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from tenfold.errors import TenfoldError
from tenfold.formats import weighing
from tenfold.formats.weighing import refusal, require_modest


def test_what_shares_its_values_is_weighed_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One long text that a dictionary says for many rows counts for each of them, in Parquet and in Arrow alike."""
    monkeypatch.setattr(weighing, "MOST_TOGETHER_BYTES", 2**20)
    table = pa.table({"x": [1.0] * 100, "note": pa.array(["x" * 100_000] * 100).dictionary_encode()})
    for path in (tmp_path / "x.parquet", tmp_path / "x.arrow"):
        (parquet.write_table if path.suffix == ".parquet" else feather.write_feather)(table, path)
        assert path.stat().st_size < 250_000
        assert "100 of them decode to more than 1 MiB" in refusal(path)


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([1.0, None, 3.0]), ""),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ""),
        (pa.array([[1], [2, 3], []]), ""),
        (pa.nulls(5000), "more than 4,999"),
    ],
)
def test_honest_rows_pass_and_too_many_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, column: Any, said: str
) -> None:
    """Rows count even where they take no bytes."""
    monkeypatch.setattr(weighing, "MOST_ROWS", 4999)
    path, table = tmp_path / name, pa.table({"c": column})
    (parquet.write_table if path.suffix == ".parquet" else feather.write_feather)(table, path)
    assert refusal(path) == "" if not said else said in refusal(path)


def test_memory_runs_out_in_a_process_of_its_own(tmp_path: Path) -> None:
    """A few kilobytes that say gigabytes are refused with a mend, and honest ones pass; CSV is as large as it looks."""
    note = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int8()), pa.array(["x" * 50_000_000]))
    parquet.write_table(pa.table({"note": note}), tmp_path / "bomb.parquet", compression="zstd", store_schema=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    with pytest.raises(TenfoldError, match="cannot be answered as an upload") as caught:
        require_modest(tmp_path / "bomb.parquet", os.environ)
    assert caught.value.hint
    (tmp_path / "broken.arrow").write_bytes(b"no table")
    with pytest.raises(TenfoldError, match="cannot be answered"):
        require_modest(tmp_path / "broken.arrow", os.environ)
    parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "fine.parquet")
    require_modest(tmp_path / "fine.parquet", os.environ)
    require_modest(tmp_path / "rows.csv", os.environ)
