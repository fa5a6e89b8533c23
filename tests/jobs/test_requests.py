"""Requests about jobs to a server whose store is full, or not there yet."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tenfold.control import job_requests
from tenfold.control.job_files import Files, rows_in
from tenfold.control.job_requests import answer
from tenfold.errors import TenfoldError
from tenfold.server import uploads
from tenfold.server.aside import Asked
from tenfold.server.spool import Spool
from tenfold.store import open_store


def about(home: Path) -> dict[str, Any]:
    """What the supervisor tells of a service."""
    return {"home": str(home), "folder": str(home), "deployed": "", "env": "", "service": {"name": "doubled"}}


def test_looking_for_jobs_makes_nothing(tmp_path: Path) -> None:
    """Where nobody asked for one, there is none, and no store."""
    body, _, status = answer(about(tmp_path / "home"), Asked("GET", "", "", ""), b"", str(tmp_path / "home"))
    assert (status, json.loads(body)) == (200, {"jobs": []})
    assert answer(about(tmp_path / "home"), Asked("GET", "nobody", "", ""), b"", str(tmp_path / "home"))[2] == 404
    assert not (tmp_path / "home").exists()


def test_a_full_store_is_no_fault_of_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and where the store is stays between the server and its log."""

    def full(*_: object, **__: object) -> None:
        raise TenfoldError(f"the store {tmp_path} cannot be written: disk is full")

    monkeypatch.setattr(job_requests, "open_store", full)
    body, _, status = answer(about(tmp_path), Asked("POST", "", "", "text/csv"), b"a\n1\n", str(tmp_path))
    assert (status, json.loads(body)["code"]) == (503, "not_ready")
    assert str(tmp_path) not in body.decode()


def test_a_full_queue_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 where the rows that wait take up all the room that they may, with when to come again; none of these is kept."""
    monkeypatch.setattr(uploads, "MOST_KEPT_BYTES", 10)
    body, _, status = answer(about(tmp_path), Asked("POST", "", "", "text/csv"), b"a\n1\n" * 9, str(tmp_path))
    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert "come again" in json.loads(body)["detail"]
    assert answer(about(tmp_path), Asked("POST", "", "", "text/csv"), b"a\n1\n", str(tmp_path))[2] == 202


def test_rows_that_nobody_needs_are_removed(tmp_path: Path) -> None:
    """Those of a process that was killed between keeping them and queueing their job, and those of a job that has ended; not
    those of one that waits, nor what has just come."""
    body, _, _ = answer(about(tmp_path), Asked("POST", "", "", "text/csv"), b"a\n1\n", str(tmp_path))
    with closing(open_store(str(tmp_path))) as store:
        files = Files(store)
        assert rows_in(str(tmp_path), "elsewhere") == files.place
        job = store.jobs.get(json.loads(body)["id"])
        assert job is not None
        waiting = files.sent(job)
        lost, new = (files.place / name / "rows.csv" for name in ("lost", "new"))
        for rows in (lost, new):
            rows.parent.mkdir()
            rows.write_bytes(b"a\n1\n")
        for rows in (waiting, lost):
            os.utime(rows, (0, 0))
        files.sweep(store.jobs)
        assert (waiting.exists(), lost.parent.exists(), new.exists()) == (True, False, True)
        store.jobs.cancel(job.id)
        files.sweep(store.jobs)
        assert not waiting.exists()


def test_rows_of_an_unknown_kind_are_not_kept(tmp_path: Path) -> None:
    """415, and the file that they were written to is gone."""
    rows = Spool(tmp_path / "jobs", lambda *_: None)
    rows.extend(b"a;1")
    assert answer(about(tmp_path), Asked("POST", "", "", "text/weird"), rows, str(tmp_path))[2] == 415
    assert not [*(tmp_path / "jobs").iterdir()]
