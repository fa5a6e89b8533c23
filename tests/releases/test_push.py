"""``tenfold push``: a folder becomes a release, and the release a folder that serves the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.control import releases
from tenfold.control.stores import opened
from tenfold.errors import GateFailed
from tenfold.pipeline import Pipeline
from tenfold.rows import Rows
from tenfold.service import find, spec
from tenfold.service.manifest import release_id
from tenfold.store import resolve
from tests.cli.conftest import Run
from tests.releases.conftest import write_service
from tests.server.running import serve
from tests.store.test_signing import pair


def edit(service: Path, old: str, new: str) -> None:
    """Change what the service's file says."""
    file = service / "service.py"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_a_push_says_service_number_and_id(service: Path, run: Run) -> None:
    """The three that programs rely on, and the parts."""
    said = run("push", service, "--json").json()
    assert (said["service"], said["number"], said["new"]) == ("double", 1, True)
    assert said["id"] == release_id(said["parts"])
    assert set(said["parts"]) == {"code", "contract", "environment", "files"}
    assert said["files"] == ["offset.json"]
    assert (service / ".tenfold" / "store.db").is_file()


def test_the_same_again_is_the_same(service: Path, run: Run, tmp_path: Path) -> None:
    """Pushed again, from another folder, after a look or a report: the same number and id, and nothing on record."""
    first = run("push", service, "--json").json()
    (service / "notes.md").write_text("looks good")
    (service / "serve.log").write_text("GET /")
    shutil.copytree(service, tmp_path / "copy", ignore=shutil.ignore_patterns(".tenfold"))
    for folder in (service, tmp_path / "copy"):
        again = run("push", folder, "--store", service / ".tenfold", "--json").json()
        assert (again["number"], again["id"], again["new"]) == (1, first["id"], False)
    assert "nothing has changed" in run("push", service).out
    assert len(run("releases", "--events", "--store", service, "--json").json()["events"]) == 1


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda folder: edit(folder, "* 2", "* 3"), ["code"]),
        (lambda folder: edit(folder, "Le(100)", "Le(50)"), ["code", "contract"]),
        (lambda folder: (folder / "offset.json").write_text("1"), ["files"]),
        (lambda folder: (folder / "requirements.txt").write_text("numpy"), ["environment"]),
    ],
    ids=["code", "contract", "a table", "libraries"],
)
def test_whatever_serves_differently_is_another_release(service: Path, run: Run, change: Any, parts: list[str]) -> None:
    """The next number, and which parts made it so; going back is the old one again."""
    first = run("push", service, "--json").json()
    shutil.copytree(service, service.parent / "before", ignore=shutil.ignore_patterns(".tenfold"))
    change(service)
    second = run("push", service, "--why", "to see", "--json").json()
    assert (second["number"], second["changed"]) == (2, parts)
    back = run("push", service.parent / "before", "--store", service, "--json").json()
    assert (back["number"], back["id"]) == (1, first["id"])


def test_a_release_serves_what_its_folder_served(service: Path) -> None:
    """Made into a folder, its answers, its contract and its id are the same; its own store would say the same id, too."""
    pushed = releases.push(str(service))
    with opened("", str(service)) as store:
        made = store.materialise(resolve(store, "double@1"))
    stated = spec(find(made))
    assert stated.release == pushed.release.id
    assert stated.parts == pushed.release.parts
    served = [
        Pipeline(find(folder).start()).run(Rows.of([{"x": 3.0}, {"x": 4.0}], find(folder).input)).outputs["y"]
        for folder in (service, made)
    ]
    assert np.array_equal(served[0], [6.5, 8.5])
    assert np.array_equal(served[0], served[1])
    assert releases.push(str(made), str(service)).release.id == pushed.release.id


@pytest.mark.slow
def test_a_release_is_served_under_its_own_id(service: Path) -> None:
    """``tenfold serve`` runs the folder that the store made, and answers name the release."""
    pushed = releases.push(str(service))
    with opened("", str(service)) as store:
        made = store.materialise(pushed.release)
    with serve(made) as running:
        reply = running.ask("/double/predict", {"x": 3.0}).json
    assert reply["output"] == {"y": 6.5}
    assert reply["release"] == f"double@{pushed.release.id[:7]}"


