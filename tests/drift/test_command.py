"""``tenfold drift``: two files in, a verdict out, whatever is in them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Done, Run, run

__all__ = ["run"]

Frame = pd.DataFrame
ROLES = ("--prediction", "said", "--score", "score", "--label", "truth", "--time", "at", "--key", "id")


def served(seed: int, rows: int, first: str = "2026-01-01") -> Frame:
    """Rows as a service of anybody's would log them: fields of each kind, what was said, and what was true."""
    random = np.random.default_rng(seed)
    income, age = random.lognormal(10, 0.5, rows), random.integers(18, 80, rows)
    odds = (income - 24_000) / 8_000 + (age - 45) / 20
    score = 1 / (1 + np.exp(-(odds + 0.2 * random.normal(size=rows))))
    truth = random.random(rows) < 1 / (1 + np.exp(-odds))
    return Frame(
        {
            "id": [f"{seed}-{k}" for k in range(rows)],
            "at": pd.date_range(first, periods=rows, freq="5min"),
            "income": np.round(income, 2),
            "age": age,
            "region": random.choice(["north", "south", "west"], rows),
            "member": random.random(rows) < 0.4,
            "score": np.round(score, 3),
            "said": np.where(score >= 0.5, "repaid", "default"),
            "truth": np.where(truth, "repaid", "default"),
        }
    )


