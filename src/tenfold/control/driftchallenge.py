"""A challenger, live: another release answers the labelled rows of the one that serves, and labels say which one is better.

Belongs to the folder of the release that serves. The challenger answers in its own interpreter, aside (see ``looks``), what
the journal has as input; the serving release's answers are those that it gave. Each round takes the rows whose labels came
since the last one, until the challenger has proven better, or useless.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.form import Form, leaves
from tenfold.control import labelfiles
from tenfold.control.labelfiles import Label
from tenfold.control.looks import look
from tenfold.drift.folder import folder_of, profile_in, replace
from tenfold.drift.options import Drift
from tenfold.drift.paired import compare
from tenfold.drift.profile import Profile, unpack
from tenfold.drift.truth import task_of, told, truths
from tenfold.drift.verdicts import Challenge
from tenfold.drift.windows import moment
from tenfold.errors import Conflict, TenfoldError, UsageError
from tenfold.gates import Asked, Request
from tenfold.gates.seen import Answered
from tenfold.journal.reader import Journal
from tenfold.parity.observe import JSON
from tenfold.rows import Rows
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.outputs import Outputs
from tenfold.store import Store, open_store
from tenfold.store.records import Release

ROUND_S = 600.0  # between two rounds, while labels come
MOST_ROWS = 2000  # that a challenger answers in a round
CONTEST, ANSWERS = "challenger.json", "challenger.ndjson"


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A release that challenges: its ``name`` (``loans@2``), its ``id`` and the store that it is in.

    Rows count that were answered from ``since`` on (seconds since 1970), of which it has learnt nothing. ``result`` is what
    was found ``at`` that time, ``trouble`` why there is none, and ``mend`` what to do about that.
    """

    name: str
    id: str
    place: str
    since: float
    result: Challenge | None = None
    at: float = 0.0
    trouble: str = ""
    mend: str = ""

    @property
    def said(self) -> str:
        """What keeps it from being judged, and what to do; "" for nothing."""
        return ": ".join(filter(None, (self.trouble, self.mend)))

    def told(self) -> dict[str, Any]:
        """As JSON has it: ``state`` is "waiting" for its first round, "trying" while more labels may tell, or "over"."""
        state = "over" if self.is_over else "trying" if self.at else "waiting"
        return {
            "name": self.name,
            "state": state,
            "since": moment(self.since),
            "trouble": self.trouble,
            "fix": self.mend,
        }

    @property
    def is_over(self) -> bool:
        """Whether more rows would say nothing new."""
        return self.result is not None and self.result.outcome != "undecided"


def read(home: Path, serving: str) -> Contest | None:
    """The contest in which the release that serves, by its label, is challenged; None where there is none."""
    try:
        return msgspec.json.decode((folder_of(home, serving) / CONTEST).read_bytes(), type=Contest)
    except (OSError, msgspec.MsgspecError):
        return None


def touched(home: Path, serving: str) -> float:
    """When the contest changed last; 0 where there is none."""
    try:
        return (folder_of(home, serving) / CONTEST).stat().st_mtime
    except OSError:
        return 0.0


def against(store: Store, release: Release, serving: str, since: str = "") -> Contest:
    """The contest of a release against the one that serves, by its label, on rows that were answered ``since`` then
    (ISO 8601), or since it was pushed. ``UsageError`` for the release that serves, ``Conflict`` for one that cannot be
    asked."""
    if serving.endswith(f"@{release.id[:7]}"):
        raise UsageError(
            f"{release.name} is the one that serves", f"tenfold releases {release.service} lists the others"
        )
    first = _moment(since) if since else release.at.timestamp()
    _require_inputs(store, release)
    return Contest(name=release.name, id=release.id, place=store.place, since=first)


def _moment(text: str) -> float:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"--since {text}: that is no time", "2026-02-14 or 2026-02-14T21:20:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def begin(home: Path, serving: str, contest: Contest) -> None:
    """A new challenger takes the place of whichever there was."""
    folder = folder_of(home, serving)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ANSWERS).unlink(missing_ok=True)
    replace(folder / CONTEST, msgspec.json.encode(contest))


def go_on(home: Path, serving: str, policy: Drift, now: float) -> Contest | None:
    """A round: the challenger answers rows whose labels are due and have come, and is judged by all that it answered.

    None where there is no contest. What keeps it from being judged is its ``trouble``, and raises nothing.
    """
    contest = read(home, serving)
    if contest is None:
        return None
    result, mend = contest.result, ""
    try:
        result, trouble = _judged(home, serving, contest, policy, now)
    except Conflict as error:
        trouble, mend = error.message, error.hint
    except (TenfoldError, OSError) as error:
        trouble = f"{contest.name} could not be asked: {error}"
    found = msgspec.structs.replace(contest, result=result, at=now, trouble=trouble, mend=mend)
    if read(home, serving) == contest:  # and no other challenger has come meanwhile
        replace(folder_of(home, serving) / CONTEST, msgspec.json.encode(found))
    return found


