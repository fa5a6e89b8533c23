"""Traffic as files have it: the moment of each request, or counts per second, minute or hour; as rows for each second."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import NotFound, TenfoldError, UsageError
from tenfold.journal.reader import Journal
from tenfold.server.blocks import read_rows
from tenfold.units import duration, percent

TIMES = ("timestamp", "time", "period", "datetime", "date", "ts", "arrival", "minute", "second", "hour")
COUNTS = ("count", "requests", "rows", "n", "hits", "rps")
RATE = "rps"  # of the counts, the one that is said by the second however long a period is
PERIODS_S = (1.0, 60.0, 3600.0)
FEW_GAPS = 0.05  # so many missing periods are filled in; more are no trace
LONGEST_S = 400 * 86_400
MOST_ROWS = 1e12  # in a period: more are a mistake
LAST_S = 6e10  # the year 3871: a time further away is none, and a calendar ends before floats do
SEED = 1998

Numbers = NDArray[np.float64]


class BadTrace(TenfoldError):
    """A file that is no traffic. Names the row."""

    exit_code = 3


class Trace(NamedTuple):
    """Rows that came in each second from a moment on. ``name`` says where this was read, ``remarks`` what was made of it."""

    name: str
    begins: datetime
    counts: list[float]
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> int:
        """How long it is."""
        return len(self.counts)

    def describe(self) -> str:
        """It in a line."""
        rows = sum(self.counts)
        many = f"{rows:,.0f} rows in {duration(self.seconds)} from {self.begins:%Y-%m-%d %H:%M}"
        return f"{many}; {rows / self.seconds:,.3g} rows/s, at most {max(self.counts):,.0f}"


class Columns(NamedTuple):
    """Which columns to read, "" for those that are found by their names, and the length of a period that no times tell."""

    time: str = ""
    counts: str = ""
    every_s: float = 0.0


def read_trace(path: Path, columns: Columns = Columns()) -> Trace:  # noqa: B008 -- it is frozen
    """The traffic of a .csv, .ndjson or .parquet file.

    A column of times alone has one row per request; with a column of counts, each row is a period. Counts without times
    follow each other, each for ``columns.every_s``. Rows of a period are spread over its seconds as at random moments.
    Raises ``NotFound``, ``UsageError`` for a column or a kind of file that is not there, ``BadTrace`` for what is no
    traffic.
    """
    if not path.is_file():
        raise NotFound(f"there is no file {path}", "check the path")
    table = _read(path, columns)
    if not table or not len(next(iter(table.values()))):
        raise BadTrace(f"{path.name} has no rows", "a trace has a row for each request, or for each minute")
    time, count = _roles(path, table, columns)
    counts = None if count is None else _counts(path, count, table[count])
    if time is None:
        assert counts is not None
        every_s = columns.every_s or 1.0
        counts = _by_period(count, counts, every_s)
        return _trace(path.name, datetime(1970, 1, 1, tzinfo=UTC), _spread(counts, every_s))
    moments = _moments(path, time, table[time])
    if counts is None:
        if columns.every_s:
            mend = "leave it out, or name the column of counts: --count COL"
            raise UsageError(f"--every is the length of a period, and {path.name} has a request in each row", mend)
        return of_moments(path.name, np.sort(moments))
    return _of_periods(path, moments, counts, columns.every_s, count)


def read_journal(home: Path) -> Trace:
    """The traffic that the journal of a service's folder has: what it answered, at the time of the answer."""
    batches = [found.times.astype("int64") / 1e6 for found in Journal(home, read_rows).read()]
    if not batches:
        mend = "tenfold serve keeps what is answered from now on; --trace FILE reads the traffic of another system"
        raise NotFound(f"the journal of {home.name} has no predictions", mend)
    trace = of_moments("its journal", np.sort(np.concatenate(batches)))
    return trace._replace(remarks=(*trace.remarks, "the journal has what was answered; what was refused is not in it"))


def of_moments(name: str, moments: Numbers) -> Trace:
    """A row at each of these moments, in seconds since 1970, the earliest first."""
    first = np.floor(moments[0])
    length_s = float(moments[-1] - first)
    if length_s > LONGEST_S:
        raise BadTrace(f"{name} spans {duration(length_s)}", "look for a time that is far from the others")
    counts = np.bincount((moments - first).astype(np.int64))
    return _trace(name, datetime.fromtimestamp(float(first), UTC), counts.astype(np.float64))


def _trace(name: str, begins: datetime, counts: Numbers, *remarks: str) -> Trace:
    if not counts.any():
        raise BadTrace(f"{name} has no traffic: all of its counts are 0", "choose a time at which somebody came")
    return Trace(name, begins, counts.tolist(), remarks)


