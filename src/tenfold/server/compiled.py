"""What every request of one row passes through, compiled from ``_hot.c``: None where there was no compiler.

Whatever is compiled has a twin in Python beside it, which says what is right, and which it hands to whatever is rare.
"""

from __future__ import annotations

__all__ = ["hot"]

try:
    from tenfold.server import _hot as hot
except ImportError:
    hot = None  # type: ignore[assignment]
