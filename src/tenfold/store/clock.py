"""The time and the chance that a store is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.now(UTC)


def identifier(entropy: Entropy) -> str:
    """A name that no other thing has: 96 bits in hexadecimal."""
    return entropy(12).hex()


chance: Entropy = os.urandom
