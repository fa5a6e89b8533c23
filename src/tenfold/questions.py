"""The ten questions, and how a service class answers each in words."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tenfold.contract.form import Field, Form, leaves
from tenfold.spec import Spec


class Question(NamedTuple):
    """One of the ten: its number, its word, and the question in full."""

    n: int
    word: str
    text: str


QUESTIONS = (
    Question(1, "contract", "What is the input format that the service expects?"),
    Question(2, "validation", "How is input validated, and what happens when it isn't valid?"),
    Question(3, "transforms", "What turns the service's input into the model's input?"),
    Question(4, "transforms", "What turns the model's output into the service's output?"),
    Question(5, "batching", "Is data processed in batches?"),
    Question(6, "deadline", "How much time is there to return an answer?"),
    Question(7, "capacity", "What is the throughput?"),
    Question(8, "scaling", "Does it scale by itself, and on what criteria out and in?"),
    Question(9, "releases", "How are changes in the code, and changes in the model, deployed automatically?"),
    Question(10, "drift", "When does the model need an update?"),
)
ACTIONS = ("reject", "flag", "clamp", "impute", "quarantine", "fallback")  # in the order in which they are counted up


class Declared(NamedTuple):
    """An answer as the class states it. ``default`` is true where the class leaves it to tenfold."""

    question: Question
    text: str
    default: bool


def declared(spec: Spec) -> tuple[Declared, ...]:
    """The ten answers in the words of the answer sheet."""
    texts = (
        contract_words(spec.input),
        validation_words(spec.input),
        spec.preprocess,
        spec.postprocess,
        spec.batching.describe(),
        spec.deadline.describe(),
        spec.capacity.describe(),
        spec.scaling.describe(),
        spec.releases.describe(),
        spec.drift.describe(),
    )
    return tuple(
        Declared(question, f"{text} (default)" if question.n in spec.defaults else text, question.n in spec.defaults)
        for question, text in zip(QUESTIONS, texts, strict=True)
    )


def contract_words(form: Form) -> str:
    """How many fields there are and which is the key: "7 fields, key ticket"."""
    fields = [field for _, _, _, field in leaves(form.fields)]
    given = [field for field in fields if not field.key]
    words = f"{len(given)} field{'s' * (len(given) != 1)}"
    return f"{words}, key {form.key.wire}" if form.key else words


def validation_words(form: Form) -> str:
    """How many fields and rules have which action: "2 reject, 4 flag, 1 impute"."""
    actions = Counter(name for _, _, _, field in leaves(form.fields) for name in _actions(field))
    actions.update(rule.on_invalid.name for rule in form.rules)
    return ", ".join(f"{actions[name]} {name}" for name in ACTIONS if actions[name])


def _actions(field: Field) -> set[str]:
    stated = (field.on_invalid, field.on_missing, field.on_unseen)
    return {action.name for action in stated if action is not None and action.name != "reject"} or {"reject"}
