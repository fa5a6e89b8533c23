"""What the admin process does besides showing: it watches for drift, and takes labels.

NumPy is imported when the first service is known, so that a server whose services start is not held up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.control.job_runners import Runners, store_of
from tenfold.server.aside import Asked, Deed
from tenfold.server.responses import Page
from tenfold.server.spool import Spool

if TYPE_CHECKING:
    from tenfold.control.driftwatch import Monitor, Watch


class Watching:
    """The monitors of a server's releases, and the joining of labels."""

    def __init__(self) -> None:
        self.store = ""
        self.deeds: Mapping[str, Deed] = {"/api/feedback": feedback, "/api/challenge": self.challenge}
        self._watch: Watch | None = None
        self._runners = Runners()

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """Look after the services that answer."""
        if self._watch is None and fleet:
            from tenfold.control.driftwatch import Watch

            self._watch = Watch(store=self.store)
        if self._watch is not None:
            self._watch.tick(fleet)
            self._runners.tick(fleet, self.store)

    def known(self, release: str) -> Mapping[str, Any]:
        """The verdict on a release in short, for its answer sheet."""
        monitor = self.of(release)
        return {"drift": monitor.figures()} if monitor is not None else {}

    def of(self, release: str) -> Monitor | None:
        """What watches a release; None where nothing does."""
        return self._watch.of(release) if self._watch is not None else None

    def rows_in(self, about: Mapping[str, Any]) -> Path:
        """Where the rows of its jobs wait."""
        from tenfold.control.job_files import rows_in

        return rows_in(store_of(about, self.store), about["home"])

    def jobs(self, about: Mapping[str, Any], asked: Asked, body: bytes | Spool) -> Page:
        """Files to be answered: queued, told of, cancelled."""
        from tenfold.control.job_requests import answer

        return Page(*answer(about, asked, body, store_of(about, self.store)))

    def challenge(self, about: Mapping[str, Any], body: bytes) -> Page:
        """Have another release answer what has labels, and go on with it."""
        from tenfold.control.driftasked import take

        return Page(*take(about, body, store_of(about, self.store)))


def feedback(about: Mapping[str, Any], body: bytes) -> Page:
    """Join labels to what was predicted, and keep them."""
    from tenfold.control.feedback import take

    return Page(*take(about, body))
