"""A folder of pictures: each file is a row, in the order of their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import takewhile

from tenfold.contract.form import Form
from tenfold.errors import UsageError
from tenfold.formats.places import File, unreadable
from tenfold.formats.shards import Layout, Limits, Place, Shard, arrow

FILE = "file"  # the column that says which file a row is
MOST_PICTURES = 1_000  # in a shard: they are decoded, which takes its time


class Pictures:
    """All pictures of a job. The field that takes them is the contract's only one; its Key, if it is text, is the
    file."""

    layout = Layout("pictures")

    def __init__(self, files: Sequence[File], form: Form) -> None:
        """Raises ``UsageError`` where the contract has not one picture."""
        fields = [field for field in form.fields if field.kind == "image"]
        if len(fields) != 1:
            raise UsageError(
                f"the input is pictures, and {form.name} has {len(fields)} fields for them",
                "give rows in a file, with pictures as bytes in a column",
            )
        keys = [form.key.wire] if form.key and form.key.kind == "text" else []
        self._files = files
        self._wire = fields[0].wire
        self._names = [name for name in dict.fromkeys([FILE, *keys]) if name != self._wire]
        self._root = _common_folder([file.name for file in files])
        self.name = self._root or files[0].name
        self.columns = (self._wire, *self._names)
        self.rows = self.size = len(files)

    def nothing(self) -> object:
        """A table without rows."""
        return self._table([])

    def passed(self, place: Place) -> int:
        """The pictures before a place."""
        return place.row

    def shards(self, start: Place, limits: Limits) -> Iterator[Shard]:
        """The shards from a place on."""
        row = start.row
        while row < len(self._files):
            stop, size = row, 0
            while stop < len(self._files) and stop - row < min(limits.rows, MOST_PICTURES):
                size += self._files[stop].size
                if size > limits.bytes and stop > row:
                    break
                stop += 1
            yield Shard(Place(row), Place(stop), stop - row, self._table(self._files[row:stop]))
            row = stop

    def _table(self, files: Sequence[File]) -> object:
        pa = arrow()
        names = pa.array([file.name.removeprefix(self._root) for file in files], pa.string())
        pictures = pa.array([_bytes(file) for file in files], pa.large_binary())
        return pa.table({self._wire: pictures} | dict.fromkeys(self._names, names))


def digest_of(files: Sequence[File]) -> tuple[str, int, str, int]:
    """What tells these pictures from others: their folder, their bytes, the digest of their names and sizes, and when
    they were changed, all in one number."""
    digest = hashlib.sha256()
    root = _common_folder([file.name for file in files])
    for file in files:
        digest.update(f"{file.name.removeprefix(root)}\0{file.size}\n".encode())
    return root, sum(file.size for file in files), digest.hexdigest(), sum(file.modified_ns for file in files) % 2**62


def _bytes(file: File) -> bytes:
    try:
        with file.open() as opened:
            return bytes(opened.read())
    except OSError as error:
        raise unreadable(file.name, error) from None


def _common_folder(names: Sequence[str]) -> str:
    """The folder that all names begin with, with its slash."""
    folders = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{part[0]}/" for part in takewhile(lambda part: len(set(part)) == 1, folders))