def test_one_class_of_several_is_pushed_by_its_name(service: Path, run: Run) -> None:
    """A file with two services makes two releases, each of which knows its class."""
    text = (service / "service.py").read_text("utf-8")
    (service / "service.py").write_text(text + '\n\nclass Treble(Double):\n    """Thrice."""\n', "utf-8")
    for title, name in (("Double", "double"), ("Treble", "treble")):
        said = run("push", f"{service / 'service.py'}:{title}", "--json").json()
        assert (said["service"], said["number"]) == (name, 1)
    with opened("", str(service)) as store:
        assert resolve(store, "treble@1").entry == "service.py:Treble"


def test_a_folder_without_requirements_is_frozen(service: Path, run: Run) -> None:
    """What runs here is what the release will run with, and it stays the same release where it is pushed again."""
    (service / "pyproject.toml").unlink()
    first = run("push", service, "--json").json()
    with opened("", str(service)) as store:
        made = store.materialise(resolve(store, "double@1"))
    lock = (made / "requirements.lock").read_text("utf-8").splitlines()
    assert any(line.startswith("numpy==") for line in lock)
    assert lock == sorted(lock, key=lambda line: line.removeprefix("# ").split("==")[0].split()[0])
    assert run("push", service, "--json").json()["id"] == first["id"]
    assert spec(find(made)).release == first["id"]


def test_the_commit_is_on_record(service: Path, run: Run) -> None:
    """Which commit it was, and whether somebody had changed something since."""
    git = ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=service, check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=service, check=True, capture_output=True, text=True).stdout
    (service / ".gitignore").write_text(".tenfold/\n.gitignore\n__pycache__/\n")
    run("push", service, "--why", "clean")
    edit(service, "* 2", "* 3")
    run("push", service, "--why", "dirty")
    listed = run("releases", "--store", service, "--json").json()["releases"]
    assert [one["source"] for one in listed] == [f"git {head[:12]}, changed since", f"git {head[:12]}"]


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(run: Run, service: Path, message: str) -> None:
    """Push says why not, and there is no release afterwards."""
    done = run("push", service)
    assert done.code in (1, 3, 4), done
    assert message in done.err
    assert "fix:" in done.err
    assert "Traceback" not in done.err
    assert run("releases", "--store", service).code == 4


def test_a_model_that_is_not_there_is_refused(service: Path, run: Run) -> None:
    """Now, and not when a replica starts."""
    edit(service, "model = staticmethod(lambda matrix: matrix.sum(axis=1) * 2)", 'model = "model.skops"')
    refused(run, service, "does not exist")


def test_a_pickle_that_nobody_trusts_is_refused(service: Path, run: Run) -> None:
    """The service has to say trust(path), wherever the file came from."""
    edit(service, "model = staticmethod(lambda matrix: matrix.sum(axis=1) * 2)", 'model = "model.pkl"')
    (service / "model.pkl").write_bytes(b"\x80\x04N.")
    refused(run, service, "does not trust it")


def test_files_from_elsewhere_are_refused(service: Path, run: Run, tmp_path: Path) -> None:
    """A link to another folder would put into the release what its author may not even read."""
    (tmp_path / "secret.json").write_text("42")
    (service / "offset.json").unlink()
    (service / "offset.json").symlink_to(tmp_path / "secret.json")
    refused(run, service, "is outside of double/")


def test_a_link_within_the_folder_is_the_file_that_it_leads_to(service: Path, run: Run) -> None:
    """A release has no links, and serves all the same."""
    (service / "v2.json").write_text("0.5")
    (service / "offset.json").unlink()
    (service / "offset.json").symlink_to("v2.json")
    assert run("push", service).code == 0
    with opened("", str(service)) as store:
        made = store.materialise(resolve(store, "double@1"))
    assert not (made / "offset.json").is_symlink()
    assert (made / "offset.json").read_text() == "0.5"


def test_a_large_file_is_said_by_its_name(service: Path, run: Run) -> None:
    """Training data that lies beside the code is not carried along unnoticed; a limit can be raised."""
    with (service / "train.csv").open("wb") as file:
        file.truncate(300 * 2**20)
    refused(run, service, "train.csv has 300 MiB, and a further file may have 256")
    (service / "train.csv").write_bytes(b"x" * 3000)
    assert run("push", service, "--max-file", "1 kB").code == 3
    assert run("push", service, "--max-file", "1 MB").code == 0


def test_what_is_hidden_stays_at_home(service: Path, run: Run) -> None:
    """No .env, environment or cache goes along."""
    (service / ".env").write_text("PASSWORD=x")
    (service / "venv" / "lib").mkdir(parents=True)
    (service / "venv" / "pyvenv.cfg").write_text("home = /usr")
    (service / "venv" / "lib" / "thing.py").write_text("x = 1")
    (service / "__pycache__").mkdir(exist_ok=True)
    (service / "__pycache__" / "x.json").write_text("x")
    said = run("push", service, "--json").json()
    assert said["files"] == ["offset.json"]
    with opened("", str(service)) as store:
        made = store.materialise(resolve(store, "double@1"))
    assert not list(made.rglob("thing.py"))


