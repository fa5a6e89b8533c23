"""Golden records: what training fed and got, held against serving, stage by stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from tenfold import (
    Alias,
    Contract,
    ContractError,
    GateFailed,
    Ge,
    InvalidInput,
    Key,
    Le,
    NotFound,
    Private,
    Rows,
    Service,
    ServiceError,
    impute,
    on_missing,
    trust,
)
from tenfold.parity import Report, golden, rehearse, renew, replay
from tenfold.parity import record as record_requests
from tenfold.pipeline import Pipeline


class Tumour(Contract):
    radius: Annotated[float, Alias("mean radius"), Ge(0)]
    texture: float


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class Check(Service):
    input, output, model = Tumour, Diagnosis, trust("model.joblib")


class Doubling(Check):
    factor = 2.0

    def preprocess(self, rows: Rows) -> Any:
        return rows.matrix("radius", "texture") * self.factor


RANDOM = np.random.default_rng(0)
TABLE = np.abs(RANDOM.normal(10, 4, (60, 2)))
LABELS = np.where(TABLE.sum(axis=1) + RANDOM.normal(0, 4, 60) > 20, "malignant", "benign")
REQUESTS = [{"mean radius": radius, "texture": texture} for radius, texture in TABLE[:20].tolist()]


def _train(folder: Path, factor: float = 1.0, rows: slice = slice(None)) -> LogisticRegression:
    model = LogisticRegression().fit(TABLE[rows] * factor, LABELS[rows])
    joblib.dump(model, folder / "model.joblib")
    return model


def _record(folder: Path, service: type[Service] = Check, **given: Any) -> Report:
    return record_requests(service, REQUESTS, folder=folder, clock=lambda: 1_800_000_000.0, **given)


def _replay(folder: Path, service: type[Service] = Check) -> Report:
    return replay(service().start(folder))


def test_serving_that_equals_training_is_green(tmp_path: Path) -> None:
    """What training fed and got, served: equal at every stage, and the gate opens."""
    model = _train(tmp_path)
    recorded = _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    report = _replay(tmp_path)
    assert report == recorded
    assert [stage.name for stage in report.stages] == ["decode", "preprocess", "model", "postprocess"]
    assert [stage.provenance for stage in report.stages] == ["self", "training", "training", "self"]
    assert (report.state, report.green, report.provenance, report.equal, report.valid) == (
        "ok",
        True,
        "training",
        20,
        20,
    )
    assert all(stage.bits for stage in report.stages[:2])
    assert report.describe() == "20 of 20 equal at every stage"


OUTPUTS: dict[str, Any] = {
    "labels": lambda labels, scores: labels,
    "a column": lambda labels, scores: {"label": labels},
    "a frame": lambda labels, scores: pd.DataFrame({"probability": scores.max(axis=1), "label": labels}),
    "rows": lambda labels, scores: [{"label": label} for label in labels],
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_training_says_what_it_got_in_its_own_words(tmp_path: Path, output: str) -> None:
    """Probabilities, labels, or columns of the output contract: whatever the training script has at hand."""
    model = _train(tmp_path)
    said = OUTPUTS[output](model.predict(TABLE[:20]), model.predict_proba(TABLE[:20]))
    assert _record(tmp_path, model_input=pd.DataFrame(TABLE[:20]), output=said).green
    assert _replay(tmp_path).green


def test_an_output_that_fits_nothing_is_an_error(tmp_path: Path) -> None:
    """A forgotten slice is said at once, with the shapes."""
    model = _train(tmp_path)
    with pytest.raises(ServiceError, match=r"output has the shape \(60, 2\), the model gives \(20, 2\) for 20 rows"):
        _record(tmp_path, output=model.predict_proba(TABLE))
    with pytest.raises(ServiceError, match="output has 'lable', which Diagnosis has not"):
        _record(tmp_path, output={"lable": model.predict(TABLE[:20])})


def test_a_changed_preprocess_is_named(tmp_path: Path) -> None:
    """A library that scales otherwise, or an edit: the first stage that differs has a name, and the gate is shut."""
    model = _train(tmp_path, factor=2.0)
    _record(tmp_path, Doubling, model_input=TABLE[:20] * 2, output=model.predict_proba(TABLE[:20] * 2))
    assert _replay(tmp_path, Doubling).green
    report = _replay(tmp_path, type("Doubling", (Doubling,), {"factor": 3.0}))
    assert (report.state, report.green) == ("broken", False)
    assert report.diverged is not None
    assert (report.diverged.name, report.diverged.equal) == ("preprocess", 0)
    assert (
        "the first stage that differs is preprocess: another scale: the record is 0.666667 times" in report.describe()
    )


def test_skew_is_told_by_record_itself(tmp_path: Path) -> None:
    """The training script hears at once that serving feeds the model something else."""
    model = _train(tmp_path)
    report = _record(tmp_path, model_input=TABLE[:20, ::-1], output=model.predict_proba(TABLE[:20]))
    assert report.state == "broken"
    assert (
        "preprocess: the columns stand in another order: number 0 of the record is number 1 here" in report.describe()
    )
    assert _replay(tmp_path) == report


def test_a_changed_postprocess_is_named(tmp_path: Path) -> None:
    """Scores are equal and labels are not: it was postprocess."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output={"label": model.predict(TABLE[:20])})

    def postprocess(self: Service, scores: Any) -> Any:
        return {"label": np.where(scores[:, 1] > 0.2, "malignant", "benign"), "probability": scores.max(axis=1)}

    report = _replay(tmp_path, type("Check", (Check,), {"postprocess": postprocess}))
    assert report.diverged is not None
    assert (report.diverged.name, report.state) == ("postprocess", "broken")
    assert 0 < report.diverged.labels < 20
    assert report.equal == 20 - report.diverged.labels


