"""Sources of change: a branch of a git repository; a folder into which training puts models, or a name in a store that means
one. None is written to."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

from tenfold.config import trusted_keys
from tenfold.errors import NotFound, ServiceError, TenfoldError
from tenfold.store import Store, open_store, resolve, signing, trees
from tenfold.store.records import Release

GIT_S = 300.0  # for a clone
LOOK_S = 30.0  # to ask for the newest commit
MARKER = "_SUCCESS"  # what Spark and Hadoop leave behind what is complete
QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


class Commit(NamedTuple):
    """A commit: its id, who wrote it, and the first line of what they said."""

    id: str
    author: str
    subject: str

    def describe(self) -> str:
        """In a line, for the record."""
        return f"git {self.id[:12]} by {self.author}: {self.subject}"


class Branch:
    """A branch of a repository, which may be a folder or a URL."""

    def __init__(self, url: str, name: str, environment: Mapping[str, str]) -> None:
        """``environment`` is what git runs in."""
        self.url = url
        self.name = name
        self._environment = {**environment, **QUIET}

    def newest(self) -> str:
        """The commit that the branch points at."""
        listed = self._git("ls-remote", "--exit-code", "--", self.url, f"refs/heads/{self.name}", limit_s=LOOK_S)
        return listed.partition("\t")[0]

    def check_out(self, commit: str, into: Path) -> Commit:
        """Make ``into`` a clean checkout of a commit that the branch has, and nothing else."""
        self._git("clone", "--quiet", "--no-tags", "--branch", self.name, "--", self.url, str(into))
        self._git("-C", str(into), "-c", "advice.detachedHead=false", "checkout", "--quiet", commit)
        author, _, subject = self._git("-C", str(into), "log", "-1", "--format=%an%n%s").partition("\n")
        return Commit(commit, author.strip(), subject.strip())

    def _git(self, *arguments: str, limit_s: float = GIT_S) -> str:
        try:
            done = subprocess.run(
                ["git", *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=limit_s,
                env=self._environment,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise NotFound("git is not installed", "install git, or watch a folder of models alone") from None
        except subprocess.TimeoutExpired:
            raise TenfoldError(f"git {arguments[0]} of {self.url} takes longer than {limit_s:.0f} s") from None
        if done.returncode != 0:
            mend = f"git ls-remote {self.url} shows what there is"
            raise NotFound(f"{self.name} of {self.url} cannot be read: {_complaint(done.stderr)}", mend)
        return done.stdout


class Model(NamedTuple):
    """A version of a model: what people call it, where its source has it, and what tells it from others."""

    name: str
    where: str
    stamp: str


class ModelSource(Protocol):
    """Where new models come from."""

    def newest(self) -> Model | None:
        """The version that counts now; None where there is none yet."""
        ...

    def put(self, version: Model, target: Path) -> None:
        """Let the model of a service be that of a version: ``target`` is where the service says it is."""
        ...


class Models:
    """A folder into which training puts models: there itself, or in a folder for each version. A version counts once the
    marker is beside it, which training writes last."""

    def __init__(self, folder: Path, marker: str = MARKER) -> None:
        self.folder = folder
        self.marker = marker

    def newest(self) -> Model | None:
        """The newest complete version. Versions sort as numbers do."""
        if not self.folder.is_dir():
            raise NotFound(f"there is no folder {self.folder}", "name the folder that training writes to")
        complete = [path for path in (self.folder, *self.folder.iterdir()) if (path / self.marker).is_file()]
        if not complete:
            return None
        newest = max((path for path in complete if path != self.folder), key=_version, default=self.folder)
        return Model(newest.name, str(newest), str((newest / self.marker).stat().st_mtime_ns))

    def put(self, version: Model, target: Path) -> None:
        """Copy its files; ``NotFound`` where the version has no model of this name."""
        folder = Path(version.where)
        path = folder / target.name
        found = path.rglob("*") if path.is_dir() else _parts(path)
        files = sorted(file for file in found if file.is_file() and not file.is_symlink())
        if not files:
            raise NotFound(f"{folder} has no {target.name}", f"write {target.name} there before {self.marker}")
        _remove(target)
        for file in files:
            goal = target.parent / file.relative_to(folder)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, goal)


class Pointed:
    """The model of the release that a name in a store means, such as trained@latest: whoever pushes or deploys that moves
    it."""

    def __init__(self, place: str, name: str) -> None:
        self._place = place
        self._name = name

    def newest(self) -> Model:
        """The model of the release that is meant now."""
        with closing(open_store(self._place)) as store:
            release = self._release(store)
            return Model(release.name, release.name, release.parts["model"])

    def put(self, version: Model, target: Path) -> None:
        """Copy its files, each proven; signed by whom TENFOLD_SIGNED_BY trusts, where that asks for it. ``NotFound`` where
        the release has no model of this name."""
        with closing(open_store(self._place)) as store:
            release = resolve(store, version.where)
            if keys := trusted_keys():
                signing.verify(release, store.releases.signatures(release.service, release.id), keys)
            files = trees.files(store.blobs, release.parts["model"])
            if not target.is_dir() and target.name not in files:
                mend = f"save it as {target.name} there, or name that in the service: model = {min(files)!r}"
                raise NotFound(f"{release.name} has no {target.name}, but {', '.join(files)}", mend)
            into = target if target.is_dir() else target.parent
            _remove(target)
            for name, digest in files.items():
                goal = into / name
                goal.parent.mkdir(parents=True, exist_ok=True)
                store.blobs.copy(digest, goal)

    def _release(self, store: Store) -> Release:
        release = resolve(store, self._name)
        if "model" not in release.parts:
            raise ServiceError(
                f"the model of {release.name} is an object in its code",
                'push one that is a file: model = "model.skops"',
            )
        return release


def _remove(model: Path) -> None:
    """Remove what is to be replaced."""
    if model.is_dir():
        shutil.rmtree(model)
    else:
        for old in _parts(model):
            old.unlink()


def _parts(model: Path) -> list[Path]:
    """The file of a model, and the weights that stand beside it under its name with a further suffix; a name that has no
    suffix is shared with the code."""
    name = glob.escape(model.name)
    return [path for path in model.parent.glob(f"{name}*" if model.suffix else name) if not path.is_dir()]


def _complaint(stderr: str) -> str:
    """What git complains of, which is its first fatal line: it goes on with advice. It says nothing of a branch that there
    isn't."""
    lines = stderr.strip().splitlines() or ["there is no such branch"]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])


def _version(path: Path) -> tuple[int, str]:
    """Numbers come after names, and 10 after 9."""
    return (int(path.name), "") if path.name.isdecimal() else (-1, path.name)


def copy_folder(source: Path, into: Path) -> None:
    """A service's folder without what is no part of it."""
    apart = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "venv")
    shutil.copytree(source, into, ignore=apart, symlinks=True)


def has_tests(folder: Path) -> bool:
    """Whether a service has tests of its own."""
    return bool(list((folder / "tests").glob("**/test_*.py")))  # all of them: a generator would leave a folder open


def run_tests(folder: Path, python: str, environment: Mapping[str, str], limit_s: float) -> str:
    """Run the tests of a service; why they fail, "" where they pass."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    path = os.pathsep.join(filter(None, [str(folder), environment.get("PYTHONPATH", "")]))
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
            env={**environment, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"its tests take longer than {limit_s:.0f} s"
    if done.returncode == 0:
        return ""
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("FAILED", "ERROR", "E  "))]
    last = (done.stdout + done.stderr).strip().splitlines()
    return f"its own tests fail: {'; '.join(said[:3]) or (last[-1] if last else f'exit code {done.returncode}')}"
