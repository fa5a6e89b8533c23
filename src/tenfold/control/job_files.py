"""Where the files of jobs are: what was sent, and what was answered.

    jobs/ID/rows.csv         in the folder of the store: what was sent, as long as the job has not ended
    jobs/ID/out/…            the folder that the job writes

Where several machines share a store, both are kept among its contents, too: each of them can do a job, go on with another's
from what was kept last, and give the answers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tenfold.errors import NotFound, TenfoldError
from tenfold.jobs.folder import MANIFEST
from tenfold.server.spool import Spool, is_left
from tenfold.server.uploads import ROWS, why_full
from tenfold.store import Store
from tenfold.store.database import EMBEDDED
from tenfold.store.jobs import ENDED
from tenfold.store.nouns import Jobs
from tenfold.store.places import folder_of, is_shared
from tenfold.store.records import Job

JOBS = "jobs"
OUT = "out"
GROWS = (MANIFEST, "summary.json", "summary.html")  # any other file of a job stays as it was written


def rows_in(place: str, home: str) -> Path:
    """Where rows that are sent wait for the jobs of the store at ``place``, before it is opened: where its ``Files`` are.
    Those for a store that machines share wait in ``home``, the service's folder."""
    return (Path(home, EMBEDDED) if is_shared(place) else folder_of(place)) / JOBS


class Files:
    """The files of the jobs of a store. ``place`` is where this machine has them."""

    def __init__(self, store: Store) -> None:
        self.place = store.folder / JOBS
        self._blobs = store.blobs if is_shared(store.url) else None

    def out(self, job: Job) -> Path:
        """The folder that a job writes on this machine."""
        return self.place / job.id / OUT

    # What was sent

    def written(self, content: bytes) -> Path:
        """What was sent, as a file beside those of jobs, before any job speaks of it."""
        spool = Spool(self.place, lambda *_: None)
        spool.extend(content)
        return self.received(spool)

    def received(self, spool: Spool) -> Path:
        """What was written while it was sent. Raises ``TenfoldError`` where the disk had no room for it."""
        if spool.file is None:
            raise TenfoldError(f"the rows cannot be kept: {spool.trouble}", "free some space on the server")
        with spool.file.open("rb") as file:
            os.fsync(file.fileno())
        return spool.file

    def took(self, file: Path) -> dict[str, str]:
        """What the plan of a job has to say of a file that was sent: its digest, where other machines are to have it."""
        return {} if self._blobs is None else {"content": self._blobs.put(file)}

    def adopt(self, file: Path, job: Job) -> None:
        """Give a file that was sent to its job."""
        place = self._upload(job)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, place)  # which may be on another disk

    def sent(self, job: Job) -> Path:
        """The file that was sent, here. Raises ``NotFound`` where it is gone."""
        place = self._upload(job)
        if self._blobs is not None and not _is(place, job.plan["content"]):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            self._blobs.copy(job.plan["content"], place)
        return place

    def forget(self, job: Job) -> None:
        """Nobody needs what was sent any more."""
        if job.plan["upload"]:
            self._upload(job).unlink(missing_ok=True)

    def why_full(self, more: int) -> str:
        """Why there is no room for so many more bytes of rows; "" where there is."""
        return why_full(self.place, more)

    def sweep(self, jobs: Jobs) -> None:
        """Remove rows that nobody needs: of jobs that have ended, and of one that never was, since whoever took it on was
        killed before it had said so."""
        for rows in self.place.glob(f"*/{ROWS}"):
            with suppress(OSError):
                job = jobs.get(rows.parent.name)
                if (job is None or job.state in ENDED) and is_left(rows):
                    rows.unlink()
                    if job is None:
                        rows.parent.rmdir()

    def _upload(self, job: Job) -> Path:
        return Path(self.place, job.id, job.plan["upload"])

    # What was answered

    def keep(self, job: Job, known: Mapping[str, str]) -> dict[str, str]:
        """Keep for other machines what a job has written since; by name, the digests of all that is kept."""
        if self._blobs is None:
            return {}
        out = self.out(job)
        names = [name for name in _names(out) if name in GROWS or name not in known]
        return {**known, **{name: self._blobs.put(out / name) for name in names}}

    def fetch(self, job: Job) -> None:
        """Have here what was kept of a job, so that it goes on behind that, unless more of it is here already."""
        out, kept = self.out(job), job.result.get("files", {})
        if self._blobs is None or MANIFEST not in kept or _lines(out / MANIFEST) >= self._kept_lines(kept):
            return
        for name, digest in kept.items():
            place = out / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            self._blobs.copy(digest, place)

    def _kept_lines(self, kept: Mapping[str, str]) -> int:
        assert self._blobs is not None
        return self._blobs.read(kept[MANIFEST]).count(b"\n")

    def names(self, job: Job) -> Sequence[str]:
        """The files of a job that can be read, by their places in its folder."""
        return [*_names(self.out(job))] if self._blobs is None else sorted(job.result.get("files", {}))

    def read(self, job: Job, name: str) -> bytes:
        """A file of a job's folder, and of nothing else. Raises ``NotFound``."""
        if name not in self.names(job):
            raise NotFound("the job has no such file")
        if self._blobs is not None:
            return self._blobs.read(job.result["files"][name])
        return (self.out(job) / name).read_bytes()


def _names(out: Path) -> Iterator[str]:
    """The files in a job's folder, but for those that are being written."""
    files = (file for file in sorted(out.rglob("*")) if file.is_file() and not file.name.startswith("."))
    return (str(file.relative_to(out)) for file in files)


def _lines(manifest: Path) -> int:
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


def _is(file: Path, digest: str) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == digest