def test_a_stage_that_raises_is_named(tmp_path: Path) -> None:
    """An upgrade that breaks preprocess is a difference, with the error."""
    _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20])
    report = _replay(tmp_path, type("Check", (Check,), {"preprocess": lambda self, rows: rows.nothing}))
    assert report.diverged is not None
    assert report.diverged.name == "preprocess"
    assert "AttributeError: no field 'nothing'" in report.diverged.detail
    assert report.stages[-1].detail == "not reached, since preprocess failed"


def test_a_contract_that_now_refuses_a_request_differs_at_decode(tmp_path: Path) -> None:
    """A bound that was tightened past a golden request is found before traffic finds it."""
    _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20])

    class Tighter(Contract):
        radius: Annotated[float, Alias("mean radius"), Le(5)]
        texture: float

    report = _replay(tmp_path, type("Check", (Check,), {"input": Tighter}))
    assert report.diverged is not None
    assert (report.diverged.name, report.state) == ("decode", "broken")
    assert "mean radius must be at most 5" in report.diverged.detail


def test_records_of_the_service_itself_never_open_the_gate(tmp_path: Path) -> None:
    """What a service says of itself catches changes and proves nothing about training, and says so."""
    _train(tmp_path)
    report = _record(tmp_path)
    assert (report.provenance, report.state, report.green) == ("self", "open", False)
    assert "proves nothing about training" in report.describe()
    changed = _replay(tmp_path, type("Check", (Check,), {"preprocess": lambda self, rows: rows.matrix() + 1}))
    assert (changed.state, changed.diverged and changed.diverged.name) == ("broken", "preprocess")


def test_after_a_retraining_preprocess_is_equal_and_the_answers_moved(tmp_path: Path) -> None:
    """A new model is not a skew: what stands before it is still equal, and how the answers moved is told."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    _train(tmp_path, rows=slice(0, 25))
    report = _replay(tmp_path)
    assert (report.retrained, report.state, report.green) == (True, "open", False)
    moved = report.stages[-1]
    assert report.describe() == (
        f"model changed since golden/ was recorded ({report.model_then[:4]} → {report.model_now[:4]}). "
        f"Before the model: equal, 20 of 20. Answers: {moved.labels} label{'s' * (moved.labels != 1)} differ, "
        f"largest {moved.largest:.2g}."
    )


def test_the_answers_of_a_new_model_are_taken_over_on_request(tmp_path: Path) -> None:
    """After ``tenfold record`` the new answers are the record; what training fed the model still stands."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    _train(tmp_path, rows=slice(0, 25))
    assert renew(Check().start(tmp_path)).state == "open"
    report = _replay(tmp_path)
    assert (report.green, report.retrained, report.equal) == (True, False, 20)
    assert [stage.provenance for stage in report.stages] == ["self", "training", "self", "self"]


