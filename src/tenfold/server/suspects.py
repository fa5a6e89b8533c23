"""Rows that a replica had in hand when it died: which of them ended it?

Each is tried again, alone. One that ends a second replica is quarantined, and refused at sight when it comes again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from tenfold.server.items import Item
from tenfold.server.requests import Packed

REMEMBER_S = 3600.0  # how long a row that ended two replicas is refused at sight
MAX_SUSPECTS = 1024


class Suspects(deque[Item]):
    """Those that are yet to be tried, and those that were found out: ``killers`` is until when each is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.killers: dict[Packed, float] = {}

    def is_killer(self, row: Packed) -> bool:
        """Whether just this row has ended two replicas, not long ago."""
        return bool(self.killers) and self.killers.get(row, 0.0) > time.monotonic()

    def accuse(self, items: Sequence[Item]) -> None:
        """A replica ended with these rows in hand."""
        for item in items:
            for row in item.apart():
                row.deaths += 1
                if row.deaths >= 2:
                    self.killers[row.packed[0]] = time.monotonic() + REMEMBER_S
                    row.quarantine()
                elif len(self) < MAX_SUSPECTS:
                    self.append(row)
