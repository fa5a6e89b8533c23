"""Services by their contracts alone, for tests of what only needs these."""

from __future__ import annotations

from typing import Any

from tenfold.contract.form import Form
from tenfold.spec import Spec


def bare(name: str, given: Form, told: Form, **answers: Any) -> Spec:
    """A service of which nothing else is said but these answers."""
    values: dict[str, Any] = {"title": name.title(), "doc": "", "model": "", "preprocess": "", "postprocess": ""}
    return Spec(name=name, input=given, output=told, **values, **answers)
