"""The objects that a model is made of: a pipeline's steps, a forest's trees, their arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

CODE = type | ModuleType | FunctionType | BuiltinFunctionType | MethodType
ATOMS = str | bytes | int | float | complex | None


def parts(root: Any) -> Iterator[Any]:
    """The object itself and everything that it holds, each once, the whole before its parts."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ATOMS | CODE) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting.extend(_held_by(part))


def _held_by(part: Any) -> Iterable[Any]:
    match part:
        case dict():
            return part.values()
        case list() | tuple() | set() | frozenset():
            return part
        case np.ndarray():
            return part.ravel().tolist() if part.dtype == object else ()
        case _:
            return getattr(part, "__dict__", {}).values()