def _judged(home: Path, serving: str, contest: Contest, policy: Drift, now: float) -> tuple[Challenge | None, str]:
    """What labels say by now, and what is to be said besides. ``Conflict`` where they can say nothing yet."""
    until = now - (policy.labels_after_s or 0.0)
    labels = labelfiles.between(home, contest.since, until, serving)
    answers = _known(home, serving)
    wanted = sorted(labels.keys() - answers.keys(), key=by_hash)[:MOST_ROWS]
    inputs = _inputs(home, serving, [labels[name] for name in wanted]) if wanted else {}
    if not inputs and not answers:
        raise _nothing_to_ask(contest, policy, bool(labels))
    if inputs:
        answers |= _asked(contest, inputs)
        _keep(home, serving, answers)
    both = [(labels[name], answer) for name, answer in answers.items() if answer and name in labels]
    found = _compared(home, serving, contest, policy, both)
    refused = sum(not answer for answer in answers.values())
    said = f"{contest.name} refuses {refused:,} of {len(answers):,} labelled rows that were answered" if refused else ""
    return found, said if found else said or f"{contest.name} has no answers that labels could be held against"


def _nothing_to_ask(contest: Contest, policy: Drift, is_labelled: bool) -> Conflict:
    """Why there is no row that the challenger could answer, and what to do about it."""
    if policy.journal != "inputs" or is_labelled:
        return Conflict(
            f"{contest.name} cannot be compared: the inputs of labelled rows are not in the journal",
            f'write Drift(journal="inputs"), which keeps those to come; or let a canary tell: tenfold deploy {contest.name}',
        )
    return Conflict(
        f"{contest.name} waits for labels of rows that were answered since it was trained",
        "tenfold feedback sends them; --since TIME, if it has learnt from none of the rows since then",
    )


def _compared(
    home: Path, serving: str, contest: Contest, policy: Drift, both: list[tuple[Label, dict[str, Any]]]
) -> Challenge | None:
    profile: Profile = unpack(profile_in(folder_of(home, serving)).read_bytes(), Profile)
    true = [label.true for label, _ in both]
    sizes = [abs(v) for one in true for v in one.values() if isinstance(v, int | float)]
    task = profile.task or task_of(profile.columns, np.array(sizes or [np.nan]))
    if task is None or not both:
        return None
    champion = told(task, profile.columns, [label.said for label, _ in both])
    challenger = told(task, profile.columns, [answer for _, answer in both])
    return compare(task, policy, champion, challenger, truths(task, profile.columns, true), contest.name)


def by_hash(name: str) -> bytes:
    """An order of ids that has nothing to do with what was answered."""
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


# -- what the challenger says -----------------------------------------------------------------------------------


def _asked(contest: Contest, inputs: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What the challenger answers, by id; nothing for a row that it refuses."""
    if not inputs:
        return {}
    store = open_store(contest.place)
    try:
        release = _release(store, contest)
        requests = tuple(Request(JSON, body) for body in inputs.values())
        seen = look(store, release, Asked(requests=requests, examine=False))
    finally:
        store.close()
    return {name: _row(answer) for name, answer in zip(inputs, seen.answers, strict=True)}


def _row(answer: Answered) -> dict[str, Any]:
    return answer.rows[0] if answer.rows else {}


def _release(store: Store, contest: Contest) -> Release:
    service = contest.name.partition("@")[0]
    release = store.releases.by_id(service, contest.id)
    if release is None:
        raise TenfoldError("it is not in the store any more", "tenfold push makes another one")
    return release


def _require_inputs(store: Store, release: Release) -> None:
    """``Conflict`` where what a release takes is kept by no journal."""
    private = [wire for _, wire, _, field in leaves(store.spec(release).input.fields) if field.private]
    if private:
        said = f"{', '.join(private)} is Private, and no journal keeps it: rows cannot be answered again"
        raise Conflict(said, f"a canary compares releases on rows as they come: tenfold deploy {release.name}")


def _known(home: Path, serving: str) -> dict[str, dict[str, Any]]:
    """What the challenger answered in earlier rounds."""
    try:
        lines = (folder_of(home, serving) / ANSWERS).read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    pairs = [msgspec.json.decode(line, type=tuple[str, dict[str, Any]]) for line in lines]
    return dict(pairs)


def _keep(home: Path, serving: str, answers: Mapping[str, dict[str, Any]]) -> None:
    lines = b"".join(msgspec.json.encode(pair) + b"\n" for pair in answers.items())
    replace(folder_of(home, serving) / ANSWERS, lines)


# -- what it is asked -------------------------------------------------------------------------------------------


def _inputs(home: Path, serving: str, labels: Collection[Label]) -> dict[str, bytes]:
    """The inputs of labelled rows as JSON, by id, as far as the journal keeps them."""
    encoders: dict[Form, Outputs] = {}
    found: dict[str, bytes] = {}
    for form, ids, rows in inputs_of(home, serving, labels):
        encode = encoders.get(form) or encoders.setdefault(form, Outputs(form))
        texts = encode.encode(len(ids), [memoryview(part) for part in write_rows(rows)])
        found.update(zip(ids, texts, strict=True))
    return found


def inputs_of(home: Path, serving: str, labels: Collection[Label]) -> Iterator[tuple[Form, Sequence[str], Rows]]:
    """The inputs of labelled rows, as far as the journal keeps them: what they are, their ids, and the rows."""
    wanted, times = {label.id for label in labels}, [label.time for label in labels]
    for found in Journal(home, read_rows).read(int(min(times) * 1e6) - 1, int(max(times) * 1e6) + 2, serving):
        table = found.header.input
        if found.inputs is None or table is None:
            continue
        at = [k for k, name in enumerate(found.ids) if name in wanted]
        if at:
            some = found.take(np.array(at))
            assert some.inputs is not None
            yield table.form, some.ids, some.inputs