# -- periods -----------------------------------------------------------------------------------------------------------


def _of_periods(path: Path, moments: Numbers, counts: Numbers, every_s: float, name: str | None) -> Trace:
    """Counts of periods of one length, of which some may be missing."""
    steps = np.diff(moments)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        same = "is there twice" if steps[row - 1] == 0 else "comes before the row above it"
        raise BadTrace(f"{path.name}, row {row + 1}: {_at(moments[row])} {same}", "sort by time, one row for each")
    if not len(steps) and not every_s:
        raise BadTrace(f"{path.name} has a single period, of no known length", 'add --every "1 min"')
    step_s = every_s or Counter(steps.tolist()).most_common(1)[0][0]
    places = np.rint((moments - moments[0]) / step_s).astype(np.int64)
    if (np.abs(moments - moments[0] - places * step_s) > 0.01 * step_s).any():
        raise BadTrace(f"{path.name} has periods of different lengths", "count by the minute, or give the times alone")
    total = int(places[-1]) + 1
    if total * step_s > LONGEST_S:
        raise BadTrace(f"{path.name} spans {duration(total * step_s)}", "look for a time that is far from the others")
    remarks = _gaps(path, moments, total, step_s)
    filled = np.interp(np.arange(total), places, _by_period(name, counts, step_s)).round()
    begins = datetime.fromtimestamp(float(moments[0]), UTC)
    return _trace(path.name, begins, _spread(filled, step_s), *remarks)


def _gaps(path: Path, moments: Numbers, total: int, step_s: float) -> list[str]:
    """What is said of missing periods. ``BadTrace`` where they are too many to be guessed."""
    missing = total - len(moments)
    if not missing:
        return []
    longest = int(np.argmax(np.diff(moments)))
    where = f"nothing between {_at(moments[longest])} and {_at(moments[longest + 1])}"
    said = f"{missing:,} of {total:,} periods of {duration(step_s)} are missing"
    if missing > FEW_GAPS * total:
        mend = "write a 0 for a time at which nothing came, or cut the trace there"
        raise BadTrace(f"{path.name} has gaps: {said}, {percent(round(missing / total, 3))}; {where}", mend)
    return [f"{said}, such as {where}; filled in from those before and after"]


def _by_period(name: str | None, counts: Numbers, every_s: float) -> Numbers:
    """Rows of each period, where the column may say rows per second."""
    is_rate = name is not None and name.strip().lower() == RATE
    return counts * every_s if is_rate else counts


def _spread(counts: Numbers, every_s: float) -> Numbers:
    """Counts of periods as counts of seconds: each row at a random moment of its period, as a Poisson process has them."""
    if every_s < 1:
        per_second = round(1 / every_s)
        return np.add.reduceat(counts, np.arange(0, len(counts), per_second))
    if every_s == 1:
        return counts
    seconds = round(every_s)
    if len(counts) * every_s > LONGEST_S:
        raise BadTrace(f"the trace spans {duration(len(counts) * every_s)}", "cut it to the time of interest")
    random = np.random.default_rng(SEED)
    return random.multinomial(counts.astype(np.int64), [1 / seconds] * seconds).reshape(-1).astype(np.float64)


def _at(moment: float) -> str:
    return f"{datetime.fromtimestamp(float(moment), UTC):%Y-%m-%d %H:%M:%S}"


# -- columns -----------------------------------------------------------------------------------------------------------


def _roles(path: Path, table: dict[str, Sequence[Any]], asked: Columns) -> tuple[str | None, str | None]:
    """The column of times and that of counts; one of them is there."""
    for name in (asked.time, asked.counts):
        if name and name not in table:
            raise UsageError(f"{path.name} has no column {name!r}", f"its columns are {', '.join(table)}")
    by_name = {name.strip().lower(): name for name in reversed(table)}
    time = asked.time or next((by_name[known] for known in TIMES if known in by_name), None)
    count = asked.counts or next((by_name[known] for known in COUNTS if known in by_name), None)
    if time is None and count is None:
        only = next(iter(table)) if len(table) == 1 else None
        if only is None or not asked.every_s:
            columns = ", ".join(table)
            raise UsageError(f"which column of {path.name} has the times is unclear: {columns}", "add --time COL")
        count = only
    if time is None and not asked.every_s:
        raise UsageError(f"{path.name} has counts and no times", 'add --every "1 s", or "1 min"')
    return time, count


