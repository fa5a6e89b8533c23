"""Environments of releases, made for real: of wheels in a folder, by uv."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from tenfold import environment
from tenfold.config import single_threaded
from tenfold.environment import uv
from tenfold.environment.libraries import frozen
from tenfold.errors import ServiceError, TenfoldError
from tenfold.store import Store
from tenfold.watch import run_tests
from tests.cli.conftest import Run
from tests.environment.conftest import asking, greeting, pushed, repack
from tests.server.running import until

pytestmark = pytest.mark.slow

PYTHON_OF = """
import sys
from tenfold import environment
from tenfold.store import open_store, resolve
store = open_store(sys.argv[1])
print(environment.python_of(store, resolve(store, sys.argv[2])))
"""


@pytest.fixture(autouse=True)
def _greeting_here(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service can be imported here, though the library is not installed here."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "greeting.py").write_text("OFFSET = 0\n")
    monkeypatch.syspath_prepend(tmp_path / "beside")


def answer(python: Path, folder: Path) -> str:
    """What a service answers in an environment."""
    command = [str(python), "-m", "tenfold", "predict", str(folder), "-"]
    done = subprocess.run(command, input=b'{"x": 40}', capture_output=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def made(store: Store) -> list[Path]:
    """The environments of a store."""
    return [path for path in (store.folder / "environments").glob("*") if path.is_dir()]


def begin(store: Store, name: str) -> subprocess.Popen[str]:
    """Another process that needs the environment of a release."""
    command = [sys.executable, "-c", PYTHON_OF, store.place, name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_releases_run_with_libraries_of_their_own(folder: Path, store: Store, index: Path) -> None:
    """Two releases ask for two versions of a library, and each gets the one that it asks for; the server's own libraries are
    not touched, and an environment is made once."""
    first = pushed(folder, store)
    greeting(index, 2)
    second = pushed(asking(folder, "greeting==2.0"), store)
    assert environment.ready(store, first) is None
    pythons = [environment.python_of(store, release) for release in (first, second)]
    assert [environment.ready(store, release) for release in (first, second)] == pythons
    assert "41" in answer(pythons[0], store.materialise(first))
    assert "42" in answer(pythons[1], store.materialise(second))
    before = {path: path.stat().st_mtime_ns for path in made(store)}
    assert environment.python_of(store, first) == pythons[0]
    assert before == {path: path.stat().st_mtime_ns for path in made(store)}
    assert len(before) == 2


def test_what_runs_here_already_is_not_built(folder: Path, store: Store) -> None:
    """A release whose libraries are those that run here starts in this interpreter; so does one that names none."""
    release = pushed(asking(folder, "numpy>=1.26", "msgspec"), store)
    assert environment.python_of(store, release) == Path(sys.executable)
    assert environment.ready(store, release) == Path(sys.executable)
    (folder / "pyproject.toml").unlink()
    assert environment.python_of(store, pushed(folder, store)) == Path(sys.executable)
    assert made(store) == []


def test_two_at_once_make_one(folder: Path, store: Store) -> None:
    """Whoever comes second waits for the first, and uses what it made."""
    release = pushed(folder, store)
    processes = [begin(store, release.name) for _ in range(2)]
    said = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert said[0][0] == said[1][0]
    assert made(store) == [Path(said[0][0]).parent.parent]


def test_one_that_was_killed_half_way_is_made_anew(folder: Path, store: Store) -> None:
    """Half of an environment is never used, and is cleared away by whoever comes next."""
    release = pushed(folder, store)
    process = begin(store, release.name)
    until(lambda: made(store) or process.poll() is not None, "the beginning of an environment")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    python = environment.python_of(store, release)
    assert "41" in answer(python, store.materialise(release))
    assert made(store) == [python.parent.parent]


def test_what_does_not_resolve_says_why(folder: Path, store: Store) -> None:
    """A library that nobody has, and two that contradict each other, are named; nothing is left behind."""
    for asked, named in ((("greeting==9.0",), "greeting==9.0"), (("greeting==1.0", "numpy<1.20"), "numpy<1.20")):
        with pytest.raises(ServiceError, match=named) as error:
            environment.python_of(store, pushed(asking(folder, *asked), store))
        assert "the environment of greet@" in error.value.message
        assert len(error.value.message) < 1000
    assert made(store) == []


def test_what_was_resolved_once_stays(folder: Path, store: Store, index: Path) -> None:
    """A release that names no version gets the one of its first day, on every machine and for good."""
    release = pushed(asking(folder, "greeting"), store)
    assert "41" in answer(environment.python_of(store, release), store.materialise(release))
    greeting(index, 2)
    shutil.rmtree(store.folder / "environments")  # as on another machine
    assert "41" in answer(environment.python_of(store, release), store.materialise(release))


def test_what_is_left_open_is_settled_by_the_push(folder: Path, store: Store, index: Path) -> None:
    """A version that comes out between the push and the first start, which may be weeks later, is not taken."""
    release = pushed(asking(folder, "greeting"), store)
    greeting(index, 2)
    python = environment.python_of(store, release)
    assert uv.freeze(python, folder).count("greeting==1.0") == 1


def test_a_push_says_what_cannot_be_settled(folder: Path, store: Store, index: Path, run: Run) -> None:
    """It is a release all the same, since the index may be there tomorrow; the gates ask again."""
    done = run("push", asking(folder, "greeting>=5"), "--store", store.place)
    assert done.code == 0
    assert "open       which libraries it means; its gates will ask again: " in done.out
    assert "greeting>=5" in done.out
    greeting(index, 5)
    release = store.releases.latest("greet")
    assert release is not None
    assert environment.settle(store, release) == ""
    greeting(index, 6)
    assert "greeting==5" in uv.freeze(environment.python_of(store, release), folder)


def test_a_lock_is_kept_to(folder: Path, store: Store, index: Path) -> None:
    """Of two versions, the one in uv.lock is installed; a lock that is none is refused."""
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "greet"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["greeting"]\n'
    )
    subprocess.run([uv.found(), "lock", "--quiet"], cwd=folder, check=True)
    greeting(index, 2)
    release = pushed(folder, store)
    assert "41" in answer(environment.python_of(store, release), store.materialise(release))
    (folder / "uv.lock").write_text('[[package]]\nname = "greeting"\nversion = "1.0"\n')
    with pytest.raises(ServiceError, match=r"greet@2.*uv\.lock"):
        environment.python_of(store, pushed(folder, store))


def test_without_uv_that_is_said(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned libraries that run here need no uv; others need it, and the error names it."""
    monkeypatch.setattr(uv, "found", lambda: "")
    pinned = f"numpy=={version('numpy')}"
    assert environment.python_of(store, pushed(asking(folder, pinned), store)) == Path(sys.executable)
    with pytest.raises(TenfoldError, match="uv") as error:
        environment.python_of(store, pushed(asking(folder, "greeting==1.0"), store))
    assert error.value.hint.startswith("pip install uv")