REFERENCE = served(1, 4000)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference, as a file."""
    path = tmp_path_factory.mktemp("reference") / "reference.parquet"
    REFERENCE.to_parquet(path)
    return path


Judge = Callable[..., Done]


@pytest.fixture
def judge(run: Run, reference: Path, tmp_path: Path) -> Judge:
    """Runs the command on a table and gives back what it printed."""

    def judge(current: Frame, *arguments: object, roles: tuple[str, ...] = ROLES, csv: bool = False) -> Done:
        path = tmp_path / ("current.csv" if csv else "current.parquet")
        current.to_csv(path, index=False) if csv else current.to_parquet(path)
        return run("drift", "--reference", reference, "--current", path, *roles, *arguments)

    return judge


def judged(done: Done) -> dict[str, Any]:
    """The verdict as JSON."""
    assert done.code == 0, done.err
    document: dict[str, Any] = done.json()
    return document


def moved(current: Frame, **columns: Any) -> Frame:
    """The second half of the rows with other values."""
    later = current.index >= len(current) // 2
    changed = current.copy()
    for name, values in columns.items():
        changed[name] = changed[name].astype(object) if isinstance(values, str) else changed[name]
        changed.loc[later, name] = values[later] if isinstance(values, pd.Series) else values
    return changed


def test_a_healthy_table(judge: Judge) -> None:
    """The sentence comes first, then what it rests on, and the command that comes to the same verdict."""
    done = judge(served(2, 4000))
    assert done.code == 0
    assert done.out.startswith("HEALTHY: nothing moved beyond its tolerance; realised auc 0.")
    assert "again      tenfold drift --reference" in done.out
    assert "  HEALTHY  " in done.out


def test_alarms_that_renew_themselves(judge: Judge) -> None:
    """Instead of how likely a false alarm ever is, one may say how many windows there should be between two."""
    current = served(2, 5000)
    shifted = moved(current, income=current["income"] * 2.0)
    document = judged(judge(shifted, "--mean-windows-between-false-alarms", 1000, "--json"))
    assert document["verdict"] == "WATCH"
    assert "--mean-windows-between-false-alarms 1000" in document["replay"]
    refused = judge(shifted, "--mean-windows-between-false-alarms", 1)
    assert refused.code == 3
    assert "mean_windows_between_false_alarms" in refused.err


def test_the_json_has_what_others_read(judge: Judge) -> None:
    """Verdict, since, because, and each window with its verdict, estimate and realised value."""
    current = served(2, 5000)
    shifted = moved(current, income=current["income"] * 2.0)
    document = judged(judge(shifted, "--json"))
    assert document["schema"] == 1
    assert document["verdict"] == "WATCH"
    assert document["since"] == document["windows"][5]["from"] == "2026-01-09T16:20:00Z"
    assert document["because"].startswith("income (")
    assert [line["verdict"] for line in document["windows"]] == ["HEALTHY"] * 5 + ["WATCH"] * 5
    assert {"from", "to", "rows", "verdict", "estimated", "realised"} <= document["windows"][0].keys()
    assert sum(line["rows"] for line in document["windows"]) == 5000
    assert document["features"][0]["name"] == "income"
    assert document["replay"].startswith("tenfold drift --reference")


def test_a_challenger_stands_beside_the_model(judge: Judge) -> None:
    """A column of today's rows with another model's answers: whether that loses less is said, with the numbers."""
    current = served(2, 5000)
    turned = current.assign(truth=np.where(current["truth"] == "repaid", "default", "repaid"))
    better = judged(judge(turned.assign(rival=1 - current["score"]), "--challenger", "rival", "--json"))
    assert better["verdict"] == "UPDATE_RECOMMENDED"
    assert better["challenge"]["name"] == "rival"
    assert "rival is better by 0." in better["because"], better["because"]
    assert better["next"] == "let rival answer"
    assert "--challenger rival" in better["replay"]
    same = judge(turned.assign(rival=current["score"] / 2), "--challenger", "rival")
    assert same.out.startswith("UPDATE_WONT_HELP since ")
    assert "challenger rival saves at most" in same.out or "challenger rival saves nothing" in same.out
    without = judge(current.drop(columns="truth").assign(rival=0.5), "--challenger", "rival")
    assert "rival cannot be compared with the model" in without.out
    assert judge(current, "--challenger", "rival").code == 2


def test_a_verdict_can_fail_a_build(judge: Judge) -> None:
    """--fail-on exits with 6 on its verdict or a graver one, and with 0 on a milder one."""
    broken = moved(served(2, 4000), age=np.nan)
    done = judge(broken, "--fail-on", "update_recommended")
    assert done.code == 6
    assert "FIX_DATA is as grave as --fail-on UPDATE_RECOMMENDED, or graver" in done.err
    assert judge(served(2, 4000), "--fail-on", "WATCH").code == 0
    assert judge(served(2, 4000), "--fail-on", "PANIC").code == 2


def test_the_page_needs_nothing_else(judge: Judge, tmp_path: Path) -> None:
    """One file with plots, in which nothing is fetched and everything from the data is escaped."""
    current = moved(served(2, 4000), region="<script>alert(1)</script>")
    done = judge(current, "--html", tmp_path / "drift.html")
    assert "wrote" in done.out
    page = (tmp_path / "drift.html").read_text("utf-8")
    assert page.count("<svg") >= 6
    assert "alert(1)" not in page.replace("&lt;script&gt;alert(1)", "")
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)


def test_csv_is_as_good(judge: Judge) -> None:
    """A CSV file of the same rows gets the same verdict, to the digit."""
    current = served(2, 3000)
    assert judged(judge(current, "--json", csv=True))["windows"] == judged(judge(current, "--json"))["windows"]


@pytest.mark.slow
def test_a_csv_that_changes_its_mind_is_read(judge: Judge) -> None:
    """A column of numbers in which text appears late is a column of numbers with some text."""
    current = served(2, 60_000)
    current["income"] = current["income"].astype(object)
    current.loc[current.index[-1], "income"] = "unknown"
    document = judged(judge(current, "--json", csv=True))
    assert document["verdict"] == "HEALTHY"
    assert sum(line["rows"] for line in document["windows"]) == 60_000


def test_without_labels_and_times(judge: Judge) -> None:
    """Two tables of fields alone are compared, row by row number."""
    current = served(2, 2000).drop(columns=["at", "truth", "said", "score"])
    document = judged(judge(current, "--json", roles=()))
    assert document["performance"] is None
    assert [line["from"] for line in document["windows"]] == [0, 500, 1000, 1500]


def test_labels_from_a_file_of_their_own(judge: Judge, tmp_path: Path) -> None:
    """Labels are joined by key: late, partial, corrected, and some of rows that nobody knows."""
    current = served(2, 4000)
    labels = current[["id", "truth"]].iloc[:3000]
    wrong = labels.iloc[:5].assign(truth=["default" if t == "repaid" else "repaid" for t in labels["truth"].iloc[:5]])
    strangers = Frame({"id": ["nobody", "knows"], "truth": ["repaid", "repaid"]})
    pd.concat([wrong, labels, strangers]).sample(frac=1, random_state=1).to_csv(tmp_path / "labels.csv", index=False)
    done = judge(current.drop(columns="truth"), "--labels", tmp_path / "labels.csv", "--json")
    document = judged(done)
    assert "2 labels are of no row that is known by its id" in document["reasons"]
    assert "5 labels came again with another value; the last one counts" in document["reasons"]
    assert "3,000 of 4,000 rows have a label" in document["reasons"]
    assert [line["realised"] is not None for line in document["windows"]] == [True] * 6 + [False] * 2
    assert [line["labelled"] for line in document["windows"]] == [500] * 6 + [0] * 2


def test_labels_of_some_rows_alone_decide_nothing(judge: Judge, tmp_path: Path) -> None:
    """Where only those who earn much were followed up, what became of them is no measure of the model: that is said in the
    sentence, with the column in which they differ, and which labels would tell."""
    current = served(2, 4000)
    rich = current["income"] > current["income"].median()
    turned = current["truth"].map({"repaid": "default", "default": "repaid"})
    current[["id"]].assign(truth=turned)[rich].to_csv(tmp_path / "labels.csv", index=False)
    document = judged(judge(current.drop(columns="truth"), "--labels", tmp_path / "labels.csv", "--json"))
    assert document["verdict"] == "HEALTHY"
    assert document["windows"][0]["realised"] < 0.5
    (said,) = (reason for reason in document["reasons"] if "decide nothing" in reason)
    assert said.startswith(
        "labels of 8 of 8 windows decide nothing: rows that have one differ from the others in income by"
    )
    assert (
        "; labels decide nothing, since rows that have one differ from the others in income by " in document["because"]
    )
    assert document["next"].startswith(
        "label rows that are a picture of all, such as some that were drawn by lot: tenfold"
    )


def test_labels_of_all_rows_count_beside_those_of_some(judge: Judge, tmp_path: Path) -> None:
    """Where a part of the windows is labelled as it should be, the figure in the sentence is that of these windows."""
    current = served(2, 4000)
    rich = current["income"] > current["income"].median()
    turned = current["truth"].map({"repaid": "default", "default": "repaid"})
    truth = current["truth"].where(current.index >= 2000, turned)
    labels = current[["id"]].assign(truth=truth)[rich | (current.index >= 2000)]
    labels.to_csv(tmp_path / "labels.csv", index=False)
    document = judged(judge(current.drop(columns="truth"), "--labels", tmp_path / "labels.csv", "--json"))
    assert document["verdict"] == "HEALTHY"
    assert document["performance"]["realised"][0] > 0.6
    assert document["performance"]["unlike"] == ""
    assert "decide nothing" not in document["because"]
    assert any(reason.startswith("labels of 4 of 8 windows decide nothing") for reason in document["reasons"])


def test_segments_are_watched_where_asked_for(judge: Judge) -> None:
    """What changes in one region alone is found within it."""
    current = served(2, 8000)
    here = (current["region"] == "west") & (current.index >= 4000)
    current.loc[here, "age"] = current.loc[here, "age"] // 3
    document = judged(judge(current, "--segment", "region", "--json"))
    assert "age where region is west" in [feature["name"] for feature in document["features"] if feature["proven"]]


def test_hours_are_windows_where_asked_for(judge: Judge) -> None:
    """--window cuts by the clock."""
    document = judged(judge(served(2, 3000), "--window", "1 day", "--json"))
    assert document["windows"][1]["from"] == "2026-01-02T00:00:00Z"
    assert document["windows"][1]["rows"] == 288
    assert judge(served(2, 100), "--window", "1 day", roles=()).code == 2


def test_a_feed_that_dries_up(judge: Judge) -> None:
    """Where windows are of a length of time, so many rows belong to each; and far fewer are a fault, and no drift."""
    current = served(2, 27 * 288, "2026-03-01")
    current = current[(current.index < 5000) | (current.index % 10 == 0)].reset_index(drop=True)
    document = judged(judge(current, "--window", "1 day", "--json"))
    assert document["verdict"] == "FIX_DATA"
    assert document["because"] == "28 rows in the window from 2026-03-20T00:00:00Z on, where about 288 are usual"
    assert document["since"] == "2026-03-18T00:00:00Z"


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "verdict", "because"),
    [
        ({"age": np.nan}, "FIX_DATA", "age: every value is missing"),
        ({"age": 40}, "FIX_DATA", "age: always 40"),
        ({"income": np.inf}, "FIX_DATA", "income: 100% of the values are infinite"),
        ({"region": "nord"}, "FIX_DATA", 'region: 100% of the values are names that the reference never had: "nord"'),
        ({"region": None}, "FIX_DATA", "region: every value is missing"),
    ],
    ids=["missing", "constant", "infinite", "renamed", "null"],
)
def test_broken_columns(judge: Judge, change: dict[str, Any], verdict: str, because: str) -> None:
    """The column is named, and what is the matter with it."""
    current = served(2, 4000)
    if "income" in change:
        later = current.index >= 2000
        current.loc[later, "income"] = np.inf
    else:
        current = moved(current, **change)
    document = judged(judge(current, "--json"))
    assert (document["verdict"], document["because"]) == (verdict, because)


def test_text_where_numbers_were(judge: Judge) -> None:
    """It is called that, with examples, and not merely missing; and all else is judged."""
    current = served(2, 4000)
    current["income"] = current["income"].astype(object)
    current.loc[2000:, "income"] = [f"{value:.0f} EUR" for value in current["income"][2000:]]
    document = judged(judge(current, "--json", csv=True))
    assert document["verdict"] == "FIX_DATA"
    said, _, examples = document["because"].partition(': "')
    assert said == "income: 100% of the values are text where the reference has numbers"
    assert re.fullmatch(r'\d+ EUR", "\d+ EUR", "\d+ EUR"', examples)
    assert document["faults"][0]["kind"] == "type"
    assert "income: 2,000 values are text where the reference has numbers" in document["reasons"]


def test_swapped_columns(judge: Judge) -> None:
    """Two columns that were exchanged on the way are called that."""
    current = served(2, 4000)
    later = current.index >= 2000
    current["age"] = current["age"].astype(float)
    current.loc[later, ["age", "income"]] = current.loc[later, ["income", "age"]].to_numpy()
    document = judged(judge(current, "--json"))
    assert document["verdict"] == "FIX_DATA"
    assert "age holds what was income" in document["because"]


def test_a_new_category_is_told_and_the_rest_judged(judge: Judge) -> None:
    """A third of the rows come from a region that opened: that is drift, and no broken feed."""
    current = served(2, 4000)
    current.loc[current.index % 3 == 0, "region"] = "east"
    document = judged(judge(current, "--json"))
    assert document["verdict"] == "WATCH"
    region = next(feature for feature in document["features"] if feature["name"] == "region")
    assert region["current"][region["groups"].index("unseen")] == pytest.approx(1 / 3, abs=0.01)


def test_columns_that_came_and_went(judge: Judge) -> None:
    """A new column is said to be new; one that is gone is a broken feed."""
    current = served(2, 4000).assign(shoe_size=41.0)
    document = judged(judge(current, "--json"))
    assert document["verdict"] == "HEALTHY"
    assert "shoe_size is new: the reference has no such column" in document["reasons"]
    document = judged(judge(current.drop(columns="age"), "--json"))
    assert (document["verdict"], document["because"]) == ("FIX_DATA", "age: every value is missing")
    assert "age is not there any more" in document["reasons"]


def test_keys_are_left_out(judge: Judge) -> None:
    """What is different in every row is nothing to compare, and it is said."""
    roles = tuple(word for word in ROLES if word not in ("--key", "id"))
    document = judged(judge(served(2, 1000), "--json", roles=roles))
    assert "id is left out: nearly every row has a text of its own: a key, or free text" in document["reasons"]


@pytest.mark.parametrize("rows", [0, 1, 30])
def test_hardly_any_rows(judge: Judge, rows: int) -> None:
    """No row and one row prove nothing; nothing is made up, and nothing fails."""
    document = judged(judge(served(2, 50).iloc[:rows], "--json"))
    assert document["verdict"] == ("HEALTHY" if rows == 30 else "WATCH")


def test_a_reference_of_one_row(run: Run, tmp_path: Path) -> None:
    """Nothing can be told from it, and that is the reason given."""
    REFERENCE.iloc[:1].to_parquet(tmp_path / "one.parquet")
    served(2, 2000).to_parquet(tmp_path / "current.parquet")
    done = run(
        "drift", "--reference", tmp_path / "one.parquet", "--current", tmp_path / "current.parquet", *ROLES, "--json"
    )
    document = judged(done)
    assert document["verdict"] == "WATCH"
    assert "the reference has 1 rows: too few for drift to be told from chance" in document["reasons"]


def test_empty_and_odd_columns(run: Run, tmp_path: Path) -> None:
    """A column that was empty and still is, a constant, lists, and a column of nothing but NaN: the rest is judged."""
    odd = {"empty": None, "constant": 7, "nan": np.float64("nan")}
    REFERENCE.assign(**odd, lists=pd.Series([[1, 2]] * 4000)).to_parquet(tmp_path / "reference.parquet")
    served(2, 3000).assign(**odd).to_parquet(tmp_path / "current.parquet")
    done = run(
        "drift",
        "--reference",
        tmp_path / "reference.parquet",
        "--current",
        tmp_path / "current.parquet",
        *ROLES,
        "--json",
    )
    document = judged(done)
    assert document["verdict"] == "HEALTHY"
    assert any(reason.startswith("lists (list<") for reason in document["reasons"])


def test_a_clock_that_jumps(judge: Judge) -> None:
    """Rows from the year 2199 belong to no window, and are said to."""
    current = served(2, 4000)
    current.loc[[5, 6], "at"] = pd.Timestamp("2199-01-01")
    document = judged(judge(current, "--json"))
    assert document["verdict"] == "HEALTHY"
    assert "the clock jumps: 2 rows are dated far from all others, and belong to no window" in document["reasons"]
    assert sum(line["rows"] for line in document["windows"]) == 3998


def test_labels_of_another_kind(judge: Judge) -> None:
    """A label that is no class of the reference is left out, and counted."""
    current = served(2, 3000)
    current.loc[current.index[:10], "truth"] = "bankrupt"
    assert "10 labels are no class of the reference" in judged(judge(current, "--json"))["reasons"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--score", "scroe"), 2, "has no column 'scroe'"),
        (("--time", "never"), 2, "has no column 'never'"),
        (("--labels", "nowhere.csv", "--label", "truth", "--score", "score"), 4, "there is no file nowhere.csv"),
        (("--loss-tolerance", "10"), 3, "has no unit"),
    ],
    ids=["score", "time", "labels", "unit"],
)
def test_mistakes_are_told(judge: Judge, arguments: tuple[str, ...], code: int, words: str) -> None:
    """A misspelt column or a missing file is an error with its mend, and not a verdict."""
    done = judge(served(2, 500), *arguments, roles=())
    assert done.code == code
    assert words in done.err
    assert "fix:" in done.err


def test_files_that_are_none(run: Run, reference: Path, tmp_path: Path) -> None:
    """A broken file, another format and an empty table are errors, too."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "table.xlsx").write_bytes(b"")
    REFERENCE.iloc[:0].to_parquet(tmp_path / "empty.parquet")
    for path, words in (("broken.parquet", "cannot be read"), ("table.xlsx", "neither .parquet nor .csv")):
        done = run("drift", "--reference", reference, "--current", tmp_path / path)
        assert words in done.err
    done = run("drift", "--reference", tmp_path / "empty.parquet", "--current", reference)
    assert (done.code, "has no rows" in done.err) == (2, True)


