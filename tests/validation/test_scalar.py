"""What a JSON body becomes: packed rows, or every reason why not."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Action, Field, Form, ImageForm
from tenfold.errors import ContractError, Violation
from tenfold.validation import block
from tenfold.validation.actions import resolve
from tenfold.validation.scalar import Decoder, Slow

ADDRESS = (
    Field(name="city", wire="city", kind="text", max_len=20),
    Field(name="floor", wire="floor", kind="int", nullable=True),
)
FIELDS = (
    Field(name="sample", wire="sample", kind="text", key=True),
    Field(name="mean_radius", wire="mean radius", kind="float", gt=0, le=60),
    Field(name="texture", wire="texture", kind="float", on_missing=Action("impute", 18.84)),
    Field(name="smoothness", wire="smoothness", kind="float", ge=0, le=0.3, on_invalid=Action("clamp")),
    Field(name="scanner", wire="scanner", kind="category", categories=("A", "B"), on_unseen=Action("flag")),
    Field(name="count", wire="count", kind="int", nullable=True),
    Field(name="address", wire="address", kind="object", nullable=True, fields=ADDRESS),
)
FORM = Form(name="Tumour", fields=FIELDS)
ROW: dict[str, Any] = {
    "sample": "s-1",
    "mean radius": 17.5,
    "texture": 20,
    "smoothness": 0.1,
    "scanner": "B",
    "count": 3,
    "address": {"city": "Zürich", "floor": 2},
}


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    """The contract that most of these tests are about."""
    return Decoder(FORM)


def body(**changes: Any) -> bytes:
    """The good row with some values changed; ``...`` takes one away."""
    row = {**ROW, **{name.replace("_", " "): value for name, value in changes.items()}}
    return json.dumps({name: value for name, value in row.items() if value is not ...}).encode()


def slow(decoder: Decoder, data: bytes) -> list[tuple[str, str]]:
    """Pointer and code of each violation of a row."""
    with pytest.raises((msgspec.MsgspecError, Slow)):
        decoder.one(data)
    return [(violation.pointer, violation.code) for violation in decoder.one_slow(data).violations]


def test_a_valid_row_is_packed_in_the_order_of_the_layout(decoder: Decoder) -> None:
    """The replica finds each value where the layout says it is."""
    parts = decoder.one(body())
    assert struct.unpack("<3d", parts[0]) == (17.5, 20.0, 0.1)
    assert struct.unpack("<2q", parts[1]) == (3, 2)
    assert struct.unpack("<i", parts[2]) == (1,)
    assert parts[3:] == (b"\x00", b"s-1", "Zürich".encode())


def test_an_absent_object_leaves_its_fields_missing(decoder: Decoder) -> None:
    """Nothing has to be said of an address that need not be there."""
    assert decoder.one(body(address=None)) == decoder.one(body(address=...))
    assert decoder.one(body(address=None, count=None))[3] == bytes([0b111])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mean_radius": "wide"}, [("/mean radius", "wrong_type")]),
        ({"mean_radius": True}, [("/mean radius", "wrong_type")]),
        ({"mean_radius": 0}, [("/mean radius", "out_of_range")]),
        ({"mean_radius": 10**400}, [("/mean radius", "non_finite")]),
        ({"mean_radius": None}, [("/mean radius", "missing")]),
        ({"mean_radius": ...}, [("/mean radius", "missing")]),
        ({"count": 3.9}, [("/count", "wrong_type")]),
        ({"count": 2**63}, [("/count", "out_of_range")]),
        ({"count": 1e300}, [("/count", "wrong_type")]),
        ({"smoothness": "0.1"}, [("/smoothness", "wrong_type")]),
        ({"scanner": 1}, [("/scanner", "wrong_type")]),
        ({"address": {"floor": 1}}, [("/address/city", "missing")]),
        ({"address": []}, [("/address", "wrong_type")]),
        (
            {"address": {"city": "x" * 21, "street": 1}},
            [("/address/city", "out_of_range"), ("/address/street", "unknown_field")],
        ),
        ({"zip/code~": 1}, [("/zip~1code~0", "unknown_field")]),
    ],
)
def test_what_is_wrong_is_told_by_pointer_and_code(
    decoder: Decoder, changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """A client learns which value is wrong, and how, in names that it sent itself."""
    assert slow(decoder, body(**changes)) == expected


def test_all_violations_are_told_at_once(decoder: Decoder) -> None:
    """Whoever mends a row need not send it once per mistake."""
    data = body(mean_radius="wide", count=1.5, scanner=2, sample=None, size=1)
    codes = ["missing", "wrong_type", "wrong_type", "wrong_type", "unknown_field"]
    assert [code for _, code in slow(decoder, data)] == codes


def test_a_violation_never_repeats_what_was_sent(decoder: Decoder) -> None:
    """An error can be logged without logging the data."""
    for secret in ("swordfish", 987654.25, ["swordfish"]):
        for name in FIELDS:
            said = decoder.one_slow(body(**{name.wire: secret})).violations
            assert "swordfish" not in str(said)
            assert "987654" not in str(said)


@pytest.mark.parametrize(
    ("changes", "action", "code", "value"),
    [
        ({"texture": ...}, "impute", "missing", 18.84),
        ({"texture": None}, "impute", "missing", 18.84),
        ({"smoothness": 7}, "clamp", "out_of_range", 0.3),
        ({"smoothness": -1e9}, "clamp", "out_of_range", 0.0),
    ],
)
def test_a_changed_row_is_answered_and_says_so(
    decoder: Decoder, changes: dict[str, Any], action: str, code: str, value: float
) -> None:
    """Nothing is altered silently: the new value, the rule and the reason are told."""
    outcomes = decoder.one_slow(body(**changes))
    (change,) = outcomes.changes
    assert (change.action, change.code, change.value) == (action, code, value)
    assert outcomes.parts == [decoder.one(body(**{change.pointer[1:]: value}))]


def test_a_flagged_category_is_missing_to_the_model(decoder: Decoder) -> None:
    """A scanner nobody has seen is answered, remarked on, and no scanner at all to the model."""
    outcomes = decoder.one_slow(body(scanner="C"))
    assert [(flag.pointer, flag.code) for flag in outcomes.flags] == [("/scanner", "unseen")]
    assert outcomes.parts[0][2] == struct.pack("<i", -1)


def test_a_number_that_no_batch_can_hold_is_refused_where_others_are_flagged() -> None:
    """Of a list of numbered categories, an unknown one is flagged, and one beyond 64 bits refuses its row."""
    ward = Field(name="", wire="", kind="category", categories=(1, 2, 3))
    wards = Field(name="wards", wire="wards", kind="list", item=ward, on_invalid=Action("flag"))
    decoder = Decoder(Form(name="Visits", fields=(wards,)))
    flagged = decoder.one_slow(b'{"wards": [1, 9]}')
    assert [(flag.pointer, flag.code) for flag in flagged.flags] == [("/wards/1", "unseen")]
    assert flagged.parts
    for number in (2**63, -(2**63) - 1, 10**30):
        assert slow(decoder, b'{"wards": [1, %d]}' % number) == [("/wards/1", "unseen")]


def test_a_whole_number_written_as_a_decimal_is_an_integer(decoder: Decoder) -> None:
    """JavaScript's 3.0 is 3, and no digit is lost."""
    assert decoder.one_slow(body(count=3.0)).parts == [decoder.one(body(count=3))]


