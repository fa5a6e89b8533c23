"""What follows from a verdict: others are told of it, and, where somebody asked for that, the model is trained again.

Each verdict is told once, when it is new, and again until it is taken; the same one not more often than once a day. Training
runs in a copy of the service's folder, never twice at a time, never while data is broken, and not without labels. What it
made is pushed as a release, which has to pass the same gates and the same canary as any other. Where inputs are kept, a part
of the latest labels is kept back from it, and it has to be of use on those before it is deployed (see ``driftchallenge``).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tenfold.config import single_threaded
from tenfold.control import driftchallenge, driftlessons, journals, labelfiles
from tenfold.control.driftchallenge import Contest
from tenfold.control.driftlessons import Lesson
from tenfold.drift.folder import replace
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile
from tenfold.drift.verdicts import Report, Verdict
from tenfold.errors import TenfoldError
from tenfold.notify import Webhook
from tenfold.store.records import Event

AGAIN_S = 86_400.0  # after which the same verdict may be told again
RETRIES_S = (5.0, 15.0, 60.0, 300.0, 1800.0)
FEWEST_LABELS = 200  # of recent rows, to train on
LONGEST_S = 86_400.0  # that a training may take
RECENT_DAYS = 90
KEPT_BACK = 0.2  # of the labels, the latest: what was trained is tried on them
ENOUGH_LABELS = 500  # for that
UNHARMED = (Verdict.HEALTHY, Verdict.WATCH, Verdict.NEED_LABELS)  # by labels
LEFT_BEHIND = (".tenfold", ".venv", ".git", "__pycache__")  # by the copy that is trained in
RECENT = "TENFOLD_RECENT"  # the variable that says where the recent data is

log = logging.getLogger("tenfold")


class Done(msgspec.Struct):
    """What was done: when each verdict was told last, which verdict it was, and when a training began."""

    told: dict[str, float] = {}
    verdict: str = str(Verdict.HEALTHY)
    trained: float = -1e18


class Actions:
    """The actions of one service."""

    def __init__(self, home: Path, name: str, release: str, clock: Callable[[], float], store: str = "") -> None:
        """``store`` is that which the server deploys from; "" where it serves a folder."""
        self._home, self._name, self._release = home, name, release
        self._clock = clock
        self._store = store
        self._folder = home / ".tenfold" / "drift"
        self._busy: threading.Thread | None = None
        self._training: threading.Thread | None = None
        self._challenging: threading.Thread | None = None
        self._contest: Contest | None = None
        self._contest_of = self._challenged = 0.0
        self._challenger = ""  # who was asked last
        self._learning: threading.Thread | None = None
        self.lesson = driftlessons.read(home, release)  # what labels taught of late
        self._tries = 0
        self._next_try = 0.0
        try:
            self._done = msgspec.json.decode((self._folder / "done.json").read_bytes(), type=Done)
        except (OSError, msgspec.MsgspecError):
            self._done = Done()

    def consider(self, report: Report, policy: Drift, labelled: int) -> None:
        """Do what is to be done about a verdict, aside: this returns at once."""
        if report.verdict is None:
            return
        now = self._clock()
        if policy.webhook and self._is_news(report.verdict, now) and not _runs(self._busy) and now >= self._next_try:
            self._busy = _start("webhook", self._tell, report, policy.webhook)
        if policy.retrain and self._may_train(report, policy, labelled, now):
            self._done.trained = now
            self._keep()
            self._training = _start("training", self._train, report, policy)

    def wait(self, limit_s: float) -> None:
        """Until what was begun is done."""
        for thread in (self._busy, self._training, self._challenging, self._learning):
            if thread is not None:
                thread.join(limit_s)

    # Challenging

    @property
    def contest(self) -> Contest | None:
        """Which release challenges the one that serves, and what came of it; None where none does."""
        touched = driftchallenge.touched(self._home, self._release)
        if touched != self._contest_of:
            self._contest, self._contest_of = driftchallenge.read(self._home, self._release), touched
        return self._contest

    def challenge(self, policy: Drift) -> None:
        """Have the challenger answer rows whose labels have come, aside, once in a while."""
        contest, now = self.contest, self._clock()
        if contest is None or contest.is_over:
            return
        tried = max(contest.at, self._challenged if contest.id == self._challenger else 0.0)
        if now - tried < driftchallenge.ROUND_S:
            return
        if not _runs(self._challenging) and not _runs(self._training):
            self._challenged, self._challenger = now, contest.id
            given = self._home, self._release, policy, now
            self._challenging = _start("challenger", driftchallenge.go_on, *given)

    def learn(self, verdict: Verdict, profile: Profile, policy: Drift, since: float, labelled: int) -> None:
        """Where harm began ``since`` then, look once in a while whether what labels teach would make it less; aside.
        ``labelled`` is how many rows of the release were labelled so far."""
        if _runs(self._learning) or policy.journal != "inputs":
            return
        if verdict in UNHARMED:
            if self.lesson is not None:
                driftlessons.forget(self._home, self._release)
                self.lesson = None
        elif verdict in (Verdict.UPDATE_RECOMMENDED, Verdict.UPDATE_WONT_HELP):
            now, lesson = self._clock(), self.lesson or Lesson()
            if lesson.is_due(now, labelled):
                self.lesson = lesson.begun(now, labelled)  # also where it fails
                self._learning = _start("lesson", self._learn, profile, policy, since, self.lesson)

    def _learn(self, profile: Profile, policy: Drift, since: float, lesson: Lesson) -> None:
        lesson = lesson.then(driftlessons.learnt(self._home, self._release, profile, policy, since, lesson.tried))
        driftlessons.keep(self._home, self._release, lesson)
        self.lesson = lesson

    # Telling

    def _is_news(self, verdict: Verdict, now: float) -> bool:
        if self._done.verdict == verdict:
            return False
        return now - self._done.told.get(verdict, -1e18) >= AGAIN_S or verdict is Verdict.HEALTHY

    def _tell(self, report: Report, url: str) -> None:
        now = self._clock()
        try:
            Webhook(url, self._secret()).send(self._event(report, now), now)
        except TenfoldError as error:
            self._next_try = now + RETRIES_S[min(self._tries, len(RETRIES_S) - 1)]
            self._tries += 1
            log.warning("%s", error.message)
            return
        self._tries = 0
        self._done.verdict = str(report.verdict)
        self._done.told[report.said] = now
        self._keep()

    def _event(self, report: Report, now: float) -> Event:
        """The verdict as an event; its id is the same however often it is told."""
        known = (self._release, report.verdict, str(report.since), self._done.told.get(report.said, 0.0))
        document = report.to_dict()
        said = {
            name: document[name] for name in ("verdict", "since", "because", "next", "faults", "ruled_out", "replay")
        }
        moved = [feature.name for feature in report.features if feature.proven]
        return Event(
            n=0,
            at=datetime.fromtimestamp(now, UTC),
            who="tenfold",
            what=f"drift {report.verdict}",
            service=self._name,
            to=self._release,
            why=report.because,
            detail={**said, "moved": moved, "performance": document["performance"]},
            hash=hashlib.sha256(repr(known).encode()).hexdigest(),
        )

    def _secret(self) -> str:
        """What is signed with: made once, for this service, and readable by its user alone."""
        path = self._folder / "webhook.secret"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32))
        return path.read_text("utf-8").strip()

    def _keep(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace(self._folder / "done.json", msgspec.json.encode(self._done))

    # Training

    def _may_train(self, report: Report, policy: Drift, labelled: int, now: float) -> bool:
        return (
            report.verdict is Verdict.UPDATE_RECOMMENDED
            and labelled >= FEWEST_LABELS
            and now - self._done.trained >= policy.retrain_at_most_every_s
            and not _runs(self._training)
        )

    def _train(self, report: Report, policy: Drift) -> None:
        """Train in a copy of the service's folder, push what that made, and deploy it unless it is of no use."""
        command = policy.retrain or ""
        work = self._folder / "training"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self._home, work, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        recent = self._folder / "recent"
        since = self._kept_back_from(policy)
        self._write_recent(recent, report, since)
        log.info("%s: %s; trained by %s", self._name, report.because, command)
        if not self._run(shlex.split(command), work, recent):
            return
        place = self._store or str(self._home)
        words = [sys.executable, "-m", "tenfold"]
        if not self._run(
            [*words, "push", str(work), "--store", place, "--why", f"drift: {report.because}", "--json"], work, recent
        ):
            return
        pushed = _last_object(recent / "output.txt")
        name = f"{pushed.get('service')}@{pushed.get('number')}"
        if not pushed.get("new"):
            log.warning("%s: the training made what was there already, %s", self._name, name)
            return
        contest = Contest(name=name, id=str(pushed.get("id")), place=place, since=since)
        driftchallenge.begin(self._home, self._release, contest)
        tried = driftchallenge.go_on(self._home, self._release, policy, self._clock())
        if tried and tried.result and tried.result.outcome == "futile":
            log.warning("%s is not deployed: %s", name, tried.result.said)
        elif self._store:
            self._run([*words, "deploy", name, "--store", place], work, recent)
        else:
            log.info("%s was trained and pushed; next: tenfold deploy %s --store %s", name, name, place)

    def _kept_back_from(self, policy: Drift) -> float:
        """The time from which on training gets to know nothing; now, where what it makes could not be tried on that."""
        now = self._clock()
        if policy.journal != "inputs":
            return now
        times = sorted(label.time for label in self._labels(now).values())
        return times[int(len(times) * (1 - KEPT_BACK))] if len(times) >= ENOUGH_LABELS else now

    def _labels(self, before: float) -> Mapping[str, labelfiles.Label]:
        now = self._clock()
        return labelfiles.between(self._home, now - RECENT_DAYS * 86_400.0, before, self._release)

    def _write_recent(self, recent: Path, report: Report, before: float) -> None:
        """What happened of late, for whoever trains: predictions, labels, and the verdict."""
        shutil.rmtree(recent, ignore_errors=True)
        recent.mkdir(parents=True)
        (recent / "verdict.json").write_bytes(msgspec.json.encode(report.to_dict()))
        with (recent / "predictions.ndjson").open("wb") as file:
            for prediction in journals.predictions(str(self._home), journals.Wish(f"{RECENT_DAYS} days")):
                if datetime.fromisoformat(prediction.time).timestamp() < before:
                    file.write(prediction.json() + b"\n")
        with (recent / "labels.ndjson").open("wb") as file:
            for label in self._labels(before).values():
                file.write(msgspec.json.encode(label) + b"\n")

    def _run(self, words: list[str], work: Path, recent: Path) -> bool:
        """Run a command in a folder; its words are kept beside the recent data."""
        output = recent / "output.txt"
        path = f"{Path(sys.executable).parent}{os.pathsep}{single_threaded().get('PATH', '')}"
        with output.open("ab") as said:
            try:
                done = subprocess.run(
                    words,
                    cwd=work,
                    env={**single_threaded(), RECENT: str(recent), "PATH": path},
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    timeout=LONGEST_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                log.error("%s: %s could not be run: %s", self._name, words[0], error)
                return False
        if done.returncode:
            log.error(
                "%s: %s ended with %d; its words are in %s", self._name, shlex.join(words), done.returncode, output
            )
        return done.returncode == 0


def _runs(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _start(what: str, work: Callable[..., object], *given: Any) -> threading.Thread:
    def run() -> None:
        try:
            work(*given)
        except Exception:
            log.exception("the %s of a drift verdict failed", what)

    thread = threading.Thread(target=run, name=f"drift {what}", daemon=True)
    thread.start()
    return thread


def _last_object(output: Path) -> Mapping[str, Any]:
    """The JSON object that a command printed last, over however many lines."""
    text = output.read_text("utf-8", "replace")
    at = text.rfind("\n{")
    try:
        found: Mapping[str, Any] = json.loads(text[at + 1 :])
    except ValueError:
        return {}
    return found
