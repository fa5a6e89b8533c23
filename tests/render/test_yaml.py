"""YAML that is written here is what everybody else reads."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tenfold.render.yaml import text

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "no",
        "Off",
        "~",
        "null",
        "1e3",
        "0x1f",
        "12:30:45",
        "2026-11-23",
        "=",
        "<<",
        "a: b",
        "- a",
        "#",
        "a:8000",
        "/a",
        "",
        "é",
    ]
)
SCALARS = TEXTS | st.integers() | st.booleans() | st.none()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=20
)


@given(st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), min_size=1, max_size=3))
def test_what_is_written_is_read(documents: list[dict[str, Any]]) -> None:
    """Whatever stands in a document, a reader of YAML finds the same, and as many documents."""
    written = text(("A sentence.", document) for document in documents if document)
    found = [document for document in yaml.safe_load_all(written) if document is not None]
    assert found == [document for document in documents if document]


@pytest.mark.parametrize("word", ["tumour-check", "/readyz", "apps/v1", "tumour-check:3f9c2a1", "http"])
def test_plain_words_have_no_quotes(word: str) -> None:
    """A person reads it without noise."""
    assert text([("One.", {"key": word})]) == f"# One.\nkey: {word}\n"
