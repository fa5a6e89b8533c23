"""What the surroundings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.config import Server, environment, require_environment, server
from tenfold.errors import ServiceError, UsageError

TOML = """
[server]
max_body_bytes = 65536

[production.server]
drain_delay = "5 s"
"""


def test_the_server_has_a_table_of_its_own(tmp_path: Path) -> None:
    """Limits that belong to no answer are set beside them, for every environment or for one."""
    (tmp_path / "tenfold.toml").write_text(TOML)
    assert server(tmp_path) == Server(max_body_bytes=65536)
    assert server(tmp_path, "production").drain_delay_s == 5.0
    assert server(tmp_path / "elsewhere").describe() == "bodies of up to 8,388,608 bytes"


def test_a_limit_that_cannot_be_meant_is_an_error(tmp_path: Path) -> None:
    """A unit that is missing is said with the table that it is missing in."""
    (tmp_path / "tenfold.toml").write_text('[server]\ndrain_delay = "5"')
    with pytest.raises(ServiceError, match=r"tenfold.toml \[server\]: .*'5' has no unit"):
        server(tmp_path)


def test_the_memory_of_a_replica(tmp_path: Path) -> None:
    """A ceiling is a quantity with a unit; without one there is none."""
    assert server(tmp_path).memory_bytes == 0
    (tmp_path / "tenfold.toml").write_text('[server]\nmemory = "2 GiB"')
    assert server(tmp_path).memory_bytes == 2 * 2**30
    (tmp_path / "tenfold.toml").write_text('[server]\nmemory = "2"')
    with pytest.raises(ServiceError, match=r"tenfold.toml \[server\]: .*'2' has no unit"):
        server(tmp_path)


def test_the_environment_is_named_or_comes_from_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line wins over TENFOLD_ENV."""
    monkeypatch.setenv("TENFOLD_ENV", "staging")
    assert environment() == "staging"
    assert environment("production") == "production"
    monkeypatch.delenv("TENFOLD_ENV")
    assert environment() == ""


def test_an_environment_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    """--env needs tables of an environment in the tenfold.toml of one of the services that are named."""
    plain, known = tmp_path / "plain", tmp_path / "known"
    plain.mkdir()
    known.mkdir()
    (plain / "service.py").touch()
    (known / "tenfold.toml").write_text("[prod.scaling]\nmax_replicas = 3")
    require_environment("", str(plain))
    require_environment("prod", str(plain), str(known))
    with pytest.raises(UsageError, match=r"no environment 'prod': .*plain/tenfold.toml has none"):
        require_environment("prod", f"{plain}/service.py:Shop")
    with pytest.raises(ServiceError, match=r"no environment 'staging'; .*tenfold.toml has prod"):
        require_environment("staging", str(known))
