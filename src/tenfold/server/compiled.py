"""What every request of one row passes through, compiled from ``_hot.c``: None where there was no compiler, or where what is
compiled is of another ``_hot.c`` (``is_stale``).

Whatever is compiled has a twin in Python beside it, which says what is right, and which it hands to whatever is rare.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["hot", "is_stale"]

try:
    from tenfold.server import _hot as hot
except ImportError:
    hot = None  # type: ignore[assignment]

is_stale = hot is not None and hot.source != hashlib.sha256(Path(__file__).with_name("_hot.c").read_bytes()).hexdigest()
if is_stale:
    hot = None  # type: ignore[assignment]
