"""What a stage made, in a form that can be kept and compared: arrays, sparse matrices, and dicts and lists of those.

A DataFrame is a dict of its columns, and so are ``Rows``; text, and whatever else is no number, is an object array of
JSON values. Never pickle: what has no such form raises ``Unrecordable``, and its stage is shown as not recorded.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold.rows import Array, Rows

NUMBERS = "biufcmM"  # kinds of NumPy dtypes that a .npy file holds without pickle
EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every member of an archive, so that equal values are equal bytes
MISSING = ("NAType", "NaTType")  # pandas' words for missing, known by name, since pandas need not be here


class Unrecordable(Exception):
    """A value that has no such form."""


def canonical(value: Any) -> Any:
    """A value as arrays, csr matrices, and dicts and lists of those. Raises ``Unrecordable``."""
    match value:
        case np.ndarray():
            return _array(value)
        case Rows():
            return _rows(value)
        case Mapping():
            return {str(name): canonical(part) for name, part in value.items()}
        case list() | tuple():
            return _sequence(value)
    if hasattr(value, "tocsr"):
        return _sorted(value.tocsr())
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return {str(name): _array(_plain(value[name])) for name in value.columns}
    if hasattr(value, "__array__"):
        return _array(_plain(value))
    raise Unrecordable(f"a {type(value).__name__} is no array, frame, sparse matrix, dict or list")


def _plain(column: Any) -> Array:
    """A pandas column, or anything else that NumPy can read, as an array."""
    dtype = getattr(column, "dtype", None)
    nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in ("i", "u", "b")
    if nullable and column.isna().any():  # as floats, large integers would lose digits
        return np.asarray(column.astype(object))
    return np.asarray(column)


def _array(array: Array) -> Array:
    if array.dtype.kind in NUMBERS:
        return array
    if array.dtype.kind in "USTO":
        items = array.astype(object).reshape(-1).tolist()
        if any(isinstance(item, np.ndarray) for item in items):
            return canonical(list(array))  # type: ignore[no-any-return]
        plain = np.empty(len(items), dtype=object)
        plain[:] = [_json_value(item) for item in items]
        return plain.reshape(array.shape)
    raise Unrecordable(f"an array of {array.dtype}")


def _json_value(item: Any) -> Any:
    if _is_missing(item):
        return None
    if isinstance(item, bytes | bytearray):
        return f"sha256:{hashlib.sha256(item).hexdigest()}"
    if isinstance(item, np.generic):  # before str and float, of which some of these are
        return _json_value(item.item())
    if isinstance(item, str | bool | int | float):
        return item
    if hasattr(item, "isoformat"):
        return item.isoformat()
    raise Unrecordable(f"a {type(item).__name__} within an array")


def _is_missing(item: Any) -> bool:
    return item is None or (isinstance(item, float) and item != item) or type(item).__name__ in MISSING


def _sequence(items: list[Any] | tuple[Any, ...]) -> Any:
    if all(map(_is_scalar, items)):
        array = np.asarray(items) if items else np.zeros(0)
        return _array(array if array.dtype.kind in NUMBERS else np.array(items, dtype=object))
    if all(isinstance(item, Mapping) and all(map(_is_scalar, item.values())) for item in items):  # rows of a table
        names = dict.fromkeys(name for item in items for name in item)
        return {str(name): canonical([item.get(name) for item in items]) for name in names}
    return [canonical(item) for item in items]


def _is_scalar(item: Any) -> bool:
    return _is_missing(item) or isinstance(item, str | bool | int | float | np.generic)


def _rows(rows: Rows) -> dict[str, Any]:
    """Columns by their name on the wire, with a mask "name?" where a number or moment may be missing."""
    columns: dict[str, Any] = {}
    for column in rows.layout.columns:
        columns[column.wire] = canonical(rows[column.name])
        if column.bit >= 0 and column.block:
            columns[f"{column.wire}?"] = rows.missing(column.name)
    return columns


def _sorted(matrix: Any) -> Any:
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def take(value: Any, rows: Sequence[int], n: int) -> Any:
    """Some rows of a canonical value of n rows; what has no row for each of them stays whole."""
    if isinstance(value, dict):
        return {name: take(part, rows, n) for name, part in value.items()}
    if isinstance(value, list):
        return [value[row] for row in rows] if len(value) == n else [take(part, rows, n) for part in value]
    return value[list(rows)] if value.shape and value.shape[0] == n else value


def digests(rows: Rows) -> dict[str, Array]:
    """A SHA-256 of each decoded picture: pixels are many, and equal or not."""
    found = {}
    for column in rows.layout.columns:
        if column.kind == "image":
            found[column.wire] = np.array([_digest(picture) for picture in rows[column.name]], dtype=object)
    return found


def _digest(picture: Any) -> str | None:
    if picture is None:
        return None
    array = np.ascontiguousarray(picture)
    return hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes()).hexdigest()


def write(path: Path, stages: Mapping[str, Any]) -> None:
    """Keep canonical values by name in a ``.npz`` file (numpy.lib.format), the same bytes for the same values."""
    arrays: dict[str, Array] = {}
    trees = {name: _flatten(value, name, arrays) for name, value in stages.items()}
    arrays["tree"] = np.frombuffer(msgspec.json.encode(trees), dtype=np.uint8)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def read(path: Path) -> dict[str, Any]:
    """What ``write`` kept."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    trees = msgspec.json.decode(arrays["tree"].tobytes())
    return {name: _restore(tree, arrays) for name, tree in trees.items()}


def _flatten(value: Any, at: str, arrays: dict[str, Array]) -> dict[str, Any]:
    """The shape of a value, its arrays put aside under names of their own."""
    if isinstance(value, dict):
        return {"dict": [[name, _flatten(part, f"{at}.{k}", arrays)] for k, (name, part) in enumerate(value.items())]}
    if isinstance(value, list):
        return {"list": [_flatten(part, f"{at}.{k}", arrays) for k, part in enumerate(value)]}
    if hasattr(value, "tocsr"):
        for part in ("data", "indices", "indptr"):
            arrays[f"{at}.{part}"] = getattr(value, part)
        return {"csr": at, "shape": list(value.shape)}
    if value.dtype == object:
        arrays[at] = np.frombuffer(msgspec.json.encode(value.reshape(-1).tolist()), dtype=np.uint8)
        return {"values": at, "shape": list(value.shape)}
    arrays[at] = value
    return {"array": at}


def _restore(tree: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    match tree:
        case {"dict": parts}:
            return {name: _restore(part, arrays) for name, part in parts}
        case {"list": parts}:
            return [_restore(part, arrays) for part in parts]
        case {"csr": at, "shape": shape}:
            from scipy.sparse import csr_matrix

            return csr_matrix(tuple(arrays[f"{at}.{part}"] for part in ("data", "indices", "indptr")), shape=shape)
        case {"values": at, "shape": shape}:
            items = msgspec.json.decode(arrays[at].tobytes())
            values = np.empty(len(items), dtype=object)
            values[:] = items
            return values.reshape(shape)
    return arrays[tree["array"]]