def test_a_reference_of_a_few_rows_decides_nothing(run: Run, tmp_path: Path) -> None:
    """What two labelled rows show is nothing to expect of a model; why nothing is decided is said."""
    served(2, 2000).to_parquet(tmp_path / "now.parquet")
    perfect = REFERENCE[(REFERENCE["truth"] == "repaid") == (REFERENCE["score"] > 0.5)]
    roles = ("--score", "score", "--label", "truth", "--ignore", "id", "--ignore", "at", "--ignore", "said", "--json")
    for rows, why in ((2, "too few to compare anything with"), (25, "25 labelled rows: from 30 on")):
        perfect.iloc[:rows].to_parquet(tmp_path / "few.parquet")
        done = run("drift", "--reference", tmp_path / "few.parquet", "--current", tmp_path / "now.parquet", *roles)
        document = judged(done)
        assert document["verdict"] != "UPDATE_RECOMMENDED"
        assert document["performance"] is None
        assert any(why in said for said in (document["because"], *document["reasons"]))
    perfect.iloc[:40].to_parquet(tmp_path / "few.parquet")
    done = run("drift", "--reference", tmp_path / "few.parquet", "--current", tmp_path / "now.parquet", *roles)
    assert judged(done)["verdict"] != "UPDATE_RECOMMENDED"


@pytest.mark.parametrize("times", [None, np.nan, 1e308])
def test_a_column_of_no_times_is_refused(run: Run, reference: Path, tmp_path: Path, times: float | None) -> None:
    """In either table; what can be done is said."""
    served(2, 600).assign(at=times).to_parquet(tmp_path / "never.parquet")
    for one, other in ((reference, tmp_path / "never.parquet"), (tmp_path / "never.parquet", reference)):
        done = run("drift", "--reference", one, "--current", other, "--time", "at")
        assert done.code == 2
        assert "no row of never.parquet has a time" in done.err


def test_values_near_the_end_of_floats_are_compared(run: Run, tmp_path: Path) -> None:
    """Without a warning of NumPy."""
    far = np.where(np.arange(600) % 2, 1e308, -1e308)
    near = np.random.default_rng(1).normal(size=600)
    for name, x in (("far", far), ("near", near)):
        Frame({"x": x}).to_parquet(tmp_path / f"{name}.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one, other in (("near", "far"), ("far", "near")):
            done = run("drift", "--reference", tmp_path / f"{one}.parquet", "--current", tmp_path / f"{other}.parquet")
            assert done.code == 0, done.err
