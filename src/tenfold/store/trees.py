"""The parts of a release as blobs: each file by its content, each part by its listing; and a folder made of them.

The digest of a part is that of its listing (``tenfold.service.manifest``), so that a release proves every byte of its files.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from tenfold.contract.form import Form, from_json
from tenfold.errors import Conflict, GateFailed, NotFound
from tenfold.service.manifest import RELEASED, Released, Tree, release_id
from tenfold.store.blobs import digest_of, sync
from tenfold.store.nouns import Blobs
from tenfold.store.records import Release

MOST_NAME = 1000  # characters of a file's name within its part

_BYTECODE = "__pycache__"  # which Python runs in the place of the source, and of which nothing is proven

_LISTING = re.compile(rb"([^\0\n]+\0[0-9a-f]{64}\n)+")


def keep(blobs: Blobs, tree: Tree) -> list[str]:
    """Put a part: the digests of its files, and its own as the last. ``Conflict`` where a file changed meanwhile."""
    for name, _ in tree.files:
        require_safe(name)
    return [*(blobs.put(tree.root / name, digest) for name, digest in tree.files), blobs.put(tree.listing)]


def files(blobs: Blobs, digest: str) -> dict[str, str]:
    """The files of a part by name, with their digests. ``GateFailed`` where its listing is not one, or leads outside."""
    listing = blobs.read(digest)
    if not _LISTING.fullmatch(listing):
        raise GateFailed(f"{digest[:12]} is no list of files", "a manifest in the store was altered; restore a backup")
    found = dict(line.split("\0") for line in listing.decode("utf-8", "replace").split("\n")[:-1])
    for name in found:
        require_safe(name)
    return found


def require_safe(name: str) -> None:
    """Raise for a name that would be a file outside of its folder, or one that is special there."""
    parts = name.split("/")
    leads_out = any(part.lower() in ("", ".", "..", _BYTECODE) for part in parts)
    leads_out = leads_out or parts[0].lower() == RELEASED.parts[0]
    if leads_out or any(character in "\\\x7f\ufffd" or character < " " for character in name) or len(name) > MOST_NAME:
        raise GateFailed(
            f"{name[:80]!r} cannot be the name of a file in a release",
            "it would lead out of the service's folder, run unread, or cannot be written; give the file another name",
        )


def forms(blobs: Blobs, release: Release) -> tuple[Form, ...]:
    """What comes in and what goes out, as the contract of a release says."""
    listing = blobs.read(release.parts["contract"]).decode("ascii", "replace")
    return tuple(from_json(blobs.read(digest)) for digest in listing.split("\n"))


def needed(blobs: Blobs, release: Release) -> Iterator[str]:
    """Every blob that a release consists of."""
    if release.spec:
        yield release.spec
    for part, digest in release.parts.items():
        yield digest
        if part == "contract":
            yield from blobs.read(digest).decode("ascii", "replace").split("\n")
        else:
            yield from files(blobs, digest).values()


def layout(blobs: Blobs, release: Release) -> dict[str, str]:
    """The files of a release by their place in the service's folder, with their digests."""
    placed: dict[str, str] = {}
    for part, digest in release.parts.items():
        if part == "contract":
            continue
        root = release.roots.get(part, "")
        if root:
            require_safe(root)
        for name, content in files(blobs, digest).items():
            path = f"{root}/{name}" if root else name
            if placed.setdefault(path, content) != content:
                raise _contradiction(release, path)
    for path in placed:
        for parent in PurePosixPath(path).parents:
            if parent.as_posix() in placed:
                raise _contradiction(release, parent.as_posix())
    return placed


def materialise(blobs: Blobs, release: Release, folder: Path) -> Path:
    """Make ``folder`` the service folder of a release, every file proven, all of it or nothing.

    One that is there and whole is left as it is, without the bytecode that Python keeps in it; one in which a file was
    altered, added or lost is made anew. Raises ``GateFailed`` where the store was tampered with.
    """
    if release.collected:
        raise NotFound(
            f"the files of {release.name} were given up {release.collected:%Y-%m-%d}",
            "push the same folder again: it gets the same number",
        )
    if release_id(release.parts) != release.id:
        raise GateFailed(f"the manifest of {release.name} was altered", "restore a backup of the store")
    wanted = layout(blobs, release)
    if folder.is_dir() and _is_whole(folder, wanted):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name[:12]}-", dir=folder.parent))
    try:
        _fill(blobs, release, wanted, fresh)
        _take_place(fresh, folder, wanted)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    sync(folder.parent)
    return folder


def _fill(blobs: Blobs, release: Release, wanted: Mapping[str, str], fresh: Path) -> None:
    fresh.chmod(0o755)
    for name, digest in wanted.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs.copy(digest, path)
    said = Released(
        service=release.service, number=release.number, id=release.id, parts=release.parts, entry=release.entry
    )
    (fresh / RELEASED).parent.mkdir()
    (fresh / RELEASED).write_bytes(msgspec.json.format(msgspec.json.encode(said, order="sorted")) + b"\n")


def _take_place(fresh: Path, folder: Path, wanted: Mapping[str, str]) -> None:
    """Somebody else may have been as quick: then theirs is as good."""
    for _ in range(3):
        try:
            fresh.rename(folder)
        except OSError:
            if _is_whole(folder, wanted):
                return
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name[:12]}-", dir=folder.parent))
            folder.rename(aside / "altered")
            shutil.rmtree(aside, ignore_errors=True)
        else:
            return
    raise Conflict(f"{folder} is written to by somebody else all the time", "leave it to tenfold")


def _is_whole(folder: Path, wanted: Mapping[str, str]) -> bool:
    """Whether a folder has these files, unaltered, and no others but what tenfold keeps beside them.

    Bytecode is thrown away: Python makes it again, and one that somebody planted would run instead of the proven source. What
    is there after that is from a replica that loads at this moment, and must not lose its folder.
    """
    if not _without_bytecode(folder):
        return False
    there = {
        name.as_posix(): path
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
        if (name := path.relative_to(folder)).parts[0] != RELEASED.parts[0] and _BYTECODE not in name.parts[:-1]
    }
    if there.keys() != wanted.keys() or not (folder / RELEASED).is_file():
        return False
    return all(not path.is_symlink() and digest_of(path) == wanted[name] for name, path in there.items())


def _without_bytecode(folder: Path) -> bool:
    """Throw away the bytecode in a folder, each file at one blow, however Python writes there meanwhile; whether all of it
    could be."""
    for kept in [path for path in folder.rglob(_BYTECODE) if path.is_dir() and not path.is_symlink()]:
        try:
            shutil.rmtree(kept.rename(kept.with_name(f"{_BYTECODE}-{os.urandom(8).hex()}")))
        except FileNotFoundError:
            continue  # somebody else threw it away
        except OSError:
            return False
    return True


def _contradiction(release: Release, path: str) -> Conflict:
    return Conflict(f"two parts of {release.name} disagree about {path}", "push a folder in which they go together")
