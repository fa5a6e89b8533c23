"""What the admin process does besides showing, as it needs it of rooms on higher floors: deeds for fronts, jobs, watching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tenfold.server.responses import Page
from tenfold.server.spool import Spool


class Asked(NamedTuple):
    """A request about jobs: its method, the path behind the service's jobs, the query and the media type."""

    method: str
    path: str
    query: str
    media_type: str


Deed = Callable[[Mapping[str, Any], bytes], Page]  # given the service, as the supervisor tells of it, and a body


class Aside(Protocol):
    """What is done besides showing. It hears of the fleet once a second; ``deeds`` are what fronts may ask for, by route,
    each done in a thread, since it may take long."""

    deeds: Mapping[str, Deed]
    store: str  # the place of the store that the server looks after

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """A second has passed."""
        ...

    def known(self, release: str) -> Mapping[str, Any]:
        """What is to be said of a release besides what it did."""
        ...

    def rows_in(self, about: Mapping[str, Any]) -> Path:
        """The folder in which rows that were sent wait for the jobs of a service."""
        ...

    def jobs(self, about: Mapping[str, Any], asked: Asked, body: bytes | Spool) -> Page:
        """What a request about the jobs of a service is answered; in a thread, as deeds are. A file that is not taken has to
        be abandoned."""
        ...
