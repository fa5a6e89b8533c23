"""Wakes the event loop at a moment, to within some 50 µs. The loop's own timers count in milliseconds, in which twenty
requests of a fast service fit."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

GRAIN_S = 200e-6  # each ring costs some 40 µs of the processor, so that there are at most so many


class Alarm:
    """The process's interval timer as a part of the loop; there is one in a process, in its main thread."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """``ring`` is called at each moment that was set."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, ring)

    def set(self, moment: float) -> None:
        """Ring at this moment of ``time.monotonic``; a moment set before is forgotten."""
        signal.setitimer(signal.ITIMER_REAL, max(moment - time.monotonic(), GRAIN_S))

    def clear(self) -> None:
        """Ring no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
