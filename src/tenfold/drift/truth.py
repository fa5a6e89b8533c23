"""What a service's answers are judged by: the task that its output contract states, and answers beside their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tenfold.drift.columns import Column, Floats, cells_of
from tenfold.drift.performance import STEPS, Outcomes, Task, Truth, count

Said = Mapping[str, Any]  # an answer or a label as JSON has it, by field


def answer_field(columns: Sequence[Column]) -> Column | None:
    """The column of the answer: a label, else the first number; None where only a probability is answered."""
    said = [column for column in columns if column.role == "prediction"]
    return next((column for column in said if column.kind == "category"), said[0] if said else None)


def label_field(columns: Sequence[Column]) -> str | None:
    """The output field that labels are given for."""
    answer = answer_field(columns) or next((column for column in columns if column.role == "score"), None)
    return answer.name if answer is not None else None


def task_of(columns: Sequence[Column], labels: Floats) -> Task | None:
    """The task of a service, given some labels (n,) as numbers, NaN for classes; None where its answers cannot be judged.

    A probability that is named after a class, or answered alone, ranks rows; one that goes with the label says how sure it
    is of it, whatever that is.
    """
    answer = answer_field(columns)
    score = next((column for column in columns if column.role == "score"), None)
    if answer is None:
        return Task("auc", ("0", "1")) if score is not None else None
    if answer.kind == "category":
        classes = answer.names
        if score is not None and len(classes) == 2 and score.name in classes:
            return Task("auc", (*(name for name in classes if name != score.name), score.name))
        return Task("accuracy", classes)
    typical = float(np.nanmean(labels)) if np.isfinite(labels).any() else 1.0
    return Task("mae", unit=(abs(typical) or 1.0) / STEPS)


def code_of(task: Task, value: Any) -> float:
    """An answer or a label as numbers have it: a class by its code, a number as it is; NaN where it is neither."""
    if value is None:
        return np.nan
    if task.classes:
        name = _name(value)
        return float(task.classes.index(name)) if name in task.classes else np.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _name(value: Any) -> str:
    """A value as the name of a class: true for True, 1 for 1.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


class Told(NamedTuple):
    """Answers as numbers have them, (n,) each: class codes or numbers, and scores; NaN where there is none."""

    predicted: Floats
    scores: Floats


def told(task: Task, columns: Sequence[Column], saids: Sequence[Said]) -> Told:
    """What was answered."""
    answer, score = answer_field(columns), next((column for column in columns if column.role == "score"), None)
    predicted = np.array(
        [code_of(task, said.get(answer.name)) if answer else np.nan for said in saids], dtype=np.float64
    )
    scores = np.array([_number(said.get(score.name)) if score else np.nan for said in saids], dtype=np.float64)
    return Told(predicted, scores)


def truths(task: Task, columns: Sequence[Column], labels: Sequence[Said]) -> Floats:
    """What is true (n,), as the answers have it."""
    field = label_field(columns) or ""
    return np.array([_truth(task, label.get(field)) for label in labels], dtype=np.float64)


def outcomes_of(task: Task, columns: Sequence[Column], pairs: Sequence[tuple[Said, Said]]) -> Outcomes:
    """What became of labelled rows, given what was said of each and what is true."""
    predicted, scores = told(task, columns, [said for said, _ in pairs])
    actual = truths(task, columns, [is_ for _, is_ in pairs])
    score = next((column for column in columns if column.role == "score"), None)
    cells, size = np.zeros(len(pairs), dtype=np.int64), 0
    if score is not None:
        size, cells = score.cells, cells_of([score], scores[:, None])[:, 0]
        actual = np.where(np.isnan(scores), np.nan, actual) if task.metric == "auc" else actual
    return count(task, Truth(predicted, actual, cells), size)


def loss_by(columns: Sequence[Column]) -> Callable[[Said, Said], float]:
    """How much an answer loses, given what was said and what is true: 1 for a wrong class or a probability on the wrong side
    of a half, else 0; the absolute error of a number; NaN where either cannot be read."""
    answer, truth = answer_field(columns), label_field(columns) or ""
    score = next((column for column in columns if column.role == "score"), None)

    def lost(said: Said, is_: Said) -> float:
        known = is_.get(truth)
        if answer is None:
            likely, actual = _number(said.get(score.name) if score else None), _truth(Task("auc", ("0", "1")), known)
            return np.nan if np.isnan(likely + actual) else float((likely >= 0.5) != (actual == 1))
        if answer.kind == "category":
            given = said.get(answer.name)
            return np.nan if given is None or known is None else float(_name(given) != _name(known))
        return abs(_number(said.get(answer.name)) - _number(known))

    return lost


def value_of(column: Column, value: Any) -> float:
    """An answer as a column has it; NaN where there is none."""
    if column.kind == "category":
        return np.nan if value is None else float(column.codes().get(_name(value), column.unseen))
    return _number(value)


def _truth(task: Task, value: Any) -> float:
    if task.classes == ("0", "1") and isinstance(value, bool):
        return float(value)
    return code_of(task, value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
