"""The text of service.py: it says what was inferred, reads well, and is read back as it was meant."""

from __future__ import annotations

import ast
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tenfold
from tenfold.contract.form import Field, Form
from tenfold.contract.infer import Guess, infer
from tenfold.scaffold.source import WIDTH, Answers, class_name, quoted, service_source


def answers(table: pd.DataFrame, name: str = "titanic", **changed: Any) -> Answers:
    """What init would state for this table."""
    inferred = infer(table)
    said: dict[str, Any] = {
        "name": name,
        "doc": "Predicts survived.",
        "model": '"model.skops"',
        "origin": f"{len(table)} rows of train.parquet",
        "guesses": inferred.guesses,
        "outputs": [Guess(Field(name="label", wire="label", kind="category", categories=(0, 1)))],
        "keys": (),
        "preprocess": "the default",
        "postprocess": "the default",
    }
    return Answers(**said | changed)


def read_back(source: str) -> Form:
    """The form of the contract that the text declares."""
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(source, "service.py", "exec"), names)
    form = names["Features"].form
    assert isinstance(form, Form)
    return form


PASSENGERS = pd.DataFrame(
    {
        "pclass": [1, 2, 3, 3, 1] * 4,
        "sex": ["male", "female"] * 10,
        "age": [22.0, None, 4.5, 80.0] * 5,
        "home/dest": [f"street {k}" for k in range(20)],
        "class": [True, False] * 10,
        "boarded": pd.Timestamp("1912-04-10", tz="UTC"),
    }
)


def test_the_text_says_what_was_inferred() -> None:
    """A person finds every guess in service.py, in the words that they would have used."""
    source = service_source(answers(PASSENGERS))
    assert "    pclass: Annotated[int, Ge(1), Le(3), on_invalid(flag)]" in source
    assert '    sex: Annotated[Literal["female", "male"], on_unseen(flag)]' in source
    assert "    age: Annotated[float | None, Ge(0), Le(120), on_invalid(flag)]" in source
    assert "# 4.5 to 80; missing in 5" in source
    assert '    class_: Annotated[bool, Alias("class")]' in source
    assert "guessed from 20 rows of train.parquet" in source


def test_the_text_imports_what_it_uses() -> None:
    """service.py has no import too many or too few."""
    tree = ast.parse(service_source(answers(PASSENGERS)))
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert imported <= used
    assert used - imported <= {"float", "int", "str", "bool", "Features", "Prediction"}


def test_no_line_is_wide() -> None:
    """The text can be read without scrolling, whatever the names are."""
    wide = PASSENGERS.rename(columns={"sex": "the sex as it was noted by the purser " * 3})
    wide["port"] = [f"a port with a long name, number {k % 3}, of the line" for k in range(20)]
    assert max(map(len, service_source(answers(wide)).splitlines())) <= WIDTH + 60


def test_a_route_that_the_class_cannot_spell_is_stated() -> None:
    """The service answers under the name that was given, even where the class is called otherwise."""
    assert 'name = "drift"' in service_source(answers(PASSENGERS, name="drift"))
    assert "name =" not in service_source(answers(PASSENGERS, name="tumour-check"))


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("titanic", "Titanic"),
        ("tumour-check", "TumourCheck"),
        ("tumour_check", "TumourCheck"),
        ("MNISTDigits", "MNISTDigits"),
        ("2024", "Model2024"),
        ("service", "ServiceModel"),
        ("prediction", "PredictionModel"),
    ],
)
def test_class_names(name: str, cls: str) -> None:
    """A service's class is its name in camel case, and never one that the file needs for something else."""
    assert class_name(name) == cls


def test_every_word_is_one_of_ours() -> None:
    """What the text may import from tenfold is really there."""
    from tenfold.scaffold.source import FROM

    assert all(hasattr(tenfold, word) for word in FROM["tenfold"])


@given(st.text(max_size=8))
def test_quoted_text_is_read_back(text: str) -> None:
    """Any name or category stands in the text as a literal that Python reads as the very same."""
    assert ast.literal_eval(quoted(text)) == text


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"\\'), min_size=1, max_size=5),
        st.sampled_from(
            [
                [1, 2, 3] * 2,
                [1.5, None, 2e9] * 2,
                [None] * 6,
                [True, None] * 3,
                ["a", 'b"\\\n', "é\u2028"] * 2,
                list("abcdef"),
                [pd.Timestamp("2024-01-01")] * 6,
                [[1.0], [2.0, 3.0], []] * 2,
                [2**62, -(2**62)] * 3,
                [1e-300, 5e-324] * 3,
            ]
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_text_is_read_back_as_it_was_meant(columns: dict[str, Any]) -> None:
    """Whatever is inferred, the class in service.py has exactly that form."""
    stated = answers(pd.DataFrame(columns))
    form = read_back(service_source(stated))
    assert form.fields == tuple(guess.field for guess in stated.guesses)
