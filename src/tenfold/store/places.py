"""How a store is named, which one is meant where none is, and how printed commands say so."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from tenfold import config
from tenfold.errors import NotFound, UsageError
from tenfold.store.database import EMBEDDED

FILE = "store.db"
SCHEMES = ("postgres", "postgresql")


def is_shared(place: str) -> bool:
    """Whether a place is one for several machines."""
    return place.partition("://")[0] in SCHEMES


def file_of(place: str) -> Path:
    """The database file of an embedded store. ``UsageError`` for what names none."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        path = Path(place)
        return (path / EMBEDDED if (path / "service.py").is_file() else path) / FILE
    if scheme != "sqlite" or not rest.startswith("/"):
        raise UsageError(
            f"{without_secrets(place)} names no store that this tenfold knows",
            "name a folder, sqlite:///FILE, or postgres://HOST/DATABASE?blobs=s3://BUCKET/PREFIX",
        )
    path = Path(unquote(urlsplit(place).path)[1:])
    return path if path.suffix else path / FILE


def folder_of(place: str) -> Path:
    """The folder that an embedded store is in."""
    return file_of(place).parent


def place_of(place: str, target: str = ".") -> str:
    """The store that is meant: ``place`` if it is said, else the one within the folder of ``target``, a service's folder or
    file, or NAME@N where NAME is such a folder; else the one here."""
    if place:
        return place
    named = [Path(word) for word in (target, target.partition("@")[0], target.rpartition(":")[0]) if word]
    path = next((path for path in named if path.exists()), Path())
    return str((path if path.is_dir() else path.parent) / EMBEDDED)


def at(place: str, name: str = "") -> str:
    """What a command about ``name`` needs besides, so that it means the store at ``place``: " --store fleet", or nothing
    where it finds that store by itself. What is printed can then be run as it stands."""
    shown = without_secrets(place) if is_shared(place) else place
    return "" if _is_same(config.store() or place_of("", name), shown) else f" --store {shlex.quote(shown)}"


def missing(place: str) -> NotFound:
    """That there is no store, and the push that makes it."""
    home = Path(place).parent
    if Path(place).name == EMBEDDED and (home / "service.py").is_file():
        return NotFound(f"there is no store at {place}", f"tenfold push {shlex.quote(str(home))} makes one")
    return NotFound(f"there is no store at {place}", f"tenfold push SERVICE{at(place)} makes one")


def without_secrets(url: str) -> str:
    """A URL as it may be shown: without password and options."""
    parts = urlsplit(url)
    user, sign, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, f"{user.partition(':')[0]}{sign}{host}", parts.path, "", ""))


def apart(url: str) -> tuple[str, str]:
    """A URL without its password, and the password; "" where it has none."""
    parts = urlsplit(url)
    user, sign, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    options = parse_qsl(parts.query, keep_blank_values=True)
    others = urlencode([(key, value) for key, value in options if key != "password"], quote_via=quote)
    said = next((value for key, value in options if key == "password"), unquote(password))
    return urlunsplit(parts._replace(netloc=f"{name}{sign}{host}", query=others)), said


def _is_same(one: str, other: str) -> bool:
    if is_shared(one) or is_shared(other):
        return without_secrets(one) == without_secrets(other)
    try:
        return file_of(one).resolve() == file_of(other).resolve()
    except UsageError:
        return False
