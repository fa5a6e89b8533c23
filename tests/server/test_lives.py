"""Processes that die, hang on, are told to go, or are replaced: no request is lost, and nobody gets another's answer."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.server.running import SERVICE, Reply, Running, alive, kill, launch, serve, until, write_service

GOOD = {"x": 1.0, "level": 0.5, "wish": "echo"}
pytestmark = pytest.mark.slow


def test_a_row_that_kills(tmp_path: Path) -> None:
    """A row that ends two replicas is quarantined; every row beside it is answered, and the next such row costs nothing."""
    with serve(write_service(tmp_path)) as server, ThreadPoolExecutor(24) as clients:
        rows = [{**GOOD, "x": float(k + 100)} for k in range(24)]
        rows[7]["wish"] = "die"
        replies = list(clients.map(lambda row: server.ask("/predict", row), rows))
        for k, reply in enumerate(replies):
            if k == 7:
                assert (reply.status, reply.json["code"]) == (422, "quarantined")
            else:
                assert (reply.status, reply.json["output"]["x"]) == (200, float(k + 100))
        replicas = until(lambda: server.pids("replica"), "the next replica")
        assert server.ask("/predict", rows[7]).json["code"] == "quarantined"
        assert server.ask("/predict", [GOOD, rows[7]]).json["errors"][0]["code"] == "quarantined"
        assert server.pids("replica") == replicas
        assert [event["delay_s"] for event in server.events() if event.get("event") == "died"] == [0.0, 0.0]
        letters = (tmp_path / ".tenfold" / "dead-letters").iterdir()
        assert '"quarantined"' in next(letters).read_text()


def test_a_killing_row_among_many(tmp_path: Path) -> None:
    """Of one request with a row that kills, only that row is refused."""
    with serve(write_service(tmp_path), "--replicas", "2") as server:
        until(lambda: len([e for e in server.events() if e.get("event") == "ready"]) == 2, "both replicas")
        rows = [{**GOOD, "x": float(k + 100)} for k in range(40)]
        rows[30]["wish"] = "die"
        reply = server.ask("/predict", rows)
        assert reply.status == 200
        assert [(e["row"], e["code"]) for e in reply.json["errors"]] == [(30, "quarantined")]
        assert [o and o["x"] for o in reply.json["outputs"]] == [None if k == 30 else k + 100 for k in range(40)]


def test_a_killing_row_whose_deadline_is_short(tmp_path: Path) -> None:
    """A row that kills is found even where its request cannot wait for it, so that it does not kill for ever."""
    source = SERVICE.replace('Deadline("10 s")', 'Deadline("50 ms")')
    with serve(write_service(tmp_path, source)) as server:
        rows = [GOOD, {**GOOD, "x": 77.0, "wish": "die"}, GOOD]
        server.ask("/predict", rows)

        def quarantined() -> bool:
            errors = server.ask("/predict", rows).json.get("errors", [])
            return [(error["row"], error["code"]) for error in errors] == [(1, "quarantined")]

        until(quarantined, "the quarantine")
        deaths = sum(event.get("event") == "died" for event in server.events())
        assert server.ask("/predict", rows).json["answered"] == 2
        assert sum(event.get("event") == "died" for event in server.events()) == deaths <= 6


@pytest.mark.parametrize("role", ["replica", "front", "admin"])
def test_a_killed_process_is_replaced(tmp_path: Path, role: str) -> None:
    """Whichever process is killed, another takes its place, and the service answers again."""
    with serve(write_service(tmp_path)) as server:
        (pid,) = server.pids(role)
        kill(pid)
        until(lambda: [p for p in server.pids(role) if p != pid], f"a new {role}")

        def answered() -> bool:
            try:
                return server.ask("/predict", GOOD).status == 200 and server.ask("/echoes/answers").status == 200
            except OSError:
                return False

        until(answered, "an answer")


def test_nobody_is_refused_while_the_front_is_replaced(tmp_path: Path) -> None:
    """Clients of a front that was killed wait until another one knows the replicas, which never were away."""
    with serve(write_service(tmp_path)) as server:
        for _ in range(2):
            (front,) = server.pids("front")
            kill(front)
            seen: list[int] = []

            def answered(seen: list[int] = seen) -> bool:
                with suppress(OSError):  # a connection that the dead one had taken
                    seen.append(server.ask("/predict", GOOD).status)
                return 200 in seen

            until(answered, "an answer")
            assert seen == [200]
            until(lambda front=front: server.pids("front") not in ([], [front]), "a new front")  # type: ignore[misc]


def test_the_supervisor_is_killed(tmp_path: Path) -> None:
    """Without its supervisor a front finishes what it has, and everything exits."""
    with serve(write_service(tmp_path)) as server:
        pids = [pid for role in ("front", "replica", "admin") for pid in server.pids(role)]
        assert len(pids) == 3
        kill(server.process.pid)
        server.process.wait()
        until(lambda: not any(map(alive, pids)), "the end of all children")


def test_draining(tmp_path: Path) -> None:
    """After SIGTERM a service is not ready at once, still answers for the drain delay, finishes, and exits 0."""
    with serve(write_service(tmp_path), "--drain-delay", "500 ms") as server:
        slow = answer_in_the_background(server)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("/readyz").status == 503, "not ready")
        assert server.ask("/predict", GOOD).status == 200
        assert server.process.wait(10) == 0
        assert slow().json["output"]["x"] == 5.0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_draining_finishes_what_is_in_progress(tmp_path: Path) -> None:
    """A request in the model's hands when SIGTERM comes is answered, without any drain delay."""
    with serve(write_service(tmp_path)) as server:
        slow = answer_in_the_background(server)
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert slow().status == 200


