"""Minute by minute for two days, also over restarts of the process that writes it down."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tenfold.server.history import MINUTES, History, Recorder, figures_of
from tenfold.server.metrics import bucket_of

START = 1_763_900_000.0  # twenty seconds into a minute


def fleet(release: str = "f@1") -> list[dict[str, Any]]:
    """One service, as the supervisor tells of it."""
    return [{"service": {"name": "f"}, "release": release, "replicas": 2}]


class Counted:
    """Counters by release, counted by hand."""

    def __init__(self) -> None:
        self.by_release: dict[str, Counter[str]] = {}

    def __call__(self, release: str) -> Counter[str]:
        return Counter(self.by_release.get(release, {}))

    def add(self, counts: dict[str, int], release: str = "f@1") -> None:
        """Count something."""
        self.by_release.setdefault(release, Counter()).update(counts)


def minutes(run: Path, recorder: Recorder | None = None) -> list[dict[str, Any]]:
    """Everything that was recorded."""
    history = recorder.of("f") if recorder else History(run / "history.f")
    return list(history.between(0, int(START // 60) + 10))


def test_a_record_for_each_minute(tmp_path: Path) -> None:
    """A minute has what was counted in it, its quantiles, and how long it was."""
    counted = Counted()
    recorder = Recorder(tmp_path, counted, START)
    done = {"came": 10, "good": 8, "refused": 2, "stage_ns:queue": 4 * 10**9}
    counted.add({**done, f"latency:{bucket_of(1000)}": 8})
    recorder.tick(START + 39, fleet())
    assert not (tmp_path / "minute.json").exists()
    recorder.tick(START + 40, fleet())
    counted.add({"came": 6, "good": 6})
    recorder.tick(START + 100, fleet())
    first, second = minutes(tmp_path, recorder)
    assert {name: first[name] for name in ("seconds", "rows", "good", "refused", "requests", "replicas", "release")} == {
        "seconds": 40.0, "rows": 10, "good": 8, "refused": 2, "requests": 8, "replicas": 2, "release": "1"
    }  # fmt: skip
    assert (first["waiting"], first["p99_s"]) == (0.1, 0.00106)
    assert (second["rows"], second["seconds"], second["p99_s"]) == (6, 60.0, None)
    assert second["minute"] == first["minute"] + 1


def test_another_process_goes_on(tmp_path: Path) -> None:
    """A restart of the admin process loses no row and counts none twice; the minutes that it took are one longer record."""
    counted = Counted()
    recorder = Recorder(tmp_path, counted, START)
    counted.add({"came": 10})
    recorder.tick(START + 40, fleet())
    counted.add({"came": 5})
    del recorder
    successor = Recorder(tmp_path, counted, START + 200)
    successor.tick(START + 201, fleet())
    assert [(record["rows"], record["seconds"]) for record in minutes(tmp_path)] == [(10, 40.0), (5, 161.0)]


def test_a_release_that_was_replaced_is_counted_to_its_end(tmp_path: Path) -> None:
    """What the former release still answers belongs to the minute, and then it is forgotten."""
    counted = Counted()
    recorder = Recorder(tmp_path, counted, START)
    counted.add({"came": 10})
    recorder.tick(START + 40, fleet())
    counted.add({"came": 3})
    counted.add({"came": 4}, "f@2")
    counted.add({"came": 99}, "other@1")
    recorder.tick(START + 100, fleet("f@2"))
    recorder.tick(START + 160, fleet("f@2"))
    assert [(record["release"], record["rows"]) for record in minutes(tmp_path)] == [("1", 10), ("2", 7), ("2", 0)]
    assert b"f@1" not in (tmp_path / "minute.json").read_bytes()


def test_two_days_and_not_a_minute_more(tmp_path: Path) -> None:
    """The file has one size for ever: a new minute takes the place of the one of two days before."""
    history = History(tmp_path / "history.f")
    size = (tmp_path / "history.f").stat().st_size
    for minute in range(1000, 1000 + MINUTES + 10):
        history.record(minute, "f@1", {"rows": minute})
    kept = list(History(tmp_path / "history.f").between(0, 10**6))
    assert kept == []  # asked long after
    kept = list(history.between(0, 1000 + MINUTES + 9))
    assert (len(kept), kept[0]["rows"], kept[-1]["rows"]) == (MINUTES, 1010, 1009 + MINUTES)
    assert (tmp_path / "history.f").stat().st_size == size < 500_000


def test_a_file_of_another_version_is_begun_anew(tmp_path: Path) -> None:
    """What cannot be read is no reason not to start."""
    (tmp_path / "history.f").write_bytes(b"minutes0" + bytes(100))
    (tmp_path / "minute.json").write_bytes(b"{")
    Recorder(tmp_path, Counted(), START).tick(START + 60, fleet())
    assert [record["rows"] for record in minutes(tmp_path)] == [0]


def test_a_clock_that_is_set_back_breaks_nothing() -> None:
    """A minute of no length has no rate, and no division by it."""
    assert figures_of(Counter({"came": 5, "stage_ns:queue": 10}), 0.0)["waiting"] == 0.0