def test_a_broken_service_is_one_message(service: Path, run: Run) -> None:
    """A mistake in the file is told with its line, as by every command."""
    (service / "service.py").write_text("from tenfold import Servce\n", "utf-8")
    refused(run, service, "service.py:1")


# -- signed, and what it is made of ------------------------------------------------------------------------------------


def test_a_push_may_be_signed(service: Path, run: Run, tmp_path: Path) -> None:
    """The list shows that it is; whoever trusts another key doesn't serve it."""
    private, public = pair(tmp_path)
    _, other = pair(tmp_path, "other")
    said = run("push", service, "--sign", private, "--json").json()
    assert len(said["signed_by"]) == 64
    assert run("releases", "--store", service, "--json").json()["releases"][0]["signed_by"] == [said["signed_by"]]
    with opened("", str(service)) as store:
        release = resolve(store, "double")
        assert store.materialise(release, signed_by=(public,)).is_dir()
        with pytest.raises(GateFailed):
            store.materialise(release, signed_by=(other,))


def test_each_release_has_its_bill_of_materials(service: Path, run: Run) -> None:
    """Every library with the version that runs, in a form that scanners read."""
    run("push", service)
    bill = json.loads(run("releases", "double@1", "--bill", "--store", service).out)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    purls = {component["purl"] for component in bill["components"]}
    assert {"pkg:pypi/numpy@2.4.6"} <= purls
    assert any(purl.startswith("pkg:pypi/click@8") for purl in purls)


LOCK = """
version = 1
[[package]]
name = "double"
version = "1"
source = { virtual = "." }
[[package]]
name = "Scikit_Learn"
version = "1.9.1"
source = { registry = "r" }
sdist = { hash = "sha256:%s" }
""" % ("a" * 64)


def test_a_lock_is_what_counts(service: Path, run: Run) -> None:
    """Where there is a uv.lock, its versions are the bill, and the project itself is no library."""
    (service / "uv.lock").write_text(LOCK)
    run("push", service)
    bill = json.loads(run("releases", "double@1", "--bill", "--store", service).out)
    assert bill["components"] == [
        {
            "type": "library",
            "name": "scikit-learn",
            "version": "1.9.1",
            "purl": "pkg:pypi/scikit-learn@1.9.1",
            "hashes": [{"alg": "SHA-256", "content": "a" * 64}],
        }
    ]


def test_a_lock_that_cannot_be_read_is_named(service: Path, run: Run) -> None:
    """A damaged lock is told at the push."""
    (service / "uv.lock").write_text("[[package")
    done = run("push", service)
    assert done.code == 3
    assert "the environment's files cannot be read" in done.err


def test_a_store_elsewhere_takes_several_services(service: Path, run: Run, tmp_path: Path) -> None:
    """One store for all, by its folder or its URL."""
    other = write_service(tmp_path / "other")
    edit(other, "class Double", "class Twin")
    url = f"sqlite:///{tmp_path}/fleet/store.db"
    assert run("push", service, "--store", tmp_path / "fleet").code == 0
    assert run("push", other, "--store", url).code == 0
    names = {one["service"] for one in run("releases", "--store", url, "--json").json()["releases"]}
    assert names == {"double", "twin"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("/etc"), "odd is a link to a folder"),
        (lambda path: path.symlink_to("nowhere"), "odd is a link that leads nowhere"),
        (os.mkfifo, "odd is no file that has an end"),
        (lambda path: Path(os.fsdecode(bytes(path) + b"\xff")).touch(), "odd\\udcff is no name in UTF-8"),
    ],
    ids=["folder", "nowhere", "fifo", "name"],
)
def test_what_a_release_cannot_hold_is_refused(
    service: Path, run: Run, make: Callable[[Path], object], words: str
) -> None:
    """Nothing is left out without a word."""
    make(service / "odd")
    refused(run, service, words)


def test_a_service_that_leaves_without_a_word_is_refused(service: Path, run: Run) -> None:
    """The command would end there as if all were well."""
    text = (service / "service.py").read_text()
    (service / "service.py").write_text(f"{text}\nimport os\n\nos._exit(0)\n")
    refused(run, service, "ends the program")
