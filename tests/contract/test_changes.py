"""What changed between two contracts, and what of it breaks whoever talks to the service."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.contract.changes import Difference, compare
from tenfold.contract.form import Action, Field, Form, ImageForm, Rule
from tenfold.validation.scalar import Decoder
from tests.validation.forms import actions, constraints, forms, is_consistent, rows, to_json

X = Field(name="x", wire="x", kind="float")
EMPTY = Form(name="Row", fields=())
FLAG, QUARANTINE = Action("flag"), Action("quarantine")


def said(**what: Any) -> Field:
    """The field x with more to say."""
    return msgspec.structs.replace(X, **what)


def request(old: Field | None, new: Field | None) -> list[Difference]:
    """The differences of a request with that one field."""
    was, now = (Form(name="Row", fields=(field,) if field else ()) for field in (old, new))
    return compare((was, EMPTY), (now, EMPTY))


def answer(old: Field | None, new: Field | None) -> list[Difference]:
    """The differences of an answer with that one field."""
    was, now = (Form(name="Row", fields=(field,) if field else ()) for field in (old, new))
    return compare((EMPTY, was), (EMPTY, now))


PICTURE = said(kind="image", image=ImageForm())
NARROWER = [
    pytest.param(said(le=60.0), said(le=50.0), id="a lower upper bound"),
    pytest.param(said(le=60.0), said(lt=60.0), id="a bound that excludes itself"),
    pytest.param(X, said(ge=0.0), id="a new lower bound"),
    pytest.param(said(kind="date", ge="2026-01-01"), said(kind="date", ge="2026-02-01"), id="a later first day"),
    pytest.param(said(kind="text", max_len=5), said(kind="text", max_len=4), id="shorter text"),
    pytest.param(said(kind="text"), said(kind="text", pattern="[a-z]+"), id="a pattern"),
    pytest.param(said(kind="category", categories=("A", "B")), said(kind="category", categories=("A",)), id="a label"),
    pytest.param(said(multiple_of=0.5), said(multiple_of=1.0), id="a coarser grid"),
    pytest.param(said(nullable=True), X, id="no null"),
    pytest.param(said(kind="datetime"), said(kind="datetime", timezone="aware"), id="an offset"),
    pytest.param(X, said(predicates=("even",)), id="a predicate"),
    pytest.param(said(kind="tensor", shape=(-1, 2), dtype="float32"), said(kind="tensor", shape=(3, 2), dtype="float32"),
                 id="a fixed shape"),
    pytest.param(PICTURE, said(kind="image", image=ImageForm(formats=("PNG",))), id="fewer formats"),
    pytest.param(PICTURE, said(kind="image", image=ImageForm(alpha="reject")), id="no transparency"),
    pytest.param(said(unit="mm"), said(unit="cm"), id="another unit"),
    pytest.param(X, said(kind="int"), id="whole numbers"),
    pytest.param(X, said(kind="text"), id="another kind"),
]  # fmt: skip


@pytest.mark.parametrize(("wide", "narrow"), NARROWER)
def test_a_stricter_request_breaks_and_a_looser_one_does_not(wide: Field, narrow: Field) -> None:
    """Whoever sends what was allowed is refused; the other way about nobody notices, but for kinds and units."""
    assert any(difference.breaks for difference in request(wide, narrow))
    both_ways = wide.unit != narrow.unit or {wide.kind, narrow.kind} == {"float", "text"}
    assert any(difference.breaks for difference in request(narrow, wide)) == both_ways


@pytest.mark.parametrize(("wide", "narrow"), NARROWER)
def test_a_looser_answer_breaks(wide: Field, narrow: Field) -> None:
    """Whoever reads answers may rely on what the contract ruled out."""
    assert any(difference.breaks for difference in answer(narrow, wide))


def test_a_bound_that_only_flags_refuses_nobody() -> None:
    """A stricter bound whose values are flagged is told, and breaks nothing; the same with quarantine does."""
    (difference,) = request(said(le=60.0, on_invalid=FLAG), said(le=50.0, on_invalid=FLAG))
    assert difference == Difference("request", "/x", "at most 60", "at most 50", "")
    assert request(said(le=60.0, on_invalid=QUARANTINE), said(le=50.0, on_invalid=QUARANTINE))[0].breaks


def test_fields_come_and_go() -> None:
    """A new field that is required, or an old one that is not known any more, breaks requests; optional ones don't."""
    assert request(None, X)[0] == Difference("request", "/x", "not there", "float", "requests without it are refused")
    assert not request(None, said(nullable=True))[0].breaks
    assert request(X, None)[0].now == "gone"
    assert request(X, None)[0].breaks
    assert answer(X, None)[0].breaks
    assert not answer(None, X)[0].breaks


def test_a_rule_that_begins_to_refuse_breaks() -> None:
    """A rule that only flagged and rejects now is told by its name."""
    was, now = (Form(name="Row", fields=(X,), rules=(Rule("round", "", action),)) for action in (FLAG, QUARANTINE))
    (difference,) = compare((was, EMPTY), (now, EMPTY))
    assert (difference.pointer, difference.was, difference.now) == ("rule:round", "flag", "quarantine")
    assert difference.breaks


def test_where_it_is_said_within_nested_contracts() -> None:
    """Pointers are those of a request, with names on the wire."""
    old, new = (
        Field(name="a", wire="a/b", kind="object", fields=(Field(name="y", wire="the y", kind="float", le=most),))
        for most in (2.0, 1.0)
    )
    assert [difference.pointer for difference in request(old, new)] == ["/a~1b/the y"]


def test_equal_contracts_have_no_differences() -> None:
    """Nothing changed, nothing is said."""
    form = Form(name="Row", fields=(X, PICTURE))
    assert compare((form, form), (form, form)) == []


@st.composite
def altered(draw: st.DrawFn, field: Field) -> Field:
    """A field of the same name and kind that may say anything else."""
    if field.kind in ("object", "list") or not draw(st.booleans()):
        return field
    said = draw(constraints(field.kind)) | {"nullable": draw(st.booleans())}
    said |= draw(actions(field.kind, said))
    return Field(name=field.name, wire=field.wire, kind=field.kind, **said)


@st.composite
def changed(draw: st.DrawFn) -> tuple[Form, Form]:
    """A contract, and another one of the same fields."""
    old = draw(forms())
    new = Form(name="Row", fields=tuple(draw(altered(field)) for field in old.fields))
    return old, new if is_consistent(new) else old


@settings(suppress_health_check=list(HealthCheck), max_examples=100)
@given(st.data())
def test_whoever_is_not_told_of_a_break_is_not_refused(data: st.DataObject) -> None:
    """A row that the old decoder takes and the new one refuses is covered by a difference that breaks requests."""
    old, new = data.draw(changed())
    before, after = Decoder(old), Decoder(new)
    told = any(difference.breaks for difference in compare((old, EMPTY), (new, EMPTY)))
    for _ in range(3):
        body = to_json(data.draw(rows(old.fields)))
        taken, refused = before.one_slow(body), after.one_slow(body)
        if not taken.violations and refused.violations:
            assert told, (body, refused.violations)
