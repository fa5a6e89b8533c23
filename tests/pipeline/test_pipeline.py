"""From typed rows to answers: whoever is at fault is named, everybody else is answered."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from tenfold import Contract, Ge, Image, Key, Le, Predicate, Rows, Service, ServiceError, flag, rule
from tenfold.model import Facts
from tenfold.pipeline import STAGES, Failure, Pipeline, log
from tenfold.server.replica import thread_usage
from tenfold.validation import block


class Row(Contract):
    id: Annotated[int, Key()]
    x: Annotated[float, Ge(0), Le(100)]
    y: float


class Out(Contract):
    label: Literal["low", "high"]
    score: Annotated[float, Ge(0), Le(1)]


class Share:
    """A model with two classes: the second is as likely as x is large."""

    classes_ = ("low", "high")

    def predict_proba(self, inputs: Any) -> Any:
        share = inputs[:, 0] / 100
        return np.column_stack([1 - share, share])


class Shares(Service):
    input, output, model = Row, Out, Share()


class Clock:
    """Each reading is a second later than the one before."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def _service(**stated: Any) -> Service:
    probe: type[Service] = type("Probe", (Shares,), stated)
    return probe().start()


def _rows(xs: list[float], contract: type[Contract] = Row) -> Rows:
    return contract.read([{"id": k, "x": x, "y": 0.0} for k, x in enumerate(xs)])


def _run(service: Service, xs: list[float]) -> tuple[Any, list[Failure]]:
    failures: list[Failure] = []
    return Pipeline(service, report=failures.append).run(_rows(xs)), failures


def test_rows_become_answers_in_their_order() -> None:
    """Each row gets the answer to itself."""
    answer, failures = _run(_service(), [10, 90, 50])
    assert answer.index.tolist() == [0, 1, 2]
    assert answer.outputs.label.tolist() == ["low", "high", "low"]
    assert answer.outputs.score.tolist() == [0.9, 0.9, 0.5]
    assert (answer.total, list(answer.violations), failures) == (3, [], [])


def test_no_rows_are_no_answers() -> None:
    """An empty request does not reach the model, which may not take one."""
    answer, failures = _run(_service(model=lambda inputs: 1 / 0, postprocess=lambda self, scores: scores), [])
    assert (len(answer.outputs), answer.total, failures) == (0, 0, [])
    assert answer.outputs.columns().keys() == {"label", "score"}


def test_stages_are_timed_by_the_clock_that_is_handed_in() -> None:
    """Server-Timing says where the time went."""
    answer = Pipeline(_service(), Clock()).run(_rows([1, 2]))
    assert answer.seconds == dict.fromkeys(STAGES, 1.0)


def _breaks(where: str) -> dict[str, Any]:
    """A service whose stage raises wherever x is 13."""

    def check(xs: Any) -> None:
        if (xs == 13).any():
            raise ValueError("thirteen")

    def preprocess(self: Service, rows: Rows) -> Any:
        check(rows.x)
        return rows.matrix("x")

    def predict(inputs: Any) -> Any:
        check(inputs[:, 0])
        return inputs[:, 0] / 100

    def postprocess(self: Service, scores: Any) -> Any:
        check(np.round(scores * 100))
        return {"label": ["low"] * len(scores), "score": scores}

    good: dict[str, Any] = {
        "preprocess": lambda self, rows: rows.matrix("x"),
        "model": staticmethod(lambda inputs: inputs[:, 0] / 100),
        "postprocess": lambda self, scores: {"label": ["low"] * len(scores), "score": scores},
    }
    return good | {where: {"preprocess": preprocess, "model": staticmethod(predict), "postprocess": postprocess}[where]}


@pytest.mark.parametrize("stage", ["preprocess", "model", "postprocess"])
def test_only_the_rows_that_make_a_stage_raise_fail(stage: str) -> None:
    """One poisonous row in a batch of strangers' requests is bisected down to itself."""
    xs = [float(k) for k in range(20)]
    xs[3] = xs[17] = 13
    answer, failures = _run(_service(**_breaks(stage)), xs)
    assert [(v.row, v.code, v.detail) for v in answer.violations] == [
        (row, "model_failed", f"{stage} raised ValueError") for row in (3, 13, 17)
    ]
    assert answer.index.tolist() == [k for k in range(20) if k not in (3, 13, 17)]
    assert answer.outputs.score.tolist() == [xs[k] / 100 for k in answer.index]
    assert [(f.stage, str(f.error), list(f.rows)) for f in failures] == [(stage, "thirteen", [3, 13, 17])]