def test_draining_under_load(tmp_path: Path) -> None:
    """Keep-alive clients that send while SIGTERM arrives are all answered, and told to close."""
    with serve(write_service(tmp_path)) as server:
        started = threading.Barrier(9)

        def client() -> list[tuple[int, str]]:
            seen = []
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            for k in range(10_000):
                connection.request("POST", "/predict", json.dumps(GOOD), {"content-type": "application/json"})
                response = connection.getresponse()
                response.read()
                seen.append((response.status, response.headers.get("connection", "")))
                if k == 20:
                    started.wait()
                if seen[-1][1] == "close":
                    break
            return seen

        with ThreadPoolExecutor(8) as clients:
            running = [clients.submit(client) for _ in range(8)]
            started.wait()
            server.process.send_signal(signal.SIGTERM)
            answers = [one.result() for one in running]
        assert server.process.wait(10) == 0
        assert {status for seen in answers for status, _ in seen} == {200}
        assert all(seen[-1][1] == "close" for seen in answers)


def test_a_second_signal(tmp_path: Path) -> None:
    """A second signal ends everything at once."""
    with serve(write_service(tmp_path), "--drain-delay", "60 s") as server:
        pids = [pid for role in ("front", "replica", "admin") for pid in server.pids(role)]
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("/readyz").status == 503, "not ready")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(5)
        until(lambda: not any(map(alive, pids)), "the end of all children")


def answer_in_the_background(server: Running) -> Answered:
    """Ask for something slow, and return what gives its answer."""
    return Answered(server)


class Answered:
    """A request that is under way; calling it gives the reply."""

    def __init__(self, server: Running) -> None:
        self._reply: Reply | None = None
        self._thread = threading.Thread(target=self._ask, args=(server,))
        self._thread.start()

    def _ask(self, server: Running) -> None:
        self._reply = server.ask("/predict", {"x": 5, "level": 0.5, "wish": "sleep"})

    def __call__(self) -> Reply:
        self._thread.join()
        assert self._reply is not None
        return self._reply


def test_deadlines(tmp_path: Path) -> None:
    """A request whose time is up is told so then, not when the model is done; and what waits behind is not harmed."""
    with serve(write_service(tmp_path)) as server:
        began = time.monotonic()
        reply = server.ask("/predict", {**GOOD, "wish": "sleep"}, {"X-Request-Timeout-Ms": "100"})
        assert (reply.status, reply.json["code"]) == (504, "deadline")
        assert time.monotonic() - began < 0.35
        assert server.ask("/predict", GOOD).status == 200


def test_a_fallback_answer(tmp_path: Path) -> None:
    """Where the deadline names a fallback answer, that is what a late request gets, and it says so."""
    source = SERVICE.replace('Deadline("10 s")', 'Deadline("100 ms", otherwise={"x": 0.0, "level": 0.0, "pid": 0})')
    with serve(write_service(tmp_path, source)) as server:
        reply = server.ask("/predict", {**GOOD, "wish": "sleep"})
        assert (reply.status, reply.json["output"]) == (200, {"x": 0.0, "level": 0.0, "pid": 0})
        assert reply.json["fallback"] == {"because": "deadline", "by": "constant"}


