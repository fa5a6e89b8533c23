"""Releases: a service put into the store as it is, and what the store says of those that are there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold import environment
from tenfold.answers import evidence as measured
from tenfold.control.stores import opened, place_of, who, within
from tenfold.environment.libraries import FROZEN, bill, frozen, libraries
from tenfold.errors import Conflict, ModelError, ServiceError
from tenfold.model import Trusted
from tenfold.models.files import PICKLES, examine
from tenfold.service import Service, find, spec
from tenfold.service.manifest import Tree, contract_listing, further, model_path, odd, tree, trees
from tenfold.spec import Spec
from tenfold.store import Absent, Store, resolve, signing
from tenfold.store import trees as parts_of
from tenfold.store.history import MOVES
from tenfold.store.nouns import CURRENT
from tenfold.store.records import Event, Release, Signature
from tenfold.units import size_bytes

__all__ = ["Event"]

MOST_FILE = "256 MiB"  # what a file may have that is neither model nor code
FILES = "files"  # the part of all that the code may read beside code, model and records
BILL = "bill"  # the kind of evidence that is a bill of materials
GIT_S = 5.0
TRIES = 5

Progress = Callable[..., None]


class Contents(NamedTuple):
    """What a push takes along: the files of each part, below which folder of the service they stand, and the rest."""

    parts: Mapping[str, Tree]
    roots: Mapping[str, str]
    entry: str
    stated: Spec


class Pushed(NamedTuple):
    """A release that is in the store now, and whether it is new; ``changed`` parts differ from the release before it,
    ``unsettled`` says why it is not known which versions of its libraries it means."""

    release: Release
    new: bool
    place: str
    changed: tuple[str, ...]
    further: tuple[str, ...]
    signed_by: str
    unsettled: str


class Listed(NamedTuple):
    """A release in a list: with the names that point at it, and the parts that differ from the one before."""

    release: Release
    pointers: tuple[str, ...]
    changed: tuple[str, ...]
    signed_by: tuple[str, ...]


class History(NamedTuple):
    """Events in their order, and the ``names`` of releases by service and id: two services can have the same release.
    ``last`` is the end of the chain where all of it was verified."""

    events: Sequence[Event]
    names: Mapping[tuple[str, str], str]
    last: Event | None


def push(
    target: str,
    place: str = "",
    *,
    why: str = "",
    key: Path | None = None,
    most_file: str = MOST_FILE,
    progress: Progress = lambda *_: None,
    service: str = "",
) -> Pushed:
    """Put a service into the store as it is: its release, which is the same one if it is there already.

    ``key`` is the private key to sign it with, ``service`` another name than its class has. Raises ``ServiceError`` or
    ``ModelError`` for what could not be served elsewhere: a model that is missing, untrusted or outside of the folder, links
    that lead out of it, files that are larger than ``most_file``.
    """
    progress("reading the service")
    with tempfile.TemporaryDirectory(prefix="tenfold-push-") as work:
        contents = gather(as_written(target, Path(work)), Path(work), most_file)
        if service:
            contents = contents._replace(stated=msgspec.structs.replace(contents.stated, name=service))
        progress("copying what is new")
        with opened(place, target, create=True) as store:
            before = store.releases.latest(contents.stated.name)
            release, new = _add(store, contents, why)
            if new:
                store.evidence.put(release.service, release.id, BILL, _bill(release, contents))
            progress("settling which libraries it means")
            unsettled = environment.settle(store, release)
            _keep_measured(store, release, Path(place_of("", target)).parent, contents.stated)
            signature = _sign(store, release, key)
            place = store.place
    changed = _changed(before if new else None, release) if new else ()
    taken = tuple(name for name, _ in contents.parts[FILES].files) if FILES in contents.parts else ()
    return Pushed(release, new, place, changed, taken, signature.key if signature else "", unsettled)


def as_written(target: str, work: Path) -> Service:
    """The service as its files are now, whatever this process imported before, and whatever bytecode lies beside them: that
    is told from the source by whole seconds."""
    home = Path(place_of("", target)).parent.resolve()
    files = {name: getattr(module, "__file__", None) or "/" for name, module in sys.modules.items()}
    own = {name for name, file in files.items() if Path(file).parent in (home, home / name) and name != "__main__"}
    for name in files:
        if name.partition(".")[0] in own:
            del sys.modules[name]
    before, sys.pycache_prefix = sys.pycache_prefix, str(work / "bytecode")
    try:
        return find(target)
    finally:
        sys.pycache_prefix = before


def gather(service: Service, work: Path, most_file: str = MOST_FILE) -> Contents:
    """What a release of a service consists of. A freeze of what runs here is made in ``work``, where nothing else says
    which libraries it needs."""
    stated = spec(service)
    model, folder = type(service).model, service.folder
    _require_model(model, folder)
    _require_plain(folder, model_path(model))
    parts = trees(folder, model)
    if "environment" not in parts:
        (work / FROZEN).write_text(frozen(), "utf-8")
        parts["environment"] = tree([work / FROZEN], work)
    most = _bytes(most_file)
    rest = further(folder, parts.values())
    for path in rest:
        _require_small(path, folder, most)
    if rest:
        parts[FILES] = tree(rest, folder)
    for part in parts.values():
        if part.root != work:
            _require_inside(part, folder)
    roots = {
        name: part.root.relative_to(folder).as_posix()
        for name, part in parts.items()
        if part.root not in (folder, work)
    }
    file = getattr(type(service), "_file", None)
    entry = f"{file.name}:{type(service).__name__}" if file else ""
    return Contents(parts, roots, entry, stated)


def listed(name: str = "", place: str = "") -> list[Listed]:
    """The releases of a service, or of all, the newest first; just one for NAME@N."""
    with opened(place, name) as store:
        name = within(store, name)
        chosen = [resolve(store, name)] if "@" in name else store.releases.list(_service(store, name))
        return [_listed(store, release) for release in chosen]


def bill_of(name: str, place: str = "") -> dict[str, Any]:
    """The bill of materials of a release."""
    with opened(place, name) as store:
        release = resolve(store, within(store, name))
        found = store.evidence.of(release.service, release.id, BILL)
        return found[0].content if found else {}


def history(name: str = "", place: str = "", *, verify: bool = False) -> History:
    """What was done to a service, or to all, in order. ``verify`` proves first that nothing was altered or left out."""
    with opened(place, name) as store:
        last = store.events.verify() if verify else None
        service = _service(store, within(store, name).partition("@")[0])
        names = {(release.service, release.id): release.name for release in store.releases.list(service)}
        return History(store.events.list(service), names, last)


def last_changes(store: Store, service: str) -> dict[str, Event]:
    """Of each part of what answers, the deployment that brought it: who changed the code last, and who the model."""
    parts = {release.id: release.parts for release in store.releases.list(service)}
    found: dict[str, Event] = {}
    for event in store.events.list(service):
        if event.detail.get(MOVES, {}).get("name") == CURRENT:
            was, now = parts.get(event.from_, {}), parts.get(event.to, {})
            found |= {part: event for part in was | now if was.get(part) != now.get(part)}
    pointer = store.pointers.get(service)
    answering = parts.get(pointer.release, {}) if pointer else {}
    return {part: event for part, event in found.items() if part in answering}


def _service(store: Store, name: str) -> str:
    """The service of this name, or "" for all; ``NotFound`` names the nearest."""
    return resolve(store, f"{name}@latest").service if name else ""


def _listed(store: Store, release: Release) -> Listed:
    pointers = [pointer.name for pointer in store.pointers.list(release.service) if pointer.release == release.id]
    signed = [signature.key for signature in store.releases.signatures(release.service, release.id)]
    before = store.releases.by_number(release.service, release.number - 1)
    return Listed(release, tuple(pointers), _changed(before, release), tuple(signed))


def _add(store: Store, contents: Contents, why: str) -> tuple[Release, bool]:
    """Blobs first, their names last. A sweep that came between is made up for."""
    stated = contents.stated
    forms = (stated.input, stated.output)
    parts = {name: part.digest for name, part in contents.parts.items()}
    parts["contract"] = stated.parts["contract"]
    about = {"roots": dict(contents.roots), "entry": contents.entry, "source": _commit(contents), "why": why}
    for _ in range(TRIES):
        needs = [store.blobs.put(form.to_json()) for form in forms]
        needs += [store.blobs.put(contract_listing(forms)), store.blobs.put(msgspec.json.encode(stated))]
        for part in contents.parts.values():
            needs += parts_of.keep(store.blobs, part)
        try:
            return store.releases.add(stated.name, parts, who=who(), needs=needs, spec=needs[len(forms) + 1], **about)
        except Absent:
            continue
    raise Conflict(
        "what was pushed is swept away at once, again and again", f"tenfold store gc{store.at()} with a longer --grace"
    )


def _sign(store: Store, release: Release, key: Path | None) -> Signature | None:
    if key is None:
        return None
    signature = signing.sign(release, key)
    store.releases.sign(signature)
    return signature


def _keep_measured(store: Store, release: Release, folder: Path, stated: Spec) -> None:
    """What was measured of this very service goes along with it: its capacity, say."""
    for kind, piece in msgspec.structs.asdict(measured.Evidence.read(folder).of(stated)).items():
        if piece is not None:
            store.evidence.put(release.service, release.id, kind, msgspec.to_builtins(piece), machine=piece.machine)


def _bill(release: Release, contents: Contents) -> dict[str, Any]:
    part = contents.parts["environment"]
    files = {name: (part.root / name).read_bytes() for name, _ in part.files}
    model = contents.parts.get("model")
    return bill(release.service, release.id, libraries(files), dict(model.files) if model else {})


def _changed(before: Release | None, after: Release) -> tuple[str, ...]:
    """The parts of a release that another one did not have, or had otherwise."""
    was = before.parts if before else {}
    return tuple(sorted(part for part in was | after.parts if was.get(part) != after.parts.get(part))) if before else ()


def _commit(contents: Contents) -> str:
    """The commit that the code is of: "git 3f9c2a1", "git 3f9c2a1, changed since"; empty outside of git."""
    folder = contents.parts["code"].root
    commit = _git(folder, "rev-parse", "HEAD").strip()
    if not commit:
        return ""
    return f"git {commit[:12]}" + (
        ", changed since" if _git(folder, "status", "--porcelain", "--", ".").strip() else ""
    )


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=GIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _require_model(model: Any, folder: Path) -> None:
    """Raise for a model file that is not there, is none, or may not be loaded."""
    path = model_path(model)
    if path is None:
        return
    if not (folder / path).is_dir():
        examine(folder / path)
    if path.suffix in PICKLES and not isinstance(model, Trusted):
        raise ModelError(
            f"{path.name} is a pickle, which runs the code in it when it is loaded, and the service does not trust it",
            f'if you made the file: model = trust("{path.name}"); or save it as .skops or .onnx, which run none',
        )


def _require_inside(part: Tree, folder: Path) -> None:
    """Raise for files that are elsewhere, or links to elsewhere: a release is made of its folder, and of nothing else."""
    home = folder.resolve()
    for name, _ in part.files:
        path = part.root / name
        if not (path.resolve().is_relative_to(home) and part.root.resolve().is_relative_to(home)):
            raise ServiceError(
                f"{path} is outside of {folder.name}/", "copy it into the service's folder; links are not followed"
            )


def _require_plain(folder: Path, model: Path | None) -> None:
    """Raise for what a release would be without, though the code may read it here. The model may be a link."""
    for path, what in odd(folder):
        if model is not None and path == folder / model:
            continue
        name = str(path.relative_to(folder)).encode(errors="backslashreplace").decode()
        raise ServiceError(f"{name} is {what}", "put plain files in its place; links to folders are not followed")


def _require_small(path: Path, folder: Path, most: int) -> None:
    size = path.stat().st_size
    if size > most:
        raise ServiceError(
            f"{path.relative_to(folder)} has {size / 2**20:,.0f} MiB, and a further file may have {most / 2**20:,.0f}",
            "move what serving doesn't read out of the folder (or into build/); or push with --max-file SIZE",
        )


def _bytes(text: str) -> int:
    try:
        return size_bytes(text)
    except ValueError as error:
        raise ServiceError(f"--max-file: {error}", "tenfold push --help") from None