def test_a_failure_of_every_row_is_an_answer_without_rows() -> None:
    """A broken service answers that it is broken; the log has the traceback once."""
    answer, failures = _run(_service(**_breaks("model")), [13] * 5)
    assert (len(answer.outputs), [v.row for v in answer.violations]) == (0, [0, 1, 2, 3, 4])
    assert len(failures) == 1


def test_what_was_sent_is_not_in_the_message() -> None:
    """An exception's text may quote a row; a client is told its kind only."""
    answer, _ = _run(_service(**_breaks("model")), [13])
    assert "thirteen" not in answer.violations[0].detail


def test_a_failure_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever keeps the service finds the line that raised."""
    Pipeline(_service(**_breaks("model")), report=log).run(_rows([13, 1]))
    assert "model raised for 1 rows, the first of them row 0" in caplog.text
    assert "ValueError: thirteen" in caplog.text


def test_a_dropped_row_never_shifts_the_others() -> None:
    """Preprocess that drops a row (dropna) would give everybody a neighbour's answer; instead that row fails."""

    def preprocess(self: Service, rows: Rows) -> Any:
        return rows.matrix("x")[rows.x != 13]

    answer, _ = _run(_service(preprocess=preprocess), [1, 13, 50])
    assert [(v.row, v.detail) for v in answer.violations] == [(1, "preprocess gave 0 rows for 1")]
    assert answer.outputs.score.tolist() == [0.99, 0.5]


def test_a_row_dropped_by_postprocess_fails_alone() -> None:
    """The same holds after the model: nobody gets the answer to another row."""

    def postprocess(self: Service, scores: Any) -> Any:
        kept = scores[scores[:, 1] != 0.13]
        return {"label": np.full(len(kept), "low"), "score": kept[:, 1]}

    answer, _ = _run(_service(postprocess=postprocess), [1, 13, 50])
    assert [(v.row, v.detail) for v in answer.violations] == [(1, "postprocess gave 0 rows for 1")]
    assert answer.outputs.score.tolist() == [0.01, 0.5]


def test_a_model_that_adds_up_its_rows_fails_them() -> None:
    """A sum over the batch is nobody's answer."""
    stated = _breaks("model") | {"model": staticmethod(lambda inputs: inputs.sum())}
    answer, _ = _run(_service(**stated), [1, 2])
    assert {v.detail for v in answer.violations} == {"the model gave no rows for 1"}


def test_an_answer_that_breaks_its_contract_fails_alone() -> None:
    """A probability of NaN, or of 2, is an error of ours and not an answer."""

    def postprocess(self: Service, scores: Any, rows: Rows) -> Any:
        return {"label": ["low"] * len(rows), "score": np.where(rows.x == 13, np.nan, rows.x)}

    answer, failures = _run(_service(postprocess=postprocess), [0.5, 13, 2, 1])
    assert [(v.row, v.pointer, v.code) for v in answer.violations] == [
        (1, "/score", "output_invalid"),
        (2, "/score", "output_invalid"),
    ]
    assert (answer.index.tolist(), answer.outputs.score.tolist(), failures) == ([0, 3], [0.5, 1.0], [])


def test_postprocess_may_take_the_rows() -> None:
    """An answer may depend on what was asked, such as a limit that the row states."""

    def postprocess(self: Service, scores: Any, rows: Rows) -> Any:
        return {"label": np.where(rows.x > 20, "high", "low"), "score": scores[:, 1]}

    answer, _ = _run(_service(postprocess=postprocess), [10, 30])
    assert answer.outputs.label.tolist() == ["low", "high"]


class Asking(Contract):
    id: Annotated[int, Key()]
    x: Annotated[float, Predicate(lambda x: x != 13)]
    y: float

    @rule
    def x_before_y(rows: Rows) -> Any:
        return rows.x <= 50

    @rule(on_invalid=flag)
    def x_is_small(rows: Rows) -> Any:
        return rows.x < 40