def test_tests_run_with_the_libraries_that_are_asked_for(folder: Path, libraries: Path, tmp_path: Path) -> None:
    """Not with those that whoever runs them happens to have, unless these are the same."""
    for name in ("pytest", "iniconfig", "packaging", "pluggy", "pygments"):
        repack(tmp_path / "index", name)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_greeting.py").write_text(
        "def test_it():\n    import greeting\n    assert greeting.OFFSET == 1\n"
    )
    work, other = tmp_path / "work", tmp_path / "other"
    work.mkdir()
    other.mkdir()
    python = environment.tester(folder, work)
    assert run_tests(folder, str(python), single_threaded(), 60) == ""
    assert python.is_relative_to(work)
    pinned = f"numpy=={version('numpy')}"
    assert environment.tester(asking(folder, pinned), other) == Path(sys.executable)


def test_environments_that_nobody_asks_for_go(folder: Path, store: Store) -> None:
    """Collecting garbage removes the environment of releases that gave up their files, and keeps that of others."""
    release = pushed(folder, store)
    environment.python_of(store, release)
    later = time.time() + 3600
    assert environment.tidy(store, later) == 0
    store.releases.collect(release)
    assert environment.tidy(store, 0.0) == 0
    assert environment.tidy(store, later) == 1
    assert made(store) == []


def test_what_a_package_carries_for_itself_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setuptools puts its own copies of other packages on the import path; no release asks for these."""
    (tmp_path / "carried-1.0.dist-info").mkdir()
    (tmp_path / "carried-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: carried\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert version("carried") == "1.0"
    assert "carried" not in frozen()
    assert "numpy==" in frozen()
