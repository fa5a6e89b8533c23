"""Check-suites for users' own models and transforms: what tenfold relies on, tried out on real rows.

    def test_my_model() -> None:
        check_model(my_model, inputs)
        check_transform(TumourCheck().preprocess, Rows.of(frame, Tumour))

Each raises ``GateFailed`` with what does not hold, and why that would go wrong in production.
"""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tenfold.errors import GateFailed
from tenfold.models import load
from tenfold.rows import Array, Rows

RTOL = {8: 1e-9, 4: 1e-4, 2: 1e-2}  # by the bytes of a float; wider than parity's, since batches of any size are tried
CALLS = 50
LEAK_BYTES = 2**18  # what may stay behind of all these calls


def check_model(model: Any, inputs: Any) -> None:
    """Try a model, or any object that predicts, on the input of n rows (at least 2): an array, a frame, a mapping of
    arrays.

    Predicting is pure: the same rows get the same answer, whatever was asked before, and the input is not written to.
    One row is answered as it is among many. There is an answer for each row. Memory does not grow.
    """
    predict = load(model).predict
    n = _size(inputs)
    before = copy.deepcopy(inputs)
    first = predict(inputs)
    kept = copy.deepcopy(first)
    _require(
        _size(first) == n,
        f"the model gives {_size(first)} answers for {n} rows",
        "give one for each row, since nobody could tell whose is whose",
    )
    _require_unwritten(before, inputs, "the model")
    again = predict(inputs)
    _require(
        _same(kept, again), "the same rows get another answer the second time", "draw no random numbers, keep no state"
    )
    alone = [predict(_part(inputs, slice(k, k + 1))) for k in range(min(n, 10))]
    _require(
        _same(kept, first),
        "an answer changes when the next one is computed: the model hands out its own buffer",
        "return a copy",
    )
    for k, answer in enumerate(alone):
        _require(
            _same(_part(kept, slice(k, k + 1)), answer),
            f"row {k} alone gets another answer than among {n} rows",
            "let nothing depend on the batch, such as its mean or its order",
        )
    _require_bounded(lambda: predict(inputs), "the model")


def check_transform(transform: Callable[[Rows], Any], rows: Rows) -> None:
    """Try a preprocess on rows (at least 2): it is pure, does not write to them, gives a row for each of them, and
    makes of one row what it makes of it among many. Memory does not grow."""
    n = len(rows)
    blocks, bits, own = rows.parts()
    read_only = Rows(rows.layout, n, {name: _read_only(block) for name, block in blocks.items()}, _read_only(bits), own)
    try:
        made = transform(read_only)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise GateFailed("the transform writes to its rows, which others read, too", "work on a copy") from error
    _require(_size(made) == n, f"the transform makes {_size(made)} rows of {n}", "neither drop rows nor add any")
    _require(_same(made, transform(read_only)), "the same rows become something else the second time", "keep no state")
    for k in range(min(n, 10)):
        _require(
            _same(_part(made, slice(k, k + 1)), transform(rows.take([k]))),
            f"row {k} alone becomes something else than among {n} rows",
            "let nothing depend on the batch: fit scalers and encoders in training, and keep them with the model",
        )
    _require_bounded(lambda: transform(read_only), "the transform")


def _require(holds: bool, said: str, mend: str) -> None:
    if not holds:
        raise GateFailed(said, mend)


def _require_unwritten(before: Any, after: Any, who: str) -> None:
    _require(_same(before, after), f"{who} writes to its input, which others read, too", "work on a copy")


def _require_bounded(call: Callable[[], Any], who: str) -> None:
    """Python's and NumPy's memory after many calls, less what it was after a few."""
    for _ in range(5):
        call()
    tracemalloc.start()
    try:
        call()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(CALLS):
            call()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    _require(
        grown < LEAK_BYTES, f"{who} keeps {grown // CALLS:,} bytes of every call", "look for a list or cache that grows"
    )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _size(value: Any) -> int:
    """The number of rows of an array, a frame, a sparse matrix, a list, or a mapping of those."""
    if isinstance(value, Mapping):
        return _size(next(iter(value.values())))
    shape = getattr(value, "shape", None)
    return int(shape[0]) if shape else len(value) if hasattr(value, "__len__") else 0


def _part(value: Any, at: slice) -> Any:
    if isinstance(value, Mapping):
        return {name: _part(part, at) for name, part in value.items()}
    return value.iloc[at] if hasattr(value, "iloc") else value[at]


def _same(there: Any, here: Any) -> bool:
    """Whether two values hold the same numbers, within the tolerance of their dtype, and the same of everything
    else."""
    pairs = list(zip(_arrays(there), _arrays(here), strict=False))
    return all(a.shape == b.shape and a.dtype.kind == b.dtype.kind and _close(a, b) for a, b in pairs)


def _close(there: Array, here: Array) -> bool:
    if there.dtype.kind not in "fc":
        return bool(np.array_equal(there, here))
    rtol = RTOL.get(there.dtype.itemsize, 1e-9)
    scale = float(np.nanmax(np.abs(there), initial=0.0, where=np.isfinite(there)))
    return bool(np.allclose(there, here, rtol=rtol, atol=rtol * scale, equal_nan=True))


def _arrays(value: Any) -> Iterator[Array]:
    if isinstance(value, Mapping) or (hasattr(value, "columns") and hasattr(value, "iloc")):
        for name in value:
            yield from _arrays(value[name])
    elif hasattr(value, "toarray"):
        yield value.toarray()
    elif isinstance(value, list | tuple) and any(hasattr(part, "shape") for part in value):
        for part in value:
            yield from _arrays(part)
    else:
        yield np.asarray(value)
