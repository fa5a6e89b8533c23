"""The folder of a job: whole parts or none, whatever the disk does and whoever was there before."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenfold.errors import Conflict, TenfoldError
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Place
from tenfold.jobs.folder import Folder, Unwritable
from tenfold.jobs.manifest import Input, Job, Part
from tests.jobs.making import content

JOB = Job(
    service="doubled",
    release="ab" * 32,
    inputs=(Input("x.csv", 10, "cd" * 32),),
    keep=(),
    format="parquet",
    dialect=Dialect(),
    shard_rows=10,
    shard_bytes=1000,
)


def changed(**values: Any) -> Job:
    """The job with something else about it."""
    return msgspec.structs.replace(JOB, **values)


def part(number: int) -> tuple[Part, bytes, bytes, bytes]:
    """A part, its answers, what is put aside, and what is sampled."""
    import hashlib

    answers, aside = b"answers %d" % number * 50, b"aside" if number % 2 else b""
    sample = b"sample" if number < 2 else b""
    one = Part(
        part=f"part-{number:05}.parquet",
        file=0,
        start=Place(10 * number),
        end=Place(10 * number + 10),
        rows=10,
        answered=10,
        quarantined=0,
        digest=hashlib.sha256(answers).hexdigest(),
        aside=hashlib.sha256(aside).hexdigest() if aside else "",
        sample=hashlib.sha256(sample).hexdigest() if sample else "",
    )
    return one, answers, aside, sample


def work(path: Path, stop: int = 4, job: Job = JOB) -> None:
    """Keep the parts that are not kept yet, and the summary."""
    with Folder(path, job, ".parquet") as folder:
        while len(folder.parts) < stop:
            folder.commit(*part(len(folder.parts)))
        folder.write("summary.json", b"{}")


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """What a job writes that nothing interrupts."""
    work(tmp_path / "whole")
    return content(tmp_path / "whole")


def test_what_is_written(whole: dict[str, bytes]) -> None:
    """Parts, what was put aside and sampled, the manifest and the summary, and nothing else."""
    assert sorted(whole) == [
        "manifest.jsonl",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
        "part-00003.parquet",
        "quarantine/part-00001.ndjson",
        "quarantine/part-00003.ndjson",
        "sample/part-00000.arrow",
        "sample/part-00001.arrow",
        "summary.json",
    ]
    assert len(whole["manifest.jsonl"].splitlines()) == 5


def test_once_more_changes_nothing(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """A finished job can be run again; its files are not even touched."""
    times = [file.stat().st_mtime_ns for file in sorted((tmp_path / "whole").rglob("*"))]
    work(tmp_path / "whole")
    assert content(tmp_path / "whole") == whole
    assert [file.stat().st_mtime_ns for file in sorted((tmp_path / "whole").rglob("*"))] == times


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EFBIG])
@pytest.mark.parametrize("torn", [0, 7])
def test_a_disk_that_refuses_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes], code: int, torn: int
) -> None:
    """Whichever write, flush or rename fails, the error is clear, and the same job then writes what it would have."""
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in ("write", "fsync", "open")}
    calls, fails = 0, 1

    def failing(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            if name == "open" and not args[1] & os.O_CREAT:
                return real[name](*args, **options)
            calls += 1
            if calls == fails:
                if name == "write" and torn:
                    real[name](args[0], bytes(args[1])[:torn])
                raise OSError(code, os.strerror(code))
            return real[name](*args, **options)

        return call

    for name in real:
        monkeypatch.setattr(os, name, failing(name))
    errors: list[Unwritable] = []
    while len(errors) == fails - 1:
        path = tmp_path / f"fails at {fails}"
        calls = 0
        try:
            work(path)
        except Unwritable as error:
            errors.append(error)
        calls = -(10**9)
        work(path)
        assert content(path) == whole
        fails += 1
    assert len(errors) > 30
    assert all(os.strerror(code) in error.message and "run the same command" in error.hint for error in errors)


@pytest.mark.parametrize("left", range(0, 900, 37))
def test_a_manifest_that_was_cut_off_goes_on(tmp_path: Path, whole: dict[str, bytes], left: int) -> None:
    """A power cut may take the end of the manifest with it; what it names no more is written again."""
    path = tmp_path / "whole"
    (path / "manifest.jsonl").write_bytes(whole["manifest.jsonl"][:left])
    (path / ".part-00009.parquet.tmp").write_bytes(b"half")
    work(path)
    assert content(path) == whole


def test_a_part_that_is_gone_is_written_again(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """Whoever deletes a part gets it back."""
    (tmp_path / "whole" / "part-00002.parquet").unlink()
    work(tmp_path / "whole")
    assert content(tmp_path / "whole") == whole


def test_a_part_that_somebody_altered_is_not_written_over(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """What was mended by hand is not lost without a word."""
    path = tmp_path / "whole" / "part-00001.parquet"
    path.write_bytes(b"mended")
    with pytest.raises(Conflict, match="altered"):
        work(tmp_path / "whole")
    assert path.read_bytes() == b"mended"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"service": "tripled"}, "one of doubled, not tripled"),
        ({"release": "ef" * 32}, "the service has changed since: release abababa, now efefefe"),
        ({"inputs": (Input("x.csv", 11, "ef" * 32),)}, "x.csv has changed since (10 bytes, now 11)"),
        ({"inputs": (Input("y.csv", 11, "ef" * 32),)}, "belongs to another job: it reads x.csv, not y.csv"),
        ({"inputs": (Input("x.csv", 10, "cd" * 32, 5),)}, "x.csv was written to since"),
        ({"inputs": ()}, "reads 1 files, not 0"),
        ({"keep": ("a", "b")}, "--keep was nothing, and is a,b"),
        ({"format": "csv"}, "--format was parquet"),
        ({"shard_rows": 5}, "--shard-rows was 10, and is 5"),
        ({"dialect": Dialect(delimiter=";")}, "CSV options"),
    ],
)
def test_another_job_is_refused(tmp_path: Path, whole: dict[str, bytes], other: dict[str, Any], said: str) -> None:
    """A folder goes on with its own job only: the difference is told, and nothing is written."""
    with pytest.raises(Conflict) as caught:
        work(tmp_path / "whole", job=changed(**other))
    assert said in caught.value.message
    assert caught.value.exit_code == 5
    assert content(tmp_path / "whole") == whole


def test_a_moved_input_is_the_same_job(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """What counts is what a file holds, not what it is called."""
    work(tmp_path / "whole", job=changed(inputs=(Input("elsewhere/y.csv", 10, "cd" * 32),)))


@pytest.mark.parametrize("name", ["notes.txt", "manifest.jsonl"])
@pytest.mark.parametrize("text", ["mine", '{"mine": 1}\n'])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, name: str, text: str) -> None:
    """A folder that no job wrote is refused as it is."""
    (tmp_path / name).write_text(text)
    with pytest.raises(Conflict):
        work(tmp_path)
    assert content(tmp_path) == {name: text.encode()}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """-o names a folder."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(Conflict):
        work(tmp_path / "out")


def test_two_processes_cannot_do_the_same_job(tmp_path: Path) -> None:
    """The second one is told, and does nothing."""
    with Folder(tmp_path / "out", JOB, ".parquet"), pytest.raises(Conflict, match="another process"):
        Folder(tmp_path / "out", JOB, ".parquet")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A path through a file is no folder."""
    (tmp_path / "file").touch()
    with pytest.raises(TenfoldError) as caught:
        work(tmp_path / "file" / "out")
    assert caught.value.hint
