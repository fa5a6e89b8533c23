"""Sources of change: a branch of a git repository, and a folder into which training puts models. Neither is written to."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tenfold.errors import NotFound, TenfoldError
from tenfold.service.manifest import tree

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


class Models:
    """A folder into which training puts models: there itself, or in a folder for each version. A version counts once the
    marker is beside it, which training writes last."""

    def __init__(self, folder: Path, marker: str = MARKER) -> None:
        self.folder = folder
        self.marker = marker

    def newest(self) -> Path | None:
        """The folder of the newest complete version; None where there is none yet. Versions sort as numbers do."""
        if not self.folder.is_dir():
            raise NotFound(f"there is no folder {self.folder}", "name the folder that training writes to")
        inside = [path for path in self.folder.iterdir() if (path / self.marker).is_file()]
        if inside:
            return max(inside, key=_version)
        return self.folder if (self.folder / self.marker).is_file() else None

    def digest(self, version: Path, model: str) -> str:
        """What tells one version from another: the SHA-256 of the model's files."""
        return tree(self._files(version, model), version).digest

    def put(self, version: Path, model: str, target: Path) -> None:
        """Let the model of a service be that of a version: ``target`` is where the service says it is."""
        files = self._files(version, model)
        if not files:
            raise NotFound(f"{version} has no {model}", f"write {model} there before {self.marker}")
        if target.is_dir():
            shutil.rmtree(target)
        else:
            for old in _parts(target):
                old.unlink()
        for file in files:
            goal = target.parent / file.relative_to(version)
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, goal)

    def _files(self, version: Path, model: str) -> list[Path]:
        path = version / model
        found = path.rglob("*") if path.is_dir() else _parts(path)
        return sorted(file for file in found if file.is_file() and not file.is_symlink())


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


def run_tests(folder: Path, python: str, environment: Mapping[str, str], limit_s: float) -> str:
    """Run the tests of a service, if it has some; why they fail, "" where they pass."""
    if not list((folder / "tests").glob("**/test_*.py")):  # all of them: a generator would leave a folder open
        return ""
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
