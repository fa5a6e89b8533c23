"""A sample of rows that does not depend on order: those with the smallest hash of their id, as many as wanted.

Samples of parts merge to the sample of the whole, exactly ("bottom-k", Cohen and Kaplan, "Summarizing data using bottom-k
sketches", PODC 2007): whoever is among the first k of the whole is among the first k of its part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Keys = NDArray[np.uint64]
MASK = 2**64 - 1


def mix(keys: Keys) -> Keys:
    """A hash (n,) of 64-bit ids, such as row numbers or the random half of a UUIDv7 (the finaliser of SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = keys + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


class Sample(msgspec.Struct):
    """Up to so many rows: the hash of each (n,), in ascending order, and arrays of length n by name."""

    keys: Keys
    arrays: dict[str, Array]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def take(self, index: Array) -> Sample:
        """The rows at these positions, or where the mask is true."""
        return Sample(self.keys[index], {name: values[index] for name, values in self.arrays.items()})

    @staticmethod
    def merge(samples: Sequence[Sample], rows: int) -> Sample:
        """The first ``rows`` rows of all by their hash. Samples have the same arrays."""
        keys = np.concatenate([sample.keys for sample in samples])
        first = np.argsort(keys, kind="stable")[:rows]
        names = samples[0].arrays
        arrays = {name: np.concatenate([sample.arrays[name] for sample in samples])[first] for name in names}
        return Sample(keys[first], arrays)


class Sampler:
    """Keeps the sample of the blocks that it is shown."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._kept: list[Sample] = []
        self._kept_rows = 0
        self._below = np.uint64(MASK)

    def choose(self, keys: Keys) -> Array:
        """The positions of the rows that may come to be in the sample, given the hash of each row (n,) of a block."""
        chosen = np.flatnonzero(keys <= self._below)
        if len(chosen) > self._rows:
            chosen = np.sort(chosen[np.argpartition(keys[chosen], self._rows)[: self._rows]])
        return chosen

    def add(self, keys: Keys, arrays: Mapping[str, Array]) -> None:
        """Take the chosen rows of a block: their hashes and arrays of their length."""
        if not len(keys):
            return
        self._kept.append(Sample(keys, dict(arrays)))
        self._kept_rows += len(keys)
        if self._kept_rows > 2 * self._rows:
            self._trim()

    def sample(self) -> Sample | None:
        """The sample so far; None where no row came."""
        if self._kept:
            self._trim()
        return self._kept[0] if self._kept else None

    def _trim(self) -> None:
        kept = Sample.merge(self._kept, self._rows)
        self._kept, self._kept_rows = [kept], len(kept)
        if len(kept) == self._rows:
            self._below = kept.keys[-1]
