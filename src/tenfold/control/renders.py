"""What the next system needs of a service, written as files: one target for each such system.

A target is a function from the ten answers, and what was measured, to texts by file name. It starts nothing and asks nobody,
so that what it writes can be kept in git, and only changes when the service does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenfold.answers import Evidence
from tenfold.config import require_environment, server
from tenfold.control import grafana
from tenfold.engines.crew import STOP_LIMIT_S
from tenfold.environment import wheel
from tenfold.errors import UsageError
from tenfold.render import Asked, Image, Measured, Wanted, dockerfile, github, kserve, kubernetes
from tenfold.render.naming import require_forms
from tenfold.server.front import DRAIN_LIMIT_S
from tenfold.service import Service, Spec, find, spec
from tenfold.units import rows_per_s, seconds, size_bytes

__all__ = ["TARGETS", "render", "then", "wanted"]

POD = frozenset(
    ["image", "namespace", "prometheus", "secret", "store_secret", "memory", "rate_per_replica", "start"]
)  # what is said of a pod, wherever it is
_EXTRAS = re.compile(r"(?i)\btenfold\s*\[([^]\n]*)]")
UNITS: Mapping[str, Callable[[str], float]] = {"memory": size_bytes, "rate_per_replica": rows_per_s, "start": seconds}


class Target(NamedTuple):
    """A system: what is written for it, how, what a person does with that, and which options it takes."""

    about: str
    files: Callable[[Asked], Mapping[str, str]]
    next: str
    takes: frozenset[str] = frozenset()
    beside: Callable[[Path], Path] | None = None  # writes what is no text


def _write_wheel(folder: Path) -> Path:
    """Write the tenfold that runs, for an image to have it. Equal files make an equal wheel."""
    (folder / wheel.file_name()).unlink(missing_ok=True)
    return wheel.write(folder)


TARGETS = {
    "grafana": Target(
        "a dashboard for Grafana and alert rules for Prometheus",
        lambda asked: grafana.files(asked.spec),
        "import the dashboard in Grafana; name the rules in rule_files of prometheus.yml",
    ),
    "kubernetes": Target(
        "what a cluster needs to run and scale it",
        kubernetes.files,
        "kubectl apply -f {folder}; -custom.yaml needs the Prometheus operator, and KEDA or a gateway where they are used",
        POD | {"hostname", "gateway", "egress"},
    ),
    "kserve": Target("an InferenceService for KServe", kserve.files, "kubectl apply -f {folder}", POD),
    "dockerfile": Target(
        "an image of it",
        dockerfile.files,
        "docker build --tag {image} --file {folder}/Dockerfile --build-context tenfold={folder} {service}",
        frozenset(["image", "base"]),
        _write_wheel,
    ),
    "github": Target(
        "a workflow that plans in pull requests and deploys what is merged",
        github.files,
        "commit {folder}, and give the repository a secret TENFOLD_STORE",
        beside=_write_wheel,
    ),
}


def wanted(**said: str | bool | tuple[str, ...]) -> Wanted:
    """What was said on the command line, quantities read. Raises ``UsageError`` for what cannot be meant."""
    values: dict[str, object] = dict(said)
    for name, read in UNITS.items():
        text = str(said.get(name) or "")
        try:
            values[name] = read(text) if text else 0
        except ValueError as error:
            raise UsageError(f"--{name.replace('_', '-')}: {error}", "tenfold render --help") from None
        if text and not values[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} {text}: that is nothing", "write more than 0, or leave it out"
            )
    place = msgspec.convert(values, Wanted)
    require_forms(place)
    return place


def then(target: str, service: str, folder: Path, env: str = "", place: Wanted | None = None) -> str:
    """What to do with what was written, as a command or in words."""
    text, image = TARGETS[target].next, ""
    if "{image}" in text:
        found = find(service, env)
        image = _asked(found, spec(found), service, env, place or Wanted()).image
    return text.format(folder=folder, service=service, image=image)


def render(target: str, service: str, folder: Path, env: str = "", place: Wanted | None = None) -> list[Path]:
    """Write what ``target`` needs of a service into a folder, over what stands there under the same names."""
    chosen, place = TARGETS[target], place or Wanted()
    usual = Wanted()
    for name in Wanted.__struct_fields__:
        if name not in chosen.takes and getattr(place, name) != getattr(usual, name):
            takes = ", ".join(sorted(f"--{one.replace('_', '-')}" for one in chosen.takes)) or "none of its like"
            raise UsageError(f"render {target} has no use for --{name.replace('_', '-')}", f"it takes {takes}")
    found = find(service, env)
    require_environment(env, service)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", "-o DIR names a folder, which is made where there is none")
    texts = chosen.files(_asked(found, spec(found), service, env, place))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written if chosen.beside is None else [*written, chosen.beside(folder)]


def _asked(service: Service, stated: Spec, target: str, env: str, place: Wanted) -> Asked:
    """A service with what was measured of it, and what stands beside it."""
    limits = server(service.folder, env)
    named = target.rpartition("/")[2]
    return Asked(
        spec=stated,
        target=named if ".py" in named else ".",
        path=target,
        wanted=place,
        measured=_measured(service, stated),
        image_of=_image(service.folder),
        env=env,
        drain_delay_s=limits.drain_delay_s,
        memory_bytes=limits.memory_bytes,
        drain_limit_s=DRAIN_LIMIT_S,
        stop_limit_s=STOP_LIMIT_S,
    )


def _measured(service: Service, stated: Spec) -> Measured:
    """Only what was measured of this very release counts."""
    evidence = Evidence.read(service.folder).of(stated)
    model = service.folder / stated.model
    return Measured(
        rows_per_s=evidence.capacity.card.per_replica if evidence.capacity else None,
        start_s=evidence.startup.seconds if evidence.startup else None,
        model_bytes=model.stat().st_size if stated.model and model.is_file() else 0,
    )


def _image(folder: Path) -> Image:
    """What an image of the service is made of: the surest of the files that pin its libraries, and this tenfold."""
    there = [name for name in dockerfile.PINS if (folder / name).is_file()]
    texts = [(folder / name).read_text("utf-8", "replace") for name in there]
    extras = sorted(
        {word.strip() for text in texts for said in _EXTRAS.findall(text) for word in said.split(",")} - {""}
    )
    own = f"{wheel.NAME}[{','.join(extras)}]" if extras else wheel.NAME
    return Image(there[0] if there else "", _python(folder), wheel.file_name(), own)


def _python(folder: Path) -> str:
    """The oldest Python that the service asks for, which is one that it was made with."""
    project = folder / "pyproject.toml"
    said = (
        re.search(r'requires-python\s*=\s*"[~>=]=\s*(3\.\d+)', project.read_text("utf-8"))
        if project.is_file()
        else None
    )
    return said[1] if said else Image().python