def test_a_64_bit_id_keeps_its_digits(decoder: Decoder) -> None:
    """Ids do not pass through a float on the way."""
    assert struct.unpack("<2q", decoder.one(body(count=1344800117571260417))[1])[0] == 1344800117571260417


# -- keys ----------------------------------------------------------------------------------------------------


def test_the_key_is_known_of_packed_rows_and_of_refused_ones(decoder: Decoder) -> None:
    """The answer can echo the key whatever became of the row."""
    assert decoder.key_of(decoder.one(body())) == "s-1"
    assert decoder.one_slow(body(mean_radius=-1)).key == "s-1"
    numbered = Decoder(Form(name="Row", fields=(Field(name="id", wire="id", kind="int", key=True),)))
    assert numbered.key_of(numbered.one(b'{"id": -7}')) == -7
    assert Decoder(Form(name="Row", fields=FIELDS[1:2])).key_of((b"",)) is None


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ('{"x": 1, "x": 1}', "/x"),
        ('{"x": 1, "\\u0078": 2}', "/x"),
        ('{"x": 1, "o": {"t": "a", "t": "b"}}', "/o/t"),
    ],
)
def test_a_repeated_key_is_refused(text: str, pointer: str) -> None:
    """Parsers disagree about which of two equal keys counts, so neither does."""
    inner = Field(name="t", wire="t", kind="text")
    form = Form(
        name="Row",
        fields=(
            Field(name="x", wire="x", kind="float"),
            Field(name="o", wire="o", kind="object", nullable=True, fields=(inner,)),
        ),
    )
    assert slow(Decoder(form), text.encode()) == [(pointer, "duplicate_key")]
    many = Decoder(form).many(f'[{{"x": 1}}, {text}, {{"x": 2}}]'.encode())
    assert many.index == [0, 2]
    assert [(violation.row, violation.code) for violation in many.violations] == [(1, "duplicate_key")]


