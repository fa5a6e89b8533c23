"""A column of whatever library, as one NumPy array and a mask of what is null in it; nothing is lost on the way.

pandas' nullable, categorical, string, zoned and Arrow-backed columns, Arrow's own, NumPy arrays and plain sequences all come
out the same: numbers, booleans and ``datetime64`` as arrays of their dtype, everything else as Python objects. NaN is a value
here; whether it is a missing one depends on the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]
NULLS = ("NAType", "NaTType")  # pandas' words for null, known by name, since pandas need not be there


class Column(NamedTuple):
    """The values of a column; where they are null; and whether its times know their offset from UTC, in which they are."""

    values: Array
    null: Mask
    aware: bool = False


def column_of(data: Any) -> Column:
    """The column that any sequence of values is."""
    library = type(data).__module__.partition(".")[0]
    if library == "pandas":
        return _from_pandas(data)
    if library == "pyarrow":
        return _from_arrow(data)
    values = data if isinstance(data, np.ndarray) else as_objects(data)
    return _from_numpy(values)


def as_objects(values: Sequence[Any]) -> Array:
    """An array of the very objects: NumPy would make text of [1, "a"] and a matrix of lists."""
    objects = np.empty(len(values), dtype=object)
    objects[:] = values if not isinstance(values, np.ndarray) else list(values)
    return objects


def is_null(value: Any) -> bool:
    """True for None and for what pandas has in its place."""
    return value is None or type(value).__name__ in NULLS


def _nulls(values: Array) -> Mask:
    null_types = {kind for kind in set(map(type, values)) if kind is NoneType or kind.__name__ in NULLS}
    if not null_types:
        return np.zeros(len(values), dtype=bool)
    return np.fromiter((type(value) in null_types for value in values), bool, len(values))


def _from_numpy(values: Array) -> Column:
    if values.dtype.kind == "M":
        return Column(values, np.isnat(values))
    if values.dtype.kind in "US":
        values = values.astype(object)
    if values.dtype == object and values.ndim == 1:
        return Column(values, _nulls(values))
    return Column(values, np.zeros(len(values), dtype=bool))


def _from_pandas(series: Any) -> Column:
    import pandas as pd

    if isinstance(series, pd.Index):
        series = series.to_series()
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return _from_numpy(series.to_numpy())
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        return _from_arrow(pa.chunked_array(pa.array(series)))
    null = series.isna().to_numpy(dtype=bool)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return Column(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), null, aware=True)
    if isinstance(dtype, pd.SparseDtype):
        return _from_numpy(np.asarray(series))
    numpy_dtype = getattr(dtype, "numpy_dtype", None)
    if numpy_dtype is not None and numpy_dtype.kind in "fiub":
        return Column(series.to_numpy(dtype=numpy_dtype, na_value=0), null)
    return Column(series.to_numpy(dtype=object), null)


def _from_arrow(array: Any) -> Column:
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    null = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        filled = array.fill_null(False if pa.types.is_boolean(kind) else 0)
        return Column(filled.to_numpy(zero_copy_only=False), null)
    if pa.types.is_timestamp(kind):
        moments = array.cast(pa.int64()).fill_null(0).to_numpy().view(f"datetime64[{kind.unit}]")
        return Column(moments, null, aware=kind.tz is not None)
    return Column(as_objects(_values(array)), null)


def _values(array: Any) -> list[Any]:
    """Python's own values; what Python has none for, as a day in the year 5,000,000, as bytes: no field takes these."""
    try:
        values: list[Any] = array.to_pylist()
    except (ValueError, OverflowError):
        values = [_value(item) for item in array]
    return values


def _value(item: Any) -> Any:
    try:
        return item.as_py()
    except (ValueError, OverflowError):
        return f"{item.type} {item.value}".encode()
