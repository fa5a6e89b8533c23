"""The process that looks after a release: pieces in, a verdict out, whatever happens in between."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.control import driftpages, driftwatch, labelfiles
from tenfold.control.driftkept import kept
from tenfold.control.driftwatch import KEEP_S, SETTLED_S, Monitor, Watch
from tenfold.control.labelfiles import Label
from tenfold.drift.deltas import Delta, Tally
from tenfold.drift.folder import PROFILE, folder_of, replace, spool_in
from tenfold.drift.profile import pack
from tenfold.drift.verdicts import Report, Verdict
from tenfold.drift.windows import moment
from tests.cli.conftest import Run, run
from tests.drift.test_following import BEGAN, COLUMNS, WINDOW_S, Replica, answered, reader, training_rows
from tests.drift.watching import RELEASE, leave, spec_of

__all__ = ["run"]


class World:
    """A folder, a replica that leaves pieces in it, and a monitor that may end at any time."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.home, self.spec = home, spec_of(**options)
        self.random = np.random.default_rng(1)
        self.replica = Replica()
        self.pieces = 0
        self.monitor = self.another()

    def another(self) -> Monitor:
        """A monitor that starts with what is on the disk."""
        return Monitor(self.home, RELEASE, self.spec, lambda: self.replica.now + 10.0)

    def leave(self, richer: float = 0.0, rows: int = 600) -> None:
        """A minute of rows, left in the spool."""
        for delta in self.replica.minute(self.random, rows, richer):
            self.pieces += 1
            leave(self.home, self.pieces, delta)

    def minutes(self, count: int, richer: float = 0.0) -> None:
        """So many minutes, each looked at."""
        for _ in range(count):
            self.leave(richer)
            self.monitor.tick()
            if self.monitor.profile is not None and not self.replica.tally.knows:
                self.replica.tally.know(self.monitor.profile.columns)


def test_a_monitor_that_is_killed_counts_no_row_twice(tmp_path: Path) -> None:
    """Whenever it ends, its successor goes on from what was kept and what still lies in the spool."""
    steady, shaken = World(tmp_path / "a"), World(tmp_path / "b")
    for minute in range(10):
        for world in (steady, shaken):
            world.minutes(1, richer=15.0 * (minute > 6))
        shaken.monitor = shaken.another()
    one, other = steady.monitor.report(), shaken.monitor.report()
    assert one.windows == other.windows
    assert one.because == other.because
    assert steady.monitor.figures()["rows"] == shaken.monitor.figures()["rows"] == 6000


@pytest.mark.parametrize("trained", [False, True])
def test_nothing_is_healthy_before_it_was_judged(tmp_path: Path, run: Run, trained: bool) -> None:
    """Until a window is over there is no verdict, on the screen, the page, for programs or in the metrics."""
    if trained:
        replace(tmp_path / PROFILE, pack(training_rows(2000)))
    world = World(tmp_path)
    world.leave()
    world.replica.now -= WINDOW_S  # the window is still open
    world.monitor.tick()
    found = world.monitor.report()
    assert found.verdict is None
    assert Report.of(found.to_dict()) == found
    assert found.because == "600 rows in the first window"
    with_what = "2,000 rows of train.csv; answers with the first live window, once it is over"
    assert found.compared == (with_what if trained else "nothing yet: the first live window becomes the reference")
    assert world.monitor.figures()["verdict"] == ""
    page = driftpages.render(found)
    assert "not judged yet" in page
    assert "needs no update" not in page
    world.monitor._write()
    assert kept(tmp_path, "loans").compared == found.compared
    done = run("drift", str(tmp_path), "--fail-on", "HEALTHY")
    assert done.code == 0
    assert done.out.startswith("not judged yet: 600 rows in the first window\n")


def test_pieces_are_deleted_once_they_are_kept(tmp_path: Path) -> None:
    """A spool does not grow while windows are open for long."""
    world = World(tmp_path)
    world.minutes(3)
    world.leave(rows=20)
    world.replica.now -= WINDOW_S  # the window is still open
    world.monitor.tick()
    spool = spool_in(folder_of(tmp_path, RELEASE))
    assert len(list(spool.iterdir())) == 1
    world.replica.now += KEEP_S + 1
    world.monitor.tick()
    assert list(spool.iterdir()) == []


