"""Text that matches a regular expression, made up from the expression itself."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from importlib import import_module
from typing import Any

ALPHABET = string.ascii_letters + string.digits + " " + string.punctuation
ATTEMPTS = 64


def specimen(pattern: str, min_len: int = 0, max_len: int | None = None) -> str:
    """A short text that matches the whole pattern and has a length within the limits, if one is found in a few attempts.

    Conditions that look ahead or behind are not understood: then the text need not match.
    """
    if not pattern:
        plain = "text" * (min_len // 4 + 1)
        return plain[: max(min_len, min(4, 4 if max_len is None else max_len))]
    # Python's own parser of expressions: private, so that a version without it costs an example and nothing else.
    tree = import_module("re._parser").parse(pattern)
    text = ""
    for extra in range(ATTEMPTS):
        text = _Writer(extra).write(tree)
        if len(text) >= min_len and re.fullmatch(pattern, text):
            break
    return text


class _Writer:
    """Writes text for a parsed expression; everything that may be repeated is repeated ``extra`` times more than it must."""

    def __init__(self, extra: int) -> None:
        self._extra = extra
        self._groups: dict[int, str] = {}

    def write(self, tree: Iterable[Any]) -> str:
        return "".join(self._piece(str(operator), argument) for operator, argument in tree)

    def _piece(self, operator: str, argument: Any) -> str:
        match operator:
            case "LITERAL":
                return chr(argument)
            case "NOT_LITERAL":
                return next(letter for letter in ALPHABET if ord(letter) != argument)
            case "ANY":
                return "a"
            case "IN":
                return next((letter for letter in ALPHABET if _is_in(letter, argument)), "")
            case "BRANCH":
                return self.write(argument[1][self._extra % len(argument[1])])
            case "SUBPATTERN":
                number, *_, inner = argument
                text = self._groups[number] = self.write(inner)
                return text
            case "GROUPREF":
                return self._groups.get(argument, "")
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, inner = argument
                return self.write(inner) * int(min(least + self._extra, most))
            case "ATOMIC_GROUP":
                return self.write(argument)
            case _:  # positions and conditions
                return ""


def _is_in(letter: str, items: Iterable[Any]) -> bool:
    """Whether a character belongs to a set in square brackets."""
    negated, found = False, False
    for operator, argument in items:
        match str(operator):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= ord(letter) == argument
            case "RANGE":
                found |= argument[0] <= ord(letter) <= argument[1]
            case "CATEGORY":
                found |= _is_of(letter, str(argument))
    return found != negated


def _is_of(letter: str, category: str) -> bool:
    name = category.removeprefix("CATEGORY_")
    belongs = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}.get(name.removeprefix("NOT_"), "")
    return (re.match(belongs, letter) is not None) != name.startswith("NOT_")