def test_predicates_and_rules_are_asked_before_the_model() -> None:
    """A rule of the contract in Python holds for each row, or says what becomes of it."""
    pipeline = Pipeline(_service(input=Asking))
    answer = pipeline.run(_rows([10, 13, 60, 45], Asking))
    assert {(v.row, v.code) for v in answer.violations} == {(1, "predicate"), (2, "rule:x_before_y")}
    assert [(f.row, f.code) for f in answer.flags] == [(3, "rule:x_is_small")]
    assert answer.index.tolist() == [0, 3]


def test_rows_keep_the_place_where_they_came_from() -> None:
    """Rows that validation took from a table are answered under their numbers there."""
    checked = block.check(
        Row.form, [{"id": 0, "x": -1, "y": 0}, {"id": 1, "x": 20, "y": 0}, {"id": 2, "x": 13, "y": 0}]
    )
    answer = Pipeline(_service(**_breaks("model")), report=lambda failure: None).answer(checked)
    assert (answer.total, answer.index.tolist()) == (3, [1])
    assert [(v.row, v.code) for v in answer.violations] == [(0, "out_of_range"), (2, "model_failed")]


def test_a_service_has_to_be_started() -> None:
    """A service without its model says so, before anybody asks it."""
    with pytest.raises(ServiceError, match="Shares is not started"):
        Pipeline(Shares())


class Photo(Contract):
    photo: Annotated[bytes, Image(size=(2, 2), order="gray", layout="HW", dtype="float64")]


class Bright(Contract):
    brightness: float


class Brightness(Service):
    input, output = Photo, Bright
    model = staticmethod(lambda pictures: pictures.mean(axis=(1, 2)))


def _png(level: int) -> bytes:
    import io

    from PIL.Image import new

    buffer = io.BytesIO()
    new("L", (4, 4), level).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_broken_picture_fails_alone() -> None:
    """Pictures are decoded row by row; a damaged one is refused with its reason, the others are answered."""
    rows = Photo.read([{"photo": _png(10)}, {"photo": _png(20)[:-30]}, {"photo": b"GIF no"}, {"photo": _png(30)}])
    answer = Pipeline(Brightness().start()).run(rows)
    assert [(v.row, v.pointer, v.code) for v in answer.violations] == [
        (1, "/photo", "image_broken"),
        (2, "/photo", "image_format"),
    ]
    assert answer.violations[0].detail.startswith("photo ")
    assert (answer.index.tolist(), answer.outputs.brightness.tolist()) == ([0, 3], [10.0, 30.0])


def test_the_stages_can_be_looked_at_one_by_one() -> None:
    """Check and golden replay see what each stage made, by its name."""
    stages = dict(Pipeline(_service()).stages(_rows([10, 90]), 2))
    assert list(stages) == ["preprocess", "model", "postprocess"]
    assert stages["preprocess"].tolist() == [[10, 0], [90, 0]]
    outputs, faults = stages["postprocess"]
    assert (outputs.label.tolist(), faults) == (["low", "high"], [])


def test_facts_are_those_of_the_model() -> None:
    """What the model says of itself is known once it is loaded."""
    service = _service()
    assert isinstance(service.facts, Facts)
    assert service.facts.classes == ("low", "high")


def test_a_preprocess_that_waits_is_told_from_one_that_computes() -> None:
    """Time that the service's own code spends waiting, as for a network, is seen from the second long batch on."""

    def waits(self: Service, rows: Rows) -> Any:
        time.sleep(0.02)
        return rows.matrix("x", "y")

    def computes(self: Service, rows: Rows) -> Any:
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
        return rows.matrix("x", "y")

    waiting = Pipeline(_service(preprocess=waits), usage=thread_usage)
    computing = Pipeline(_service(preprocess=computes), usage=thread_usage)
    assert waiting.run(_rows([10])).waited_s == 0
    assert waiting.run(_rows([10])).waited_s > 0.015
    assert [computing.run(_rows([10])).waited_s for _ in range(3)] == [0, 0, 0]
