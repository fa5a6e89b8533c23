"""Stage values are kept without pickle, lose nothing, and differ only where they differ."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix

from tenfold.parity.compare import compare
from tenfold.parity.values import Unrecordable, canonical, read, write

SCALARS = st.one_of(st.none(), st.booleans(), st.text(max_size=5), st.integers(-(2**53), 2**53))
ARRAYS = st.one_of(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, min_side=1, max_side=4)),
    hnp.arrays(np.float32, (3, 2)),
    hnp.arrays(np.int64, (3,)),
    hnp.arrays(np.bool_, (3,)),
    st.lists(SCALARS, min_size=1, max_size=4).map(lambda items: np.array([*items, None], dtype=object)[:-1]),
)
TREES = st.recursive(
    ARRAYS,
    lambda inner: st.one_of(st.dictionaries(st.text(max_size=4), inner, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=6,
)


def _kept(value: Any, folder: Path) -> Any:
    write(folder / "stages.npz", {"stage": canonical(value)})
    return read(folder / "stages.npz")["stage"]


@settings(max_examples=40)
@given(TREES)
def test_what_is_kept_comes_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    """Arrays, dicts and lists of them, whatever they hold, survive the file."""
    value = canonical(tree)
    back = _kept(tree, tmp_path_factory.mktemp("values"))
    difference = compare(value, back, 3, exact=True)
    assert (difference.bits, difference.detail) == (True, "")


def test_frames_sparse_rows_and_columns_that_may_be_missing(tmp_path: Path) -> None:
    """What training feeds a model in practice can be kept."""
    frame = pd.DataFrame(
        {
            "age": pd.array([1, None, 3], dtype="Int64"),
            "name": ["a", None, "c"],
            "when": pd.Series(["2026-01-01", None, "2026-01-03"], dtype="datetime64[us]"),
            "kind": pd.Categorical(["x", "y", None]),
            7: [0.5, np.nan, 1.5],
        }
    )
    back = _kept(
        {"frame": frame, "sparse": csr_matrix(np.eye(3)), "each": [np.zeros(2), np.ones(3), np.ones(1)]}, tmp_path
    )
    assert list(back["frame"]) == ["age", "name", "when", "kind", "7"]
    assert back["frame"]["age"].tolist() == [1, None, 3]
    assert back["frame"]["kind"].tolist() == ["x", "y", None]
    assert back["sparse"].toarray().tolist() == np.eye(3).tolist()
    assert [len(item) for item in back["each"]] == [2, 3, 1]


def test_the_same_values_are_the_same_bytes(tmp_path: Path) -> None:
    """Recording again what did not change leaves no trace in git."""
    for name in ("one", "two"):
        write(tmp_path / name, {"stage": canonical({"x": np.arange(5.0), "y": ["a", None]})})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_is_pickled(tmp_path: Path) -> None:
    """A golden folder from a stranger cannot run code here; what would need pickle is not kept."""
    write(tmp_path / "stages.npz", {"stage": canonical(["text", None, 3])})
    with zipfile.ZipFile(tmp_path / "stages.npz") as archive:
        assert all(b"'|O'" not in archive.read(name)[:200] for name in archive.namelist())
    for value in (object(), lambda: 0, np.array([object()], dtype=object), {"x": {1, 2}}):
        with pytest.raises(Unrecordable):
            canonical(value)


def test_numbers_may_differ_by_the_tolerance_of_their_dtype() -> None:
    """A sum in another order is no difference; a thousandth of a percent is."""
    numbers = np.array([1.0, 2.0, 1000.0])
    assert not compare(numbers, numbers * (1 + 1e-13), 3).rows.any()
    assert compare(numbers, numbers * (1 + 1e-9), 3).rows.all()
    assert not compare(numbers.astype(np.float32), (numbers * (1 + 1e-6)).astype(np.float32), 3).rows.any()
    assert not compare(numbers, numbers * (1 + 1e-13), 3).bits
    assert compare(numbers, numbers * (1 + 1e-13), 3, exact=True).rows.any()


def test_a_tiny_number_beside_large_ones_is_held_to_their_scale() -> None:
    """What cancels to nearly nothing differs by rounding, and that is no skew."""
    assert not compare(np.array([1e3, 0.0]), np.array([1e3, 1e-11]), 2).rows.any()
    assert compare(np.array([[1e3, 0.0]]), np.array([[1e3, 1e-11]]), 1).rows.any()


def test_labels_and_missing_values_have_no_tolerance() -> None:
    """Another label is another answer; NaN equals NaN and nothing else."""
    difference = compare(np.array(["a", "b"], object), np.array(["a", "c"], object), 2)
    assert (difference.rows.tolist(), difference.labels.tolist()) == ([False, True], [False, True])
    assert compare(np.array([1, 2]), np.array([1, 3]), 2).labels.tolist() == [False, True]
    nan = np.array([np.nan, 1.0])
    assert compare(nan, nan.copy(), 2).bits
    assert compare(nan, np.array([0.0, 1.0]), 2).rows.tolist() == [True, False]


def test_a_frame_in_training_and_a_matrix_here_hold_the_same() -> None:
    """The default preprocess gives a matrix where training may have had a frame: same values, and it is said."""
    frame = canonical(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
    same = compare(frame, np.array([[1.0, 3.0], [2.0, 4.0]]), 2)
    assert same.notes == ["columns by name in the record, an array of float64 here"]
    assert not same.rows.any()
    assert compare(csr_matrix(np.eye(2)), np.eye(2), 2).rows.tolist() == [False, False]
    assert compare(np.eye(2), {"x": [np.eye(2)]}, 2).rows.all()


@pytest.mark.parametrize(
    ("there", "here", "detail"),
    [
        (
            {"a": [1], "b": [2]},
            {"b": [2], "a": [1]},
            "the columns stand in another order: a is number 1 in the record, number 2",
        ),
        ({"a": [1]}, {"a": [1], "c": [2]}, "no c in the record"),
        ({"a": [1], "c": [2]}, {"a": [1]}, "no c here"),
        (np.zeros((2, 3)), np.zeros((2, 4)), "shape 2 x 3 in the record, 2 x 4 here"),
        ([np.zeros(1)] * 3, [np.zeros(1)] * 4, "3 items in the record, 4 here"),
        (np.array([["a"]], object), np.array([["b"]], object), "row 0, column 0: 'a' in the record, 'b' here"),
    ],
)
def test_a_difference_is_told_in_words(there: Any, here: Any, detail: str) -> None:
    """Which column, which row, what was there and what is here."""
    assert compare(canonical(there), canonical(here), 1).detail.startswith(detail)