def test_a_new_preprocess_is_not_taken_over_for_a_new_model(tmp_path: Path) -> None:
    """What training fed the model is replaced by the training script alone."""
    _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20])
    before = (tmp_path / "golden" / "records.json").read_bytes()
    other = type("Check", (Check,), {"preprocess": lambda self, rows: rows.matrix() + 1})
    with pytest.raises(GateFailed, match="preprocess is not what training fed the model"):
        renew(other().start(tmp_path))
    assert (tmp_path / "golden" / "records.json").read_bytes() == before


def test_records_are_readable_in_a_diff(tmp_path: Path) -> None:
    """A reviewer sees requests and answers as text, with where they are from."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    written = json.loads((tmp_path / "golden" / "records.json").read_text())
    assert written["recorded"] == "2027-01-15T08:00:00+00:00"
    assert written["stages"]["preprocess"] == {"provenance": "training"}
    assert {"python", "numpy", "scikit-learn"} <= set(written["versions"])
    first = written["records"][0]
    assert first["request"] == REQUESTS[0]
    assert len((tmp_path / "golden" / "records.json").read_text().splitlines()) < 60
    assert set(first["answer"]) == {"label", "probability"}
    assert sorted(path.name for path in (tmp_path / "golden").iterdir()) == ["records.json", "stages.npz"]


def test_recording_twice_changes_nothing(tmp_path: Path) -> None:
    """What did not change leaves no trace in git."""
    _train(tmp_path)
    written = []
    for _ in range(2):
        _record(tmp_path, model_input=TABLE[:20])
        written.append({path.name: path.read_bytes() for path in (tmp_path / "golden").iterdir()})
    assert written[0] == written[1]


def test_requests_may_be_raw_bodies_with_many_rows(tmp_path: Path) -> None:
    """A recorded body is what a client sends: text, bytes or a mapping, one row or many."""
    _train(tmp_path)
    bodies: list[Any] = [json.dumps(REQUESTS[:3]), json.dumps(REQUESTS[3]).encode(), REQUESTS[4]]
    report = record_requests(Check, bodies, model_input=TABLE[:5], folder=tmp_path)
    assert (report.rows, report.green) == (5, True)
    answers = [record["answer"] for record in json.loads((tmp_path / "golden" / "records.json").read_text())["records"]]
    assert [len(answer) if isinstance(answer, list) else 1 for answer in answers] == [3, 1, 1]


def test_a_body_is_kept_byte_for_byte(tmp_path: Path) -> None:
    """Spaces, digits and the order of keys are a client's own, and are sent again just so."""
    _train(tmp_path)
    bodies = [
        b'{ "texture":1.50, "mean radius" : 2e0 }',
        b'{"mean radius":1.5,"texture":2}',
        b'[{"mean radius":1,"texture":2}]',
    ]
    record_requests(Check, bodies, folder=tmp_path)
    assert golden.read(tmp_path).bodies == bodies


def test_a_request_that_is_refused_cannot_be_golden(tmp_path: Path) -> None:
    """A record has an answer; the violations are listed."""
    _train(tmp_path)
    with pytest.raises(InvalidInput, match="mean radius must be at least 0"):
        record_requests(Check, [{"mean radius": -1, "texture": 1}], folder=tmp_path)
    with pytest.raises(ServiceError, match="request 0 is not valid JSON"):
        record_requests(Check, [b"{"], folder=tmp_path)
    with pytest.raises(ServiceError, match="no request to record"):
        record_requests(Check, [], folder=tmp_path)


def test_a_request_is_refused_here_as_it_is_over_http(tmp_path: Path) -> None:
    """A misspelt or repeated name is no golden request; rows are counted through all bodies."""
    _train(tmp_path)
    good = '{"mean radius":1,"texture":2}'
    with pytest.raises(InvalidInput) as caught:
        record_requests(
            Check, [f"[{good},{good}]", good[:-1] + ',"x":1}', good[:-1] + ',"texture":3}'], folder=tmp_path
        )
    assert [(said.row, said.pointer, said.code) for said in caught.value.violations] == [
        (2, "/x", "unknown_field"),
        (3, "/texture", "duplicate_key"),
    ]


