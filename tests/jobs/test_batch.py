"""``tenfold batch`` with real processes: what ends them, what fills the disk, who presses Ctrl-C; and the job finishes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from tests.jobs.making import content, digests, moved, read, rows, service, trained, write

LONG_S = 300.0  # on a machine that many share
pytestmark = [pytest.mark.slow, pytest.mark.timeout(LONG_S + 60)]
COMMAND = [sys.executable, "-m", "tenfold", "batch"]
OPTIONS = ["--keep", "note", "--workers", "2"]


class Job:
    """A service folder, a file of rows, and the command line over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = service(folder / "doubled")

    def begin(self, *arguments: object, service: str = "doubled", **options: Any) -> subprocess.Popen[str]:
        """Start ``tenfold batch doubled ARGUMENTS`` in the folder."""
        return subprocess.Popen(
            [*COMMAND, service, *map(str, arguments)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: object, code: int = 0, **options: Any) -> tuple[str, str]:
        """Run it to its end, which has to be this one; what it printed."""
        with ended(self.begin(*arguments, **options)) as job:
            out, err = job.communicate(timeout=LONG_S)
        assert job.returncode == code, out + err
        return out, err

    def input(self, n: int, name: str = "in.parquet", **changed: dict[int, Any]) -> Path:
        """A file of n rows."""
        return write(self.folder / name, rows(n, **changed))


@contextmanager
def ended(job: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone at the end, whatever becomes of the test."""
    with job:
        try:
            yield job
        finally:
            job.kill()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """One in a folder of its own."""
    return Job(tmp_path)


def until(holds: Callable[[], bool], seconds: float = LONG_S) -> None:
    """Wait for something that another process does."""
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.005)


def parts(out: Path) -> int:
    """How many parts the manifest names."""
    manifest = out / "manifest.jsonl"
    return max(manifest.read_bytes().count(b"\n") - 1, 0) if manifest.exists() else 0


def children(pid: int) -> Iterator[int]:
    """The workers of a job."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def test_files_in_files_out(job: Job) -> None:
    """Two files in three formats of output: the answers in order, what was kept, and a summary that says so."""
    job.input(30, "a.parquet", x={3: 500.0})
    job.input(20, "b.parquet")
    for kind in ("parquet", "csv", "ndjson"):
        out, _ = job.run("*.parquet", "-o", kind, "--format", kind, "--keep", "note", "--json")
        told = json.loads(out)
        assert {name: told[name] for name in ("state", "rows", "answered", "quarantined", "changed", "exit")} == {
            "state": "finished",
            "rows": 50,
            "answered": 49,
            "quarantined": 1,
            "changed": 0,
            "exit": 0,
        }
        assert json.loads((job.folder / kind / "summary.json").read_bytes())["codes"] == {"out_of_range": 1}
        assert "out_of_range" in (job.folder / kind / "summary.html").read_text()
    answers = read(job.folder / "parquet")
    assert [row["note"] for row in answers] == [f"note {k}" for k in (*range(3), *range(4, 30), *range(20))]
    assert [int(row["id"].split("/")[1]) for row in answers] == [*range(3), *range(4, 50)]
    texts = csv.read_csv(job.folder / "csv" / "part-00000.csv")
    assert texts["value"].to_pylist() == [row["value"] for row in answers][:29]
    lines = [json.loads(line) for line in (job.folder / "ndjson" / "part-00001.ndjson").read_bytes().splitlines()]
    assert [line["value"] for line in lines] == [row["value"] for row in answers][29:]
    [aside] = (job.folder / "parquet" / "quarantine").iterdir()
    assert json.loads(aside.read_bytes())["file"] == "a.parquet"


def test_the_same_rows_in_every_format_are_answered_alike(job: Job) -> None:
    """CSV, NDJSON and Arrow give the answers that Parquet gives."""
    table = rows(25, x={3: 500.0})
    write(job.folder / "in.parquet", table)
    csv.write_csv(table, job.folder / "in.csv")
    with pa.ipc.new_file(str(job.folder / "in.arrow"), table.schema) as file:
        file.write_table(table)
    (job.folder / "in.ndjson").write_text("\n".join(map(json.dumps, table.to_pylist())))
    found = []
    for name in ("in.parquet", "in.csv", "in.arrow", "in.ndjson"):
        job.run(name, "-o", f"{name}.out", "--keep", "note")
        found.append([{**row, "id": 0} for row in read(job.folder / f"{name}.out")])
    assert found[1:] == found[:1] * 3


def test_once_more_changes_nothing(job: Job) -> None:
    """A job that is finished says so, and touches no file."""
    job.input(300)
    job.run("in.parquet", "-o", "out", "--shard-rows", 40)
    before = {file: file.stat().st_mtime_ns for file in (job.folder / "out").rglob("*")}
    out, _ = job.run("in.parquet", "-o", "out", "--shard-rows", 40)
    assert "finished before" in out
    assert {file: file.stat().st_mtime_ns for file in (job.folder / "out").rglob("*")} == before


def has_come_to(running: subprocess.Popen[str], out: Path, at: int) -> bool:
    """Whether a job has kept so many parts, or is at its end."""
    return parts(out) >= at or running.poll() is not None


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job over 2,000 rows in 50 parts, which is there to be interrupted."""
    job = Job(tmp_path_factory.mktemp("long"))
    job.input(2000, x={100: 500.0, 777: 88.0}, y={5: None})
    return job


@pytest.fixture(scope="module")
def whole(long: Job) -> dict[str, str]:
    """What it writes where nothing does."""
    long.run("in.parquet", "-o", "whole", "--shard-rows", 40, *OPTIONS)
    return digests(long.folder / "whole")


def test_a_job_that_is_killed_at_any_point_goes_on(long: Job, whole: dict[str, str]) -> None:
    """SIGKILL at random points: after as many runs as it takes, every byte is that of an uninterrupted run."""
    chance = random.Random(6)
    out = long.folder / "killed"
    for _ in range(4):
        begin_and_kill(long, out, parts(out) + chance.randrange(1, 13), chance.random() / 50)
    long.run("in.parquet", "-o", out, "--shard-rows", 40, *OPTIONS)
    assert digests(out) == whole


def begin_and_kill(job: Job, out: Path, at: int, later_s: float) -> None:
    """Run the job until it has kept so many parts, and a little longer; its workers have to end by themselves."""
    with ended(job.begin("in.parquet", "-o", out, "--shard-rows", 40, *OPTIONS)) as killed:
        until(partial(has_come_to, killed, out, at))
        time.sleep(later_s)
        workers = list(children(killed.pid))
        killed.kill()
        killed.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_workers_that_are_killed_are_replaced(long: Job, whole: dict[str, str]) -> None:
    """A worker is no more than its work: others take it over, and nothing shows."""
    chance = random.Random(7)
    out = long.folder / "workers"
    with ended(long.begin("in.parquet", "-o", out, "--shard-rows", 40, *OPTIONS)) as running:
        for at in (3, 15, 30):
            until(partial(has_come_to, running, out, at))
            for pid in list(children(running.pid))[: chance.randint(1, 2)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        _, err = running.communicate(timeout=LONG_S)
    assert running.returncode == 0, err
    assert digests(out) == whole


def test_ctrl_c_keeps_what_is_in_work_and_says_how_to_go_on(long: Job, whole: dict[str, str]) -> None:
    """Once finishes what was begun; the same command then finishes the job."""
    out = long.folder / "asked"
    (long.service / "slow").touch()
    with ended(long.begin("in.parquet", "-o", out, "--shard-rows", 40, *OPTIONS)) as running:
        until(lambda: parts(out) >= 2)
        running.send_signal(signal.SIGINT)
        said, err = running.communicate(timeout=LONG_S)
    (long.service / "slow").unlink()
    assert running.returncode == 130, said + err
    assert "stopping" in err
    assert "the same command goes on from here" in said
    assert json.loads((out / "summary.json").read_bytes())["state"] == "stopped"
    assert 2 <= parts(out) < 50
    long.run("in.parquet", "-o", out, "--shard-rows", 40, *OPTIONS)
    assert digests(out) == whole


def test_a_row_that_kills_is_put_aside(job: Job) -> None:
    """Two rows end the model's process, one by a signal and one by leaving; the other 298 are answered."""
    job.input(300, x={123: 66.0, 234: 55.0})
    out, _ = job.run("in.parquet", "-o", "out", "--shard-rows", 200)
    assert "298 of 300 rows" in out
    aside = [
        json.loads(line)
        for line in b"".join(
            file for name, file in content(job.folder / "out").items() if "quarantine" in name
        ).splitlines()
    ]
    assert [(row["row"], row["reasons"][0]["code"], row["reasons"][0]["detail"]) for row in aside] == [
        (123, "quarantined", "the model's process ended: signal SIGKILL"),
        (234, "quarantined", "the model's process ended: exit code 3"),
    ]


@pytest.mark.parametrize(("value", "code"), [(500.0, "out_of_range"), (88.0, "model_failed")])
def test_one_bad_row_in_a_million_costs_itself(job: Job, value: float, code: str) -> None:
    """999,999 answers, and one row put aside with its place and its reason."""
    good, bad = rows(10_000), rows(10_000, x={7_777: value})
    with parquet.ParquetWriter(job.folder / "in.parquet", good.schema) as file:
        for k in range(100):
            file.write_table(bad if k == 70 else good)
    out, _ = job.run("in.parquet", "-o", "out", "--json")
    assert (json.loads(out)["answered"], json.loads(out)["codes"]) == (999_999, {code: 1})
    [aside] = (job.folder / "out" / "quarantine").iterdir()
    told = json.loads(aside.read_bytes())
    assert (told["row"], told["reasons"][0]["code"], told["data"]["code"]) == (707_777, code, "c7777")
    assert sum(parquet.read_metadata(part).num_rows for part in (job.folder / "out").glob("part-*")) == 999_999


def test_a_process_that_ends_once_blames_no_row(job: Job) -> None:
    """What happens once is tried again, and the answers are those of a job to which it did not happen."""
    job.input(100)
    job.run("in.parquet", "-o", "whole", "--keep", "note")
    (job.service / "once").touch()
    job.run("in.parquet", "-o", "out", "--keep", "note")
    assert not (job.service / "once").exists()
    assert digests(job.folder / "out") == digests(job.folder / "whole")


def test_a_row_that_hangs_is_put_aside(job: Job) -> None:
    """A row that is never answered costs its time, and nothing else."""
    job.input(100, x={42: 77.0})
    job.run("in.parquet", "-o", "out", "--timeout", "1 s")
    [aside] = (job.folder / "out" / "quarantine").iterdir()
    assert json.loads(aside.read_bytes())["reasons"][0]["detail"] == "no answer in 1 s"
    assert len(read(job.folder / "out")) == 99


def test_a_full_disk_is_told_and_the_job_goes_on(job: Job) -> None:
    """No space left: a clear error, what is written is safe, and with space the same command finishes."""
    job.input(1000)
    few = ["--shard-rows", 10, *OPTIONS]
    job.run("in.parquet", "-o", "fine", *few)
    _, err = job.run(
        "in.parquet", "-o", "out", *few, code=1, preexec_fn=partial(setrlimit, RLIMIT_FSIZE, (2**14, 2**14))
    )
    assert "cannot be written: File too large" in err
    assert "rows are safe" in err
    assert "run the same command: it goes on" in err
    job.run("in.parquet", "-o", "out", *few)
    assert digests(job.folder / "out") == digests(job.folder / "fine")


def test_a_worker_that_cannot_be_handed_rows_is_told(job: Job) -> None:
    """Where not even a block of rows may be held, the error says which limit it is."""
    job.input(2000)
    _, err = job.run("in.parquet", "-o", "out", code=1, preexec_fn=partial(setrlimit, RLIMIT_FSIZE, (2**14, 2**14)))
    assert "cannot be handed over: File too large" in err
    assert "ulimit -f" in err


def test_an_error_budget_stops_the_job(job: Job) -> None:
    """More bad rows than allowed end with 6; with a larger budget the same command goes on."""
    job.input(400, x=dict.fromkeys(range(0, 400, 10), 500.0))
    out, _ = job.run("in.parquet", "-o", "out", "--shard-rows", 40, "--max-bad", "2%", code=6)
    assert "9 of 400 rows are bad" in out or "12 of 400 rows are bad" in out
    assert "tenfold explain out_of_range" in out
    job.run("in.parquet", "-o", "out", "--shard-rows", 40, "--max-bad", "10%")
    assert len(read(job.folder / "out")) == 360


def test_nothing_that_can_be_answered_is_no_success(job: Job) -> None:
    """A job all of whose rows are bad ends with 3."""
    job.input(10, x=dict.fromkeys(range(10), 500.0))
    job.run("in.parquet", "-o", "out", code=3)


def test_a_dry_run_writes_nothing(job: Job) -> None:
    """Every row is validated; those that would kill are not asked."""
    job.input(100, x={3: 500.0, 5: 66.0})
    out, _ = job.run("in.parquet", "--dry-run")
    assert "valid    99 of 100 rows" in out
    assert sorted(path.name for path in job.folder.iterdir()) == ["doubled", "in.parquet"]


def test_a_changed_input_is_refused(job: Job) -> None:
    """A job goes on with the rows it began with, or not at all."""
    job.input(100)
    job.run("in.parquet", "-o", "out")
    before = digests(job.folder / "out")
    job.input(100, x={7: 1.5})
    _, err = job.run("in.parquet", "-o", "out", code=5)
    assert "in.parquet has changed since" in err
    assert digests(job.folder / "out") == before


def test_a_release_of_a_store_answers_by_its_name(job: Job) -> None:
    """NAME@N is what was pushed, whatever has become of the folder."""
    job.input(60)
    tenfold = [sys.executable, "-m", "tenfold"]
    push = [*tenfold, "push", "doubled", "--store", "store", "--json"]
    pushed = json.loads(subprocess.run(push, cwd=job.folder, check=True, capture_output=True).stdout)
    (job.service / "service.py").write_text("raise ValueError('work in progress')")
    job.run("in.parquet", "-o", "release", "--store", "store", service="doubled@1")
    assert json.loads((job.folder / "release" / "summary.json").read_bytes())["release"] == pushed["id"]
    assert len(read(job.folder / "release")) == 60
    _, err = job.run("in.parquet", "-o", "other", "--store", "store", service="doubled@7", code=4)
    assert "doubled has no release '7'" in err


def test_rows_may_have_an_id_of_their_own(job: Job) -> None:
    """A Key or an answer that is called id stays what it is; ours is the prediction_id then."""
    text = (
        (job.service / "service.py")
        .read_text()
        .replace("code: Annotated[str, Key()]", 'code: Annotated[str, Alias("id"), Key()]')
    )
    (job.service / "service.py").write_text(text)
    write(job.folder / "in.parquet", rows(3).rename_columns(["id", *rows(1).column_names[1:]]))
    job.run("in.parquet", "-o", "out")
    answers = read(job.folder / "out")
    assert [row["id"] for row in answers] == ["c0", "c1", "c2"]
    assert [row["prediction_id"].split("/")[1] for row in answers] == ["0", "1", "2"]


def test_the_input_is_held_against_what_the_model_was_trained_on(job: Job) -> None:
    """The summary says whether the rows of this file are such as the model knows."""
    write(job.folder / "train.parquet", rows(2000))
    job.input(2000)
    write(job.folder / "moved.parquet", moved(2000))
    for name, verdicts in (("in", ["HEALTHY"]), ("moved", ["WATCH", "NEED_LABELS", "FIX_DATA"])):
        job.run(f"{name}.parquet", "-o", name, "--reference", "train.parquet")
        drift = json.loads((job.folder / name / "summary.json").read_bytes())["drift"]
        assert drift["verdict"] in verdicts
        assert drift["sampled"] == 2000
        assert drift["verdict"] in (job.folder / name / "summary.html").read_text()


def test_the_input_is_held_against_the_profile_of_the_service(job: Job) -> None:
    """The verdict needs no option, and is the same from one process or two, and of a job that went on behind half of it."""
    trained(job.service)
    job.input(2000)
    write(job.folder / "moved.parquet", moved(2000))
    for name, verdicts in (("in", ["HEALTHY"]), ("moved", ["WATCH", "NEED_LABELS", "FIX_DATA"])):
        job.run(f"{name}.parquet", "-o", name, "--shard-rows", 300, "--workers", 1)
        summary = (job.folder / name / "summary.json").read_bytes()
        drift = json.loads(summary)["drift"]
        assert drift["verdict"] in verdicts
        assert drift["sampled"] == 2000
        assert drift["verdict"] in (job.folder / name / "summary.html").read_text()
        job.run(f"{name}.parquet", "-o", f"{name}-2", "--shard-rows", 300, "--workers", 2)
        assert (job.folder / f"{name}-2" / "summary.json").read_bytes() == summary
        for left in (*(job.folder / name).glob("part-0000[3-6]*"), job.folder / name / "summary.json"):
            left.unlink()
        out, _ = job.run(f"{name}.parquet", "-o", name, "--shard-rows", 300, "--workers", 1)
        assert "900 rows" in out
        assert digests(job.folder / name) == digests(job.folder / f"{name}-2")


def test_without_a_profile_the_summary_says_how_to_make_one(job: Job) -> None:
    """Nobody takes silence for health."""
    job.input(30)
    out, _ = job.run("in.parquet", "-o", "out")
    drift = json.loads((job.folder / "out" / "summary.json").read_bytes())["drift"]
    assert drift["verdict"] is None
    for told in (out, drift["fix"], (job.folder / "out" / "summary.html").read_text()):
        assert "tenfold record doubled --data FILE" in told


def test_an_empty_input_has_an_empty_answer(job: Job) -> None:
    """No rows: one part with the columns, so that whoever reads the output finds them."""
    job.input(0)
    job.run("in.parquet", "-o", "out")
    assert read(job.folder / "out") == []
    (job.folder / "in.csv").write_text("code,the x,y,z,name,odd,far\n")
    job.run("in.csv", "-o", "out.csv")
    assert read(job.folder / "out.csv") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.parquet", "-o", "out"], 4, "no file nowhere.parquet"),
        (["in.parquet"], 2, "where shall the answers go"),
        (["in.parquet", "-o", "s3://bucket/out"], 2, "written to this machine"),
        (["in.parquet", "-o", "out", "--keep", "nte"], 2, "did you mean 'note'?"),
        (["in.parquet", "-o", "out", "--max-bad", "some"], 2, "neither a share nor a count"),
        (["in.parquet", "-o", "out", "--timeout", "5"], 2, "no unit"),
        (["in.parquet", "-o", "doubled"], 5, "no job wrote it"),
        (["lacking.csv", "-o", "out"], 3, "no column the x"),
        (["clash.csv", "-o", "out", "--keep", "value"], 2, "a column 'value' of their own"),
        (["torn.parquet", "-o", "out"], 1, "torn.parquet cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_written(
    job: Job, arguments: list[str], code: int, said: str
) -> None:
    """One message with its mend, and nothing written."""
    path = job.input(5)
    (job.folder / "torn.parquet").write_bytes(path.read_bytes()[:-50])
    (job.folder / "lacking.csv").write_text("code,x\na,1\n")
    (job.folder / "clash.csv").write_text("code,the x,y,z,name,odd,far,value\n")
    before = sorted(job.folder.rglob("*"))
    _, err = job.run(*arguments, code=code)
    assert said in err
    assert "fix:" in err
    assert [path for path in sorted(job.folder.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_service_that_cannot_be_loaded_is_told(job: Job) -> None:
    """The error of the service's own file, as every command tells it."""
    job.input(5)
    (job.service / "service.py").write_text("import nothing_of_this_name\n")
    _, err = job.run("in.parquet", "-o", "out", code=3)
    assert "service.py:1 imports 'nothing_of_this_name'" in err


def test_a_folder_of_pictures_is_answered(job: Job) -> None:
    """Each answer says which picture it is of; a broken one is put aside."""
    from PIL import Image

    (job.service / "service.py").write_text(
        "from typing import Annotated, Any\n"
        "from tenfold import Contract, Image, Key, Service\n"
        "class Picture(Contract):\n"
        "    picture: Annotated[Any, Image(size=(4, 4))]\n"
        "class Red(Contract):\n"
        "    red: float\n"
        "class Redness(Service):\n"
        "    input, output = Picture, Red\n"
        "    model = staticmethod(lambda pictures: pictures[..., 0].mean(axis=(1, 2)))\n"
    )
    for name, colour in (("cats/a.png", "red"), ("b.png", "black")):
        path = job.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
    (job.folder / "in" / "c.png").write_bytes(b"\x89PNG, not really")
    job.run("in", "-o", "out")
    assert [(row["file"], row["red"]) for row in read(job.folder / "out")] == [("b.png", 0.0), ("cats/a.png", 255.0)]
    [aside] = (job.folder / "out" / "quarantine").iterdir()
    told = json.loads(aside.read_bytes())
    assert (told["data"], told["reasons"][0]["pointer"]) == ({"file": "c.png"}, "/picture")
