"""Files of lines, cut into shards: alike from any place on, whatever they are compressed or encoded with."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.errors import TenfoldError, UsageError
from tenfold.formats.dialect import Dialect
from tenfold.formats.lines import Csv, Lines, Ndjson
from tenfold.formats.places import find
from tenfold.formats.shards import Limits, Place, Shard

TEXT = "a,b\n" + "".join(f"{k},{'x' * (k % 7)}\n" for k in range(50))
DIRT = st.text(st.sampled_from('a,"\n\r'), max_size=80).map(str.encode)


def opened(path: Path, dialect: Dialect | None = None) -> Lines:
    """A reader of the file."""
    [file] = find([str(path)])
    return Csv(file, dialect or Dialect()) if file.kind == "csv" else Ndjson(file)


def shards(reader: Lines, limits: Limits, start: Place | None = None) -> list[Shard]:
    """All shards from a place on."""
    return list(reader.shards(start or Place(), limits))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=DIRT, rows=st.integers(1, 5), size=st.integers(4, 40))
def test_a_job_that_goes_on_cuts_as_one_that_never_stopped(tmp_path: Path, text: bytes, rows: int, size: int) -> None:
    """From the end of any shard on, the further shards are the same."""
    path = tmp_path / "x.csv"
    path.write_bytes(b"h,i\n" + text)
    limits = Limits(rows, size)
    whole = shards(opened(path), limits)
    for k, shard in enumerate(whole):
        assert shards(opened(path), limits, shard.end) == whole[k + 1 :]
    joined = b"".join(shard.content for shard in whole)
    assert joined.replace(b"\n", b"").replace(b"\r", b"") == text.replace(b"\n", b"").replace(b"\r", b"")


def _zst_file(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".zst", _zst_file)]
)
def test_compressed_files_are_cut_as_plain_ones(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    """Compression changes nothing but the size."""
    path = tmp_path / f"x.csv{suffix}"
    path.write_bytes(compress(TEXT.encode()))
    whole = shards(opened(path), Limits(7))
    assert [shard.rows for shard in whole] == [7] * 7 + [1]
    assert b"".join(shard.content for shard in whole).decode() == TEXT[4:]
    assert shards(opened(path), Limits(7), whole[3].end) == whole[4:]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig"])
def test_other_encodings_are_cut_at_the_same_rows(tmp_path: Path, encoding: str) -> None:
    """What parts rows does not depend on how the text is encoded."""
    text = TEXT.replace("x", "é")
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode(encoding))
    reader = opened(path, Dialect(encoding=encoding))
    whole = shards(reader, Limits(20))
    assert reader.columns == ("a", "b")
    assert [shard.rows for shard in whole] == [20, 20, 10]
    assert shards(opened(path, Dialect(encoding=encoding)), Limits(20), whole[0].end) == whole[1:]
    assert 0 <= reader.passed(whole[1].end) <= reader.size


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n", 1),
        (b"\n\na,b\n1,2\n", 1),
        (b"a,b\r1,2\r3,4", 2),
        (b"a,b\r\n1,2\r\n3,4", 2),
        (b'"a","two\nlines"\n1,2\n', 1),
        (b"a,b\n", 0),
        (b"a,b", 0),
    ],
)
def test_headers_as_they_are_written(tmp_path: Path, data: bytes, rows: int) -> None:
    """A mark in front, empty lines, other newlines and names with newlines are all read."""
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    reader = opened(path)
    assert reader.columns[0] == "a"
    assert sum(shard.rows for shard in shards(reader, Limits())) == rows


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        (b"", "utf-8", "no header"),
        (b"\n\n", "utf-8", "no header"),
        (b'a,"b"c\n1,2\n', "utf-8", "no header"),
        (b"a," * 2**19 + b"a\n1,2\n", "utf-8", "longer than 1,048,576 bytes"),
        ("a,b\n1,2\n".encode("utf-16"), "utf-8", "mark of utf-16"),
        ("é,b\n1,2\n".encode("latin-1"), "utf-8", "not in utf-8"),
        (b"\xef\xbb\xbfa,b\n", "latin-1", "mark of utf-8"),
    ],
)
def test_a_file_without_a_header_is_told(tmp_path: Path, data: bytes, encoding: str, said: str) -> None:
    """What cannot be read at all is one message with its mend."""
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=said) as caught:
        opened(path, Dialect(encoding=encoding))
    assert caught.value.hint


def test_a_row_larger_than_a_shard_is_a_shard(tmp_path: Path) -> None:
    """The size of a shard is a goal; a row is never cut. One without an end is told."""
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"a":1}\n{"a":"' + b"x" * 5000 + b'"}\n{"a":3}\n')
    assert [shard.rows for shard in shards(opened(path), Limits(100, 100))] == [1, 2]
    with pytest.raises(TenfoldError, match="longer than"):
        shards(opened(path), Limits(1, 1, longest=1000))


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    """A newline too many is no row, and lines are counted all the same."""
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'\xef\xbb\xbf\n{"a":1}\n\n  \n{"a":2}\n\n')
    first, second = shards(opened(path), Limits(1))
    assert (first.rows, second.rows, second.start.line, second.start.row) == (1, 1, 2, 1)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    """A download that broke off is no end of the input."""
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(TenfoldError, match="cannot be read"):
        shards(opened(path), Limits(7))
