"""Generations of a folder: which of them answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Version = tuple[int, str]
"""A generation of a folder and the release that it turned out to be."""


def elect(current: Version | None, ready: Sequence[Version], replicas: int) -> Version | None:
    """The version that answers from now on, ``ready`` being that of each replica that could: the newest that is complete;
    where the current one has no replica left, the newest there is."""
    counts = Counter(ready)
    oldest = current[0] if current else 0
    complete = [version for version, count in counts.items() if count >= replicas and version[0] >= oldest]
    if complete:
        return max(complete)
    return current if current in counts or not counts else max(counts)
