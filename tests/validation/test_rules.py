"""Predicates and rules: the user's own conditions, run in the replica."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Le, Predicate

from tenfold.contract.declare import Contract
from tenfold.contract.vocabulary import fallback, flag, impute, on_invalid, quarantine, rule
from tenfold.rows import Checked, Rows
from tenfold.validation import rules


def in_the_past(moment: datetime) -> bool:
    """A predicate with a name."""
    return moment.year < 2030


class Measured(Contract):
    name: Annotated[str | None, Predicate(str.islower)]
    ratio: Annotated[float, Predicate(lambda ratio: 1 / ratio < 10), on_invalid(impute(0.5))]
    at: Annotated[datetime, Predicate(in_the_past), on_invalid(flag)]
    kind: Annotated[Literal["a", "b"], Predicate(str.islower)]
    size: Annotated[float, Le(100)]

    @rule
    def small_ratios_are_of_large_things(rows: Any) -> Any:
        """A ratio under a half needs a size over 10."""
        return (rows.ratio >= 0.5) | (rows.size > 10)


def check(contract: Any, records: list[dict[str, Any]], start: int = 0, **options: Any) -> Checked:
    """What the rules say of records that stood at ``start`` and after."""
    rows = Rows.of(records, contract)
    return rules.apply(contract, rows, np.arange(start, start + len(rows)), **options)


def measured(**changes: Any) -> dict[str, Any]:
    """A good row with some values changed."""
    return {"name": "x", "ratio": 0.5, "at": "2026-01-01T00:00:00Z", "kind": "a", "size": 1.0} | changes


def test_rows_that_hold_everything_pass_as_they_are() -> None:
    """Valid rows are the same object, so nothing is copied for them."""
    rows = Rows.of([measured(), measured(name=None)], Measured)
    checked = rules.apply(Measured, rows, np.array([4, 7]))
    assert checked.rows is rows
    assert checked.index.tolist() == [4, 7]
    assert [*checked.violations, *checked.changes, *checked.flags] == []


def test_a_predicate_refuses_by_value() -> None:
    """A value that the predicate refuses has the action of its field; a missing one is not asked about."""
    checked = check(Measured, [measured(), measured(name="X"), measured(at="2040-01-01T00:00:00Z")], start=10)
    assert [(v.row, v.pointer, v.code, v.detail) for v in checked.violations] == [
        (11, "/name", "predicate", "name must satisfy islower")
    ]
    assert [(f.row, f.pointer, f.code) for f in checked.flags] == [(12, "/at", "predicate")]
    assert checked.index.tolist() == [10, 12]
    assert len(checked.rows) == 2


def test_a_predicate_can_impute_and_the_rules_see_it() -> None:
    """What a predicate puts in is a change like any other, and the original rows stay as they are."""
    rows = Rows.of([measured(ratio=0.01)], Measured)
    checked = rules.apply(Measured, rows, np.array([0]))
    assert [(c.pointer, c.action, c.code, c.value) for c in checked.changes] == [("/ratio", "impute", "predicate", 0.5)]
    assert checked.rows.ratio.tolist() == [0.5]
    assert rows.ratio.tolist() == [0.01]


def test_a_rule_refuses_whole_rows() -> None:
    """A rule names itself in the code, and no one field in the pointer."""
    checked = check(Measured, [measured(), measured(ratio=0.2), measured(ratio=0.2, size=11)])
    assert [(v.row, v.pointer, v.code) for v in checked.violations] == [
        (1, "", "rule:small_ratios_are_of_large_things")
    ]
    assert checked.violations[0].detail.endswith("does not hold: A ratio under a half needs a size over 10.")
    assert checked.index.tolist() == [0, 2]


class Judged(Contract):
    x: float

    @rule(on_invalid=flag)
    def flagged(rows: Any) -> Any:
        return rows.x != 1

    @rule(on_invalid=quarantine)
    def kept_aside(rows: Any) -> Any:
        return rows.x != 2

    @rule(on_invalid=fallback)
    def answered_otherwise(rows: Any) -> Any:
        return rows.x != 3


def test_each_action_of_a_rule_does_what_it_says() -> None:
    """A rule can flag, put aside or fall back, and the other rows are answered."""
    checked = check(Judged, [{"x": x} for x in (0, 1, 2, 3)])
    assert [(f.row, f.pointer, f.code) for f in checked.flags] == [(1, None, "rule:flagged")]
    assert [(v.row, v.code) for v in checked.violations] == [(2, "quarantined")]
    assert [reason.code for reason in checked.put_aside[2]] == ["rule:kept_aside"]
    assert checked.fallbacks == {3: "rule:answered_otherwise"}
    assert checked.index.tolist() == [0, 1]


class Broken(Contract):
    x: Annotated[float, Predicate(lambda x: 1 / x > -1)]

    @rule
    def fails_at_seven(rows: Any) -> Any:
        if (rows.x == 7).any():
            raise KeyError("a secret value")
        return rows.x < 100


def test_what_raises_fails_the_rows_that_make_it_raise_and_no_others() -> None:
    """The user's own mistake is the service's failure, is reported once, and never told with the value."""
    reported: list[tuple[str, str, Sequence[int]]] = []
    records = [{"x": x} for x in (1, 7, 0, 200, 7)]
    checked = check(
        Broken, records, report=lambda what, error, rows: reported.append((what, type(error).__name__, rows))
    )
    assert [(v.row, v.code) for v in checked.violations] == [
        (1, "model_failed"),
        (2, "model_failed"),
        (3, "rule:fails_at_seven"),
        (4, "model_failed"),
    ]
    assert checked.index.tolist() == [0]
    assert [what for what, _, _ in reported] == ["predicate <lambda> of x", "rule fails_at_seven"]
    assert reported[1] == ("rule fails_at_seven", "KeyError", [1, 4])
    assert "secret" not in str(checked.violations)


@pytest.mark.parametrize(
    "answer", [True, np.array([True]), np.array([[True], [True]]), np.array([1.0, 0.0]), [True, None]], ids=str
)
def test_a_rule_has_to_give_one_bool_a_row(answer: Any) -> None:
    """A rule that forgets the rows is told so, rather than believed."""

    class Misshapen(Contract):
        x: float

        @rule
        def holds(rows: Any) -> Any:
            return answer

    checked = check(Misshapen, [{"x": 1}, {"x": 2}])
    assert [(v.row, v.code) for v in checked.violations] == [(0, "model_failed"), (1, "model_failed")]
    assert "one bool a row" in checked.violations[0].detail


def test_fields_of_a_nested_contract_have_predicates_too() -> None:
    """A contract means the same wherever it is nested."""

    class Inner(Contract):
        code: Annotated[str, Predicate(str.isupper)]

    class Outer(Contract):
        inner: Inner | None

    checked = check(Outer, [{"inner": {"code": "a"}}, {"inner": None}, {"inner": {"code": "A"}}])
    assert [(v.row, v.pointer) for v in checked.violations] == [(0, "/inner/code")]
