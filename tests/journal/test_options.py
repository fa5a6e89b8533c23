"""What an author may write about the journal."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tenfold.drift import Drift
from tenfold.errors import ServiceError
from tenfold.service import find, spec
from tenfold.spec import Spec
from tests.server.running import write_service

SERVICE = """
from tenfold import Contract, Drift, Service


class Number(Contract):
    x: float


class Same(Service):
    input = output = Number
    model = staticmethod(lambda rows: rows)
    drift = Drift(keep="180 days")
"""


def test_what_is_kept_and_how_long() -> None:
    """Outputs for 90 days, unless the class says otherwise."""
    usual = Drift()
    assert (usual.journal, usual.keep_s, usual.keep_at_most_bytes) == ("outputs", 90 * 86400, 2**30)
    stated = Drift(journal="inputs", keep="12 h", keep_at_most="5 GiB")
    assert (stated.journal, stated.keep_s, stated.keep_at_most_bytes) == ("inputs", 12 * 3600, 5 * 2**30)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"journal": "everything"}, "journal='everything'"),
        ({"keep": "30"}, "'30' has no unit"),
        ({"keep": "0 s"}, "what is kept for no time is not kept"),
        ({"keep_at_most": "1 GB/s"}, "has the unit 'GB/s'"),
        ({"keep_at_most": "10 B"}, "the journal needs 1 MiB"),
    ],
)
def test_what_cannot_be_meant(wrong: dict[str, str], said: str) -> None:
    """A wrong unit is an error in the class, and not after thirty days."""
    with pytest.raises(ServiceError, match=said):
        Drift(**wrong)  # type: ignore[arg-type]


def test_it_travels_to_the_front(tmp_path: Path) -> None:
    """The class says it, tenfold.toml may say otherwise, and the front reads the same."""
    write_service(tmp_path, SERVICE)
    (tmp_path / "tenfold.toml").write_text('[drift]\njournal = "off"\n')
    read = msgspec.json.decode(msgspec.json.encode(spec(find(tmp_path))), type=Spec)
    assert (read.drift.journal, read.drift.keep_s) == ("off", 180 * 86400)
