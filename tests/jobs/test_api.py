"""Jobs asked for over HTTP, of a real server: queued, done, looked at, cancelled; and what ends processes costs nothing."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tests.jobs.making import rows, service, write
from tests.server.running import Running, alive, serve, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service whose owner lets jobs read one folder."""
    home = tmp_path_factory.mktemp("api")
    (home / "readable").mkdir()
    write(home / "readable" / "in.parquet", rows(400, x={3: 500.0}))
    made = service(home / "doubled")
    (made / "tenfold.toml").write_text(f'[server]\njobs_from = ["{home}/readable"]\n')
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """The service, running."""
    with serve(folder) as running:
        yield running


def text(n: int, **changed: dict[int, Any]) -> bytes:
    """So many rows as CSV."""
    sink = io.BytesIO()
    csv.write_csv(rows(n, **changed), sink)
    return sink.getvalue()


def asked(server: Running, body: Any, query: str = "", headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A job that was taken on."""
    reply = server.ask(f"/doubled/jobs{query}", body, headers)
    assert reply.status == 202, reply.body
    told: dict[str, Any] = reply.json
    return told


def state(server: Running, job: dict[str, Any]) -> dict[str, Any]:
    """How a job is now."""
    told: dict[str, Any] = server.ask(job["url"]).json
    return told


def ended(server: Running, job: dict[str, Any]) -> dict[str, Any]:
    """What became of a job."""

    def over() -> dict[str, Any] | None:
        now = state(server, job)
        return now if now["state"] in ("done", "failed", "cancelled") else None

    told: dict[str, Any] = until(over, "the end of a job")
    return told


def answers(server: Running, told: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a job's answers, in order."""
    names = [name for name in told["files"] if "/part-" in name and "quarantine" not in name]
    tables = [parquet.read_table(io.BytesIO(server.ask(name).body)) for name in names]
    found: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return found


def test_rows_are_sent_and_answers_fetched(server: Running) -> None:
    """CSV in, Parquet out; the bad row is in the quarantine, and the summary counts."""
    job = asked(server, text(300, x={7: 500.0}), "?keep=note&shard_rows=100", CSV)
    assert (job["service"], job["state"], job["files"]) == ("doubled", "waiting", [])
    told = ended(server, job)
    assert (told["state"], told["rows"], told["bad"], told["share"]) == ("done", 300, 1, 1.0), told
    assert told["summary"]["codes"] == {"out_of_range": 1}
    found = answers(server, told)
    assert [row["note"] for row in found] == [f"note {k}" for k in range(300) if k != 7]
    [aside] = [name for name in told["files"] if "quarantine" in name]
    assert json.loads(server.ask(aside).body)["row"] == 7
    listed = server.ask("/doubled/jobs").json["jobs"]
    assert job["id"] in [one["id"] for one in listed]


def memory(pid: int, what: str = "VmRSS") -> int:
    """The megabytes that a process has, or had at most (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) // 1024


def test_an_upload_is_held_by_no_process(server: Running) -> None:
    """80 MB of rows are answered, and neither the process that takes them in nor the one that keeps them grows by a half of
    that; what was sent is gone afterwards."""
    notes = dict.fromkeys(range(400), "x" * 200000)
    pids = [*server.pids("front"), *server.pids("admin")]
    before = [memory(pid) for pid in pids]
    job = asked(server, text(400, note=notes), "", CSV)
    grown = [memory(pid, "VmHWM") - former for pid, former in zip(pids, before, strict=True)]
    told = ended(server, job)
    assert (told["state"], told["rows"], told["bad"]) == ("done", 400, 0), told
    assert max(grown) < 40, grown
    refused = server.ask("/doubled/jobs", b"x", {"content-length": str(2 << 30), **CSV}, method="POST")
    assert (refused.status, refused.json["code"]) == (413, "too_large")


def test_a_job_reads_where_the_owner_lets_it(server: Running, folder: Path) -> None:
    """A client may name a file below a folder that tenfold.toml names, and nothing else on the machine."""
    told = ended(server, asked(server, {"input": f"{folder.parent}/readable/*.parquet", "keep": ["note"]}))
    assert (told["state"], told["rows"]) == ("done", 400)
    for name in ("/etc/passwd", f"{folder.parent}/readable/../in.csv", f"{folder.parent}/readable2/x.csv", "s3://x/y"):
        reply = server.ask("/doubled/jobs", {"input": name})
        assert reply.status == 400
        assert "may not read" in reply.json["detail"]


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "said"),
    [
        (b"{}", {}, "", 400, "a job needs rows"),
        (b"[1]", {}, "", 400, "this is no job"),
        ({"input": "x.csv", "owner": "me"}, {}, "", 400, "owner"),
        (b"", CSV, "", 400, "the body is empty"),
        (b"a\n1\n", CSV, "?format=xls", 400, "not as 'xls'"),
        (b"a\n1\n", CSV, "?max_bad=many", 400, "neither a share nor a count"),
        (b"a\n1\n", CSV, "?shard_rows=x", 400, "no option"),
        (b"a\n1\n", CSV, "?encoding=zip", 400, "no encoding"),
        (b"a\n1\n", CSV, "?encoding=nobody", 400, "no encoding"),
        (b"a\n1\n", CSV, "?delimiter=ab", 400, "not one character"),
        (b"a\n1\n", CSV, "?decimal=,", 400, "cannot part"),
        (b'{"input":' + b"[" * 100_000, {}, "", 400, "this is no job"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    server: Running, body: Any, headers: dict[str, str], query: str, status: int, said: str
) -> None:
    """At once, with a problem document, and nothing is queued."""
    before = len(server.ask("/doubled/jobs").json["jobs"])
    reply = server.ask(f"/doubled/jobs{query}", body, headers, method="POST")
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    assert said in reply.json["detail"]
    assert len(server.ask("/doubled/jobs").json["jobs"]) == before


def test_a_job_that_cannot_be_done_says_why(server: Running) -> None:
    """The message of the command, and its mend."""
    told = ended(server, asked(server, b"code,x\na,1\n", headers=CSV))
    assert told["state"] == "failed"
    assert "no column the x" in told["error"]["message"]
    assert told["error"]["hint"]


def test_files_of_others_are_not_given(server: Running) -> None:
    """A job shows what is in its folder."""
    job = asked(server, text(3), headers=CSV)
    ended(server, job)
    for name in ("../rows.csv", "..%2frows.csv", "../../../service.py", ".hidden", "nothing"):
        assert server.ask(f"{job['url']}/{name}").status == 404
    assert server.ask("/doubled/jobs/nobody").status == 404
    refused = server.ask(job["url"], b"", method="PUT")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, DELETE")


def test_a_job_is_cancelled(server: Running, folder: Path) -> None:
    """What waits is never begun, and what is at work stops; its parts stay, and the next job's turn comes."""
    (folder / "slow").touch()
    try:
        first = asked(server, text(4000), "?shard_rows=40", CSV)
        second = asked(server, text(50), "", CSV)
        until(lambda: state(server, first).get("rows", 0) > 0, "the first part")
        for job in (second, first):
            assert server.ask(job["url"], method="DELETE").json["state"] == "cancelled"
        third = asked(server, text(30), "", CSV)
        assert ended(server, third)["state"] == "done"
    finally:
        (folder / "slow").unlink()
    assert state(server, second)["files"] == []
    assert 0 < len(answers(server, state(server, first))) < 4000
    assert server.ask(first["url"], method="DELETE").json["state"] == "cancelled"


def runner(folder: Path) -> int:
    """The process that does the jobs of this folder; 0 for none."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"jobs" in words and str(folder / ".tenfold").encode() in words and alive(int(entry.parent.name)):
            return int(entry.parent.name)
    return 0


def test_processes_that_are_killed_cost_nothing(folder: Path, tmp_path: Path) -> None:
    """SIGKILL for the runner, then for the whole server in the middle of a job: the next server ends it, and the answers
    are those of a job that nobody disturbed."""
    made = service(tmp_path / "doubled")
    rows_sent = text(2000, x={7: 500.0})
    (made / "slow").touch()
    with serve(made) as server:
        job = asked(server, rows_sent, "?shard_rows=40&keep=note", CSV)
        until(lambda: state(server, job).get("rows", 0) > 0, "the first part")
        first = until(lambda: runner(made), "a runner")
        os.kill(first, signal.SIGKILL)
        until(lambda: runner(made) not in (0, first), "another runner")
        killed = runner(made)
        server.process.kill()
        server.process.wait()
        until(lambda: not alive(killed), "the end of the runner")
    (made / "slow").unlink()
    with serve(made) as server:
        told = ended(server, job)
        found = answers(server, told)
        undisturbed = answers(server, ended(server, asked(server, rows_sent, "?shard_rows=40&keep=note", CSV)))
    assert (told["state"], told["rows"], told["bad"]) == ("done", 2000, 1)
    assert found == undisturbed
