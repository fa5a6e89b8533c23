"""What the admin process does for fronts: labels are joined, files queued as jobs. Each deed is done in a thread."""

from __future__ import annotations

import asyncio
import logging

from tenfold.server.aside import Asked, Deed
from tenfold.server.responses import Page, problem, response
from tenfold.server.spool import Refused, Spool
from tenfold.server.survey import Survey
from tenfold.server.uploads import AGAIN, MOST_BYTES, Uploads, is_upload
from tenfold.server.wire import Connection, Handler, Head

MOST_TOLD_BYTES = 64 << 20  # at once, by a front
JOBS = "/api/jobs"


class Deeds:
    """The routes at which something is done."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._aside = survey.aside
        self._uploads = Uploads()

    def handler(self, head: Head, path: str) -> Handler | None:
        """What does it; None where nothing is done."""
        route, _, name = path.rpartition("/")
        if head.method == "POST" and (deed := self._aside.deeds.get(route)):
            head.max_body = MOST_TOLD_BYTES
            return self._do(deed, name)
        return self._ask(head, path) if path.startswith(f"{JOBS}/") else None

    def _ask(self, head: Head, path: str) -> Handler:
        """What a request about the jobs of a service says, whatever its method."""
        name, _, rest = path.removeprefix(f"{JOBS}/").partition("/")
        media_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        asked = Asked(head.method, rest, head.query, media_type)
        head.max_body = MOST_TOLD_BYTES
        if is_upload(head):
            head.max_body = MOST_BYTES
            head.sink = lambda connection, head: self._spool(connection, head, asked, name)
        return self._do(lambda about, body: self._aside.jobs(about, asked, body), name)

    def _spool(self, connection: Connection, head: Head, asked: Asked, name: str) -> Spool | Refused:
        """Rows that are written to a file while they arrive, beside those of jobs; or refused before they do."""
        about = self._survey.about(name)
        place = self._aside.rows_in(about) if about else None
        if place is not None and (why := self._uploads.refusal(place, head)):
            connection.reject("overloaded", why, AGAIN)
            return Refused()

        def whole(connection: Connection, head: Head, rows: Spool) -> None:
            self._do(lambda about, _: self._aside.jobs(about, asked, rows), name)(
                connection, head, b"", connection.started
            )

        spool = Spool(place, whole, self._uploads.end)
        self._uploads.begin(spool, head)
        return spool

    def _do(self, deed: Deed, name: str) -> Handler:
        def do(connection: Connection, head: Head, body: bytes, started: float) -> None:
            about = self._survey.about(name)
            if about is None:
                connection.send(problem("not_found", f"no service {name} is running"), head.keep_alive)
                return
            page = asyncio.get_running_loop().run_in_executor(None, deed, about, body)
            page.add_done_callback(lambda done: _answer(connection, head, done))

        return do


def _answer(connection: Connection, head: Head, done: asyncio.Future[Page]) -> None:
    if error := done.exception():
        logging.getLogger("tenfold").error("%s failed", head.path, exc_info=error)
        connection.send(problem("internal"), head.keep_alive)
    else:
        page = done.result()
        connection.send(response(page.status, page.body, page.media_type), head.keep_alive)
