"""The rows that the input of a job is judged by: chosen by their numbers, kept with each part, gathered at the end.

Of the first rows all are kept; of as many again one in two, of twice as many one in four, and so on. Those that the last rate
would have chosen are a fair sample of all, of a bounded size, though nobody knew how many rows were to come. Which they are
depends on their numbers alone: on no worker, no order and no interruption.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tenfold.contract.form import layout_of
from tenfold.drift.columns import Column, Floats
from tenfold.drift.folder import PROFILE
from tenfold.drift.live import Reader
from tenfold.drift.profile import Profile, unpack
from tenfold.drift.sampling import MASK, Keys, mix
from tenfold.formats.shards import arrow
from tenfold.rows import Answer
from tenfold.spec import Spec

SAMPLE_BYTES = 16 << 20
FEWEST_ROWS, MOST_ROWS = 1_000, 10_000


Mask = NDArray[np.bool_]


class Sampled(NamedTuple):
    """Rows in their order: their numbers (n,) in the whole input, their values (n, k) by the columns of a profile, and where
    these are missing."""

    numbers: Keys
    values: Floats
    missing: Mask

    def take(self, rows: slice | Mask) -> Sampled:
        """Some of them."""
        return Sampled(self.numbers[rows], self.values[rows], self.missing[rows])


class Sampling:
    """Takes rows of what was answered, to be compared with the profile of the rows that the model knows."""

    def __init__(self, columns: Sequence[Column], spec: Spec) -> None:
        self._columns = columns
        self._most = most_rows(columns)
        self._reader = Reader(columns, layout_of(spec.input), layout_of(spec.output))

    def of(self, answer: Answer, numbers: Keys) -> Sampled:
        """The chosen ones of the rows that the model answered, as it got them; ``numbers`` are of each in the whole input."""
        chosen = np.flatnonzero(mix(numbers) <= _limits(numbers, self._most))
        given, index = answer.given, answer.given_index
        assert given is not None
        assert index is not None
        rows = given.take(index.searchsorted(answer.index[chosen]))
        return Sampled(numbers[chosen], *self._reader.block(rows, answer.outputs.take(chosen)))

    def pack(self, pieces: Sequence[Sampled]) -> bytes:
        """Chosen rows as a stream of Arrow, the row numbers first; nothing where there are none."""
        pa = arrow()
        fields = [pa.field("row", pa.uint64()), *(pa.field(column.name, pa.float64()) for column in self._columns)]
        batches = [_batch(piece, pa.schema(fields)) for piece in pieces if len(piece.numbers)]
        if not batches:
            return b""
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        with pa.ipc.new_stream(sink, batches[0].schema, options=options) as stream:
            for batch in batches:
                stream.write_batch(batch)
        return bytes(sink.getvalue())


def reference_in(folder: Path) -> Profile | None:
    """The profile of the rows that the model of a service's folder knows; None where there is none that can be read."""
    try:
        profile: Profile = unpack((folder / PROFILE).read_bytes(), Profile)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return profile


def most_rows(columns: Sequence[Column]) -> int:
    """How many rows are sampled at the most, but for chance."""
    return min(max(SAMPLE_BYTES // (8 * max(len(columns), 1)), FEWEST_ROWS), MOST_ROWS)


def gather(pieces: Iterable[bytes], columns: Sequence[Column], rows: int) -> Sampled:
    """The sample of an input of so many rows, of what was kept with its parts in their order."""
    last = np.array([max(rows, 1) - 1], dtype=np.uint64)
    limit = _limits(last, most_rows(columns))
    none = Sampled(last[:0], np.zeros((0, len(columns))), np.zeros((0, len(columns)), dtype=bool))
    found = [none, *(_thinned(_unpack(piece), limit) for piece in pieces)]
    return Sampled(
        np.concatenate([some.numbers for some in found]),
        np.concatenate([some.values for some in found]),
        np.concatenate([some.missing for some in found]),
    )


def _limits(numbers: Keys, most: int) -> Keys:
    """The largest hash (n,) that rows of these numbers are chosen with: half of it each time that the rows have doubled."""
    _, doubled = np.frexp((numbers // np.uint64(most)).astype(np.float64))
    limits: Keys = np.uint64(MASK) >> doubled.astype(np.uint64)
    return limits


def _thinned(sampled: Sampled, limit: Keys) -> Sampled:
    return sampled.take(mix(sampled.numbers) <= limit)


def _batch(piece: Sampled, schema: Any) -> Any:
    pa = arrow()
    values, missing = np.ascontiguousarray(piece.values.T), np.ascontiguousarray(piece.missing.T)
    columns = (pa.array(column, mask=absent) for column, absent in zip(values, missing, strict=True))
    return pa.RecordBatch.from_arrays([pa.array(piece.numbers), *columns], schema=schema)


def _unpack(data: bytes) -> Sampled:
    with arrow().ipc.open_stream(data) as stream:
        table = stream.read_all()
    numbers, *columns = table.columns
    values: Floats = np.empty((table.num_rows, len(columns)))
    missing: Mask = np.empty(values.shape, dtype=bool)
    for k, column in enumerate(columns):
        values[:, k] = column.to_numpy()  # NaN where it is null
        missing[:, k] = column.is_null().to_numpy()
    return Sampled(numbers.to_numpy(), values, missing)
