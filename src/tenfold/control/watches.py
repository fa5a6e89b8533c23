"""Changes that deploy themselves: a new commit or model is built, tested, pushed and deployed; or refused, on record."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tenfold import environment
from tenfold.config import single_threaded
from tenfold.control import deployments, releases, standings
from tenfold.control.beside import require_name
from tenfold.control.stores import opened, who
from tenfold.errors import Conflict, ServiceError, TenfoldError, UsageError
from tenfold.notify import Webhook
from tenfold.service.manifest import model_path
from tenfold.store import Act
from tenfold.store.records import Release
from tenfold.units import seconds
from tenfold.watch import MARKER, Branch, Commit, Model, Models, ModelSource, Pointed, copy_folder, has_tests, run_tests

TESTS_S = 900.0
WEBHOOK = "webhook"  # the kind of evidence that says up to which event a webhook was told
RETRIES_S = (5.0, 15.0, 60.0, 300.0)

Told = Callable[[str, str], None]


class Sources(NamedTuple):
    """What is watched. ``service`` is a folder or ``file.py[:Class]``: within the branch, where there is one."""

    service: str = "."
    branch: Branch | None = None
    models: ModelSource | None = None
    tests: bool = True


class Way(NamedTuple):
    """How what is new is deployed: signed with a private key, beside what it breaks, under which name."""

    key: Path | None = None
    accept_breaking: bool = False
    other_name: str = ""


PLAIN = Way()


class Version(NamedTuple):
    """What the sources have at one moment."""

    commit: str = ""
    model: Model | None = None


def sources(
    service: str,
    place: str,
    git: str = "",
    branch: str = "main",
    models: Path | None = None,
    marker: str = MARKER,
    model_of: str = "",
) -> Sources:
    """What a person asks to be watched; ``model_of`` is a name in the store at ``place``."""
    if models and model_of:
        raise UsageError("--models and --model-of are two sources of one model", "name one of them")
    if not (git or models or model_of):
        raise UsageError("there is nothing to watch", "--git URL, --models FOLDER, --model-of NAME@latest")
    source = Models(models, marker) if models else Pointed(place, model_of) if model_of else None
    return Sources(service, Branch(git, branch, single_threaded()) if git else None, source)


def way(key: Path | None = None, *, accept_breaking: bool = False, other_name: str = "") -> Way:
    """How a person asks for it to be deployed."""
    if other_name:
        if not accept_breaking:
            raise UsageError("--as names what --accept-breaking deploys beside", "say --accept-breaking, too")
        require_name(other_name)
    return Way(key, accept_breaking, other_name)


def every_s(every: str) -> float:
    """What ``--every`` says, in seconds."""
    try:
        return seconds(every)
    except ValueError as error:
        raise UsageError(f"--every: {error}", "such as --every '5 s'") from None


class Watcher:
    """Looks at sources, and brings what is new on its way. ``told`` gets a word and a line for each thing that it does, and
    for what became of it."""

    def __init__(self, asked: Sources, place: str, told: Told = lambda *_: None, way: Way = PLAIN) -> None:
        self._asked = asked
        self._place = place
        self._told = told
        self._way = way
        self._under_way: deployments.Asked | None = None
        self._seen: Version | None = None
        self._waiting: tuple[Release, str] | None = None  # pushed, and not yet deployed: why it was made
        self._said = ""
        self._failures = 0
        self._resumes = 0.0

    def look(self) -> bool:
        """Look; whether anything was new. What a source cannot say now, it may say the next time, and what a full store or
        disk holds up is taken up again."""
        now = time.time()
        if now < self._resumes:
            return False
        try:
            version = self._version()
        except (TenfoldError, OSError) as error:
            self._say("unread", _said(error))
            return False
        try:
            self._follow()
            is_new = self._look_at(version)
        except (TenfoldError, OSError) as error:
            self._resumes = now + _pause_s(self._failures)
            self._failures += 1
            self._say("waiting", _said(error))
            return False
        self._failures = 0
        return is_new

    def look_once(self) -> bool:
        """The same where there is no next time: a source that cannot be read, or a disk that is full, is an error."""
        try:
            return self._look_at(self._version())
        except OSError as error:
            raise _unmade(error) from error

    def _look_at(self, version: Version) -> bool:
        if version == Version():
            self._say("waiting", "there is no model with its marker yet")
            return False
        is_new = version != self._seen
        if is_new:
            self._seen = self._waiting = None
            self._take(version)
            self._seen = version
        if self._waiting is not None:
            self._deploy(*self._waiting)
        return is_new

    def _version(self) -> Version:
        branch, models = self._asked.branch, self._asked.models
        return Version(branch.newest() if branch else "", models.newest() if models else None)

    def _take(self, version: Version) -> None:
        """Build a change and push it; a failing one is refused and touches nothing. Raises what is no fault of the change."""
        with tempfile.TemporaryDirectory(prefix="tenfold-watch-") as work:
            what, name = [], ""
            try:
                target, commit = self._checked_out(version, Path(work))
                what = [commit.describe()] if commit else []
                service = releases.as_written(target, Path(work))
                name = service.name
                if version.model and self._asked.models:
                    what.append(f"model {version.model.name}")
                    self._put_model(service.folder, type(service).model, version.model)
                why = ", ".join(what)
                self._say("building", why)
                if self._asked.tests:
                    self._require_tests(service.folder)
                pushed = releases.push(target, self._place, why=why, key=self._way.key)
            except TenfoldError as error:
                if type(error) is TenfoldError:  # a store that is full, or a machine that is too slow
                    raise
                self._refuse(name, f"{', '.join(what) or 'a change'}: {error.message}")
                return
        self._say("pushed" if pushed.new else "unchanged", f"{pushed.release.name} ({pushed.release.id[:7]})")
        self._waiting = pushed.release, why

    def _checked_out(self, version: Version, work: Path) -> tuple[str, Commit | None]:
        """The service in a clean checkout, or a copy of its folder."""
        asked = self._asked
        if asked.branch is not None:
            commit = asked.branch.check_out(version.commit, work / "checkout")
            return str(work / "checkout" / asked.service), commit
        source = Path(asked.service).resolve()
        file = "" if source.is_dir() else source.name
        folder = work / (source.parent if file else source).name
        copy_folder(source.parent if file else source, folder)
        return str(folder / file) if file else str(folder), None

    def _require_tests(self, folder: Path) -> None:
        if not has_tests(folder):
            return
        with tempfile.TemporaryDirectory(prefix="tenfold-tests-") as work:
            python = environment.tester(folder, Path(work))
            failing = run_tests(folder, str(python), single_threaded(), TESTS_S)
        if failing:
            raise ServiceError(failing, "look at the change; what answers goes on")

    def _put_model(self, folder: Path, model: object, version: Model) -> None:
        path = model_path(model)
        if path is None or self._asked.models is None:
            raise ServiceError("the model is an object in the code, which no file replaces", 'model = "model.skops"')
        self._asked.models.put(version, folder / path)

    def _refuse(self, service: str, why: str) -> None:
        with opened(self._place, create=True) as store, store.transaction():
            store.events.append(Act(who(), "refuse", why), service=service)
        self._say("refused", why)

    def _deploy(self, release: Release, why: str) -> None:
        """What was on its way before is for people: it is not taken up again by itself, unless it may answer beside now."""
        how: Any = {"accept_breaking": self._way.accept_breaking, "other_name": self._way.other_name}
        try:
            plan = deployments.plan(release.name, self._place, **how)
        except Conflict as conflict:  # the name that it is to have is another's
            self._waiting = None
            self._refuse(release.service, f"{why}: {conflict.message}; {conflict.hint}")
            return
        before = standings.last(release, self._place)
        if before and not (plan.beside and before.rollout.state == standings.REFUSED):
            self._waiting = None
            self._say("known", f"{release.name} was deployed before: {_became(before)}")
            return
        try:
            self._under_way = deployments.deploy(release.name, self._place, why=why, automatic=True, **how)
        except Conflict as conflict:  # held, or another one is on its way: later
            self._say("waiting", f"{release.name}: {conflict.message}; {conflict.hint}")
            return
        self._waiting = None
        beside = f", beside {plan.beside.stays.name}" if plan.beside else ""
        self._say("deploying", f"{plan.release.name}{beside}")
        if plan.mend:  # its gates will say so, as soon as a server asks them
            self._say("breaks", f"{plan.asked}: {plan.mend}")

    def _follow(self) -> None:
        """Tell what became of what was deployed."""
        if self._under_way is None or self._under_way.rollout is None:
            return
        at = deployments.ended(self._under_way)
        if at is not None:
            self._under_way = None
            self._say(at.rollout.state.replace("_", " "), f"{at.release}: {_became(at)}")

    def _say(self, word: str, text: str) -> None:
        if text != self._said:
            self._said = text
            self._told(word, text)


class Notices:
    """Tells a webhook of each event of a store, in order, also after a restart."""

    def __init__(self, webhook: Webhook, place: str) -> None:
        self._webhook = webhook
        self._place = place
        self._failures = 0
        self._resumes = 0.0

    def look(self) -> str:
        """Tell what is new; why that is not possible at present, "" otherwise."""
        now = time.time()
        if now < self._resumes:
            return ""
        try:
            self._tell(now)
        except (TenfoldError, OSError) as error:
            self._resumes = now + _pause_s(self._failures)
            self._failures += 1
            return error.message if isinstance(error, TenfoldError) else str(error)
        return ""

    def _tell(self, now: float) -> None:
        name = self._webhook.shown  # the store is no place for a password
        with opened(self._place, create=True) as store:
            kept = [one for one in store.evidence.of("", "", WEBHOOK) if one.machine == name]
            if not kept:  # it is told of what happens from now on
                last = store.events.list(most=1)
                store.evidence.put("", "", WEBHOOK, {"n": last[0].n if last else 0}, name)
                return
            for event in store.events.list(after=kept[0].content["n"]):
                self._webhook.send(event, now)
                store.evidence.put("", "", WEBHOOK, {"n": event.n}, name)
                self._failures = 0


def _pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    return RETRIES_S[min(failures, len(RETRIES_S) - 1)]


def _became(at: standings.Progress) -> str:
    """What a rollout came to, and the mend."""
    return "; ".join(filter(None, (at.said, at.fix)))


def _said(error: TenfoldError | OSError) -> str:
    """An error with its mend."""
    told = error if isinstance(error, TenfoldError) else _unmade(error)
    return "; ".join(filter(None, (told.message, told.hint)))


def _unmade(error: OSError) -> TenfoldError:
    """What stopped the clean copy that a change is built in; of a folder that could not be copied, the first reason."""
    reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or str(error)
    where = f"{error.filename}: " if error.filename else ""
    return TenfoldError(
        f"the change cannot be built: {where}{reason}",
        f"df -h {tempfile.gettempdir()} shows what is free; TMPDIR=FOLDER builds in another place",
    )


def notices(url: str, secret: str, place: str) -> Notices | None:
    """Who tells a webhook; None where there is none."""
    return Notices(Webhook(url, secret), place) if url else None


def watch(watcher: Watcher, notices: Notices | None, every_s: float | None, told: Told) -> None:
    """Look again and again, until somebody ends it; just once for None."""
    while True:
        if every_s is None:
            watcher.look_once()
        else:
            watcher.look()
        if notices is not None and (why := notices.look()):
            told("webhook", why)
        if every_s is None:
            return
        time.sleep(every_s)