class Gappy(Contract):
    radius: Annotated[float, Alias("mean radius"), Ge(0), on_missing(impute("median"))]
    texture: float


class GappyCheck(Service):
    input, output, model = Gappy, Diagnosis, trust("model.joblib")


def test_the_training_table_gives_the_medians(tmp_path: Path) -> None:
    """``tenfold.record`` with the table keeps its medians in the folder, and records with them."""
    _train(tmp_path)
    median = float(np.median(TABLE[:, 0]))
    table = pd.DataFrame(TABLE, columns=["mean radius", "texture"])
    fed = np.array([[median, 2.0]])
    with pytest.raises(ContractError, match="radius has on_missing"):
        record_requests(GappyCheck, [{"texture": 2.0}], folder=tmp_path)
    recorded = record_requests(GappyCheck, [{"texture": 2.0}], model_input=fed, data=table, folder=tmp_path)
    assert recorded.green
    assert _replay(tmp_path, GappyCheck).green
    assert '"mean radius": {"median": ' in (tmp_path / "reference.json").read_text("utf-8")


def test_what_cannot_be_kept_is_shown_as_such(tmp_path: Path) -> None:
    """A preprocess may make whatever the model takes; a stage without a form on disk is named as not recorded."""

    class Odd(Service):
        input, output, model = Tumour, Diagnosis, staticmethod(lambda wrapped: wrapped.matrix / 1000)

        def preprocess(self, rows: Rows) -> Any:
            return _Wrapped(rows.matrix())

        def postprocess(self, scores: Any) -> Any:
            return {"label": ["benign"] * len(scores), "probability": scores[:, 0]}

    report = _record(tmp_path, Odd)
    stage = report.stages[1]
    assert (stage.name, stage.recorded) == ("preprocess", False)
    assert str(stage).endswith("not recorded: a _Wrapped is no array, frame, sparse matrix, dict or list")
    assert report.equal == 20


class _Wrapped:
    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix


class Person(Contract):
    name: Annotated[str, Private()]
    income: Annotated[float | None, Private()]
    age: float


class Named(Service):
    input, output, model = Person, Diagnosis, staticmethod(lambda ages: np.column_stack([1 - ages, ages]))

    def preprocess(self, rows: Rows) -> Any:
        return rows.age / 100

    def postprocess(self, scores: Any) -> Any:
        return {"label": ["benign"] * len(scores), "probability": scores[:, 1]}


PEOPLE = [{"name": "Ada Lovelace", "income": 17.25, "age": 36.0}, {"name": "Alan Turing", "income": 4.75, "age": 41.0}]


def test_private_values_are_never_recorded(tmp_path: Path) -> None:
    """Another valid value stands in their place, and what does not depend on them is still held against training."""
    report = record_requests(Named, PEOPLE, model_input=np.array([0.36, 0.41]), folder=tmp_path)
    assert report.green
    written = b"".join(path.read_bytes() for path in (tmp_path / "golden").iterdir())
    assert not any(secret in written for secret in (b"Ada", b"Turing", b"17.25", b"4.75"))
    assert replay(Named().start(tmp_path)).green


def test_a_stage_that_depends_on_a_private_value_is_not_recorded(tmp_path: Path) -> None:
    """It cannot be replayed without the value, and is not compared with another one's."""

    class Rich(Named):
        def preprocess(self, rows: Rows) -> Any:
            return rows.income / 100

    report = record_requests(Rich, PEOPLE, model_input=np.array([0.1725, 0.0475]), folder=tmp_path)
    assert str(report.stages[1]).endswith("not recorded: it depends on a Private field, which is not recorded")
    assert not report.green


def test_without_records_it_says_how_to_make_them(tmp_path: Path) -> None:
    """A missing or damaged folder is one message with the mend."""
    _train(tmp_path)
    with pytest.raises(NotFound, match=r"has no records.json"):
        _replay(tmp_path)
    _record(tmp_path)
    (tmp_path / "golden" / "stages.npz").write_bytes(b"not a zip")
    with pytest.raises(ServiceError, match="golden cannot be read"):
        _replay(tmp_path)


