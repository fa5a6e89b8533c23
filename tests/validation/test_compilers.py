"""Two compilers from one contract: what the one says of a row, the other says."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings

from tenfold.contract.form import Form, layout_of
from tenfold.rows import Rows
from tenfold.server.blocks import read_rows
from tenfold.server.frames import Joiner
from tenfold.validation import block
from tenfold.validation.scalar import Decoder, Outcomes, Slow
from tests.validation.forms import forms_and_rows, to_json

BROAD = settings(
    max_examples=3 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(forms_and_rows())
@BROAD
def test_whatever_the_first_pass_lets_through_the_second_lets_through_unchanged(case: tuple[Form, list[Any]]) -> None:
    """A valid row gets the same values by the fast way and by the thorough one."""
    form, records = case
    decoder = Decoder(form)
    for record in records:
        body = to_json(record)
        try:
            parts = decoder.one(body)
        except (msgspec.MsgspecError, Slow):
            continue
        slow = decoder.one_slow(body)
        assert slow.parts == [parts]
        assert [*slow.violations, *slow.changes, *slow.flags, *slow.put_aside, *slow.fallbacks] == []


@given(forms_and_rows())
@BROAD
def test_single_rows_and_blocks_are_judged_alike(case: tuple[Form, list[Any]]) -> None:
    """A table of rows gets the very values, changes, flags and refusals that the rows get as requests."""
    form, records = case
    scalar = Decoder(form).many(to_json(records))
    blocks = block.check(form, records)
    assert blocks.total == scalar.total
    assert list(blocks.violations) == list(scalar.violations)
    assert list(blocks.changes) == list(scalar.changes)
    assert list(blocks.flags) == list(scalar.flags)
    assert blocks.put_aside == scalar.put_aside
    assert blocks.fallbacks == scalar.fallbacks
    assert blocks.index.tolist() == list(scalar.index)
    assert_same(blocks.rows, rows_of(form, scalar))


@given(forms_and_rows())
@BROAD
def test_a_row_among_many_is_judged_as_it_is_alone(case: tuple[Form, list[Any]]) -> None:
    """What is said of a row does not depend on the rows beside it."""
    form, records = case
    decoder = Decoder(form)
    many = decoder.many(to_json(records))
    accepted = dict(zip(many.index, many.parts, strict=True))
    for number, record in enumerate(records):
        alone = decoder.one_slow(to_json(record))
        assert alone.parts == ([accepted[number]] if number in accepted else [])
        assert [v._replace(row=0) for v in many.violations if v.row == number] == list(alone.violations)
        assert [c._replace(row=0) for c in many.changes if c.row == number] == list(alone.changes)
        assert [f._replace(row=0) for f in many.flags if f.row == number] == list(alone.flags)
        assert many.fallbacks.get(number) == alone.fallbacks.get(0)


def rows_of(form: Form, outcomes: Outcomes) -> Rows:
    """The rows that a replica would read."""
    layout = layout_of(form)
    if not outcomes.parts:
        return block.check(form, []).rows
    return read_rows(layout, len(outcomes.parts), Joiner(layout).join(outcomes.parts))


def assert_same(one: Rows, other: Rows) -> None:
    """Both have the same values, bit for bit but for the payload of NaN."""
    (blocks, bits, own), (other_blocks, other_bits, other_own) = one.parts(), other.parts()
    assert blocks.keys() == other_blocks.keys()
    for name in blocks:
        np.testing.assert_array_equal(blocks[name], other_blocks[name])
        assert blocks[name].dtype == other_blocks[name].dtype
    np.testing.assert_array_equal(bits, other_bits)
    for values, others in zip(own, other_own, strict=True):
        assert values.shape == others.shape
        assert values.dtype == others.dtype
        for value, twin in zip(values, others, strict=True):
            assert type(value) is type(twin)
            np.testing.assert_array_equal(value, twin)