def test_a_piece_that_cannot_be_read_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Half a file takes none of the others with it, and is not read again."""
    world = World(tmp_path)
    world.minutes(2)
    (spool_in(folder_of(tmp_path, RELEASE)) / "001-odd-1").write_bytes(b"half a pie")
    world.minutes(2)
    assert world.monitor.figures()["windows"] == 3
    assert caplog.text.count("001-odd-1 cannot be read") == 1


def test_a_new_release_begins_anew(tmp_path: Path) -> None:
    """Its rows are compared with its own reference, and not with what another model saw."""
    world = World(tmp_path)
    world.minutes(5)
    other = Monitor(tmp_path, "loans@7654321", world.spec, lambda: world.replica.now)
    assert other.profile is None
    assert other.figures()["rows"] == 0


@pytest.mark.parametrize("labels_after", ["2 min", None])
def test_labels_are_judged_when_they_are_settled(tmp_path: Path, labels_after: str | None) -> None:
    """By what the service says, or when none has come for an hour."""
    world = World(tmp_path, labels_after=labels_after)
    said = {"label": "yes", "yes": 0.9}
    some = [
        Label(f"id{k}", BEGAN + WINDOW_S * 1.5 + k % 240, RELEASE, said, {"label": "yes" if k % 3 else "no"})
        for k in range(600)
    ]
    labelfiles.append(tmp_path, some)
    world.minutes(8)
    for path in (tmp_path / labelfiles.FOLDER).iterdir():
        os.utime(path, (world.replica.now, world.replica.now))
    world.monitor.tick()
    before = world.monitor.figures()["labelled"]
    assert (before > 0) == (labels_after is not None)
    world.replica.now += SETTLED_S + 60
    world.monitor.tick()
    assert world.monitor.figures()["labelled"] == 600


class Hours:
    """A service that is watched for days, by the hour; a replica answers rows each quarter of one."""

    def __init__(self, home: Path, release: str = RELEASE, now: float = BEGAN // 3600 * 3600) -> None:
        self.home, self.now, self.pieces, self.release = home, now, 0, release
        self.random = np.random.default_rng(1)
        self.spec = spec_of(window=None)
        self.tally = Tally(COLUMNS, reader, 3600.0, lambda: self.now, 1, self._leave)
        self.monitor = self.another()

    def another(self) -> Monitor:
        """A monitor that starts with what is on the disk."""
        return Monitor(self.home, self.release, self.spec, lambda: self.now)

    def _leave(self, piece: Delta) -> None:
        self.pieces += 1
        leave(self.home, self.pieces, piece, self.release)

    def pass_by(self, hours: int, rows: int, alone: bool = True) -> None:
        """So many hours with so many rows in each."""
        for quarter in range(4 * hours):
            share = rows * (quarter + 1) // 4 - rows * quarter // 4
            if share:
                self.tally.saw(*answered(self.random, share))
                self.tally.flush()
            self.now += 899.0
            self.monitor.tick(alone=alone)
            if self.monitor.profile is not None and not self.tally.knows:
                self.tally.know(self.monitor.profile.columns)
            self.now += 1.0


def test_rows_that_stop_are_a_fault(tmp_path: Path) -> None:
    """After a week and a day it is known how many rows are usual: none for four hours, or a tenth, is to be mended, also if
    the process that watches is another one; and when they come again, it is over."""
    hours = Hours(tmp_path)
    hours.pass_by(24, 600)
    assert "how many rows are usual is not known before a week and a day were watched" in hours.monitor.report().reasons
    hours.pass_by(8 * 24, 600)
    before = hours.monitor.report()
    assert before.verdict is Verdict.HEALTHY
    assert not [reason for reason in before.reasons if "rows are usual" in reason]
    stopped = hours.now
    hours.pass_by(2, 0)
    hours.monitor = hours.another()
    hours.pass_by(3, 0)
    found = hours.monitor.report()
    assert found.verdict is Verdict.FIX_DATA
    assert [fault.kind for fault in found.faults] == ["staleness"]
    assert found.since == moment(stopped)
    assert found.because.startswith(f"no row was answered since {moment(stopped - 900)}, where about 600 are usual")
    assert hours.monitor.figures()["evidence"]["volume"] > 1
    assert kept(tmp_path, "loans").verdict is Verdict.FIX_DATA
    hours.pass_by(4, 600)
    assert hours.monitor.report().verdict is Verdict.HEALTHY
    hours.pass_by(6, 60)
    found = hours.monitor.report()
    assert [fault.kind for fault in found.faults] == ["volume"]
    assert found.because.startswith("60 rows were answered in an hour from")


def test_a_release_that_shares_its_rows_is_not_judged_by_them(tmp_path: Path) -> None:
    """While a canary takes nine rows in ten, those that are left are no fall; a release that follows knows what is usual."""
    hours = Hours(tmp_path)
    hours.pass_by(9 * 24, 600)
    hours.pass_by(12, 60, alone=False)
    assert hours.monitor.report().verdict is Verdict.HEALTHY
    hours.monitor._write()
    later = Hours(tmp_path, "loans@7654321", hours.now)
    later.pass_by(7, 600)
    assert later.monitor.report().verdict is Verdict.HEALTHY
    later.pass_by(5, 60)
    found = later.monitor.report()
    assert found.verdict is Verdict.FIX_DATA
    assert [fault.kind for fault in found.faults] == ["volume"]


def test_one_service_that_cannot_be_watched_spoils_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is wrong with it is logged once."""
    watch = Watch(lambda: BEGAN)
    good = {"release": RELEASE, "home": str(tmp_path / "good"), "service": spec_of()}
    bad = {"release": "other@1", "home": str(tmp_path / "good"), "service": {}}
    for _ in range(3):
        watch.tick([bad, good])
    assert watch.of("other@1") is None
    assert watch.of(RELEASE) is not None
    assert caplog.text.count("other@1 is no longer watched") == 1
    watch.tick([bad])
    assert watch.of(RELEASE) is None