def _counts(path: Path, name: str, values: Sequence[Any]) -> Numbers:
    """Counts as numbers, none of them below 0."""
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError, OverflowError):
            numbers[row] = np.nan
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadTrace(f"{path.name}, row {row + 1}: {name} is {values[row]!r}, and no count", "mend the file")
    if (numbers < 0).any():
        row = int(np.argmax(numbers < 0))
        raise BadTrace(f"{path.name}, row {row + 1}: {name} is {numbers[row]:g}, below 0", "a count is 0 or more")
    if (numbers > MOST_ROWS).any():
        row = int(np.argmax(numbers > MOST_ROWS))
        raise BadTrace(f"{path.name}, row {row + 1}: {name} is {numbers[row]:g}, beyond {MOST_ROWS:g}", "mend the file")
    return numbers


def _moments(path: Path, name: str, values: Sequence[Any]) -> Numbers:
    """Times in seconds since 1970: ISO 8601, in UTC where no zone is said, or numbers of s, ms, µs or ns."""
    moments = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            moments[row] = _moment(value)
        except (TypeError, ValueError, OverflowError):
            mend = "write 2026-11-23T12:00:00Z, or seconds since 1970"
            raise BadTrace(f"{path.name}, row {row + 1}: {name} is {value!r}, and no time", mend) from None
    return moments


def _moment(value: Any) -> float:
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            value = datetime.fromisoformat(text)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    number = float(value)
    size = abs(number)
    moment = number / (1e9 if size > 1e17 else 1e6 if size > 1e14 else 1e3 if size > 1e11 else 1.0)
    if not abs(moment) < LAST_S:
        raise ValueError
    return moment


# -- files -------------------------------------------------------------------------------------------------------------


def _read(path: Path, asked: Columns) -> dict[str, Sequence[Any]]:
    """The columns of a file by name."""
    match path.suffix.lower():
        case ".parquet" | ".pq":
            return _parquet(path, asked)
        case ".ndjson" | ".jsonl":
            return _of_dicts(path)
        case ".csv" | ".tsv" | ".txt":
            return _csv(path)
    raise UsageError(f"{path.name} is of no kind that is read here", "name it .csv, .ndjson or .parquet")


def _csv(path: Path) -> dict[str, Sequence[Any]]:
    """A CSV file; one without a header is a column of times, or of times and counts."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            tab = path.suffix.lower() == ".tsv"
            lines = [line for line in csv.reader(file, delimiter="\t" if tab else ",") if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTrace(f"{path.name} is no text in UTF-8 with commas: {error}", "write it anew as UTF-8") from None
    if not lines:
        return {}
    header, *rows = lines
    if len(header) == 1 and ";" in header[0]:
        raise BadTrace(f"{path.name} has its columns between semicolons", "write it with commas, or as .tsv with tabs")
    if _is_row(header[0]):
        header, rows = ["time", "count"][: len(header)] if len(header) <= 2 else header, lines
    wide = len(header)
    odd = next((number for number, row in enumerate(rows) if len(row) < wide or any(row[wide:])), None)
    if odd is not None:
        raise BadTrace(f"{path.name}, row {odd + 1} has {len(rows[odd])} columns, and not {wide}", "mend the file")
    return dict(zip(header, zip(*rows, strict=False), strict=False)) if rows else {}


def _is_row(text: str) -> bool:
    """Whether it is a time rather than the name of a column."""
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _of_dicts(path: Path) -> dict[str, Sequence[Any]]:
    columns: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        for number, line in enumerate(filter(bytes.strip, file)):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, (int, float, str)):
                row = {"time": row}
            if not isinstance(row, dict):
                raise BadTrace(f"{path.name}, row {number + 1} is no JSON object", "one object on each line")
            _append(path, columns, row, number)
    return dict(columns)


def _append(path: Path, columns: dict[str, list[Any]], row: dict[str, Any], number: int) -> None:
    if not number:
        columns.update({name: [] for name in row})
    for name, values in columns.items():
        if name not in row:
            raise BadTrace(f"{path.name}, row {number + 1} has no {name!r}", "each row has the same fields")
        values.append(row[name])


def _parquet(path: Path, asked: Columns) -> dict[str, Sequence[Any]]:
    try:
        parquet, arrow = import_module("pyarrow.parquet"), import_module("pyarrow")
    except ImportError:
        raise UsageError("reading .parquet needs pyarrow", "pip install 'tenfold[batch]'") from None
    try:
        file = parquet.ParquetFile(path)
        known = {*TIMES, *COUNTS, asked.time.lower(), asked.counts.lower()}
        names = [name for name in file.schema_arrow.names if name.lower() in known]
        table = file.read(names or None)
        return {name: column.to_pylist() for name, column in zip(table.column_names, table.columns, strict=True)}
    except arrow.ArrowException as error:
        raise BadTrace(f"{path.name} is no Parquet file: {error}", "check the file") from None