def test_a_client_that_leaves(tmp_path: Path) -> None:
    """Requests whose clients went away are dropped and never poison what comes after."""
    with serve(write_service(tmp_path)) as server:
        body = b'{"x": 1, "level": 0.5, "wish": "sleep"}'
        head = f"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(head + body)
        began = time.monotonic()
        assert server.ask("/predict", GOOD).status == 200
        assert time.monotonic() - began < 2.0


def test_reload(tmp_path: Path) -> None:
    """With --reload a changed folder takes over without a lost request; a broken one leaves the old one serving."""
    folder = write_service(tmp_path / "service")
    with serve(folder, "--reload", log=tmp_path / "log") as server:
        first = server.ask("/predict", GOOD).json["release"]
        write_service(folder, SERVICE.replace('"x": x,', '"x": x + 1,'))
        answers = []

        def second_release() -> bool:
            reply = server.ask("/predict", GOOD)
            assert reply.status == 200
            answers.append((reply.json["release"] == first, reply.json["output"]["x"]))
            return bool(reply.json["release"] != first)

        until(second_release, "the new release")
        assert set(answers) == {(True, 1.0), (False, 2.0)}
        until(lambda: len(server.pids("replica")) == 1, "the end of the old replica")
        write_service(folder, "this is not Python")
        until(lambda: any(event.get("event") == "failed" for event in server.events()), "the failure")
        assert server.ask("/predict", GOOD).json["output"]["x"] == 2.0


PATIENT = SERVICE.replace('Deadline("10 s")', 'Deadline("5 min")')  # the slow request is begun long before it ends
PATIENT_PLUS_ONE = PATIENT.replace('"x": x,', '"x": x + 1,')


def test_reload_under_load(tmp_path: Path) -> None:
    """Requests that wait, run, or are still being sent while releases change are all answered, each by one release."""
    folder = write_service(tmp_path / "service", PATIENT)
    with (
        serve(folder, "--reload", "--replicas", "2", log=tmp_path / "log") as server,
        ThreadPoolExecutor(16) as clients,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow,
    ):
        body = b'{"x": 7, "level": 0.5}'
        slow.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:5])
        stop = threading.Event()

        def ask(client: int) -> set[tuple[int, float]]:
            row = {**GOOD, "wish": "sleep" if client == 0 else "echo"}
            replies = set()
            while not stop.is_set():
                reply = server.ask("/predict", row)
                replies.add((reply.status, reply.json.get("output", {}).get("x")))
            return replies

        def answered() -> float:
            return float(server.ask("/predict", GOOD).json["output"]["x"])

        asking = [clients.submit(ask, client) for client in range(16)]
        try:
            for source, x in ((PATIENT_PLUS_ONE, 2.0), (PATIENT, 1.0), (PATIENT_PLUS_ONE, 2.0)):
                write_service(folder, source)
                until(partial(lambda x: answered() == x, x), "the other release")
                until(lambda: len(server.pids("replica")) == 2, "the end of the old replicas")
        finally:
            stop.set()
        assert set().union(*(client.result() for client in asking)) == {(200, 1.0), (200, 2.0)}
        slow.settimeout(60)
        slow.sendall(body[5:])
        assert b'"x":8.0' in slow.recv(10_000)


def test_files_that_change_nothing(tmp_path: Path) -> None:
    """Of replicas that a change of any file starts, only the newest stay; and after it all the service ends at once."""
    folder = write_service(tmp_path / "service")
    with serve(folder, "--reload", log=tmp_path / "log") as server:
        for k in range(3):
            (folder / "notes.txt").write_text("." * (k + 1))
            until(partial(lambda times: told(server, "reloading") == times, k + 1), "the change")
        until(lambda: told(server, "ready") > 1 and len(server.pids("replica")) == 1, "the end of the old replicas")
        assert server.ask("/predict", GOOD).status == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0