def test_a_server_that_is_named_is_asked(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the same name is no answer where nobody answers at the address."""
    (tmp_path / "loans").mkdir()
    World(tmp_path / "loans")
    monkeypatch.chdir(tmp_path)
    assert run("drift", "loans").code == 0
    done = run("drift", "loans", "--server", "http://127.0.0.1:9")
    assert done.code == 4
    assert "nobody answers at http://127.0.0.1:9/api/drift/loans" in done.err


def test_a_disk_that_was_full_ends_no_watching(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said why nothing is kept; once there is room, all that was counted is there, also after a restart."""
    steady, world = World(tmp_path / "steady"), World(tmp_path / "full")
    steady.minutes(8)
    world.minutes(1)
    with pytest.MonkeyPatch.context() as full:
        full.setattr(driftwatch, "replace", no_room)
        world.minutes(4)
    found = world.monitor.report()
    assert "No space left on device" in found.because
    assert found.because.endswith("it is tried again")
    assert "No space left" in world.monitor.figures()["because"]
    assert caplog.text.count("No space left on device") == 1
    world.minutes(3)
    assert world.monitor.trouble == ""
    assert world.another().report().windows == steady.monitor.report().windows
    assert world.another().figures()["rows"] == 8 * 600


def test_a_disk_that_is_full_at_the_start_ends_no_watching(tmp_path: Path) -> None:
    """The release is watched as soon as there is room."""
    watch = Watch(lambda: BEGAN)
    fleet = [{"release": RELEASE, "home": str(tmp_path), "service": spec_of()}]
    with pytest.MonkeyPatch.context() as full:
        full.setattr(driftwatch, "replace", no_room)
        watch.tick(fleet)
    monitor = watch.of(RELEASE)
    assert monitor is not None
    assert monitor.trouble
    watch.tick(fleet)
    assert monitor.trouble == ""
    assert (folder_of(tmp_path, RELEASE) / "state").is_file()


def no_room(path: Path, data: bytes) -> None:
    """What writing a file does while the disk is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_two_may_write_one_file(tmp_path: Path) -> None:
    """The command and the server keep what a challenger answered in the same place: neither takes the other's file away."""
    texts = [f"{who}" * 10_000 for who in range(4)]

    def write(text: str) -> None:
        for _ in range(50):
            replace(tmp_path / "answers", text.encode())

    with ThreadPoolExecutor(len(texts)) as writers:
        for done in [writers.submit(write, text) for text in texts]:
            done.result()
    assert (tmp_path / "answers").read_text("utf-8") in texts
    assert [path.name for path in tmp_path.iterdir()] == ["answers"]
