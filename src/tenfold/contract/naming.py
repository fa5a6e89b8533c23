"""Attributes for columns whose names Python cannot hold: ``mean radius`` is mean_radius, ``class`` is class_."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable

from tenfold.contract.consistency import RESERVED


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An attribute for each column: the name itself where Python allows it, else the nearest that is one."""
    names = list(names)
    taken = {name for name in names if _is_free(name)}
    return {name: name if name in taken else _identifier(name, taken) for name in names}


def _identifier(name: str, taken: set[str]) -> str:
    """A free attribute name, which joins ``taken``; folded (NFKC) as Python's parser folds identifiers."""
    folded = unicodedata.normalize("NFKC", name)
    word = re.sub(r"\W+", "_", folded).strip("_")
    if not word[:1].isidentifier():
        word = f"column_{word}" if word else "column"
    if keyword.iskeyword(word) or word in RESERVED:
        word += "_"
    free, number = word, 2
    while free in taken or not _is_free(free):
        free, number = f"{word}_{number}", number + 1
    taken.add(free)
    return free


def _is_free(name: str) -> bool:
    """Whether a class body may have an attribute of this name that means nothing else there."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
        and unicodedata.normalize("NFKC", name) == name
        and name not in RESERVED
    )
