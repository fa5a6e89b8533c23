"""The second pass's parser: JSON as RFC 8259 has it, keeping what the fast one forgets (repeated keys, numbers too large)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

MAX_DEPTH = 32
HUGE = 10**400  # stands for any integer that is longer than this; no field holds either
DEEP = f"nested deeper than {MAX_DEPTH}"


class Malformed(Exception):
    """A body that is not JSON, or is nested too deeply. The message says where, never what."""


class Repeated(dict[str, Any]):
    """An object in which keys stand twice; the last of each is kept."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.names = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def parse(body: bytes) -> Any:
    """The value of a JSON text. 1e999 is infinite, and an object with a repeated key is ``Repeated``."""
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:  # a number beyond the range of floats, which is for the field to judge
        value = _parse(body)
        _refuse_lone_surrogates(value)
        return value
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from None
    except UnicodeDecodeError:
        raise Malformed("text that is not UTF-8") from None
    except RecursionError:
        raise Malformed(DEEP) from None
    return _parse(body)


def has_repeated_key(body: bytes) -> bool:
    """True if a key stands twice in one object of a JSON text that is known to be well formed."""

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise _Found

    try:
        json.loads(body.decode(), object_pairs_hook=look, parse_int=len, parse_float=len)
    except _Found:
        return True
    return False


class _Found(Exception):
    """There is one."""


def _parse(body: bytes) -> Any:
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Malformed(
            f"JSON is malformed: {error.msg}" if isinstance(error, json.JSONDecodeError) else "not UTF-8"
        ) from None
    except RecursionError:
        raise Malformed(DEEP) from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise Malformed(DEEP)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else Repeated(pairs)


def _integer(digits: str) -> int:
    if len(digits) <= 400:  # far below the length from which Python refuses to convert
        return int(digits)
    return -HUGE if digits[0] == "-" else HUGE


def _refuse(constant: str) -> None:
    raise Malformed(f"JSON has no {constant}")


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Malformed("text with half a surrogate pair") from None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
