"""Which files are meant: names, globs and folders, on this machine or in an object store, in an order of their own."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple

from tenfold.errors import NotFound, TenfoldError, UsageError
from tenfold.formats.shards import arrow

KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
} | dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"), "pictures")
CODECS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}
TEXT = ("csv", "ndjson")
OURS = ("manifest.jsonl", "summary.json")  # what a job leaves beside its answers, which may be read again
ASIDE = "quarantine"

WHOLE_BYTES = 64 * 2**20  # files up to this size are known by all of their bytes, larger ones by samples
SAMPLES, SAMPLE_BYTES = 64, 2**20


class File(NamedTuple):
    """A file: what it is called, how it is reached, what it holds. ``codec`` is "" where it is not compressed."""

    name: str
    filesystem: Any
    path: str
    kind: str
    codec: str
    size: int
    modified_ns: int

    def open(self) -> Any:
        """Its bytes as they are stored, to be read from any position."""
        return self.filesystem.open_input_file(self.path)

    def stream(self) -> Any:
        """Its bytes from the beginning, decompressed."""
        return self.filesystem.open_input_stream(self.path, compression=self.codec or None)

    def now(self) -> tuple[int, int]:
        """Size and time of change at this moment; (-1, -1) where it is gone."""
        info = self.filesystem.get_file_info(self.path)
        return (info.size, info.mtime_ns or 0) if info.is_file else (-1, -1)


def find(inputs: Sequence[str]) -> list[File]:
    """The files that names, globs and folders mean: in the order of the inputs, sorted by name within each.

    Raises ``NotFound`` where an input means no file, ``UsageError`` where a file is of no kind that is read.
    """
    arrow()
    files = [file for one in inputs for file in _files(one)]
    kinds = {file.kind for file in files}
    if len(kinds) > 1:
        raise UsageError(f"the input has {' and '.join(sorted(kinds))}", "name files of one kind, as 'data/*.parquet'")
    return files


def _files(one: str) -> list[File]:
    if one == "-":
        raise UsageError("a job reads files: what is piped in could not be read again", "write it to a file first")
    try:
        files = sorted(_remote(one) if "://" in one else _local(one), key=lambda file: file.name)
    except OSError as error:
        raise unreadable(one, error) from None
    if not files:
        raise NotFound(f"there is no file {one}", "check the path; quote a glob: 'data/*.parquet'")
    return files


def _local(one: str) -> Iterator[File]:
    from pyarrow import fs

    here = fs.LocalFileSystem()
    path = Path(one)
    if path.is_dir():
        yield from (_file(here, str(name), str(name)) for name in path.rglob("*") if _is_data(name.relative_to(path)))
        return
    names = [one] if path.exists() else glob.glob(one, recursive=True)  # noqa: PTH207 -- Path.glob knows no absolute ones
    for name in names:
        if Path(name).is_dir():
            yield from _local(name)
        elif Path(name).is_file():
            yield _file(here, name, name)


def _is_data(name: PurePath) -> bool:
    """Whether a file of a folder is meant: one of a kind that is read, neither hidden nor set aside."""
    hidden = any(part.startswith((".", "_")) or part == ASIDE for part in name.parts)
    return not hidden and name.name not in OURS and bool(_kind(name.name)[0])


def _remote(one: str) -> Iterator[File]:
    from pyarrow import fs

    try:
        there, path = fs.FileSystem.from_uri(one)
    except ValueError as error:  # pyarrow's own, ArrowInvalid among them
        raise UsageError(f"{one} cannot be reached: {error}", "write s3://bucket/path, or the path of a file") from None
    root = one.partition("?")[0].removesuffix(path.rstrip("/"))
    wild = next((k for k, part in enumerate(path.split("/")) if set(part) & set("*?[")), None)
    info = there.get_file_info(path.rstrip("/")) if wild is None else None
    if info is not None and info.is_file:
        yield _file(there, root + path, path)
        return
    base = path.rstrip("/") if wild is None else "/".join(path.split("/")[:wild])
    for found in there.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True)):
        meant = fnmatch(found.path, path) if wild is not None else _is_data(PurePosixPath(found.path).relative_to(base))
        if found.is_file and meant:
            yield _file(there, root + found.path, found.path)


def _file(filesystem: Any, name: str, path: str) -> File:
    kind, codec = _kind(name)
    if not kind:
        listed = ", ".join(KINDS)
        raise UsageError(
            f"{name} is of no kind that is read", f"the kinds are {listed}, and {', '.join(CODECS)} behind"
        )
    if codec and kind not in TEXT:
        raise UsageError(f"{name} is compressed twice", f"decompress it; {kind} files are compressed within")
    info = filesystem.get_file_info(path)
    return File(name, filesystem, path, kind, codec, info.size, info.mtime_ns or 0)


def _kind(name: str) -> tuple[str, str]:
    """What a file's name says that it holds, and how it is compressed; "" for neither."""
    path = PurePosixPath(name.lower())
    codec = CODECS.get(path.suffix, "")
    return KINDS.get(PurePosixPath(path.stem).suffix if codec else path.suffix, ""), codec


def fingerprint(file: File) -> str:
    """SHA-256 over size and content, in hexadecimal; of a file beyond 64 MiB, over 64 pieces of 1 MiB spread evenly."""
    digest = hashlib.sha256(str(file.size).encode())
    with file.open() as opened:
        if file.size <= WHOLE_BYTES:
            while piece := opened.read(SAMPLE_BYTES):
                digest.update(piece)
        else:
            for k in range(SAMPLES):
                opened.seek(k * (file.size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(opened.read(SAMPLE_BYTES))
    return digest.hexdigest()


def is_sampled(file: File) -> bool:
    """Whether the fingerprint leaves bytes out, so that the time of change has to be looked at, too."""
    return file.size > WHOLE_BYTES


def unreadable(name: str, error: Exception) -> TenfoldError:
    """The error for a file that cannot be read, or not to its end."""
    return TenfoldError(f"{name} cannot be read: {error}", "is it whole, what its name says, and may you read it?")
