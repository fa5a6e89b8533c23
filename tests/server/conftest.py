"""One server for all tests that do not break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.running import Running, serve, write_service


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of ``running.SERVICE`` that tests share."""
    with serve(write_service(tmp_path_factory.mktemp("echoes"))) as running:
        yield running
