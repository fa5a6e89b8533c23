"""How much may be sent to be answered as jobs: only so many send at once, and what was sent, and is not answered yet, takes
up only so much of the disk."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tenfold.server.responses import JSON
from tenfold.server.spool import Spool
from tenfold.server.wire import Head

MOST_BYTES = 1 << 30  # of rows that are sent to be answered as a job
MOST_AT_ONCE = 8  # uploads
MOST_KEPT_BYTES = 16 << 30  # of rows of jobs that have not ended, and of those that are being sent
ROWS = "rows*"  # what was sent, in the folder of its job
AGAIN = (("retry-after", "60"),)  # when others may have sent theirs


def is_upload(head: Head) -> bool:
    """Whether rows are sent, and not a document that says where they are."""
    media_type = head.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    return head.method == "POST" and media_type != JSON


class Uploads:
    """Those of one server: how many are under way, and how many bytes they will have, as far as they say."""

    def __init__(self) -> None:
        self._under_way: dict[Spool, int] = {}

    def refusal(self, place: Path, head: Head) -> str:
        """Why no more is taken in below ``place`` now; "" where it is."""
        if len(self._under_way) >= MOST_AT_ONCE:
            return f"{MOST_AT_ONCE} others are sending rows; come again in a minute"
        expected = sum(self._under_way.values()) + _expected(head)
        return why_full(place, expected)

    def begin(self, spool: Spool, head: Head) -> None:
        """One more is under way."""
        self._under_way[spool] = _expected(head)

    def end(self, spool: Spool) -> None:
        """It is whole, or given up."""
        self._under_way.pop(spool, None)


def why_full(place: Path, more: int) -> str:
    """Why there is no room for so many bytes beside what waits in the folders of jobs; "" where there is."""
    kept = 0
    for file in place.glob(f"*/{ROWS}"):
        with contextlib.suppress(OSError):
            kept += file.stat().st_size
    if kept + more <= MOST_KEPT_BYTES:
        return ""
    return f"rows that wait to be answered take up {MOST_KEPT_BYTES >> 30} GiB; come again when jobs have ended"


def _expected(head: Head) -> int:
    return MOST_BYTES if head.length < 0 else head.length
