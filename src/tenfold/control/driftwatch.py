"""Watching the services of a server: what replicas counted becomes windows, and these a verdict, which outlives a restart.

Belongs to the admin process. All that is known is below ``.tenfold/drift`` of a service's folder (``tenfold.drift.folder``),
so that the verdict can be read where no server runs.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tenfold.control import labelfiles
from tenfold.control.driftactions import Actions
from tenfold.control.driftkept import Kept, challenged, read, report_of
from tenfold.drift import cycles, following, labelling
from tenfold.drift.cycles import History
from tenfold.drift.deltas import Delta
from tenfold.drift.folder import PROFILE, folder_of, history_in, profile_in, replace, spool_in
from tenfold.drift.following import Following, Release, Waiting
from tenfold.drift.judge import Circumstances, Deployment, find
from tenfold.drift.live import watched
from tenfold.drift.monitor import CHANNELS, State
from tenfold.drift.options import Drift
from tenfold.drift.profile import ESTIMATED, REALISED, Profile, pack
from tenfold.drift.rules import RULE, rates_of
from tenfold.drift.season import CYCLES
from tenfold.drift.verdicts import Report
from tenfold.drift.volume import SPANS, Volume
from tenfold.drift.windows import moment
from tenfold.server.metrics import FAILURES
from tenfold.spec import Spec

KEEP_S = 30.0  # pieces stay where replicas left them for so long; then they are kept together
MOST_PIECES = 256
LOOK_S, SETTLED_S, LONGEST_WAIT_S = 60.0, 3600.0, 30 * 86_400.0  # for labels, where nobody says when they come
MOST_EVIDENCE = 1e9
HOURS_OF_WEEK = "hour of the week"  # there is nothing finer
MOST_FORMER = 10  # releases whose windows are still known

log = logging.getLogger("tenfold")


class Monitor:
    """One release of a service, watched."""

    def __init__(
        self, home: Path, release: str, spec: Spec, clock: Callable[[], float] = time.time, store: str = ""
    ) -> None:
        """``home`` is the service's folder, ``store`` what its server deploys from, if anything."""
        self.home, self.name, self.release = home, spec.name, release
        self._clock = clock
        self._folder = folder_of(home, release)
        kept = read(self._folder / "state", Kept)
        self._now = kept.now if kept else self._begun()
        self._taken: list[str] = kept.taken if kept else []
        self._written = clock()
        self._figures: dict[str, Any] | None = None
        self._looked = 0.0
        self._history: History | None = None
        self._owes_state = self._owes_profile = False  # that it is not on the disk, as it could not be written
        self.trouble = ""
        self.profile: Profile | None = read(profile_in(self._folder), Profile)
        training = read(home / PROFILE, Profile)
        around = Circumstances((Deployment(self._now.began, release),) if self._forget_former() else ())
        self._about = Release(spec.drift, watched(spec.input, spec.output), training, around)
        if self.profile is None and training is not None and any(column.role != "input" for column in training.columns):
            self.profile, self._owes_profile = training, True
        self.actions = Actions(home, spec.name, release, clock, store)
        if kept is None or self._owes_profile:
            self._owes_state = True
            with self._troubled():
                self._write()

    def _begun(self) -> Following:
        """What is known when a release begins: how many rows clients send, which they do whatever answers them."""
        former = self._formers()
        kept = read(former[-1], Kept) if former else None
        volume = kept.now.state.volume if kept else Volume()
        return Following(began=self._clock(), state=State(volume=volume))

    def _formers(self) -> list[Path]:
        """What was kept of the releases before, in their order."""
        states = [path for path in self._folder.parent.glob("*/state") if path.parent != self._folder]
        return sorted(states, key=lambda path: path.stat().st_mtime)

    def _forget_former(self) -> bool:
        """Delete what is known of all but the last former releases; whether there was one."""
        states = self._formers()
        for state in states[:-MOST_FORMER]:
            shutil.rmtree(state.parent, ignore_errors=True)
        return bool(states)

    def tick(self, counters: Mapping[str, int] | None = None, alone: bool = True) -> None:
        """Take what replicas left, judge the windows that are over, and look for labels that should have come. ``counters``
        are those of the server's fronts; ``alone`` is whether no other release of the service runs. What a full disk holds up
        is told, and done by a later tick."""
        self._figures = None
        with self._troubled():
            self._look(counters, alone)

    @contextmanager
    def _troubled(self) -> Iterator[None]:
        """Note why the disk does not do what it should, and that it does again. The log is told once of each."""
        try:
            yield
        except OSError as error:
            trouble = f"what is counted cannot be kept at present ({error}); it is tried again"
            if trouble != self.trouble:
                log.warning("drift of %s: %s", self.release, trouble)
            self.trouble = trouble
        else:
            if self.trouble:
                log.warning("drift of %s is kept again", self.release)
            self.trouble = ""

    def _look(self, counters: Mapping[str, int] | None, alone: bool) -> None:
        now, time_s = self._now, self._clock()
        for path in self._pieces():
            delta = read(path, Delta)
            self._taken.append(path.name)
            if delta is not None:
                following.add(now, self.profile, self._about, delta, time_s)
        changed = following.look(now, self._about.policy, time_s, alone) or self._owes_state
        if self.profile is None and (made := following.begin(now, self._about, time_s)) is not None:
            self._adopt(made)
            changed = True
        if self.profile is not None:
            rates = rates_of(counters, FAILURES) if counters else None
            changed |= following.close(now, self.profile, self._about, time_s, rates)
            changed |= self._label(self.profile, time_s)
            changed |= self._come_round(self.profile)
        if changed:
            self._owes_state = True
            labelfiles.forget(
                self.home, time_s - self._about.policy.keep_s - (self._about.policy.labels_after_s or 0.0)
            )
        if changed or (self._taken and (time_s - self._written > KEEP_S or len(self._taken) >= MOST_PIECES)):
            self._write()
        self.actions.challenge(self._about.policy)
        self._about = challenged(self._about, self.actions.contest, self.actions.lesson, time_s)
        if self.profile is not None and now.state.seen:
            found = find(self.profile, self._about.policy, now.state, self._about.around)
            since = next((seen.start for seen in now.state.seen if seen.number == found.since), now.began)
            self.actions.learn(found.verdict, self.profile, self._about.policy, since, now.labelled)
        if now.state.seen and (self._about.policy.webhook or self._about.policy.retrain):
            self.actions.consider(self.report(), self._about.policy, now.labelled)

    def _pieces(self) -> Iterator[Path]:
        spool = spool_in(self._folder)
        taken = set(self._taken)
        found = sorted(spool.iterdir()) if spool.is_dir() else []
        return (path for path in found if path.name not in taken and not path.name.startswith("."))

    def _come_round(self, profile: Profile) -> bool:
        """Remember the hours that are over, and look once a day for what comes round; whether there is something new."""
        if profile.season is not None and profile.season.cycle == HOURS_OF_WEEK:
            self._now.hours.clear()
            return False
        path = history_in(self._folder)
        if self._history is None:
            kept: History | None = read(path, History)
            is_ours = kept is not None and kept.cells.shape[1] == len(profile.counts.cells)
            self._history = kept if kept is not None and is_ours else History.none(len(profile.counts.cells))
        history = self._history
        if not following.remember(self._now, history):
            return False
        day = int(history.hours[-1] // 24)
        learnt = None
        if day > history.tried and day - history.hours[0] // 24 >= CYCLES:
            history.tried = day
            trained = self._about.training
            anchored = [column.name for column in trained.columns] if trained is not None else []
            learnt = cycles.learn(profile, self._about.policy, self._now.state, history, anchored)
        self._folder.mkdir(parents=True, exist_ok=True)
        replace(path, pack(history))
        if learnt is not None:
            said = f"since {moment(self._now.until)} {learnt.remark}"
            log.info("drift of %s: %s", self.release, said)
            self._now.state, self._now.remarks = learnt.state, [*self._now.remarks, said]
            self._adopt(learnt.profile)
            if learnt.profile.season is not None and learnt.profile.season.cycle == HOURS_OF_WEEK:
                path.unlink(missing_ok=True)
        return True

    def _label(self, profile: Profile, time_s: float) -> bool:
        done = False
        if self._about.policy.labels_after is None:  # nobody said when labels come, or that any do
            if time_s - self._looked < LOOK_S:
                return False
            self._looked = time_s
        for window in labelling.due(self._now, self._about.policy, time_s):
            if not self._is_settled(window, time_s):
                continue
            found = labelfiles.between(self.home, window.start, window.end, self.release)
            pairs = [(label.said, label.true) for label in found.values()]
            learnt = labelling.label(self._now, profile, self._about, window, pairs)
            if learnt is not profile:
                profile = learnt
                self._adopt(learnt)
            done = True
        return done

    def _is_settled(self, window: Waiting, time_s: float) -> bool:
        """Whether the labels of a window that is due are as many as they will be: by what the service says, or since none
        came for an hour; or since none came for so long that none will."""
        if self._about.policy.labels_after is not None or time_s > window.end + LONGEST_WAIT_S:
            return True
        last = labelfiles.touched(self.home, window.start, window.end)
        return last is not None and time_s - last > SETTLED_S

    def _adopt(self, profile: Profile) -> None:
        self.profile, self._owes_profile, self._owes_state = profile, True, True
        self._write_profile(profile)

    def _write_profile(self, profile: Profile) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace(profile_in(self._folder), pack(profile))
        self._owes_profile = False

    def _write(self) -> None:
        """Keep what is known; only then the pieces that are in it go. Whenever this ends, no row counts twice or not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._owes_profile and self.profile is not None:
            self._write_profile(self.profile)
        replace(self._folder / "state", pack(Kept(self._now, self._about.policy, self._taken)))
        for name in self._taken:
            (spool_in(self._folder) / name).unlink(missing_ok=True)
        self._taken, self._written, self._owes_state = [], self._clock(), False

    def report(self) -> Report:
        """The verdict as it is now."""
        time_s = self._clock()
        about = challenged(self._about, self.actions.contest, self.actions.lesson, time_s)
        found = report_of(self._now, self.profile, about, self.name, time_s, self.actions.contest)
        if not self.trouble:
            return found
        return msgspec.structs.replace(found, because=f"{found.because}; {self.trouble}")

    def figures(self) -> dict[str, Any]:
        """The verdict in short, and how much it rests on, for sheets and metrics."""
        if self._figures is None:
            self._figures = self._measured()
        return self._figures

    def _measured(self) -> dict[str, Any]:
        now, profile = self._now, self.profile
        found = self.report()
        seen = now.state.seen[-1] if now.state.seen else None
        known = {column.name for column in profile.columns} if profile else set()
        return {
            "verdict": str(found.verdict or ""),
            "because": found.because,
            "next": found.next,
            "since": found.since,
            "source": profile.source if profile else "",
            "windows": now.state.number,
            "rows": now.answered,
            "labelled": now.labelled,
            "labels_due": now.judged,
            "moved": {name: share for name, share in seen.moved.items() if name in known} if seen else {},
            "losses": _losses(now, profile),
            "evidence": _channels(now, profile, self._about.policy),
        }


def _losses(now: Following, profile: Profile | None) -> dict[str, float]:
    """What the model loses, as far as it is known: on the reference, by the last estimate, and by the last labels."""
    if profile is None or profile.task is None:
        return {}
    last = {"reference": profile.realised[0] if profile.realised else None}
    for kind in ("estimated", "realised"):
        measured = next((found for seen in reversed(now.state.seen) if (found := getattr(seen, kind))), None)
        last[kind] = measured.value if measured else None
    return {kind: profile.task.loss(value) for kind, value in last.items() if value is not None}


def _channels(now: Following, profile: Profile | None, policy: Drift) -> dict[str, float]:
    """The strongest evidence of each channel over what an alarm needs at least."""
    said = {column.name for column in profile.columns if column.role != "input"} if profile else set()
    named = {
        ESTIMATED: "estimated",
        REALISED: "realised",
        **dict.fromkeys(said, "answers"),
        **dict.fromkeys(SPANS, "volume"),
    }
    found = dict.fromkeys(("realised", "estimated", "answers", "fields", "rules", "volume"), 0.0)
    for name, wealth in now.state.wealth.items():
        channel = "rules" if name.startswith(RULE) else named.get(name, "fields")
        evidence = wealth.evidence(policy.mean_windows_between_false_alarms is not None) / (policy.threshold * CHANNELS)
        found[channel] = max(found[channel], min(evidence, MOST_EVIDENCE))
    return found


class Watch:
    """All releases that answer, each with its monitor."""

    def __init__(self, clock: Callable[[], float] = time.time, store: str = "") -> None:
        self._clock = clock
        self._store = store
        self._monitors: dict[str, Monitor | None] = {}
        self._unread: dict[str, str] = {}

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """Look after what the supervisor tells of. A fault in one service is not one of the others."""
        homes = Counter(about["home"] for about in fleet)
        for about in fleet:
            release = about["release"]
            try:
                if release not in self._monitors:
                    spec = msgspec.convert(about["service"], Spec)
                    self._monitors[release] = Monitor(Path(about["home"]), release, spec, self._clock, self._store)
                monitor = self._monitors[release]
                if monitor is not None:
                    monitor.tick(about.get("counters"), alone=homes[about["home"]] == 1)
            except OSError as error:  # not even what was known can be read: a later tick may
                if self._unread.get(release) != str(error):
                    log.warning("%s cannot be watched for drift at present: %s", release, error)
                self._unread[release] = str(error)
            except Exception:
                log.exception("%s is no longer watched for drift", release)
                self._monitors[release] = None
        here = {about["release"] for about in fleet}
        self._monitors = {release: monitor for release, monitor in self._monitors.items() if release in here}

    def of(self, release: str) -> Monitor | None:
        """The monitor of a release; None where it is not watched."""
        return self._monitors.get(release)
