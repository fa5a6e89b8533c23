"""Changes of code and of models that deploy themselves, and those that are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tenfold.control import deployments, watches
from tenfold.control.stores import opened
from tenfold.errors import TenfoldError
from tenfold.notify import Webhook
from tenfold.store.records import Event
from tenfold.watch import Models
from tests.cli.conftest import Run
from tests.releases.serving import write

TEST = "def test_times():\n    import service\n    assert service.TIMES > 1\n"


def git(repository: Path, *arguments: str) -> str:
    """Git, as somebody."""
    somebody = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]
    done = subprocess.run(
        ["git", "-C", str(repository), *somebody, *arguments], capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


def commit(repository: Path, times: int, said: str) -> str:
    """A commit in which the service multiplies by so many times."""
    write(repository / "multiply", times)
    (repository / "multiply" / "tests").mkdir(exist_ok=True)
    (repository / "multiply" / "tests" / "test_service.py").write_text(TEST)
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", said)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a service in a folder."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, 2, "Twice")
    return folder


def watcher(repository: Path, store: Path, told: list[str]) -> watches.Watcher:
    """One that looks when it is told to."""
    asked = watches.sources("multiply", str(repository))
    return watches.Watcher(asked, str(store), lambda word, _: told.append(word))


@pytest.mark.slow
def test_a_commit_deploys_itself_and_a_failing_one_is_refused(repository: Path, tmp_path: Path) -> None:
    """Each commit becomes a release on its way, with author and subject as the reason; one whose own tests fail does not, and
    that is on record. After a rollback, what comes waits."""
    store, told = tmp_path / "store", list[str]()
    watching = watcher(repository, store, told)
    assert watching.look()
    assert not watching.look()
    with opened(str(store)) as one:
        rollout = one.rollouts.open("multiply")
        assert rollout is not None
        event = one.events.list("multiply")[-1]
        assert event.what == "deploy"
        assert event.why.startswith("git ")
        assert event.why.endswith("by Anna: Twice")
    commit(repository, 1, "Once")
    assert watching.look()
    with opened(str(store)) as one:
        assert one.events.list("multiply")[-1].what == "refuse"
        assert "its own tests fail" in one.events.list("multiply")[-1].why
        assert one.releases.latest("multiply") == one.releases.by_number("multiply", 1)
    deployments.rollback("multiply", str(store), why="not today")
    commit(repository, 3, "Thrice")
    assert watching.look()
    with opened(str(store)) as one:
        assert one.rollouts.open("multiply") is None
    deployments.resume("multiply", str(store))
    watching.look()
    with opened(str(store)) as one:
        rollout = one.rollouts.open("multiply")
        latest = one.releases.latest("multiply")
        assert rollout is not None
        assert latest is not None
        assert rollout.to == latest.id
        assert latest.number == 2
    assert told == [
        "building",
        "pushed",
        "deploying",
        "building",
        "refused",
        "building",
        "pushed",
        "waiting",
        "deploying",
    ]


@pytest.mark.slow
def test_what_was_taken_back_is_not_deployed_again(repository: Path, tmp_path: Path) -> None:
    """A watcher that is started anew looks at the same commit again, and leaves it to people."""
    git(repository, "rm", "--quiet", "-r", "multiply/tests")
    git(repository, "commit", "--quiet", "-m", "Untested")
    store, told = tmp_path / "store", list[str]()
    watcher(repository, store, []).look()
    deployments.rollback("multiply", str(store))
    deployments.resume("multiply", str(store))
    watcher(repository, store, told).look()
    assert told == ["building", "unchanged", "known"]
    with opened(str(store)) as one:
        assert one.rollouts.open("multiply") is None


def test_a_repository_that_cannot_be_read_is_said_once(tmp_path: Path) -> None:
    """And looked at again the next time."""
    told = list[str]()
    watching = watcher(tmp_path / "nowhere", tmp_path / "store", told)
    assert not watching.look()
    assert not watching.look()
    assert told == ["unread"]


def test_a_repository_that_cannot_be_read_is_an_error_of_one_look(tmp_path: Path, run: Run) -> None:
    """With what git says of it, and how to see what there is."""
    done = run("watch", "--git", tmp_path / "nowhere", "--once", "--store", tmp_path / "store")
    assert done.code == 4
    assert "does not appear to be a git repository" in done.err
    assert f"git ls-remote {tmp_path / 'nowhere'}" in done.err


def test_a_folder_without_a_model_is_waited_for(tmp_path: Path, run: Run) -> None:
    """Nothing is pushed before training has put a complete model there."""
    (tmp_path / "models").mkdir()
    done = run("watch", tmp_path, "--models", tmp_path / "models", "--once", "--store", tmp_path / "store")
    assert done.code == 0
    assert done.out.startswith("waiting")
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_model_deploys_itself_once_it_is_complete(tmp_path: Path, trained: Path, run: Run) -> None:
    """A model file counts when its marker is there; version 10 is newer than 9; the code stays as it is."""
    models = tmp_path / "models"
    name = next(trained.glob("model.*")).name
    content = (trained / name).read_bytes()
    for version in ("9", "10"):
        (models / version).mkdir(parents=True)
    (models / "9" / name).write_bytes(content)
    (models / "9" / "_SUCCESS").touch()
    (models / "10" / name).write_bytes(content[:100])
    store = tmp_path / "store"
    options = ["--models", models, "--store", store, "--once", "--json"]
    done = run("watch", trained, *options)
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == ["building", "pushed", "deploying"]
    assert "model 9" in done.out
    (models / "10" / name).write_bytes(content)
    (models / "10" / "_SUCCESS").touch()
    done = run("watch", trained, *options)
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == ["building", "unchanged", "known"]
    assert "model 10" in done.out
    with opened(str(store)) as one:
        assert len(one.releases.list()) == 1


def test_nothing_to_watch_is_said(run: Run) -> None:
    """Exit code 2, with the mend."""
    done = run("watch", "--once")
    assert done.code == 2
    assert "--git" in done.err
    assert run("watch", "--git", "x", "--every", "soon").code == 2
    assert run("watch", "--git", "x", "--webhook", "ftp://x", "--once").code == 2


@contextmanager
def receiver(refuse: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Something that takes webhooks, after it has refused so many."""
    taken: list[tuple[dict[str, str], bytes]] = []
    left = [refuse]

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            left[0] -= 1
            self.send_response(503 if left[0] >= 0 else 204)
            self.end_headers()
            if left[0] < 0:
                taken.append(({name.lower(): value for name, value in self.headers.items()}, body))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own word
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", taken
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_is_told_of_each_event_once(service: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event as a signed CloudEvent under an id of its own; what was not taken is told again, also by a successor."""
    monkeypatch.setattr(watches, "RETRIES_S", (0.0,))
    with receiver(refuse=1) as (url, taken):
        place = str(service / ".tenfold")
        run("push", service)
        notices = watches.notices(url, "secret", place)
        assert notices is not None
        assert notices.look() == ""
        run("deploy", "double@1", "--store", service)
        assert "503" in notices.look()
        successor = watches.notices(url, "secret", place)
        assert successor is not None
        assert successor.look() == ""
        assert successor.look() == ""
    ((headers, body),) = taken
    event = json.loads(body)
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "io.tenfold.deploy", "/tenfold/double")
    assert headers["webhook-id"] == event["id"]
    signed = f"{event['id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"secret", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"


def test_a_store_that_is_full_is_waited_for(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch goes on and says why; once there is room, what was on its way goes on it."""
    git(repository, "rm", "--quiet", "-r", "multiply/tests")
    git(repository, "commit", "--quiet", "-m", "Untested")
    monkeypatch.setattr(watches, "RETRIES_S", (0.0,))
    store, told = tmp_path / "store", list[str]()
    watching = watcher(repository, store, told)
    for error in (TenfoldError("the store cannot be written: disk is full"), OSError(28, "No space left on device")):
        with monkeypatch.context() as full:
            full.setattr("tenfold.control.releases.push", failing(error))
            assert not watching.look()
    with monkeypatch.context() as full:
        full.setattr(
            "tenfold.control.deployments.deploy", failing(TenfoldError("the store cannot be written: disk is full"))
        )
        assert not watching.look()
    watching.look()
    assert told == ["building", "waiting", "building", "waiting", "building", "pushed", "waiting", "deploying"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), shutil.Error([("a", "b", "[Errno 28] No space left on device")])]
)
def test_a_disk_that_is_full_is_said_by_once(
    repository: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """Where there is no next time, it is an error with the reason and the mend."""
    monkeypatch.setattr(watches, "copy_folder", failing(error))
    models = tmp_path / "models"
    models.mkdir()
    (models / "_SUCCESS").touch()
    done = run("watch", repository / "multiply", "--models", models, "--once", "--store", tmp_path / "store")
    assert done.code == 1
    assert "error: the change cannot be built: " in done.err
    assert "No space left on device" in done.err
    assert "df -h" in done.err
    assert "tenfold itself failed" not in done.err


def test_a_full_store_does_not_end_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Why nothing is told is said, and it is tried again."""
    monkeypatch.setattr(watches, "RETRIES_S", (0.0,))
    notices = watches.notices("http://127.0.0.1:9/x", "", str(tmp_path / "store"))
    assert notices is not None
    with monkeypatch.context() as full:
        full.setattr(watches, "opened", failing(TenfoldError("the store is full")))
        assert notices.look() == "the store is full"
    assert notices.look() == ""


def failing(error: Exception) -> Callable[..., Any]:
    """Something that raises, whatever it is asked."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http://[::1/x", "http://:80", "ftp://anna:secret@host"])
