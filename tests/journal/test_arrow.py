"""Predictions as tables: whatever a contract holds, Arrow and Parquet hold it too."""

from __future__ import annotations

import math
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tenfold.contract.form import Field, Form
from tenfold.drift import Drift
from tenfold.errors import UsageError
from tenfold.journal import arrow
from tenfold.journal.segment import Header, Table
from tests.journal.answering import OUTPUT, RELEASE, everything, frame, pack, single, spec, writer
from tests.validation.forms import forms, rows

SCALARS = ("float", "int", "bool", "text", "category")


@pytest.mark.slow
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_table_has_every_column(data: st.DataObject) -> None:
    """Each field has a column of a type of its own, null where a value is missing, which Parquet gives back."""
    form, told = data.draw(forms()), data.draw(forms())
    questions = pack(form, data.draw(st.lists(rows(form.fields), min_size=6, max_size=10)))
    answers = pack(told, data.draw(st.lists(rows(told.fields), min_size=6, max_size=10)))
    if not questions or not answers:
        return
    with tempfile.TemporaryDirectory() as folder:
        journal = writer(Path(folder), spec(form, told, Drift(journal="inputs")))
        outputs = list(islice(cycle(answers), len(questions)))
        journal.add(time.monotonic(), [single(row) for row in questions], frame(told, outputs))
        journal.close(5.0)
        (found,) = everything(Path(folder))
        table = arrow.table(found, arrow.schema([found.header]))
        pyarrow.parquet.write_table(table, Path(folder, "all.parquet"))
        assert pyarrow.parquet.read_table(Path(folder, "all.parquet")).schema.names == table.schema.names
    assert table.num_rows == len(questions)
    assert table["id"].to_pylist() == found.ids
    for prefix, kept in (("output", found.outputs), ("input", found.inputs)):
        assert kept is not None
        for column in kept.layout.columns:
            values = table[f"{prefix}.{column.wire}"].to_pylist()
            missing = kept.missing(column.name).tolist()
            assert [value is None for value in values] == missing
            if column.kind in SCALARS:
                expected = kept[column.name].tolist()
                assert all(
                    gap or _same(*pair) for gap, pair in zip(missing, zip(values, expected, strict=True), strict=True)
                )


def _same(a: Any, b: Any) -> bool:
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def header(release: str, *fields: Field) -> Header:
    """What a release says that it keeps."""
    return Header(service="echo", release=release, contracts={}, output=Table.of(Form(name="Told", fields=fields)))


def test_releases_share_a_table() -> None:
    """A field that only one release has is null for the other."""
    score, why = Field(name="score", wire="score", kind="float"), Field(name="why", wire="why", kind="text")
    wanted = arrow.schema([header("echo@1", score), header("echo@2", score, why)])
    assert wanted.names == ["id", "time", "release", "output.score", "output.why"]
    assert str(wanted.field("time").type) == "timestamp[us, tz=UTC]"


def test_releases_that_disagree_are_told() -> None:
    """A field that was text in one release and a number in another fits no table."""
    number = Field(name="grade", wire="grade", kind="float")
    with pytest.raises(UsageError, match="give a field different types"):
        arrow.schema([header("echo@1", number), header("echo@2", replace(number, kind="text"))])


def test_an_older_release_fits_the_table_of_all(tmp_path: Path) -> None:
    """Rows of a release that lacks a column of the others are written with nulls."""
    journal = writer(tmp_path)
    journal.add(time.monotonic(), [single(pack(spec().input, [{"the sample": "a", "x": 1}])[0])], _one())
    journal.close(5.0)
    (found,) = everything(tmp_path)
    more = header("echo@2", *OUTPUT.fields, Field(name="why", wire="why", kind="text"))
    (row,) = arrow.table(found, arrow.schema([found.header, more])).to_pylist()
    assert (row["output.why"], row["key"], row["release"], row["output.label"]) == (None, "a", RELEASE, "benign")


def _one() -> Any:
    return frame(OUTPUT, pack(OUTPUT, [{"label": "benign", "the score": 1.0}]))
