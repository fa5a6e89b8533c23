"""What labels say of single answers, for whoever compares releases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest

from tenfold import Contract, Ge, Le
from tenfold.control import labelfiles
from tenfold.control.driftlosses import Loss, matured, usual_loss
from tenfold.control.labelfiles import Label
from tenfold.spec import Spec
from tests.drift.watching import spec_of

HOUR = 1_790_002_800.0  # a whole hour
DAY_S = 86_400.0


class Price(Contract):
    """A number."""

    price: float


class Odds(Contract):
    """A probability alone."""

    yes: Annotated[float, Ge(0), Le(1)]


def answering(output: type[Contract] | None = None, **options: Any) -> Spec:
    """A service with these answers."""
    spec = spec_of(**options)
    return spec if output is None else msgspec.structs.replace(spec, output=output.form)


def keep(home: Path, *pairs: tuple[str, float, dict[str, Any], dict[str, Any]], release: str = "f@1") -> None:
    """Labels of answers: id, time, what was said, what is true."""
    labelfiles.append(home, [Label(name, time, release, said, true) for name, time, said, true in pairs])


def test_a_label_counts_when_it_is_due(tmp_path: Path) -> None:
    """Early ones wait, so that two releases are compared by answers of the same age; the last label of an answer counts."""
    spec = answering(labels_after="1 day")
    said = {"label": "yes", "yes": 0.9}
    keep(
        tmp_path,
        ("a", HOUR, said, {"label": "yes"}),
        ("b", HOUR + 60, said, {"label": "yes"}),
        ("b", HOUR + 60, said, {"label": "no"}),
        ("c", HOUR + DAY_S, said, {"label": "no"}),
    )
    keep(tmp_path, ("d", HOUR, said, {"label": "yes"}), release="f@2")
    now = HOUR + DAY_S + 3600
    assert [*matured(tmp_path, spec, "f@1", HOUR - 60, now)] == [Loss("a", HOUR, 0.0), Loss("b", HOUR + 60, 1.0)]
    assert [one.id for one in matured(tmp_path, spec, "f@1", HOUR + 1, now)] == ["b"]
    assert [one.id for one in matured(tmp_path, spec, "f@1", HOUR, now + DAY_S)] == ["a", "b", "c"]
    assert [one.id for one in matured(tmp_path, spec, "f@2", HOUR, now)] == ["d"]
    assert [*matured(tmp_path, spec, "f@1", HOUR, HOUR)] == []
    soon = answering()
    assert [one.id for one in matured(tmp_path, soon, "f@1", HOUR, HOUR + 61)] == ["a", "b"]


@pytest.mark.parametrize(
    ("output", "said", "true", "loss"),
    [
        (None, {"label": "yes", "yes": 0.9}, {"label": "yes"}, 0.0),
        (None, {"label": "yes", "yes": 0.9}, {"label": "no"}, 1.0),
        (Price, {"price": 10.0}, {"price": 12}, 2.0),
        (Odds, {"yes": 0.9}, {"yes": 0}, 1.0),
        (Odds, {"yes": 0.4}, {"yes": 0}, 0.0),
    ],
)
def test_what_an_answer_loses(
    tmp_path: Path, output: type[Contract] | None, said: dict[str, Any], true: dict[str, Any], loss: float
) -> None:
    """A wrong class is 1, a right one 0, a number is as far off as it is."""
    keep(tmp_path, ("a", HOUR, said, true), ("b", HOUR, said, {"other": 1}), ("c", HOUR, {}, true))
    assert [*matured(tmp_path, answering(output), "f@1", HOUR, HOUR + 1)] == [Loss("a", HOUR, loss)]


def test_usual_errors_are_told_by_those_before(tmp_path: Path) -> None:
    """An error that one answer in ten makes is none to turn back for; a wrong class always counts."""
    errors = np.random.default_rng(1).exponential(size=1000)
    for k, error in enumerate(errors.tolist()):
        keep(tmp_path, (f"id{k}", HOUR, {"price": error}, {"price": 0.0}))
        keep(tmp_path, (f"id{k}", HOUR, {"label": "yes"}, {"label": "yes" if k % 3 else "no"}), release="f@2")
    limit = usual_loss(tmp_path, answering(Price), "f@1", HOUR, HOUR + 1)
    assert limit == pytest.approx(np.quantile(errors, 0.9))
    assert usual_loss(tmp_path, answering(), "f@2", HOUR, HOUR + 1) == 0.0
    assert usual_loss(tmp_path, answering(), "f@3", HOUR, HOUR + 1) is None