def test_quotation_marks_in_text_are_no_repeated_keys() -> None:
    """A row with escaped quotation marks is as good as any other."""
    decoder = Decoder(Form(name="Row", fields=(Field(name="t", wire="t", kind="text"),)))
    assert decoder.one(b'{"t": "say \\"\\"\\"\\" twice"}') == (b'say """" twice',)


# -- bodies that are no rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}{}",
        b'{"mean radius": NaN}',
        b'{"mean radius": -Infinity}',
        b'{"mean radius": 1e999, "count": NaN}',
        b'{"mean radius": 1e999, "sample": "\\ud800"}',
        b'{"sample": "\xff"}',
        b'{"sample": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        '{"sample": "a"}'.encode("utf-16"),
        b'{"x": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_json_is_malformed_as_a_whole(decoder: Decoder, data: bytes) -> None:
    """A body that cannot be parsed is one mistake, of the body."""
    with pytest.raises((msgspec.MsgspecError, Slow)):
        decoder.one(data)
    for outcomes in (decoder.one_slow(data), decoder.many(b"[1, " + data + b"]")):
        (violation,) = outcomes.malformed
        assert (violation.row, violation.pointer, violation.code) == (0, "", "malformed")
        assert list(outcomes.violations) == [violation]
        assert not outcomes.parts


@pytest.mark.parametrize("data", [b"null", b"5", b'"text"', b"[1]", b"true"])
def test_json_that_is_no_object_is_no_row(decoder: Decoder, data: bytes) -> None:
    """A row is an object; anything else has the wrong type, as a whole."""
    assert slow(decoder, data) == [("", "wrong_type")]


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789.eE-+\\untrfalsNIy \n', max_size=60).map(str.encode))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    """Whatever arrives is answered with rows or reasons."""
    decoder = Decoder(FORM)
    for outcomes in (decoder.one_slow(data), decoder.many(data), decoder.many(b"[" + data + b"]")):
        assert outcomes.parts or outcomes.violations or not outcomes.total
        assert all(isinstance(violation, Violation) for violation in outcomes.violations)


# -- many rows ---------------------------------------------------------------------------------------------------


def test_good_rows_are_answered_beside_bad_ones(decoder: Decoder) -> None:
    """One bad row never fails the others, and its number says which it was."""
    rows = [body(), b"5", body(mean_radius=99), body(texture=None), b"null", body(count="x")]
    outcomes = decoder.many(b"[" + b",".join(rows) + b"]")
    assert outcomes.index == [0, 3]
    assert outcomes.total == 6
    assert [(violation.row, violation.pointer) for violation in outcomes.violations] == [
        (1, ""),
        (2, "/mean radius"),
        (4, ""),
        (5, "/count"),
    ]
    assert [change.row for change in outcomes.changes] == [3]


def test_no_rows_are_no_mistake(decoder: Decoder) -> None:
    """An empty array is answered with an empty one."""
    outcomes = decoder.many(b"[]")
    assert (outcomes.total, list(outcomes.parts), list(outcomes.violations)) == (0, [], [])


def test_more_rows_than_allowed_are_counted_and_not_read(decoder: Decoder) -> None:
    """A body of a million rows costs no more than counting them."""
    for rows in (b"[" + b",".join([body()] * 3) + b"]", b"[1,2,3]"):
        outcomes = decoder.many(rows, max_rows=2)
        assert (outcomes.total, list(outcomes.parts), list(outcomes.violations)) == (3, [], [])


def test_a_body_can_name_only_so_many_unknown_fields(decoder: Decoder) -> None:
    """The answer to a body full of strange names is small."""
    strange = {f"strange {number}": 1 for number in range(10_000)}
    assert len(slow(decoder, json.dumps(ROW | strange).encode())) == 16


# -- pictures ----------------------------------------------------------------------------------------------------


