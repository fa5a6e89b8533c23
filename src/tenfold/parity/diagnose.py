"""Names the usual suspects: kinds of skew between training and serving that leave a pattern in the numbers.

Colours in another order, channels first instead of last, another scale, an ignored Exif turn, columns in another
order, another decoder or resize filter. Each test asks whether one array becomes the other by that very change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tenfold.rows import Array

CLOSE = 1e-5  # what is left of the difference, as a share of the values' range, where the suspect did it
SIMILAR = 0.9  # the correlation of pictures that show the same
MOST_VALUES = 1_000_000  # rows are left out beyond this, so that a diagnosis takes milliseconds


def diagnose(there: Array, here: Array) -> str:
    """What turned the recorded array into this one, in words; "" where it is none of the usual suspects."""
    if not (there.size and here.size and there.dtype.kind in "fiub" and here.dtype.kind in "fiub"):
        return ""
    if there.ndim == 0 or len(there) != len(here):
        return ""
    rows = max(1, MOST_VALUES // max(there[0].size, here[0].size, 1))
    changed = _changed_rows(there, here)[:rows]
    there, here = there[changed].astype(np.float64), here[changed].astype(np.float64)
    if not (np.isfinite(there).all() and np.isfinite(here).all()):
        return _missing(there, here)
    return next(filter(None, (suspect(there, here) for suspect in SUSPECTS)), "")


def _changed_rows(there: Array, here: Array) -> Array:
    """The rows that differ; all of them, where even the shape does. An Exif turn concerns only pictures that have
    one."""
    if there.shape != here.shape:
        return np.arange(len(there))
    return np.flatnonzero((there != here).reshape(len(there), -1).any(axis=1))


def _missing(there: Array, here: Array) -> str:
    if there.shape != here.shape:
        return ""
    only_here = int((~np.isfinite(here) & np.isfinite(there)).sum())
    only_there = int((np.isfinite(here) & ~np.isfinite(there)).sum())
    if only_here and not only_there:
        return f"{only_here} values are missing here and were not in the record: is a value filled in before training?"
    if only_there and not only_here:
        return f"{only_there} values were missing in the record and are filled in here"
    return ""


def _same(there: Array, here: Array) -> bool:
    if there.shape != here.shape:
        return False
    extent = np.ptp(there) or 1.0
    return bool(np.abs(there - here).max() <= CLOSE * extent)


def _channel_axis(array: Array) -> int | None:
    if array.ndim == 4:
        return next((axis for axis in (3, 1) if array.shape[axis] == 3), None)
    return None


def _colours(there: Array, here: Array) -> str:
    """Red and blue are swapped; flattened pictures are tried as HWC."""
    axis = _channel_axis(here)
    if axis is None and here.ndim == 2 and here.shape[1] % 3 == 0 and here.shape[1] > 3:
        if there.shape != here.shape:
            return ""
        flat = here.reshape(len(here), -1, 3)[..., ::-1].reshape(here.shape)
        swapped: Array | None = flat
    else:
        swapped = np.flip(here, axis) if axis is not None else None
    if swapped is None or not _same(there, swapped):
        return ""
    return "red and blue are swapped: one side has RGB, the other BGR; look at order= in Image(...)"


def _layout(there: Array, here: Array) -> str:
    if here.ndim == 4 and here.shape[3] in (1, 3) and _same(there, np.moveaxis(here, 3, 1)):
        return 'channels stand first in the record and last here: Image(layout="CHW")'
    if here.ndim == 4 and here.shape[1] in (1, 3) and _same(there, np.moveaxis(here, 1, 3)):
        return 'channels stand last in the record and first here: Image(layout="HWC")'
    return ""


def _turned(there: Array, here: Array) -> str:
    for name, turned in _turns(here):
        if _same(there, turned):
            return f"pictures are {name}: one side ignores the Exif orientation; look at exif= in Image(...)"
    return ""


def _turns(array: Array) -> Iterator[tuple[str, Array]]:
    if array.ndim < 3:
        return
    axes = (2, 3) if array.ndim == 4 and array.shape[1] in (1, 3) else (1, 2)
    for quarter in (1, 2, 3):
        yield f"turned by {90 * quarter} degrees", np.rot90(array, quarter, axes)
    yield "mirrored", np.flip(array, axes[1])
    yield "upside down and mirrored", np.flip(array, axes[0])


def _scaled(there: Array, here: Array) -> str:
    """Another range, mean or standard deviation: one straight line turns all values into the others."""
    if there.shape != here.shape or np.ptp(here) == 0 or here.size < 3:
        return ""
    slope, offset = np.polyfit(here.reshape(-1), there.reshape(-1), 1)
    if abs(slope) < 1e-9 or not _same(there, here * slope + offset):
        return ""
    return f"another scale: the record is {slope:.6g} times these values, {offset:+.6g}"


def _reordered(there: Array, here: Array) -> str:
    if there.ndim != 2 or there.shape != here.shape or there.shape[1] > 1000:
        return ""
    order = [next((k for k in range(here.shape[1]) if _same(column, here[:, k])), None) for column in there.T]
    if None in order or len(set(order)) != len(order):
        return ""
    moved = next((k for k, place in enumerate(order) if k != place), None)
    if moved is None:
        return ""
    return f"the columns stand in another order: number {moved} of the record is number {order[moved]} here"


def _resampled(there: Array, here: Array) -> str:
    """The same pictures, and yet not the same pixels."""
    if there.shape != here.shape or there.ndim < 3 or not np.ptp(there) or not np.ptp(here):
        return ""
    if np.corrcoef(there.reshape(-1), here.reshape(-1))[0, 1] < SIMILAR:
        return ""
    mean = np.abs(there - here).mean()
    return f"the same pictures with other pixels ({mean:.3g} apart on average): another decoder, filter or antialiasing"


SUSPECTS: tuple[Callable[[Array, Array], str], ...] = (_colours, _layout, _turned, _scaled, _reordered, _resampled)
