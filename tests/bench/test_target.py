"""Addresses and requests as they go over the wire."""

from __future__ import annotations

import pytest

from tenfold.bench.target import Body, Target, header
from tenfold.errors import UsageError


def test_an_address_is_taken_apart() -> None:
    """Scheme, host, port, path and query, with the ports that need not be written."""
    assert Target.of("http://localhost:8000/a/predict?v=1") == (
        False,
        "localhost",
        8000,
        "localhost:8000",
        "/a/predict?v=1",
    )
    assert Target.of("https://models.example")[:3] == (True, "models.example", 443)
    assert Target.of("https://models.example").path == "/"
    assert Target.of("http://[::1]:80/x")[1:4] == ("::1", 80, "[::1]:80")


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://x/", "http://", "http://x:99999/", "http://x/ y", "http://x:0/"]
)
def test_what_is_no_address_is_an_error(url: str) -> None:
    """It is told before anything is started."""
    with pytest.raises(UsageError, match="is no address"):
        Target.of(url)


def test_a_request_is_whole() -> None:
    """It says where to, what it is, and how long it is."""
    (request,) = Target.of("http://x:8000/predict").requests([Body(b"{}")], {})
    assert request == (
        b"POST /predict HTTP/1.1\r\nhost: x:8000\r\nuser-agent: tenfold-bench\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_headers_are_added_or_take_the_place_of_ours() -> None:
    """A key can be sent, and another media type; the length is always that of the body."""
    headers = dict(map(header, ["Authorization: Bearer a:b", "Content-Type: text/csv", "content-length: 99"]))
    (request,) = Target.of("http://x/").requests([Body(b"a,b")], headers)
    assert b"\r\nauthorization: Bearer a:b\r\n" in request
    assert request.count(b"content-type") == 1
    assert b"content-type: text/csv\r\n" in request
    assert b"content-length: 3\r\n" in request


@pytest.mark.parametrize("text", ["", "Authorization", ": x", "a b: c", "x: a\r\nhost: evil", "x: \u20ac", "ä: x"])
def test_what_is_no_header_is_an_error(text: str) -> None:
    """Nothing can be smuggled into a request."""
    with pytest.raises(UsageError, match="is no header"):
        header(text)
