"""Labels from a file of their own, joined to rows by a key: late, partial, corrected, and sometimes of nobody we know."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.control.driftfiles import TableFile
from tenfold.control.driftrows import Target
from tenfold.drift.columns import Floats
from tenfold.drift.tables import Raw, named_numbers
from tenfold.errors import UsageError


class Labels:
    """The labels of a file by their key. Where a key comes several times the last label counts, as corrections come later."""

    def __init__(self, file: TableFile, rows: TableFile, label: str, key: str | None, target: Target) -> None:
        self.key: str = key or _common(file, rows, label)
        file.require(self.key, label)
        rows.require(self.key)
        self._as_text = "text" in (file.kinds[self.key], rows.kinds[self.key])
        keys, labels = self._read(file, label, target)
        order = np.argsort(keys, kind="stable")
        keys, labels = keys[order], labels[order]
        last = np.ones(len(keys), dtype=bool)
        last[:-1] = keys[1:] != keys[:-1]
        self.conflicts = int((~last[:-1] & (labels[1:] != labels[:-1])).sum()) if len(keys) else 0
        self._keys, self._labels = keys[last], labels[last]
        self._met = np.zeros(len(self._keys), dtype=bool)

    def of(self, raw: Raw) -> Floats:
        """The labels (n,) of rows with these keys; NaN where there is none."""
        wanted = self._plain(raw)
        labels = np.full(len(wanted), np.nan)
        if len(self._keys):
            asked = np.flatnonzero(~raw.missing)
            at = np.minimum(self._keys.searchsorted(wanted[asked]), len(self._keys) - 1)
            known = self._keys[at] == wanted[asked]
            labels[asked[known]] = self._labels[at[known]]
            self._met[at[known]] = True
        return labels

    def remarks(self) -> list[str]:
        """What is odd about the labels, once all rows have asked for theirs."""
        unknown = int((~self._met).sum())
        said = []
        if unknown:
            said.append(f"{_labels(unknown, 'is', 'are')} of no row that is known by its {self.key}")
        if self.conflicts:
            said.append(f"{_labels(self.conflicts)} came again with another value; the last one counts")
        return said

    def _read(self, file: TableFile, label: str, target: Target) -> tuple[NDArray[Any], Floats]:
        keys, labels = [np.zeros(0, dtype=object if self._as_text else np.float64)], [np.zeros(0)]
        for block in file.blocks([self.key, label]):
            raw = block.column(self.key)
            keys.append(self._plain(raw)[~raw.missing])
            labels.append(target.labels(block.column(label))[~raw.missing])
        return np.concatenate(keys), np.concatenate(labels)

    def _plain(self, raw: Raw) -> NDArray[Any]:
        return (named_numbers(raw) if self._as_text and raw.kind != "text" else raw).plain()


def _labels(count: int, one: str = "", many: str = "") -> str:
    """So many labels, and the verb that goes with them."""
    return f"{count:,} label{'s' * (count != 1)} {one if count == 1 else many}".rstrip()


def _common(file: TableFile, rows: TableFile, label: str) -> str:
    """The one column that both files have."""
    both: list[str] = [name for name in file.columns if name in rows.columns and name != label]
    if len(both) == 1:
        return both[0]
    found = f"they share {', '.join(both)}" if both else "they share none"
    raise UsageError(
        f"by which column do {file.path.name} and {rows.path.name} belong together? {found}", "--key COLUMN"
    )
