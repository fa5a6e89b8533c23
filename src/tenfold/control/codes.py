"""What an error code means and what to do about it."""

from __future__ import annotations

from difflib import get_close_matches

from tenfold.errors import CODES, Code, NotFound


def explain(code: str | None = None) -> dict[str, Code]:
    """The page of a code, or every page. ``rule:NAME`` is explained as ``rule``; ``NotFound`` names the nearest."""
    if code is None:
        return dict(CODES)
    word = code.partition(":")[0].strip().lower().replace("-", "_")
    if word not in CODES:
        near = get_close_matches(word, CODES, n=1)
        hint = f"tenfold explain {near[0]}" if near else "tenfold explain lists them all"
        raise NotFound(f"there is no code {code!r}", hint)
    return {code: CODES[word]}