def test_a_picture_is_base64_in_json_or_the_body_itself() -> None:
    """Both ways bring the same bytes to the replica, which decodes them."""
    image = Field(name="image", wire="image", kind="image", image=ImageForm(max_bytes=8))
    decoder = Decoder(Form(name="Digit", fields=(image, Field(name="note", wire="note", kind="text", nullable=True))))
    assert decoder.one(b'{"image": "aGVsbG8h", "note": null}') == (b"\x01", b"hello!", b"")
    assert decoder.picture(b"hello!").parts == [(b"\x01", b"hello!", b"")]
    assert slow(decoder, b'{"image": "aGVsbG8"}') == [("/image", "wrong_type")]
    assert slow(decoder, b'{"image": "aGVsbG8hISEh"}') == [("/image", "image_too_large")]
    assert [v.code for v in decoder.picture(b"too large").violations] == ["image_too_large"]


# -- actions -----------------------------------------------------------------------------------------------------


def test_a_quarantined_row_is_refused_and_put_aside_with_its_reasons() -> None:
    """The client learns that the row was put aside, and a person learns why."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind="float", le=1.0, on_invalid=Action("quarantine")),))
    outcomes = Decoder(form).one_slow(b'{"x": 2}')
    assert [(violation.pointer, violation.code) for violation in outcomes.violations] == [("/x", "quarantined")]
    assert [reason.code for reason in outcomes.put_aside[0]] == ["out_of_range"]


def test_a_row_with_a_fallback_is_not_refused_unless_something_else_refuses_it() -> None:
    """The fallback answer is for rows that are only wrong where the contract foresaw it."""
    fields = (
        Field(name="x", wire="x", kind="float", le=1.0, on_invalid=Action("fallback")),
        Field(name="y", wire="y", kind="float", nullable=True),
    )
    decoder = Decoder(Form(name="Row", fields=fields))
    fallen = decoder.one_slow(b'{"x": 2}')
    assert (fallen.fallbacks, fallen.violations, fallen.parts) == ({0: "out_of_range"}, [], [])
    refused = decoder.one_slow(b'{"x": 2, "y": "no"}')
    assert (refused.fallbacks, [violation.pointer for violation in refused.violations]) == ({}, ["/y"])


def test_a_median_that_nobody_knows_is_told_before_any_traffic() -> None:
    """An action that could not be carried out is an error of the contract."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind="float", on_missing=Action("impute", of="median")),))
    with pytest.raises(ContractError, match=r'Row: x has on_missing\(impute\("median"\)\)'):
        Decoder(form)
    resolved = resolve(form, {"x": {"median": 4.5, "mode": 4.0}})
    assert Decoder(resolved).one_slow(b"{}").changes[0].value == 4.5


def test_the_front_needs_no_numpy() -> None:
    """A front stays small: decoding imports neither NumPy nor anything of the user's."""
    code = (
        "import sys, tenfold.validation.scalar; sys.exit(any(m in sys.modules for m in ('numpy', 'annotated_types')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("timezone", "accepted"), [("naive", True), ("", True), ("aware", False)])
def test_a_day_is_its_midnight(timezone: Literal["naive", "aware", ""], accepted: bool) -> None:
    """A moment without a time of day may be written as pandas writes it; where an offset is needed it lacks one."""
    form = Form(name="Row", fields=(Field(name="at", wire="at", kind="datetime", timezone=timezone),))
    for body in (b'{"at": "2026-01-15"}', b'{"at": "2026-02-30"}'):
        said = Decoder(form).one_slow(body).violations
        assert (not said) == (accepted and b"01-15" in body)
    if accepted:
        rows = [block.check(form, [{"at": text}]).rows["at"][0] for text in ("2026-01-15", "2026-01-15T00:00:00")]
        assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [("2026-01-15T00:00:00.000", True), ("2026-01-15T00:00:01", False), ("2026-01-15T00:00:00Z", False)],
)
def test_a_midnight_is_its_day(text: str, accepted: bool) -> None:
    """A day may be written as pandas writes it; a moment with a time of day or an offset is no day."""
    form = Form(name="Row", fields=(Field(name="day", wire="day", kind="date"),))
    said = Decoder(form).one_slow(json.dumps({"day": text}).encode()).violations
    assert [violation.detail for violation in said] == (
        [] if accepted else ["day must be a date (YYYY-MM-DD), found a date and time"]
    )
