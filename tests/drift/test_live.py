"""Answered rows are counted as a table of the same rows would be."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import numpy as np

from tenfold import Alias, Contract
from tenfold.drift.columns import Column, category_column, named_column, number_column
from tenfold.drift.counting import Counter
from tenfold.drift.live import Reader
from tenfold.rows import Rows


class Passenger(Contract):
    """One of each kind of column."""

    age: Annotated[float | None, Alias("age in years")]
    fare: float
    siblings: int | None
    port: Literal["S", "C", "Q"] | None
    alone: bool
    booked: date
    cabin: str | None


class Survival(Contract):
    """What is answered."""

    label: Literal["yes", "no"]
    probability: float


COLUMNS: list[Column] = [
    number_column("fare", np.arange(50.0)),
    number_column("age in years", np.arange(80.0)),
    category_column("port", ["S", "S", "C"]),
    number_column("siblings", np.arange(5.0)),
    named_column("alone", ("false", "true")),
    number_column("booked", np.arange(10.0) * 86400),
    category_column("cabin", ["A1", "A1", "B2"]),
    number_column("gone", np.arange(3.0)),
    category_column("label", ["no", "yes", "no"], "prediction"),
    number_column("probability", np.arange(100.0), "score"),
]
ROWS = Rows.of(
    [
        {"age in years": 30.5, "fare": 7.25, "siblings": 1, "port": "S", "alone": False, "booked": date(1970, 1, 3)},
        {"fare": 8.0, "siblings": None, "port": "Q", "alone": True, "booked": date(1970, 1, 1), "cabin": "B2"},
        {
            "age in years": 2.0,
            "fare": 9.0,
            "siblings": 0,
            "port": None,
            "alone": True,
            "booked": date(1970, 1, 2),
            "cabin": "Z",
        },
    ],
    Passenger,
)
ANSWERS = Rows.of(
    [{"label": "yes", "probability": 0.9}, {"label": "no", "probability": 0.1}, {"label": "no", "probability": 0.2}],
    Survival,
)


def test_a_block_has_the_values_of_the_profile() -> None:
    """Each column is read by its name on the wire, whatever block it stands in; what is not there is missing."""
    values, missing = Reader(COLUMNS, ROWS.layout, ANSWERS.layout).block(ROWS, ANSWERS)
    nan = np.nan
    expected = [
        [7.25, 8.0, 9.0],
        [30.5, nan, 2.0],
        [0, 3, nan],
        [1, nan, 0],
        [0, 1, 1],
        [2 * 86400.0, 0, 86400.0],
        [nan, 1, 3],
        [nan, nan, nan],
        [1, 0, 0],
        [0.9, 0.1, 0.2],
    ]
    np.testing.assert_array_equal(values.T, expected)
    np.testing.assert_array_equal(missing, np.isnan(values))


def test_blocks_are_counted() -> None:
    """What a replica does once its answer has left: read, put aside, and count when there are enough."""
    reader, counter = Reader(COLUMNS, ROWS.layout, ANSWERS.layout), Counter(COLUMNS)
    for _ in range(200):
        counter.add(*reader.block(ROWS, ANSWERS))
    counts = counter.take()
    assert counts.rows == 600
    assert counts.finite.tolist() == [600, 400, 400, 400, 600, 600, 400, 0, 600, 600]
