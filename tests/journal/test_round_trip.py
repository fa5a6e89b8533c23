"""What a front answered is what the journal gives back, whatever the contracts hold."""

from __future__ import annotations

import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tenfold.contract.form import Field, Form, layout_of
from tenfold.drift import Drift
from tenfold.journal.picking import public
from tenfold.rows import Rows
from tenfold.server.blocks import read_rows
from tenfold.server.frames import Joiner
from tenfold.server.items import Item
from tenfold.server.many import Part
from tenfold.server.requests import Packed
from tests.journal.answering import everything, frame, pack, part, single, spec, writer
from tests.validation.forms import forms, rows

KEY = Field(name="the_key", wire="the key", kind="text", key=True)
NUMBER = replace(KEY, kind="int")


@st.composite
def contracts(draw: st.DrawFn) -> Form:
    """A contract of every kind of field, some of them Private."""
    form = draw(forms())
    return replace(form, fields=tuple(_hidden(draw, field) for field in form.fields))


def _hidden(draw: st.DrawFn, field: Field) -> Field:
    inner = tuple(_hidden(draw, each) for each in field.fields)
    return replace(field, fields=inner, private=draw(st.integers(0, 3)) == 0)


@st.composite
def packed_rows(draw: st.DrawFn, form: Form, most: int = 12) -> list[Packed]:
    """Some rows of a contract as the front packs them."""
    return pack(form, draw(st.lists(rows(form.fields), min_size=most // 2, max_size=most)))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Form, Form, list[Packed], list[Packed]]:
    """An input contract, an output contract, and a batch of both: as many rows of each."""
    form, told = draw(contracts()), draw(contracts())
    key = draw(st.sampled_from([(), (KEY,), (NUMBER,), (replace(KEY, private=True),)]))
    form = replace(form, fields=(*form.fields, *key))
    questions = draw(packed_rows(form))
    answers = draw(packed_rows(told))
    n = len(questions) if answers else 0
    return form, told, questions[:n], list(islice(cycle(answers), n))


@pytest.mark.slow
@given(batches(), st.sampled_from(["outputs", "inputs"]), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_what_was_answered_comes_back(
    batch: tuple[Form, Form, list[Packed], list[Packed]], kept: Any, random: Any
) -> None:
    """Each row that was answered to somebody keeps its id, key, output and, where wanted, its input, but nothing Private."""
    form, told, questions, answers = batch
    items = _items(questions, random)
    answered = sorted(random.sample(range(len(questions)), random.randint(0, len(questions))))
    outputs = [answers[k] for k in answered]
    with tempfile.TemporaryDirectory() as folder:
        journal = writer(Path(folder), spec(form, told, Drift(journal=kept)))
        whole = len(answered) == len(questions)
        journal.add(time.monotonic(), items, frame(told, outputs, None if whole else answered))
        journal.add(time.monotonic(), items, frame(told, outputs, None if whole else answered))
        journal.close(5.0)
        found = everything(Path(folder))
    alive = [k for k, name in enumerate(_ids(items)) if name is not None]
    expected = [k for k in answered if k in alive]
    assert sum(one.size for one in found) == 2 * len(expected)
    if not expected:
        return
    (one,) = found
    names = _ids(items)
    assert one.ids == 2 * [names[k] for k in expected]
    _same(one.outputs.take(np.arange(len(expected))), _rows(told, [outputs[answered.index(k)] for k in expected]), told)
    if kept == "inputs":
        assert one.inputs is not None
        _same(one.inputs.take(np.arange(len(expected))), _rows(form, [questions[k] for k in expected]), form)
    else:
        assert one.inputs is None
    if form.key and not form.key.private:
        assert one.keys is not None
        keys = _rows(form, [questions[k] for k in expected])[form.key.name]
        assert one.keys.tolist() == 2 * keys.tolist()
    else:
        assert one.keys is None


def _items(questions: list[Packed], random: Any) -> list[Item]:
    """The rows of a batch, as requests of their own or as parts of larger ones; some of them are done."""
    items: list[Item] = []
    at = 0
    while at < len(questions):
        done = random.random() < 0.2
        if random.random() < 0.5:
            items.append(single(questions[at], done))
            at += 1
        else:
            some = questions[at : at + random.randint(1, 4)]
            items.append(part([7 * k for k in range(len(some))], some, done))
            at += len(some)
    return items


def _ids(items: list[Item]) -> list[str | None]:
    """The id of each row as its client knows it; None where it was told something else."""
    found: list[str | None] = []
    for item in items:
        name = item.request.id.decode()
        many = [f"{name}/{place}" for place in item.places] if isinstance(item, Part) else [name]
        found += [None] * item.rows if item.request.done else many
    return found


def _rows(form: Form, packed: list[Packed]) -> Rows:
    layout = layout_of(form)
    return read_rows(layout, len(packed), Joiner(layout).join(packed))


def _same(kept: Rows, sent: Rows, form: Form) -> None:
    """The columns that are not Private, and nothing else."""
    names = [column.name for column in layout_of(public(form)).columns]
    assert [column.name for column in kept.layout.columns] == names
    for name in names:
        assert np.array_equal(kept.missing(name), sent.missing(name))
        for a, b in zip(kept[name], sent[name], strict=True):
            np.testing.assert_array_equal(a, b)
