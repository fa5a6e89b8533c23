"""What the next system needs of a service, written as files: one target for each such system.

A target is a function from the ten answers to texts by file name. It starts nothing and asks nobody, so that what it writes
can be kept in git, and only changes when the service does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tenfold.control import grafana
from tenfold.errors import UsageError
from tenfold.service import find, spec
from tenfold.spec import Spec


class Target(NamedTuple):
    """A system: what is written for it, how, and what a person does with that."""

    about: str
    files: Callable[[Spec], Mapping[str, str]]
    next: str


TARGETS = {
    "grafana": Target(
        "a dashboard for Grafana and alert rules for Prometheus",
        grafana.files,
        "import the dashboard in Grafana; name the rules in rule_files of prometheus.yml",
    )
}


def render(target: str, service: str, folder: Path, env: str = "") -> list[Path]:
    """Write what ``target`` needs of a service into a folder, over what stands there under the same names."""
    stated = spec(find(service, env))
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "-o DIR names a folder, which is made where there is none")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in TARGETS[target].files(stated).items():
        path = folder / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written
