"""Which libraries a release runs with: read from its lock, else from what it asks for, else from what runs here."""

from __future__ import annotations

import re
import site
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import Any, NamedTuple

from tenfold.errors import ServiceError

FROZEN = "requirements.lock"  # where a freeze is written

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?\s*(?P<version>[^;#\\]*)")
_HASH = re.compile(r"--hash=sha256:(?P<hash>[0-9a-f]{64})")


class Library(NamedTuple):
    """A distribution: its name, its version (or what is asked for), and the SHA-256 of what may be installed, if known."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


def libraries(files: Mapping[str, bytes]) -> dict[str, Library]:
    """The libraries that the files of an environment name: those of the first of uv.lock, a requirements file and
    pyproject.toml. Raises ``ServiceError`` where that cannot be read."""
    try:
        if "uv.lock" in files:
            return _named(_locked(files["uv.lock"]))
        if "pylock.toml" in files:
            return _named(_locked(files["pylock.toml"], "packages"))
        for name in ("requirements.lock", "requirements.txt"):
            if name in files:
                return _named(_required(files[name].decode()))
        document = tomllib.loads(files.get("pyproject.toml", b"").decode())
        return _named(_required("\n".join(document.get("project", {}).get("dependencies", []))))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"the environment's files cannot be read: {error}", "uv lock writes uv.lock anew") from None


def frozen() -> str:
    """What is installed here, as a requirements file. What no index has (a folder, an archive) is a comment.

    Of the import path, only where packages are installed counts: setuptools puts copies of others there for itself.
    """
    lines = {}
    installed = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    for one in distributions(path=installed):
        name = normal(one.name)
        local = one.read_text("direct_url.json") is not None
        lines[name] = f"# {name} {one.version} is not from an index" if local else f"{name}=={one.version}"
    return "".join(f"{lines[name]}\n" for name in sorted(lines))


def resolved(asked: Iterable[Library]) -> dict[str, Library]:
    """What runs here of the libraries asked for, and of those that these need; as asked where another version is pinned than
    the one that runs here, or it is not installed."""
    found: dict[str, Library] = {}
    waiting = list(asked)
    while waiting:
        wanted = waiting.pop()
        if wanted.name in found:
            continue
        here, is_pinned = _installed(wanted.name), wanted.version.startswith("==")
        if here is None or (is_pinned and wanted.version != f"=={here.version}"):
            if is_pinned:
                found[wanted.name] = wanted
            continue
        found[wanted.name] = Library(wanted.name, f"=={here.version}", wanted.hashes)
        plain = [line for line in here.requires or [] if "extra==" not in line.replace(" ", "")]
        waiting += _required("\n".join(plain))
    return found


def bill(service: str, release: str, asked: Mapping[str, Library], models: Mapping[str, str]) -> dict[str, Any]:
    """A bill of materials in the form of CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): every library with its
    version, and the files of the model (by name, with their SHA-256)."""
    pinned = all(library.version.startswith("==") for library in asked.values())
    known = asked if pinned and asked else resolved(asked.values())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": service, "version": release},
            "properties": [{"name": "tenfold:libraries", "value": "locked" if known is asked else "as installed"}],
        },
        "components": [
            *(_component(library) for _, library in sorted(known.items())),
            *(
                {"type": "machine-learning-model", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
                for name, digest in sorted(models.items())
            ),
        ],
    }


def normal(name: str) -> str:
    """A name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _component(library: Library) -> dict[str, Any]:
    version = library.version.removeprefix("==")
    said = {"type": "library", "name": library.name, "version": version, "purl": f"pkg:pypi/{library.name}@{version}"}
    hashes = [{"alg": "SHA-256", "content": digest} for digest in library.hashes]
    return said | ({"hashes": hashes} if len(hashes) == 1 else {})  # of several wheels, one is installed


def _named(found: Iterable[Library]) -> dict[str, Library]:
    return {library.name: library for library in found}


def _locked(content: bytes, table: str = "package") -> Iterator[Library]:
    """The packages of a lock, without the project itself."""
    for package in tomllib.loads(content.decode())[table]:
        source = package.get("source", {})
        if not source.keys() & {"editable", "virtual", "directory"} and "directory" not in package:
            files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
            yield Library(normal(package["name"]), f"=={package.get('version', '')}", tuple(_hashes(files)))


def _hashes(files: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for file in files:
        said = file.get("hash") or f"sha256:{file.get('hashes', {}).get('sha256', '')}"
        if said.startswith("sha256:") and said != "sha256:":
            yield said.removeprefix("sha256:")


def _required(text: str) -> Iterator[Library]:
    """The lines of a requirements file that name a library."""
    for line in text.replace("\\\n", " ").splitlines():
        found = _REQUIREMENT.match(line.strip())
        if found is not None:
            version = found["version"].split(" --")[0].replace(" ", "").strip("()")
            hashes = tuple(match["hash"] for match in _HASH.finditer(line))
            yield Library(normal(found["name"]), version, hashes)


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
