"""Documents as YAML: blocks, keys in the order in which they were given, and texts in quotes unless they are plain words.

Only what YAML 1.1 and 1.2 read alike is written (https://yaml.org/spec/1.2.2/), since tools differ in which one they read:
"no" and "1e3" are texts, and have quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_WORD = re.compile(r"[A-Za-z/][A-Za-z0-9._/-]*(:[A-Za-z0-9._/-]+)*")  # also name:tag and address:port
_MEANT_OTHERWISE = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def text(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """Several documents, each behind a comment that says what it is for."""
    return "---\n".join(f"# {comment}\n" + "\n".join(_block(document, "")) + "\n" for comment, document in documents)


def _block(value: Any, margin: str) -> Iterator[str]:
    """The lines of a mapping or a list that is not empty."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _has_lines(item):
                yield f"{margin}{_scalar(key)}:"
                yield from _block(item, f"{margin}  ")
            else:
                yield f"{margin}{_scalar(key)}: {_scalar(item)}"
        return
    for item in value:
        if _has_lines(item):
            first, *others = _block(item, f"{margin}  ")
            yield f"{margin}- {first[len(margin) + 2 :]}"
            yield from others
        else:
            yield f"{margin}- {_scalar(item)}"


def _has_lines(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and bool(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _MEANT_OTHERWISE:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
