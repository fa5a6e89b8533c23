"""Gates: what a release has to show before it takes traffic. Each is asked in turn, and its evidence kept in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold import environment
from tenfold.answers import evidence as kept
from tenfold.capacity.card import Card
from tenfold.capacity.stopping import MAY_MISS
from tenfold.config import trusted_keys
from tenfold.contract.changes import compare
from tenfold.contract.form import Form
from tenfold.control.looks import look, recent, recorded
from tenfold.control.stores import opened, within
from tenfold.engines.room import free_bytes
from tenfold.errors import NotFound, TenfoldError
from tenfold.gates import Asked, Request, Seen, Word, verdicts
from tenfold.store import Store, resolve, signing, trees
from tenfold.store.nouns import CURRENT
from tenfold.store.records import Gate, Release

__all__ = ["Gate"]

NAMES = ("digests", "environment", "contract", "golden", "skew", "predictions", "capacity", "memory")
CAPACITY = "capacity"  # the kind of evidence that a benchmark is

Told = Callable[[Gate], None]


class Asking(NamedTuple):
    """Which release is asked, and against which other one; ``folders`` are theirs, once they are proven."""

    store: Store
    release: Release
    current: Release | None
    replicas: int
    signed_by: tuple[Path, ...]
    journal: Path | None


class Looked(NamedTuple):
    """What was seen of both releases, and the requests that both were asked: the first ``recent`` are from the journal."""

    new: Seen
    old: Seen | None
    requests: tuple[Request, ...]
    recent: int


def run(
    store: Store,
    release: Release,
    current: Release | None = None,
    *,
    replicas: int = 1,
    signed_by: tuple[Path, ...] = (),
    journal: Path | None = None,
    told: Told = lambda _: None,
) -> list[Gate]:
    """Ask every gate about a release that is to take over from ``current``, and keep what each says.

    It takes as long as loading both takes, and one batch after the other. Of ``signed_by``, public keys, one has to have
    signed it (of those of TENFOLD_SIGNED_BY, where none are named). ``journal`` is the folder of the service whose journal
    has recent traffic; ``told`` hears of each gate.
    """
    asking = Asking(store, release, current, replicas, signed_by, journal)
    said: list[Gate] = []
    for name, word, seen in _asked(asking):
        gate = _keep(asking, name, word, seen)
        told(gate)
        said.append(gate)
    return said


def held_up(gates: Sequence[Gate], accept_breaking: bool = False) -> list[Gate]:
    """Those that forbid traffic. A contract that breaks others may be accepted, under a name of its own."""
    return [one for one in gates if one.verdict == "failed" and not (accept_breaking and one.name == "contract")]


def evidence(store: Store, gate: Gate) -> dict[str, Any]:
    """What a gate saw."""
    content: dict[str, Any] = msgspec.json.decode(store.blobs.read(gate.evidence)) if gate.evidence else {}
    return content


def swap(store: Store, gates: Sequence[Gate]) -> verdicts.Swap:
    """How a release is to take over, as far as memory is concerned: beside the old one, or once that is gone."""
    memory = next((one for one in gates if one.name == "memory"), None)
    return "in place" if memory is not None and evidence(store, memory).get("swap") == "in place" else "overlap"


def foreseen(store: Store, release: Release, current: Release | None) -> dict[str, Word]:
    """What the gates would say that need nothing to be loaded, by their names; nothing is kept of it."""
    found = {}
    if keys := trusted_keys():
        try:
            by = signing.verify(release, store.releases.signatures(release.service, release.id), keys)
            found["digests"] = Word("passed", f"signed by {by[:16]}")
        except TenfoldError as error:
            found["digests"] = Word("failed", error.message)
    if current is not None:
        found["contract"] = verdicts.contract(compare(_forms(store, current), _forms(store, release)), ())
    return found


class Judged(NamedTuple):
    """A release, the one that it was held against, what each gate says, those that forbid traffic, what each saw, and the
    store."""

    release: Release
    current: Release | None
    gates: Sequence[Gate]
    held_up: Sequence[Gate]
    evidence: Mapping[str, dict[str, Any]]
    place: str


def judge(
    name: str,
    place: str = "",
    *,
    against: str = "",
    accept_breaking: bool = False,
    signed_by: tuple[Path, ...] = (),
    journal: Path | None = None,
    told: Told = lambda _: None,
) -> Judged:
    """Ask the gates about a release by its name, against the one that answers, or that of another name."""
    with opened(place, name) as store:
        name = within(store, name)
        release = resolve(store, name if "@" in name else f"{name}@latest")
        current = resolve(store, within(store, against)) if against else _current(store, release)
        said = run(store, release, current, signed_by=signed_by, journal=journal, told=told)
        return _judged(store, release, said, accept_breaking)


def last(name: str, place: str = "", *, accept_breaking: bool = False, told: Told = lambda _: None) -> Judged:
    """What the gates said of a release when they were last asked. ``NotFound`` where nobody has asked them."""
    with opened(place, name) as store:
        name = within(store, name)
        release = resolve(store, name if "@" in name else f"{name}@latest")
        said = store.gates.of(release.service, release.id)
        if not said:
            ask = f"tenfold gates {release.name}{store.at(release.name)}"
            raise NotFound(f"nobody has asked the gates about {release.name}", ask)
        for gate in said:
            told(gate)
        return _judged(store, release, said, accept_breaking)


def _judged(store: Store, release: Release, said: Sequence[Gate], accept_breaking: bool) -> Judged:
    against = said[-1].against
    current = store.releases.by_id(release.service, against) if against else None
    seen = {gate.name: evidence(store, gate) for gate in said}
    return Judged(release, current, said, held_up(said, accept_breaking), seen, store.place)


def _current(store: Store, release: Release) -> Release | None:
    pointer = store.pointers.get(release.service, CURRENT)
    return store.releases.by_id(release.service, pointer.release) if pointer else None


def _asked(asking: Asking) -> Iterator[tuple[str, Word, dict[str, Any]]]:
    """The gates in their order, each with what it says and what it saw. After one of the first two has failed, there is
    nothing that could be asked."""
    for name, ask in (("digests", _digests), ("environment", _environment)):
        word, seen = ask(asking)
        yield name, word, seen
        if word.verdict == "failed":
            return
    try:
        looked = _look(asking)
    except TenfoldError as error:
        yield "golden", Word("failed", f"it does not load: {error.message}"), {}
        return
    for name, judge_one in (
        ("contract", _contract),
        ("golden", _golden),
        ("skew", _skew),
        ("predictions", _predictions),
        ("capacity", _capacity),
        ("memory", _memory),
    ):
        yield name, *judge_one(asking, looked)


def _digests(asking: Asking) -> tuple[Word, dict[str, Any]]:
    store, release = asking.store, asking.release
    signatures = store.releases.signatures(release.service, release.id)
    try:
        store.materialise(release)
        keys = asking.signed_by or trusted_keys()
        by = signing.verify(release, signatures, keys) if keys else ""
    except TenfoldError as error:
        return Word("failed", error.message), {}
    signed = f", signed by {by[:16]}" if by else ", a signature is not asked for"
    return Word("passed", f"every file is what was pushed{signed}"), {"parts": release.parts, "signed_by": by}


def _environment(asking: Asking) -> tuple[Word, dict[str, Any]]:
    try:
        python = environment.python_of(asking.store, asking.release)
    except TenfoldError as error:
        return Word("failed", error.message), {}
    own = python.is_relative_to(asking.store.folder.absolute())
    said = "libraries of its own" if own else "what runs here has its libraries"
    return Word("passed", said), {"python": str(python)}


def _contract(asking: Asking, looked: Looked) -> tuple[Word, dict[str, Any]]:
    store, release, current = asking.store, asking.release, asking.current
    if current is None:
        return Word("passed", "the first release breaks nobody"), {}
    differences = compare(_forms(store, current), _forms(store, release))
    before = looked.old.answers if looked.old else ()
    replayed = [now for was, now in zip(before, looked.new.answers, strict=False) if not was.code]
    refused = [{"at": one.at, "code": one.code} for one in replayed if one.code]
    seen = {"differences": [one._asdict() for one in differences], "replayed": len(replayed), "refused": refused}
    return verdicts.contract(differences, replayed), seen


def _forms(store: Store, release: Release) -> tuple[Form, Form]:
    what_comes, what_goes = trees.forms(store.blobs, release)
    return what_comes, what_goes


def _golden(_: Asking, looked: Looked) -> tuple[Word, dict[str, Any]]:
    found = looked.new.golden
    return verdicts.golden(found), msgspec.to_builtins(found) if found else {}


def _skew(_: Asking, looked: Looked) -> tuple[Word, dict[str, Any]]:
    tried = looked.new.variants
    return verdicts.skew(looked.new.golden, tried), {"tried": [msgspec.to_builtins(one) for one in tried]}


def _predictions(asking: Asking, looked: Looked) -> tuple[Word, dict[str, Any]]:
    if asking.current is None:
        return Word("passed", "the first release has none to be compared with"), {}
    if looked.old is None:
        return Word("unproven", f"{asking.current.name} could not be asked"), {}
    seen = {"requests": len(looked.requests), "recent": looked.recent}
    return verdicts.predictions(looked.old.answers, looked.new.answers), seen


def _capacity(asking: Asking, _: Looked) -> tuple[Word, dict[str, Any]]:
    store, release = asking.store, asking.release
    promised = store.spec(release).capacity.rows_per_s
    found = store.evidence.of(release.service, release.id, CAPACITY)
    best = next((one for one in found if one.machine == kept.machine()), found[0] if found else None)
    if best is None:
        return verdicts.capacity(promised, None), {}
    card = msgspec.convert(best.content["card"], Card)
    missed = card.promised.missed if card.promised else None
    measured = verdicts.Measured(card.rows_per_s, missed, MAY_MISS, best.machine == kept.machine())
    return verdicts.capacity(promised, measured), {"card": msgspec.to_builtins(card), "machine": best.machine}


def _memory(asking: Asking, looked: Looked) -> tuple[Word, dict[str, Any]]:
    need = verdicts.need_bytes(looked.new, asking.replicas)
    freed = verdicts.need_bytes(looked.old, asking.replicas) if looked.old else 0
    free = free_bytes()
    word, how = verdicts.memory(need, free, freed)
    return word, {"need_bytes": need, "free_bytes": free, "freed_bytes": freed, "swap": how}


def _keep(asking: Asking, name: str, word: Word, seen: dict[str, Any]) -> Gate:
    store, release = asking.store, asking.release
    gate = Gate(
        service=release.service,
        release=release.id,
        name=name,
        verdict=word.verdict,
        because=word.because,
        against=asking.current.id if asking.current else "",
        evidence=store.blobs.put(msgspec.json.encode(seen)) if seen else "",
        machine=kept.machine(),
        at=store.clock(),
    )
    store.gates.add(gate)
    return gate


def _look(asking: Asking) -> Looked:
    """Have both releases answer the same requests. Raises ``TenfoldError`` where the new one cannot be loaded; the current
    one answers already, and is only compared with."""
    store, release, current = asking.store, asking.release, asking.current
    last = recent(asking.journal) if current and asking.journal else []
    golden = [request for one in (current, release) if one for request in recorded(store.materialise(one))]
    requests = tuple(dict.fromkeys([*last, *golden])) if current else ()
    new = look(store, release, Asked(requests=requests))
    old = None
    if current is not None:
        with suppress(TenfoldError):
            old = look(store, current, Asked(requests=requests, examine=False))
    return Looked(new, old, requests, len(set(last)))
