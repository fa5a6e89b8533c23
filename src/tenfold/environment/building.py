"""Environments below the store: found again by what they are made of, made one at a time, whole or not at all.

    environments/KEY/        a virtual environment, and in it ``tenfold.json``: what it was made of
    environments/KEY.here    what runs here has all of it: how its libraries looked when that was seen

KEY is a digest of the files that the release names, the versions that they were resolved to, the interpreter, and the
tenfold that is installed beside them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenfold.environment import uv, wheel
from tenfold.environment.libraries import Library, libraries, resolved
from tenfold.errors import ServiceError, TenfoldError
from tenfold.service.manifest import ENVIRONMENT
from tenfold.store import Store, trees
from tenfold.store.records import Release

FOLDER = "environments"
MARK = "tenfold.json"
RESOLUTION = "resolution"  # the kind of evidence that says which versions files without a lock were resolved to first
PYTHON = ".python-version"


class Asked(NamedTuple):
    """The environment that a release asks for: the digest of its part, its files, and their ``resolution`` as a
    requirements file ("" before there is one)."""

    digest: str
    files: Mapping[str, bytes]
    resolution: str

    @property
    def is_locked(self) -> bool:
        """Whether its files alone say every version."""
        return any(name in self.files for name in uv.LOCKS)

    @property
    def key(self) -> str:
        """What the environment is found again by."""
        here = [sys.implementation.name, platform.python_version(), sysconfig.get_platform()]
        said = msgspec.json.encode([self.digest, self.resolution, wheel.digest(), *here])
        return hashlib.sha256(said).hexdigest()[:32]


def python_of(store: Store, release: Release) -> Path:
    """The interpreter that a release runs in, made where it is not there yet: that takes as long as its libraries take to be
    fetched. Whoever else asks for the same meanwhile waits for it.

    Raises ``ServiceError`` where the files name what cannot be had, and ``TenfoldError`` without uv.
    """
    if found := ready(store, release):
        return found
    asked = _asked(store, release)
    with tempfile.TemporaryDirectory(prefix="tenfold-environment-") as name:
        work = Path(name)
        try:
            if _is_here(asked, work):
                _remember(store, release, asked)
                return Path(sys.executable)
            with _alone(_folder(store), asked.digest):
                return ready(store, release) or _make(store, release, _asked(store, release), work)
        except ServiceError as error:
            raise ServiceError(f"the environment of {release.name}: {error.message}", error.hint) from None


def settle(store: Store, release: Release) -> str:
    """Which versions a release means whose files leave some open: those that run here where these will do, else those that uv
    finds now. They are kept, so that every machine gets the same ones, whenever it asks. Why that cannot be said; "" where
    it is."""
    asked = _asked(store, release) if "environment" in release.parts else None
    if asked is None or asked.is_locked or asked.resolution:
        return ""
    with tempfile.TemporaryDirectory(prefix="tenfold-environment-") as name:
        work = Path(name)
        try:
            if _is_here(asked, work):
                _remember(store, release, asked)
            else:
                _keep(store, release, asked._replace(resolution=uv.resolved(_python(asked), work)))
        except TenfoldError as error:
            return error.message
    return ""


def tester(folder: Path, work: Path) -> Path:
    """The interpreter in which the tests of a service's folder are run: this one where it has what the folder asks for, else
    one that is made in ``work``. Raises as ``python_of`` does."""
    files = {name: (folder / name).read_bytes() for name in ENVIRONMENT if (folder / name).is_file()}
    asked = Asked("", files, "")
    if not files or _is_here(asked, work):
        return Path(sys.executable)
    uv.create(work / "made", _python(asked), work, [*uv.requirements(work), "pytest"])
    return work / "made" / "bin" / "python"


def ready(store: Store, release: Release) -> Path | None:
    """The interpreter that a release runs in, None where it has to be made, or looked for, first."""
    if "environment" not in release.parts:
        return Path(sys.executable)
    asked = _asked(store, release)
    made = _folder(store) / asked.key
    if (made / MARK).is_file():
        return made / "bin" / "python"
    with contextlib.suppress(FileNotFoundError):
        if made.with_suffix(".here").read_text() == _looks():
            return Path(sys.executable)
    return None


def tidy(store: Store, before_s: float) -> int:
    """Remove the environments that no release asks for any more, and what was left of making others, where nothing was done
    to them since a moment in seconds of Unix time; how many."""
    wanted = {one.parts.get("environment") for one in store.releases.list() if not one.collected}
    removed = 0
    for folder in (_folder(store)).glob("*"):
        if folder.is_dir() and folder.stat().st_mtime < before_s and _made_of(folder) not in wanted:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def _made_of(folder: Path) -> str:
    """The digest of the files that an environment was made of; "" for half of one."""
    try:
        return str(msgspec.json.decode((folder / MARK).read_bytes())["environment"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError):
        return ""


def _folder(store: Store) -> Path:
    """Where the environments of a store stand; absolute, since interpreters are started from anywhere."""
    return store.folder.absolute() / FOLDER


def _asked(store: Store, release: Release) -> Asked:
    digest = release.parts["environment"]
    files = {name: store.blobs.read(content) for name, content in trees.files(store.blobs, digest).items()}
    return Asked(digest, files, _resolution(store, release))


def _resolution(store: Store, release: Release) -> str:
    """What the files of this environment were resolved to first, for whichever release of the service."""
    same = [
        one
        for one in store.releases.list(release.service)
        if one.parts.get("environment") == release.parts["environment"]
    ]
    kept = (found for one in same for found in store.evidence.of(one.service, one.id, RESOLUTION))
    return next((str(found.content["requirements"]) for found in kept), "")


def _is_here(asked: Asked, work: Path) -> bool:
    """Whether what runs here has all that is asked for. Without uv that is said only where each version is named."""
    _lay_out(asked, work)
    wanted = asked.files.get(PYTHON, b"").decode("ascii", "replace").strip()
    if wanted and not f"{platform.python_version()}.".startswith(f"{wanted}."):
        return False
    if uv.found():
        return uv.has(Path(sys.executable), work, uv.requirements(work))
    return all(map(_has, (library for name, library in libraries(asked.files).items() if name != wheel.NAME)))


def _python(asked: Asked) -> str:
    """The interpreter that is asked for: its version, or this one."""
    return asked.files.get(PYTHON, b"").decode("ascii", "replace").strip() or sys.executable


def _has(library: Library) -> bool:
    try:
        return library.version == f"=={version(library.name)}"
    except PackageNotFoundError:
        return False


def _lay_out(asked: Asked, work: Path) -> None:
    for name, content in asked.files.items():
        (work / name).write_bytes(content)
    if asked.resolution:
        (work / uv.PINS).write_text(asked.resolution, "utf-8")


def _remember(store: Store, release: Release, asked: Asked) -> None:
    """Note that nothing has to be made. A store that may only be read is served from, too."""
    if not asked.is_locked and not asked.resolution:
        named = resolved(libraries(asked.files).values())
        lines = sorted(f"{library.name}{library.version}\n" for name, library in named.items() if name != wheel.NAME)
        asked = asked._replace(resolution="".join(lines))
    with contextlib.suppress(OSError, TenfoldError):
        _keep(store, release, asked)
        made = _folder(store) / asked.key
        made.parent.mkdir(parents=True, exist_ok=True)
        made.with_suffix(".here").write_text(_looks())


def _make(store: Store, release: Release, asked: Asked, work: Path) -> Path:
    """Make the environment aside, and give it its name once it is whole."""
    folder = _folder(store)
    _lay_out(asked, work)  # whoever made another one meanwhile may have resolved it
    for left in folder.glob(f".{asked.digest[:12]}-*"):  # by somebody who was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{asked.digest[:12]}-", dir=folder))
    try:
        uv.create(fresh / "made", _python(asked), work, uv.requirements(work))
        if not asked.is_locked and not asked.resolution:
            asked = asked._replace(resolution=uv.freeze(fresh / "made" / "bin" / "python", work))
            _keep(store, release, asked)
        about = {"environment": asked.digest, "tenfold": wheel.digest(), "resolution": asked.resolution}
        (fresh / "made" / MARK).write_bytes(msgspec.json.format(msgspec.json.encode(about)))
        shutil.rmtree(folder / asked.key, ignore_errors=True)  # one that somebody took the mark from
        (fresh / "made").rename(folder / asked.key)
    except OSError as error:
        raise TenfoldError(
            f"{folder} cannot be written: {error.strerror}", f"df -h {folder} shows what is free"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder / asked.key / "bin" / "python"


def _keep(store: Store, release: Release, asked: Asked) -> None:
    if asked.resolution and not _resolution(store, release):
        store.evidence.put(release.service, release.id, RESOLUTION, {"requirements": asked.resolution})


def _looks() -> str:
    """Of the libraries that are installed here, what changes whenever one is installed or removed."""
    places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    return "\n".join([sys.executable, *(f"{place} {Path(place).stat().st_mtime_ns}" for place in places)])


@contextlib.contextmanager
def _alone(folder: Path, digest: str) -> Iterator[None]:
    """One at a time makes an environment of these files. A process that dies gives way to the next."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / f"{digest[:32]}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise TenfoldError(f"{folder} cannot be written: {error.strerror}", "look at who may write to it") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