def test_a_webhook_that_is_no_address_is_refused_at_once(tmp_path: Path, run: Run, url: str) -> None:
    """Before anything is looked at; a password in it is not printed."""
    done = run("watch", tmp_path, "--git", tmp_path, "--webhook", url, "--once", "--store", tmp_path / "store")
    assert done.code == 2
    assert "is no address" in done.err
    assert "secret" not in done.out + done.err


def test_a_password_of_a_webhook_is_not_printed() -> None:
    """It is left out of what is said where the address cannot be reached."""
    event = Event(n=1, at=datetime.now(UTC), who="anna", what="deploy")
    with pytest.raises(TenfoldError) as raised:
        Webhook("http://anna:secret@127.0.0.1:1/hook").send(event, 0.0)
    assert raised.value.message.startswith("http://…@127.0.0.1:1/hook cannot be told of deploy")
    assert Webhook("http://anna:secret@127.0.0.1:1/hook").shown == "http://…@127.0.0.1:1/hook"


@pytest.mark.parametrize(
    ("model", "kept"),
    [("model", {"model.py", "model_utils.py"}), ("model.onnx", {"model.py"}), ("m[1].onnx", {"m1.onnx_data"})],
)
@pytest.mark.parametrize("in_folder", [True, False])
def test_a_new_model_takes_no_code_with_it(tmp_path: Path, model: str, kept: set[str], in_folder: bool) -> None:
    """Just the old model goes: its folder, or its file and the weights beside it."""
    version, service = tmp_path / "version", tmp_path / "service"
    for folder, content in ((version, "new"), (service, "old")):
        (folder / model if in_folder else folder).mkdir(parents=True)
        (folder / model / "weights" if in_folder else folder / model).write_text(content)
    for name in kept:
        (service / name).write_text("code")
    if model.endswith("x") and not in_folder:
        (service / f"{model}_data").write_text("old")
    Models(version).put(version, model, service / model)
    assert {path.name for path in service.iterdir()} == {model, *kept}
    assert (service / model / "weights" if in_folder else service / model).read_text() == "new"
