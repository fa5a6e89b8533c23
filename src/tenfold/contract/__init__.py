"""What does an input look like? Contracts declared as classes, their plain form, and what is read by it and made of it.

Names load lazily: the front needs only ``tenfold.contract.form`` and imports neither NumPy nor user code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.contract.declare import Contract as Contract

_VOCABULARY = """
    Alias Image Key Pattern Private Tensor clamp fallback flag impute on_invalid on_missing on_unseen quarantine reject rule
"""
_ANNOTATED_TYPES = "Ge Gt Interval Le Len Lt MaxLen MinLen MultipleOf Predicate Timezone Unit"
_HOME = {
    "Contract": "tenfold.contract.declare",
    **dict.fromkeys(_VOCABULARY.split(), "tenfold.contract.vocabulary"),
    **dict.fromkeys(_ANNOTATED_TYPES.split(), "annotated_types"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME)
