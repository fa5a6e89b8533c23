"""What lies between two releases: the contract and whom that breaks, options, code, libraries, golden answers, files."""

from __future__ import annotations

import difflib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.contract.changes import Difference, compare
from tenfold.contract.form import Form
from tenfold.control.releases import as_written, gather
from tenfold.control.stores import opened, within
from tenfold.environment.libraries import Library, libraries
from tenfold.spec import Spec
from tenfold.store import Store, resolve, trees
from tenfold.store.records import Release

OPTIONS = ("batching", "deadline", "capacity", "scaling", "releases", "drift")
MOST_TEXT = 1 << 20  # of a file whose lines are compared
RECORDS = "records.json"


class Side(NamedTuple):
    """One of the two: a release, or a folder that could be pushed. ``parts`` maps each part to its files' digests by their
    names, and ``read`` gives the content of a digest."""

    title: str
    digests: dict[str, str]
    parts: dict[str, dict[str, str]]
    read: Callable[[str], bytes]
    spec: Spec


class Moved(NamedTuple):
    """Something that was one thing and is another; "" where it was or is not there."""

    name: str
    was: str
    now: str


class Edited(NamedTuple):
    """A file of the code and the unified diff of its lines; empty for one that is no text."""

    path: str
    diff: str


class Answers(NamedTuple):
    """The golden requests that both have: how many, how many of their answers are equal, in how many a label differs, and
    the largest difference of a number. ``gone`` and ``new`` requests have no answer to compare."""

    requests: int
    equal: int
    labels: int
    largest: float
    gone: int = 0
    new: int = 0


class Between(NamedTuple):
    """All that differs; empty where nothing does."""

    a: str
    b: str
    parts: tuple[str, ...]
    contract: Sequence[Difference]
    options: Sequence[Moved]
    code: Sequence[Edited]
    libraries: Sequence[Moved]
    files: Sequence[Moved]
    golden: Answers | None

    @property
    def breaking(self) -> bool:
        """Whether somebody who talks to the service as it was would be refused, or get what was ruled out."""
        return any(difference.breaks for difference in self.contract)


