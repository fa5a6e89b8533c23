"""What a benchmark sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.bench.target import Body
from tenfold.control.traffic import MOST, example_request, golden_requests, requests_of
from tenfold.errors import NotFound, UsageError
from tenfold.parity.golden import Golden, Record, write
from tests.answers.examples import TUMOUR

PNG = b"\x89PNG\r\n\x1a\n..."


def test_golden_requests_are_sent_as_they_were_recorded(tmp_path: Path) -> None:
    """Each with its media type, and the rows of an array counted."""
    records = (Record("application/json"), Record("application/json"), Record("image/png"))
    golden = Golden(service="x", recorded="", model="", contract="", versions={}, rows=4, stages={}, records=records)
    write(tmp_path, golden, [b'{"x":1}', b'[{"x":1},{"x":2}]', PNG], {})
    traffic = golden_requests(tmp_path, TUMOUR)
    assert traffic.bodies == [Body(b'{"x":1}'), Body(b'[{"x":1},{"x":2}]', rows=2), Body(PNG, "image/png")]
    assert traffic.describe() == "3 golden requests, 1.333 rows each"
    assert not traffic.is_example


def test_without_golden_requests_the_contract_gives_an_example(tmp_path: Path) -> None:
    """It is one row, and called an example."""
    traffic = golden_requests(tmp_path, TUMOUR)
    assert traffic.is_example
    assert b'"mean radius"' in traffic.bodies[0].content
    assert traffic == example_request({"x": 1})._replace(bodies=traffic.bodies)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.json", "application/json"),
        ("a.png", "image/png"),
        ("a.csv", "text/csv"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_a_file_is_one_body(tmp_path: Path, name: str, media_type: str) -> None:
    """What it is follows from its name."""
    (tmp_path / name).write_bytes(b'[{"x": 1}, {"x": 2}]')
    (body,) = requests_of(tmp_path / name).bodies
    assert (body.content, body.media_type) == (b'[{"x": 1}, {"x": 2}]', media_type)
    assert body.rows == (2 if media_type == "application/json" else 1)


def test_each_line_of_ndjson_is_a_body(tmp_path: Path) -> None:
    """Empty lines are none, and of very many lines the first are taken."""
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"x": 1}\n\n[]\n')
    assert requests_of(file).bodies == [Body(b'{"x": 1}'), Body(b"[]")]
    file.write_bytes(b"{}\n" * (MOST + 1))
    assert len(requests_of(file).bodies) == MOST


def test_what_is_no_traffic_is_an_error(tmp_path: Path) -> None:
    """A missing file, and a line that is no JSON."""
    with pytest.raises(NotFound, match="there is no file"):
        requests_of(tmp_path / "nowhere.json")
    (tmp_path / "a.ndjson").write_bytes(b"{}\n{'x': 1}\n")
    with pytest.raises(UsageError, match="line 2"):
        requests_of(tmp_path / "a.ndjson")
    (tmp_path / "b.json").write_bytes(b"[1,")
    with pytest.raises(UsageError, match=r"b\.json"):
        requests_of(tmp_path / "b.json")