def test_a_record_does_not_read_outside_its_folder(tmp_path: Path) -> None:
    """A golden folder from a stranger names files of its own only."""
    _train(tmp_path)
    _record(tmp_path)
    file = tmp_path / "golden" / "records.json"
    file.write_text(file.read_text().replace('"request":', '"file":"../model.joblib","request":', 1))
    with pytest.raises(ServiceError, match="is outside the folder"):
        _replay(tmp_path)


def test_a_replica_rehearses_before_it_is_ready(tmp_path: Path) -> None:
    """A golden record is answered, or the replica says why it is not; without records an example row will do."""
    _train(tmp_path)
    rehearse(Pipeline(Check().start(tmp_path)))
    _record(tmp_path)
    rehearse(Pipeline(Check().start(tmp_path)))
    broken = type("Check", (Check,), {"preprocess": lambda self, rows: rows.nothing})
    with pytest.raises(ServiceError, match="a golden record of check is not answered"):
        rehearse(Pipeline(broken().start(tmp_path)))


class Tightened(Tumour):
    texture: Annotated[float, Ge(8)]


class TightenedCheck(Check):
    input = Tightened


def test_requests_that_a_tightened_rule_refuses_are_left_out(tmp_path: Path) -> None:
    """Replay says how many are refused, and that nothing behind was reached; renewing goes on without them."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    few = int((TABLE[:20, 1] < 8).sum())
    report = _replay(tmp_path, TightenedCheck)
    assert report.diverged is not None
    assert (report.diverged.name, report.unanswered) == ("decode", 20)
    assert report.diverged.detail.startswith(f"{few} of 20 rows are refused: texture must be at least 8")
    assert "not reached, since decode failed" in str(report)
    assert "0 of 20 equal to what training gave" not in str(report)
    before = renew(TightenedCheck().start(tmp_path))
    assert (len(before.refused), before.rows) == (few, 20 - few)
    after = _replay(tmp_path, TightenedCheck)
    assert (after.rows, after.equal, after.state) == (20 - few, 20 - few, "ok")  # training's own part is kept


def test_a_contract_that_refuses_every_record_says_so(tmp_path: Path) -> None:
    """There is nothing left to record: the mend is another way on than the same command."""

    class Never(Tumour):
        texture: Annotated[float, Ge(1000)]

    class NeverCheck(Check):
        input = Never

    _train(tmp_path)
    _record(tmp_path)
    with pytest.raises(GateFailed, match=r"refuses every golden request: texture must be at least 1000"):
        renew(NeverCheck().start(tmp_path))


class Kept(Tumour):
    texture: Annotated[float, Private()]


class KeptCheck(Check):
    input = Kept


def test_a_field_that_becomes_private_leaves_the_records(tmp_path: Path) -> None:
    """What was recorded before is not shown, and renewing puts the contract's example in its place."""
    model = _train(tmp_path)
    _record(tmp_path, model_input=TABLE[:20], output=model.predict_proba(TABLE[:20]))
    assert golden.holds_private(golden.read(tmp_path), Kept.form)
    assert golden.sample(tmp_path, Tumour.form)
    assert golden.sample(tmp_path, Kept.form) == b""
    renew(KeptCheck().start(tmp_path))
    assert not golden.holds_private(golden.read(tmp_path), Kept.form)
    assert json.loads(golden.sample(tmp_path, Kept.form))["mean radius"] == REQUESTS[0]["mean radius"]
    texts = (tmp_path / "golden" / "records.json").read_text("utf-8")
    assert not any(f'"texture":{request["texture"]}' in texts for request in REQUESTS)
    assert _replay(tmp_path, KeptCheck).state != "broken"


def test_the_key_of_a_recorded_request_is_not_shown(tmp_path: Path) -> None:
    """A key names somebody's row; the page's form starts with the contract's example of one."""

    class Named(Tumour):
        sample: Annotated[str, Key()]

    class NamedCheck(Check):
        input = Named

    _train(tmp_path)
    record_requests(NamedCheck, [{**REQUESTS[0], "sample": "Mrs. Smith"}], folder=tmp_path)
    assert b"Smith" not in golden.sample(tmp_path, Named.form)