def diff(a: str, b: str, place: str = "") -> Between:
    """What lies between two releases, or between a release and a folder: an existing path beats a name."""
    with ExitStack() as stack:
        stores: list[Store] = []

        def store() -> Store:
            if not stores:
                near = next((name for name in (a, b) if Path(name.partition("@")[0] or "-").exists()), ".")
                stores.append(stack.enter_context(opened(place, near)))
            return stores[0]

        sides = [
            _folder(name, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenfold-diff-"))))
            if _is_path(name)
            else _release(store(), resolve(store(), within(store(), name)))
            for name in (a, b)
        ]
    return between(*sides)


def between(a: Side, b: Side) -> Between:
    """Everything that differs between two sides."""
    changed = tuple(sorted(p for p in a.digests | b.digests if a.digests.get(p) != b.digests.get(p)))
    return Between(
        a=a.title,
        b=b.title,
        parts=changed,
        contract=compare(_forms(a), _forms(b)),
        options=[
            Moved(word, was, now)
            for word in OPTIONS
            if (was := getattr(a.spec, word).describe()) != (now := getattr(b.spec, word).describe())
        ],
        code=list(_edited(a, b)),
        libraries=list(_libraries(a, b)),
        files=list(_files(a, b)),
        golden=_answers(a, b) if "golden" in changed else None,
    )


def _is_path(name: str) -> bool:
    return "@" not in name and (Path(name).exists() or Path(name.rpartition(":")[0]).is_file())


def _release(store: Store, release: Release) -> Side:
    parts = {part: trees.files(store.blobs, digest) for part, digest in release.parts.items() if part != "contract"}
    kept = {digest: store.blobs.read(digest) for part in parts for digest in _texts(part, parts[part])}
    return Side(release.name, release.parts, parts, kept.__getitem__, store.spec(release))


def _folder(target: str, work: Path) -> Side:
    contents = gather(as_written(target, work), work)
    parts = {name: dict(part.files) for name, part in contents.parts.items()}
    kept = {
        digest: (contents.parts[part].root / name).read_bytes()
        for part in parts
        for name, digest in parts[part].items()
        if digest in _texts(part, parts[part])
    }
    digests = {name: part.digest for name, part in contents.parts.items()}
    digests["contract"] = contents.stated.parts["contract"]
    return Side(target, digests, parts, kept.__getitem__, contents.stated)


def _texts(part: str, files: Mapping[str, str]) -> set[str]:
    """The contents that are looked into; models are not."""
    if part in ("code", "environment"):
        return set(files.values())
    return {digest for name, digest in files.items() if part == "golden" and name.endswith(RECORDS)}


def _forms(side: Side) -> tuple[Form, Form]:
    return side.spec.input, side.spec.output


def _edited(a: Side, b: Side) -> Iterator[Edited]:
    before, after = a.parts.get("code", {}), b.parts.get("code", {})
    for path in sorted(before | after):
        if before.get(path) != after.get(path):
            was, now = (_lines(side, side.parts.get("code", {}).get(path)) for side in (a, b))
            lines = difflib.unified_diff(was, now, f"{a.title}/{path}", f"{b.title}/{path}")
            yield Edited(path, "".join(line if line.endswith("\n") else f"{line}\n" for line in lines))


def _lines(side: Side, digest: str | None) -> list[str]:
    content = side.read(digest) if digest else b""
    return content.decode("utf-8", "replace").splitlines(keepends=True) if len(content) < MOST_TEXT else []


def _libraries(a: Side, b: Side) -> Iterator[Moved]:
    was, now = _environment(a), _environment(b)
    nothing = Library("", "")
    for name in sorted(was | now):
        before, after = was.get(name, nothing), now.get(name, nothing)
        if before.version != after.version or before.name != after.name:
            words = [(found.version or "any") if found.name else "" for found in (before, after)]
            yield Moved(name, *(word.removeprefix("==") for word in words))


def _environment(side: Side) -> dict[str, Library]:
    return libraries({name: side.read(digest) for name, digest in side.parts.get("environment", {}).items()})


def _files(a: Side, b: Side) -> Iterator[Moved]:
    """The files that are not read by people, by their digests."""
    for part in sorted((a.parts.keys() | b.parts.keys()) - {"code", "environment", "golden"}):
        before, after = a.parts.get(part, {}), b.parts.get(part, {})
        for path in sorted(before | after):
            if before.get(path) != after.get(path):
                yield Moved(f"{part} {path}", before.get(path, "")[:7], after.get(path, "")[:7])


# -- golden answers ----------------------------------------------------------------------------------------------------


def _answers(a: Side, b: Side) -> Answers | None:
    before, after = _recorded(a), _recorded(b)
    both = [request for request in before if request in after]
    if not before and not after:
        return None
    moved = [(before[request], after[request]) for request in both if before[request] != after[request]]
    compared = [_compared(was, now) for was, now in moved]
    return Answers(
        requests=len(both),
        equal=len(both) - len(moved),
        labels=sum(labels for labels, _ in compared),
        largest=max((largest for _, largest in compared), default=0.0),
        gone=len(before) - len(both),
        new=len(after) - len(both),
    )


def _recorded(side: Side) -> dict[str, Any]:
    """The answer to each recorded request, by a digest of the request."""
    golden = side.parts.get("golden", {})
    digest = next((digest for name, digest in golden.items() if name.endswith(RECORDS)), None)
    if digest is None:
        return {}
    try:
        records = msgspec.json.decode(side.read(digest))["records"]
        return {_request(record, golden): record.get("answer") for record in records}
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return {}


def _request(record: Mapping[str, Any], golden: Mapping[str, str]) -> str:
    """What was asked, whatever its number in the folder: a body in a file by its content."""
    asked = [record["media_type"], record.get("request")]
    for name, digest in golden.items():
        if record.get("file") and Path(name).name == record["file"]:
            asked.append(digest)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _compared(was: Any, now: Any) -> tuple[bool, float]:
    """Whether anything but a number differs, and the largest difference of numbers."""
    numbers = {path: value for path, value in _leaves(was) if _is_number(value)}
    others = {path: value for path, value in _leaves(was) if not _is_number(value)}
    after = dict(_leaves(now))
    labels = others != {path: value for path, value in after.items() if not _is_number(value)}
    apart = [abs(value - after[path]) for path, value in numbers.items() if _is_number(after.get(path))]
    return labels, max(apart, default=0.0)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _leaves(inner, f"{path}/{name}")
        case list():
            for k, inner in enumerate(value):
                yield from _leaves(inner, f"{path}/{k}")
        case _:
            yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
