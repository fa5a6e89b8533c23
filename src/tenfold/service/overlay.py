"""One TOML file over the class: ``tenfold.toml`` changes options, for every environment or for one.

    [deadline]                  # in every environment, over what the class says
    budget = "100 ms"

    [production.scaling]        # in one, over the above: tenfold serve --env production
    max_replicas = 20

    [server]                    # what no class says: the limits of the server itself (tenfold.config)
    max_body_bytes = 16_777_216

Tables have the words of the answers, and the keys that a person writes in the class.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tenfold.errors import ServiceError
from tenfold.options import Option

FILE = "tenfold.toml"
WORDS = ("batching", "deadline", "capacity", "scaling", "releases", "drift", "server")

AnyOption = TypeVar("AnyOption", bound=Option)


class Layer(NamedTuple):
    """One table: the word that it is about, its keys, and its name in messages."""

    word: str
    table: Mapping[str, Any]
    place: str


class Overlay(NamedTuple):
    """What a ``tenfold.toml`` says for one environment, the general tables first; and which environments it knows."""

    env: str
    layers: tuple[Layer, ...]
    environments: tuple[str, ...] = ()

    def over(self, word: str, option: AnyOption) -> AnyOption:
        """The option as it is with the tables of its word over it. Raises ``ServiceError``, naming table and key."""
        for layer in self.layers:
            if layer.word == word:
                option = option.override(layer.table, layer.place)
        return option


def read(folder: Path, env: str = "") -> Overlay:
    """What the folder's ``tenfold.toml`` says for an environment ("" for none); nothing where there is no such file.

    Raises ``ServiceError`` for an environment that is none of those that the file has; one that has none suits any.
    """
    file = folder / FILE
    if not file.is_file():
        return Overlay(env, ())
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ServiceError(f"{file}: {error}", "tenfold.toml has to be valid TOML, in UTF-8") from None
    general = {key: value for key, value in document.items() if key in WORDS}
    environments = {key: value for key, value in document.items() if key not in WORDS}
    layers = [*_layers(file, general, "")]
    for name, tables in environments.items():
        if not all(isinstance(value, dict) for value in _table(file, name, tables).values()):
            raise _unknown(file, name, "")
        found = list(_layers(file, tables, f"{name}."))  # all are read, so that a misspelling in any of them is found
        layers += found if name == env else []
    if env and environments and env not in environments:
        near = get_close_matches(env, environments, 1)
        mend = f"did you mean {near[0]}?" if near else f"an empty table [{env}] makes one"
        raise ServiceError(f"there is no environment {env!r}; {file} has {', '.join(environments)}", mend)
    return Overlay(env, tuple(layers), tuple(environments))


def _layers(file: Path, tables: Mapping[str, Any], prefix: str) -> Iterator[Layer]:
    for word, table in tables.items():
        if word not in WORDS:
            raise _unknown(file, word, prefix)
        yield Layer(word, _table(file, prefix + word, table), f"{file.name} [{prefix}{word}]")


def _unknown(file: Path, word: str, prefix: str) -> ServiceError:
    near = get_close_matches(word, WORDS, 1)
    mend = f"did you mean [{prefix}{near[0]}]?" if near else f"the tables are {', '.join(WORDS)}"
    return ServiceError(f"{file}: [{prefix}{word}] is none of the answers", mend)


def _table(file: Path, name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        near = get_close_matches(name, WORDS, 1)
        mend = f"did you mean the table [{near[0]}]?" if near else f"keys stand in tables: {', '.join(WORDS)}"
        raise ServiceError(f"{file}: {name} stands in no table", mend)
    return value