def test_an_edit_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A broken edit is tried once; then the next one is waited for, and an edit undone is served again."""
    folder = write_service(tmp_path / "service")
    with serve(folder, "--reload", log=tmp_path / "log") as server:
        write_service(folder, "this is not Python")
        until(lambda: told(server, "died"), "the end of the broken one")
        time.sleep(0.3)
        assert (told(server, "failed"), told(server, "died")) == (1, 1)
        assert len(server.pids("replica")) == 1
        write_service(folder)
        until(lambda: told(server, "ready") == 2 and len(server.pids("replica")) == 1, "the undone edit")
        assert server.ask("/predict", GOOD).status == 200


def test_a_service_gets_another_name(tmp_path: Path) -> None:
    """A class that is renamed while it is served is found at its new name, and no more at the old one."""
    folder = write_service(tmp_path / "service")
    with serve(folder, "--reload", log=tmp_path / "log") as server:
        write_service(folder, SERVICE.replace("class Echoes", "class Mirrors"))
        until(lambda: server.ask("/mirrors/predict", GOOD).status == 200, "the new name")
        until(lambda: server.ask("/echoes/predict", GOOD).status == 404, "the end of the old name")
        assert server.ask("/readyz").status == 200


def told(server: Running, event: str) -> int:
    """How often the server has reported this."""
    return sum(said.get("event") == event for said in server.events())


def test_a_front_that_dies_during_the_drain_delay(tmp_path: Path) -> None:
    """Until draining begins, whatever dies is replaced, and the service stays "not ready"."""
    with serve(write_service(tmp_path), "--drain-delay", "3 s") as server:
        (front,) = server.pids("front")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("/readyz").status == 503, "not ready")
        kill(front)

        def answered() -> bool:
            try:
                return server.ask("/predict", GOOD).status == 200
            except OSError:
                return False

        until(answered, "an answer of the new front")
        assert server.ask("/readyz").status == 503
        assert server.process.wait(10) == 0


def test_draining_waits_for_a_body(tmp_path: Path) -> None:
    """A request that is half sent when draining begins is read to its end, and answered."""
    body = b'{"x": 7, "level": 0.5}'
    with serve(write_service(tmp_path)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:5])
            time.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(body[5:])
            assert client.recv(10_000).startswith(b"HTTP/1.1 200")
        assert server.process.wait(10) == 0


def test_not_ready_before_the_last_service_is(tmp_path: Path) -> None:
    """While one of two services still loads, the server is not ready."""
    slow = write_service(tmp_path / "slow", "import time\ntime.sleep(60)\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with launch(write_service(tmp_path / "one"), str(slow), "--port", str(port)) as server:
        server.port = port

        def answered() -> bool:
            try:
                return server.ask("/echoes/predict", GOOD).status == 200
            except OSError:
                return False

        until(answered, "an answer of the first")
        assert server.ask("/readyz").status == 503
        assert told(server, "serving") == 0
        server.process.kill()


def test_two_services_of_one_name(tmp_path: Path) -> None:
    """Two folders whose services have one name are refused, both named."""
    other = write_service(tmp_path / "other")
    with pytest.raises(AssertionError) as raised, serve(write_service(tmp_path / "one"), str(other)):
        pass
    assert str(tmp_path / "one") in str(raised.value)
    assert str(other) in str(raised.value)
    assert "both named echoes" in str(raised.value)


def test_two_services(tmp_path: Path) -> None:
    """Several services share a server, each at its name; a model that dies leaves the others alone."""
    other = write_service(tmp_path / "other", SERVICE.replace("class Echoes", "class OtherOnes"))
    with serve(write_service(tmp_path / "one"), str(other), log=tmp_path / "log") as server:
        assert server.ask("/echoes/predict", GOOD).status == 200
        assert server.ask("/other-ones/predict", GOOD).status == 200
        assert server.ask("/predict", GOOD).status == 404
        assert server.ask("/echoes/predict", {**GOOD, "wish": "die"}).status == 422
        assert server.ask("/other-ones/predict", GOOD).status == 200


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_like_this", "nothing_like_this"),
        ("x = 1", "no service"),
        ("def broken(:", "service.py:1"),
        (SERVICE.replace("model = staticmethod(lambda columns: columns)", 'model = "model.skops"'), "model.skops"),
    ],
)
def test_a_service_that_cannot_start(tmp_path: Path, source: str, said: str) -> None:
    """A folder that cannot be served ends the command with one message that names the place, and nothing stays behind."""
    with pytest.raises(AssertionError) as raised, serve(write_service(tmp_path, source)):
        pass
    message = str(raised.value)
    assert said in message
    assert message.count('"fix"') == 1
    assert "Traceback" not in message


def test_the_port_is_taken(tmp_path: Path) -> None:
    """A port that somebody else listens on is named, with the mend."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(AssertionError, match="--port"), serve(write_service(tmp_path), "--port", port):
            pass
