"""A Prometheus for the tests: the real one, on a free port, scraping as often as it can."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from tenfold.control.servers import free_port
from tests.server.running import until

MISSING = next((name for name in ("prometheus", "promtool") if shutil.which(name) is None), None)


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    port: int

    def api(self, path: str, **parameters: str) -> Any:
        """What its API answers; None while it is not there yet."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}{query}", timeout=10) as response:
                answer = json.load(response)
        except (URLError, ConnectionError):
            return None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series that an expression has now: labels and value."""
        found = self.api("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in found["result"]]

    def value(self, expression: str) -> float:
        """The value of an expression that has one; 0 while it has none."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else 0.0


@contextmanager
def prometheus(folder: Path, target: str, rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """A Prometheus that scrapes ``target`` and has loaded some rules."""
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": "tenfold", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML, too
    port = free_port()
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=output, stderr=output, cwd=folder
        )
    try:
        running = Prometheus(port)

        def answers() -> Any:
            assert process.poll() is None, log.read_text()
            return running.api("status/buildinfo")

        until(answers, "Prometheus answering")
        yield running
    finally:
        process.terminate()
        process.wait(20)
