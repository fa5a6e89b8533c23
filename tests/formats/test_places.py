"""Which files are meant, and whether they are still the same."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.errors import NotFound, TenfoldError, UsageError
from tenfold.formats import places
from tenfold.formats.places import File, find, fingerprint, is_sampled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some files, and files beside them that nobody means."""
    for name in ("b.csv", "a.csv.gz", "sub/c.tsv", ".hidden.csv", "_old/d.csv", "notes.txt", "quarantine/e.ndjson"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"x\n{name}\n")
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["b.csv"], ["b.csv"]),
        (["."], ["a.csv.gz", "b.csv", "sub/c.tsv"]),
        (["*.csv*"], ["a.csv.gz", "b.csv"]),
        (["**/*.?sv"], ["_old/d.csv", "b.csv", "sub/c.tsv"]),
        (["b.csv", "a.csv.gz"], ["b.csv", "a.csv.gz"]),
        (["su*"], ["sub/c.tsv"]),
    ],
)
def test_names_globs_and_folders_mean_files(folder: Path, inputs: list[str], expected: list[str]) -> None:
    """The order is that of the inputs, and within each that of the names: the same every time."""
    assert [file.name for file in find(inputs)] == expected


def test_an_existing_path_beats_a_glob(folder: Path) -> None:
    """A file may be called what looks like a glob."""
    (folder / "x[1].csv").write_text("x\n")
    assert [file.name for file in find(["x[1].csv"])] == ["x[1].csv"]


@pytest.mark.parametrize(
    ("inputs", "error", "said"),
    [
        (["nowhere.csv"], NotFound, "no file nowhere.csv"),
        (["*.parquet"], NotFound, "quote a glob"),
        (["notes.txt"], UsageError, "of no kind"),
        (["-"], UsageError, "piped"),
        (["b.csv", "quarantine/e.ndjson"], UsageError, "csv and ndjson"),
        (["ftp9://x/y.csv"], UsageError, "cannot be reached"),
    ],
)
def test_what_means_no_file_is_told(folder: Path, inputs: list[str], error: type[TenfoldError], said: str) -> None:
    """Each is one message with its mend."""
    with pytest.raises(error) as caught:
        find(inputs)
    assert said in str(caught.value)
    assert caught.value.hint


def test_a_compressed_parquet_file_is_told(tmp_path: Path) -> None:
    """Parquet compresses within."""
    (tmp_path / "x.parquet.gz").touch()
    with pytest.raises(UsageError, match="twice"):
        find([str(tmp_path / "x.parquet.gz")])


def one(path: Path) -> File:
    """The file at a path."""
    [file] = find([str(path)])
    return file


def test_any_change_of_a_file_is_noticed(tmp_path: Path) -> None:
    """The digest covers every byte of a file of ordinary size, and nothing of its name or time."""
    path, other = tmp_path / "x.csv", tmp_path / "y.csv"
    path.write_bytes(b"a" * 1000)
    other.write_bytes(b"a" * 1000)
    before = fingerprint(one(path))
    assert before == fingerprint(one(other))
    path.write_bytes(b"a" * 999 + b"b")
    assert fingerprint(one(path)) != before
    assert not is_sampled(one(path))


def test_large_files_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large file the beginning, the end and pieces between are looked at; for the rest, the time of change counts."""
    monkeypatch.setattr(places, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(places, "SAMPLE_BYTES", 10)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a" * 100_000)
    before = fingerprint(one(path))
    for place in (0, 99_999):
        data = bytearray(b"a" * 100_000)
        data[place] = 98
        path.write_bytes(data)
        assert fingerprint(one(path)) != before
    assert is_sampled(one(path))
    assert one(path).now() == (100_000, path.stat().st_mtime_ns)
    path.unlink()
    assert File("x.csv", one_filesystem(), str(path), "csv", "", 0, 0).now() == (-1, -1)


def one_filesystem() -> object:
    """The file system of this machine."""
    from pyarrow import fs

    return fs.LocalFileSystem()


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket of some files."""
    pytest.importorskip("moto", reason="no server for S3 here: pip install 'moto[s3,server]'")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
def test_files_in_an_object_store_are_found_and_read(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3:// names, globs and folders work as those of this machine do."""
    from pyarrow import fs

    for name, value in (("ACCESS_KEY_ID", "x"), ("SECRET_ACCESS_KEY", "y"), ("REGION", "us-east-1")):
        monkeypatch.setitem(os.environ, f"AWS_{name}", value)
    monkeypatch.setitem(os.environ, "AWS_ENDPOINT_URL", store)
    there = fs.S3FileSystem(endpoint_override=store.removeprefix("http://"), scheme="http", allow_bucket_creation=True)
    there.create_dir("rows")
    for name in ("in/b.csv", "in/a.csv", "in/sub/c.csv", "other.csv"):
        with there.open_output_stream(f"rows/{name}") as stream:
            stream.write(b"x\n1\n")
    assert [file.name for file in find(["s3://rows/in"])] == [
        "s3://rows/in/a.csv",
        "s3://rows/in/b.csv",
        "s3://rows/in/sub/c.csv",
    ]
    [file] = find(["s3://rows/*r.csv"])
    assert (file.name, file.size) == ("s3://rows/other.csv", 4)
    assert file.open().read() == b"x\n1\n"
    assert fingerprint(file) == fingerprint(find(["s3://rows/in/a.csv"])[0])
    with pytest.raises(NotFound):
        find(["s3://rows/nothing.csv"])
