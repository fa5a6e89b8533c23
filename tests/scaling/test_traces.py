"""Traffic as files have it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.control.simulate_trace import BadTrace, Columns, read_trace
from tenfold.errors import NotFound, TenfoldError, UsageError


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "timestamp,tokens\n2026-07-01 08:00:00.5,7\n2026-07-01 08:00:02.1,9\n2026-07-01 08:00:00.9,9\n"),
        ("b.csv", "1782892800.5\n1782892800.9\n1782892802.1\n"),
        ("c.csv", "ts\n1782892800500\n1782892800900\n1782892802100\n"),
        ("d.ndjson", '{"time": "2026-07-01T08:00:00.5Z"}\n{"time": "2026-07-01T10:00:00.9+02:00"}\n'
         '{"time": 1782892802.1}\n'),
        ("e.csv", "second,count\n2026-07-01 08:00:00,2\n2026-07-01 08:00:01,0\n2026-07-01 08:00:02,1\n"),
    ],
)  # fmt: skip
def test_one_traffic_is_read_from_many_kinds_of_file(tmp_path: Path, name: str, text: str) -> None:
    """Times of requests, in any order, unit and zone, and counts by the second, are the same traffic."""
    trace = read_trace(written(tmp_path, text, name))
    assert trace.counts == [2.0, 0.0, 1.0]
    assert trace.begins == datetime(2026, 7, 1, 8, tzinfo=UTC)


def test_parquet_is_read_too(tmp_path: Path) -> None:
    """Columns that are neither time nor count are not even read."""
    times = [datetime(2026, 7, 1, 8, 0, second) for second in (0, 1, 2)]
    pq.write_table(pa.table({"period": times, "requests": [5, 0, 6], "who": ["a", "b", "c"]}), tmp_path / "t.parquet")
    assert read_trace(tmp_path / "t.parquet").counts == [5.0, 0.0, 6.0]


def test_minutes_are_spread_over_their_seconds(tmp_path: Path) -> None:
    """Every row of a minute is in that minute, and the same file gives the same seconds."""
    path = written(tmp_path, "minute,count\n2026-07-01 08:00,600\n2026-07-01 08:01,0\n2026-07-01 08:02,60\n")
    counts = read_trace(path).counts
    assert [sum(counts[at : at + 60]) for at in (0, 60, 120)] == [600, 0, 60]
    assert max(counts[:60]) < 40
    assert read_trace(path).counts == counts


def test_counts_alone_need_the_length_of_their_period(tmp_path: Path) -> None:
    """Nobody guesses whether a line is a second or a minute."""
    path = written(tmp_path, "hits\n60\n120\n")
    with pytest.raises(UsageError, match="counts and no times") as raised:
        read_trace(path)
    assert "--every" in raised.value.hint
    assert sum(read_trace(path, Columns(every_s=60.0)).counts[60:]) == 120


def test_rows_a_second_are_no_counts_of_a_minute(tmp_path: Path) -> None:
    """A column rps says the same for every length of period: a minute at 2 rps has 120 rows."""
    with_times = written(tmp_path, "time,rps\n2026-07-01 08:00,2\n2026-07-01 08:01,0.5\n")
    assert [sum(read_trace(with_times).counts[at : at + 60]) for at in (0, 60)] == [120, 30]
    alone = written(tmp_path, "rps\n2\n0.5\n", "alone.csv")
    assert sum(read_trace(alone, Columns(every_s=60.0)).counts) == 150


def test_a_length_of_period_is_for_counts(tmp_path: Path) -> None:
    """Where each row is a request there is no period, and --every is not passed over in silence."""
    with pytest.raises(UsageError, match=r"trace\.csv has a request in each row"):
        read_trace(written(tmp_path, "time\n2026-07-01 08:00\n"), Columns(every_s=60.0))


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    """Editors leave them behind."""
    path = written(tmp_path, '{"second": 1782892800, "count": 2}\n\n{"second": 1782892801, "count": 3}\n\n', "a.ndjson")
    assert read_trace(path).counts == [2.0, 3.0]


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    """A file whose columns have their own names is read by those."""
    path = written(tmp_path, "wann,wieviele\n2026-07-01 08:00:00,3\n2026-07-01 08:00:01,4\n")
    with pytest.raises(UsageError, match=r"which column of trace\.csv has the times is unclear: wann, wieviele"):
        read_trace(path)
    assert read_trace(path, Columns("wann", "wieviele")).counts == [3.0, 4.0]
    with pytest.raises(UsageError, match="has no column 'when'"):
        read_trace(path, Columns("when"))


def test_a_small_gap_is_filled_in_and_said(tmp_path: Path) -> None:
    """One missing minute of many is guessed from its neighbours, and the report says so."""
    lines = [f"2026-07-01 08:{minute:02}:00,60" for minute in range(60) if minute != 30]
    trace = read_trace(written(tmp_path, "\n".join(["time,count", *lines])))
    assert sum(trace.counts) == 3600
    assert "1 of 60 periods of 1 min are missing" in trace.remarks[0]
    assert "between 2026-07-01 08:29:00 and 2026-07-01 08:31:00" in trace.remarks[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no rows"),
        ("time,count\n", "has no rows"),
        ("time,count\n2026-07-01 08:00:00,5\n2026-07-01 08:00:01,-3\n", r"row 2: count is -3, below 0"),
        ("time,count\n2026-07-01 08:00:00,many\n2026-07-01 08:00:01,1\n", "row 1: count is 'many', and no count"),
        ("time,count\n2026-07-01 08:00:00,nan\n2026-07-01 08:00:01,1\n", "row 1: count is 'nan', and no count"),
        ("time\nyesterday\n", "row 1: time is 'yesterday', and no time"),
        ("time,count\n2026-07-01 08:00:01,1\n2026-07-01 08:00:01,1\n", "row 2: .* is there twice"),
        ("time,count\n2026-07-01 08:00:01,1\n2026-07-01 08:00:00,1\n", "row 2: .* comes before the row above it"),
        ("time,count\n2026-07-01 08:00:00,0\n2026-07-01 08:00:01,0\n", "no traffic: all of its counts are 0"),
        (
            "time,count\n2026-07-01 08:00:00,1\n2026-07-01 08:01:00,1\n2026-07-01 08:02:00,1\n2026-07-01 08:09:00,1\n",
            r"has gaps: 6 of 10 periods of 1 min are missing, 60 %; nothing between 2026-07-01 08:02:00 and",
        ),
        ("time,count\n2026-07-01 08:00:00,1\n", "a single period, of no known length"),
        ("time,count\n2026-07-01 08:00:00\n", "row 1 has 1 columns, and not 2"),
        ("time,count\n2026-07-01 08:00:00,1,000\n", "row 1 has 3 columns, and not 2"),
        ("time;count\n2026-07-01 08:00:00;1\n", "has its columns between semicolons"),
        ("time\n2026-07-01\n1970-01-01\n", "look for a time that is far from the others"),
    ],
)
def test_what_is_no_traffic_is_said_with_its_row(tmp_path: Path, text: str, fault: str) -> None:
    """A bad trace is refused with the row and the mend, and never replayed as something else."""
    with pytest.raises(BadTrace) as raised:
        read_trace(written(tmp_path, text))
    assert re.search(fault, str(raised.value))
    assert raised.value.hint


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [("missing.csv", None, NotFound), ("trace.xlsx", "x", UsageError), ("bad.ndjson", "[1]\n", BadTrace),
     ("bad.parquet", "no parquet", BadTrace), ("odd.ndjson", '{"time": 1}\n{"at": 2}\n', BadTrace)],
)  # fmt: skip
def test_files_that_cannot_be_read_are_errors(
    tmp_path: Path, name: str, text: str | None, error: type[TenfoldError]
) -> None:
    """Each says what is wrong with it."""
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(error):
        read_trace(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"minute,count\n2026-07-01 08:00,1e300\n2026-07-01 08:01,5\n", "row 1: count is 1e+300, beyond 1e+12"),
        (b"time\n1e308\n1e308\n", "row 1: time is '1e308', and no time"),
        (b"minute,count\n2026-07-01 08:00,1\xff\n", "is no text in UTF-8"),
        (b"time,count\n0,1\n0.000001,1\n9999999,1\n", "has gaps"),
    ],
)
def test_figures_that_nobody_counted_are_refused(tmp_path: Path, text: bytes, words: str) -> None:
    """Numbers beyond all bounds and other encodings are told with the row."""
    (tmp_path / "odd.csv").write_bytes(text)
    with pytest.raises(BadTrace) as raised:
        read_trace(tmp_path / "odd.csv")
    assert words in raised.value.message
