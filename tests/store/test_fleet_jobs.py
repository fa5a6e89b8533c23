"""Jobs of a store that machines share: any of them takes them on, does them, and gives the answers."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow import csv, parquet

from tenfold.control import deployments, releases
from tenfold.store.sweep import sweep
from tests.jobs import making
from tests.server.running import Running, alive, serve, until
from tests.store.conftest import Shared
from tests.store.servers import MISSING

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} of PostgreSQL on this machine; Debian: make debian"),
]
CSV = {"content-type": "text/csv"}


@contextmanager
def machine(name: str, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server of the store that keeps what it makes of it in a folder of its own, as on a machine of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    with serve(Path("doubled"), "--store", shared.url, "--anonymous", log=tmp_path / f"{name}.log") as server:
        until(lambda: server.ask("/readyz").status == 200, "ready")
        yield server


def runner(where: Path) -> int:
    """The process that does jobs, of the server that keeps its files there; 0 for none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, known = ((entry / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        if b"jobs" in words and f"XDG_CACHE_HOME={where}".encode() in known and alive(int(entry.name)):
            return int(entry.name)
    return 0


def state(server: Running, job: dict[str, Any]) -> dict[str, Any]:
    """How a job is now."""
    told: dict[str, Any] = server.ask(job["url"]).json
    assert told["state"] != "failed", told
    return told


def rows(server: Running, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The answers of a job, but for their ids."""
    names = [name for name in told["files"] if name.rpartition("/")[2].startswith("part-") and "quarantine" not in name]
    tables = [parquet.read_table(io.BytesIO(server.ask(name).body)) for name in names]
    return [row for table in tables for row in table.to_pylist()]


def test_what_one_machine_began_another_ends(shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is lost in the middle of a job loses nothing: another one goes on behind what was kept, and gives the
    answers of a job that nobody disturbed. They stay as long as the job does, and what was sent goes."""
    slow = tmp_path / "slow"
    made = making.service(tmp_path / "doubled")
    source = (made / "service.py").read_text()
    (made / "service.py").write_text(source.replace('Path(__file__).parent / "slow"', f"Path({str(slow)!r})"))
    deployments.deploy(releases.push(str(made), shared.url).release.name, shared.url)
    sink = io.BytesIO()
    csv.write_csv(making.rows(800, x={7: 500.0}), sink)
    slow.touch()
    with (
        machine("a", shared, tmp_path, monkeypatch) as a,
        machine("b", shared, tmp_path, monkeypatch) as b,
    ):
        job = a.ask("/doubled/jobs?shard_rows=40", sink.getvalue(), CSV).json
        until(lambda: len(state(b, job)["files"]) > 1, "the first parts, seen by the other machine")
        lost, left = (a, b) if runner(tmp_path / "a") else (b, a)
        began_by = runner(tmp_path / ("a" if lost is a else "b"))
        os.kill(lost.process.pid, 9)
        lost.process.wait()
        until(lambda: not alive(began_by), "the end of the runner")
        safe = len(state(left, job)["files"])
        slow.unlink()
        until(lambda: state(left, job)["state"] == "done", "the end of the job")
        told = state(left, job)
        again = left.ask("/doubled/jobs?shard_rows=40", sink.getvalue(), CSV).json
        until(lambda: state(left, again)["state"] == "done", "the end of the other job")
        found = rows(left, told)
        assert found == rows(left, state(left, again))
    assert (told["rows"], told["bad"], len(found)) == (800, 1, 799)
    [log] = [tmp_path / f"{name}.log" for name, server in (("a", a), ("b", b)) if server is left]
    assert safe > 1, log.read_text()
    with_time = shared.open()
    try:
        known = [one for one in with_time.jobs.list("doubled") if one.id == job["id"]]
        shared.date(with_time.clock() - timedelta(days=2))
        sweep(with_time, "anna")
        assert with_time.blobs.find(known[0].plan["content"]) is None
        assert all(with_time.blobs.find(digest) for digest in known[0].result["files"].values())
    finally:
        with_time.close()
