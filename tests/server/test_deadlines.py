"""What a service does with requests that cannot be answered in time, or need not be."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.server.running import Running, serve, until, write_service

SLOW = '''
import time
from pathlib import Path

from tenfold import Batching, Contract, Deadline, Service

HERE = Path(__file__).parent


class Asked(Contract):
    x: float


class Given(Contract):
    x: float


def held(x):
    """Writes down what it is asked; the first row of a file named hold is kept until that is gone."""
    with (HERE / "asked").open("a") as file:
        print(*x, file=file)
    while (HERE / "hold").exists():
        time.sleep(0.005)
    return x


class Held(Service):
    """Gives back numbers, when it may."""

    input, output = Asked, Given
    model = staticmethod(held)
    batching = Batching(max_rows=64)
    deadline = Deadline("20 s")

    def preprocess(self, rows):
        return rows.x

    def postprocess(self, x):
        return {"x": x}
'''


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose model waits as long as there is a file."""
    with serve(write_service(tmp_path_factory.mktemp("held"), SLOW)) as running:
        yield running


class Hold:
    """Keeps the model busy with the row -1 until it is let go."""

    def __init__(self, server: Running) -> None:
        self.server, self.folder = server, server.log.parent
        self.clients = ThreadPoolExecutor(16)

    def __enter__(self) -> Hold:
        (self.folder / "asked").write_text("")
        (self.folder / "hold").touch()
        self.first = self.clients.submit(self.server.ask, "/predict", {"x": -1})
        until(lambda: "-1.0" in self.asked(), "the first call")
        return self

    def asked(self) -> list[str]:
        """The rows that the model has got so far, in their order."""
        return (self.folder / "asked").read_text().split()

    def waiting(self, rows: int) -> None:
        """Wait until so many rows do."""

        def count() -> bool:
            metrics = self.server.ask("/metrics", port=self.server.admin_port).body.decode()
            lines = [line for line in metrics.splitlines() if line.startswith("tenfold_waiting_rows{")]
            return sum(float(line.split()[-1]) for line in lines) == rows

        until(count, f"{rows} waiting rows")

    def let_go(self) -> None:
        """The model may go on."""
        (self.folder / "hold").unlink()
        assert self.first.result().status == 200

    def __exit__(self, *_: object) -> None:
        (self.folder / "hold").unlink(missing_ok=True)
        self.clients.shutdown()


def test_what_is_too_late_never_reaches_the_model(held: Running) -> None:
    """A request whose deadline passes while it waits is told so then, and costs the model nothing."""
    with Hold(held) as hold:
        late = held.ask("/predict", {"x": 5}, {"X-Request-Timeout-Ms": "50"})
        assert (late.status, late.json["code"]) in {(504, "deadline"), (503, "overloaded")}
        hold.let_go()
        assert held.ask("/predict", {"x": 6}).status == 200
        assert hold.asked() == ["-1.0", "6.0"]


def test_what_nobody_waits_for_never_reaches_the_model(held: Running) -> None:
    """A client that hangs up takes its request along."""
    with Hold(held) as hold:
        body = b'{"x": 5}'
        with closing(socket.create_connection(("127.0.0.1", held.port))) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            hold.waiting(1)
        stayed = hold.clients.submit(held.ask, "/predict", {"x": 6})
        hold.waiting(2)
        hold.let_go()
        assert stayed.result().status == 200
        assert hold.asked() == ["-1.0", "6.0"]


def test_the_most_urgent_goes_first(held: Running) -> None:
    """Requests leave in the order of their deadlines, and background work behind all others."""
    with Hold(held) as hold:
        wishes = [
            ("1", {"Priority": "u=7"}),
            *[(str(x), {"X-Request-Timeout-Ms": str(20_000 - 1000 * x)}) for x in range(2, 10)],
        ]
        sent = []
        for rows, (x, headers) in enumerate(wishes, start=1):
            sent.append(hold.clients.submit(held.ask, "/predict", {"x": int(x)}, headers))
            hold.waiting(rows)
        hold.let_go()
        assert {reply.result().status for reply in sent} == {200}
        assert hold.asked() == ["-1.0", *(f"{x}.0" for x in range(9, 0, -1))]


@pytest.mark.parametrize("said", ["0", "-0", "-5", "nan", "inf", "1e400", "", "1_000", "5 ms", "0x10", "\u00bd"])
def test_a_deadline_that_is_none(held: Running, said: str) -> None:
    """Nonsense is refused with what to write instead, and is not taken for a deadline."""
    reply = held.ask("/predict", {"x": 1}, {"X-Request-Timeout-Ms": said})
    assert (reply.status, reply.json["code"]) == (400, "bad_request")
    assert reply.json["detail"] == "X-Request-Timeout-Ms is a positive number of milliseconds"


def test_a_huge_deadline(held: Running) -> None:
    """A client may wait for ever; the service's own deadline stays as it is."""
    assert held.ask("/predict", {"x": 1}, {"X-Request-Timeout-Ms": "1e300"}).status == 200


def test_a_deadline_that_nobody_can_keep(held: Running) -> None:
    """A nanosecond is a deadline, and has passed by the time that anybody looks."""
    reply = held.ask("/predict", {"x": 1}, {"X-Request-Timeout-Ms": "0.000001"})
    assert (reply.status, reply.json["code"]) == (504, "deadline")


def test_who_cannot_be_served_in_time_hears_it_at_once(held: Running) -> None:
    """Behind a queue that takes longer than its deadline, a request is refused, with the reason and when to come back."""
    with Hold(held) as hold:
        for _ in range(3):  # a model that is stuck: whatever it takes, it is longer than that
            reply = held.ask("/predict", [{"x": 5}] * 4000, {"X-Request-Timeout-Ms": "1"})
        assert reply.status in (503, 504)
        if reply.status == 503:
            assert int(reply.headers["retry-after"]) >= 1
            assert "an answer would take" in reply.json["detail"]
        assert hold.asked() == ["-1.0"]


def test_connections_survive_a_refusal(held: Running) -> None:
    """After a refusal the same connection may ask again."""
    with closing(http.client.HTTPConnection("127.0.0.1", held.port, timeout=20)) as client:
        for timeout, status in (("0", 400), ("0.000001", 504), ("20000", 200)):
            client.request("POST", "/predict", b'{"x": 1}', {"X-Request-Timeout-Ms": timeout})
            response = client.getresponse()
            response.read()
            assert response.status == status
