"""Changes of code and of models that deploy themselves, and those that are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
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
from tenfold.store import Act
from tenfold.store.records import Event
from tenfold.watch import Models, Pointed
from tests.cli.conftest import Run
from tests.releases.conftest import write_service
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


def watcher(repository: Path, store: Path, told: list[str], way: watches.Way = watches.PLAIN) -> watches.Watcher:
    """One that looks when it is told to."""
    asked = watches.sources("multiply", str(store), str(repository))
    return watches.Watcher(asked, str(store), lambda word, _: told.append(word), way)


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
        "rolled back",
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


def end(store: Path, service: str, state: str, why: str = "") -> None:
    """As if a server had brought what is on its way to its end."""
    with opened(str(store)) as one:
        rollout = one.rollouts.open(service)
        assert rollout is not None
        if state == "promoted":
            pointer = one.pointers.get(service)
            act = Act("tenfold", "promote")
            one.pointers.move(service, rollout.to, act, expected=pointer.generation if pointer else 0)
        one.rollouts.change(rollout, state, Act("tenfold", "end", why), ended=True)


@pytest.mark.slow
def test_a_commit_that_breaks_others_says_how_it_may_answer(repository: Path, tmp_path: Path) -> None:
    """It is refused, with the command that lets both answer; with --accept-breaking it answers beside by itself, also after
    it was refused, and so does what follows it."""
    git(repository, "rm", "--quiet", "-r", "multiply/tests")
    git(repository, "commit", "--quiet", "-m", "Untested")
    store, lines = tmp_path / "store", list[tuple[str, str]]()

    def watching(way: watches.Way = watches.PLAIN) -> watches.Watcher:
        lines.clear()
        asked = watches.sources("multiply", str(store), str(repository))
        return watches.Watcher(asked, str(store), lambda *said: lines.append(said), way)

    plain = watching()
    plain.look()
    end(store, "multiply", "promoted", "no harm")
    file = repository / "multiply" / "service.py"
    file.write_text(file.read_text().replace("Ge(0)", "Ge(1)"))
    git(repository, "commit", "--quiet", "-am", "Stricter")
    plain.look()
    mend = f"tenfold deploy multiply@2 --accept-breaking --store {store}"
    assert [word for word, _ in lines] == ["building", "pushed", "deploying", "promoted", *lines_of("breaks")]
    assert lines[-1][1].endswith(mend)
    end(store, "multiply", "refused", "contract: /x: at least 0 → at least 1")
    plain.look()
    assert lines[-1] == ("refused", lines[-1][1])
    assert lines[-1][1].endswith(mend)
    watching().look()
    assert lines[-1][0] == "known"
    assert lines[-1][1].endswith(mend)
    accepting = watching(watches.way(accept_breaking=True))
    accepting.look()
    assert lines[-1] == ("deploying", "multiply-2@1, beside multiply@1")
    end(store, "multiply-2", "promoted")
    file.write_text(file.read_text().replace("TIMES = 2", "TIMES = 3"))
    git(repository, "commit", "--quiet", "-am", "Thrice")
    accepting.look()
    assert lines[-1] == ("deploying", "multiply-2@2, beside multiply@1")
    end(store, "multiply-2", "promoted")
    file.write_text(file.read_text().replace("Ge(1)", "Ge(2)"))
    git(repository, "commit", "--quiet", "-am", "Stricter still")
    watching(watches.way(accept_breaking=True, other_name="multiply-2")).look()
    assert lines[-1][0] == "refused"
    assert "multiply-2 is a service already" in lines[-1][1]
    watching(watches.way(accept_breaking=True)).look()
    assert lines[-1] == ("deploying", "multiply-3@1, beside multiply@1")


def lines_of(*last: str) -> list[str]:
    """What each commit of a small change is told with, and then some."""
    return ["building", "pushed", "deploying", *last]


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


@pytest.mark.slow
def test_a_model_that_a_store_points_at_deploys_itself(tmp_path: Path, trained: Path, run: Run) -> None:
    """Training pushes under a name of its own; whenever that name means another model, the service gets it, with the code
    that it has. One that has no such file is refused."""
    store = tmp_path / "store"
    training = shutil.copytree(trained, tmp_path / "training")
    name = next(trained.glob("model.*")).name
    service = (training / "service.py").read_text()
    (training / "service.py").write_text(re.sub(r"class (\w+)\(Service\)", "class Trained(Service)", service))
    assert run("watch", trained, "--model-of", "trained", "--store", store, "--once").code == 4
    assert run("push", training, "--store", store).code == 0
    options = ["--model-of", "trained@latest", "--store", store, "--once", "--json"]
    done = run("watch", trained, *options)
    assert [json.loads(line)["event"] for line in done.out.splitlines()] == lines_of()
    assert "model trained@1" in done.out
    (training / name).write_bytes(retrained(training / name))
    run("push", training, "--store", store)
    said = run("watch", trained, *options).out
    assert "model trained@2" in said
    with opened(str(store)) as one:
        first, second = one.releases.by_number("tumour", 1), one.releases.by_number("tumour", 2)
        source = one.releases.latest("trained")
        assert first is not None
        assert second is not None
        assert source is not None
        assert second.parts["model"] == source.parts["model"]
        assert second.parts["code"] == first.parts["code"]
    (training / name).rename(training / f"other{Path(name).suffix}")
    (training / "service.py").write_text(
        (training / "service.py").read_text().replace(name, f"other{Path(name).suffix}")
    )
    run("push", training, "--store", store)
    done = run("watch", trained, *options)
    assert json.loads(done.out.splitlines()[-1])["event"] == "refused"
    assert f"trained@3 has no {name}, but other" in done.out


def retrained(model: Path) -> bytes:
    """The same kind of model, with other figures in it."""
    import skops.io

    known = skops.io.get_untrusted_types(file=model)
    loaded = skops.io.load(model, trusted=known)
    last = loaded[-1] if hasattr(loaded, "steps") else loaded
    last.intercept_ = last.intercept_ + 0.001
    return bytes(skops.io.dumps(loaded))


def test_a_model_is_put_where_the_service_has_it(tmp_path: Path, run: Run) -> None:
    """A model may be a folder, or a file with weights beside it: all of it comes, and nothing of the old one stays."""
    for kind, parts in (("folder", ["saved/graph", "saved/weights/1"]), ("file", ["model.onnx", "model.onnx_data"])):
        source, target = write_service(tmp_path / kind / "double"), tmp_path / kind / "target"
        for part in parts:
            (source / part).parent.mkdir(parents=True, exist_ok=True)
            (source / part).write_bytes(b"new")
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            (target / part).write_text("old")
        (target / f"{parts[0]}_old").write_text("old")
        text = (source / "service.py").read_text()
        model = parts[0].partition("/")[0]
        text = text.replace("staticmethod(lambda matrix: matrix.sum(axis=1) * 2)", repr(model))
        (source / "service.py").write_text(text)
        pushed = run("push", source, "--store", tmp_path / "store")
        assert pushed.code == 0, pushed.err
        pointed = Pointed(str(tmp_path / "store"), "double@latest")
        pointed.put(pointed.newest(), target / model)
        found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
        assert found == set(parts)
        assert (target / parts[-1]).read_bytes() == b"new"


def test_a_service_without_a_model_file_is_no_source(service: Path, run: Run) -> None:
    """What is an object in the code comes with the code alone."""
    assert run("push", service).code == 0
    done = run("watch", service, "--model-of", "double", "--once")
    assert done.code == 3
    assert "the model of double@1 is an object in its code" in done.err


def test_nothing_to_watch_is_said(run: Run) -> None:
    """Exit code 2, with the mend."""
    done = run("watch", "--once")
    assert done.code == 2
    assert "--git" in done.err
    assert run("watch", "--git", "x", "--every", "soon").code == 2
    assert run("watch", "--models", "x", "--model-of", "y").code == 2
    assert "say --accept-breaking, too" in run("watch", "--git", "x", "--as", "other", "--once").err
    assert "cannot be the name" in run("watch", "--git", "x", "--accept-breaking", "--as", "v2", "--once").err
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
    (version / "_SUCCESS").touch()
    newest = Models(version).newest()
    assert newest is not None
    Models(version).put(newest, service / model)
    assert {path.name for path in service.iterdir()} == {model, *kept}
    assert (service / model / "weights" if in_folder else service / model).read_text() == "new"
