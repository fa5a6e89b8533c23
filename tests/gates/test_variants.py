"""What answers depend on: golden requests answered once more with one thing done otherwise."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image as Pictures

from tenfold import Contract, Image, Rows, Service, record
from tenfold.gates.seen import Variant
from tenfold.gates.variants import variants
from tenfold.parity import golden
from tenfold.pipeline import Pipeline

RANDOM = np.random.default_rng(3)


class Photo(Contract):
    photo: Annotated[bytes, Image(order="RGB", size=(8, 8), resample="bilinear")]


class Redness(Contract):
    red: float


class Red(Service):
    """How red the upper half is."""

    input, output = Photo, Redness
    model = staticmethod(lambda pictures: pictures[:, :4, :, 0].mean(axis=(1, 2)) / 255)


def _bodies(size: tuple[int, int] = (24, 20), gray: bool = False) -> list[bytes]:
    """Photographs, red above and blue below."""
    bodies = []
    for k in range(6):
        pixels = RANDOM.integers(0, 60, (*size, 3))
        pixels[: size[0] // 2, :, 0] += 20 * k + 80
        pixels[size[0] // 2 :, :, 2] += 100
        file = io.BytesIO()
        Pictures.fromarray(pixels.astype(np.uint8)).convert("L" if gray else "RGB").save(file, "PNG")
        bodies.append(file.getvalue())
    return bodies


def _tried(folder: Path, service: type[Service], bodies: Sequence[bytes], media_type: str) -> dict[str, Variant]:
    record(service, bodies, media_type=media_type, folder=folder)
    pipeline = Pipeline(service().start(folder))
    return {one.name: one for one in variants(pipeline, golden.read(folder))}


def test_what_a_picture_depends_on_is_told_with_how_much(tmp_path: Path) -> None:
    """Colours and the camera's turn matter to redness above; the filter moves it, and JPEG a little."""
    tried = _tried(tmp_path, Red, _bodies(), "image/png")
    assert list(tried) == ["colours", "resize", "turn", "jpeg", "dtype"]
    assert (tried["colours"].instead, tried["colours"].field, tried["colours"].rows) == ("BGR for RGB", "photo", 6)
    assert tried["colours"].matters
    assert tried["turn"].matters
    assert tried["colours"].largest > tried["jpeg"].largest > 0
    assert not any(one.failed or one.blind for one in tried.values())
    assert [one.is_setting for one in tried.values()] == [True, True, True, False, False]


def test_records_that_cannot_tell_say_so(tmp_path: Path) -> None:
    """Gray pictures tell nothing of colours, and pictures of the model's size nothing of resizing."""
    tried = _tried(tmp_path, Red, _bodies(size=(8, 8), gray=True), "image/png")
    assert (tried["colours"].blind, tried["resize"].blind, tried["turn"].blind) == (True, True, False)
    assert str(tried["resize"]) == "the filter of resizing (photo): the same in every golden request"


def test_float32_is_tried_where_a_model_takes_float64(tmp_path: Path) -> None:
    """A threshold between two float32 numbers flips a label, and that is seen before anybody casts by habit."""

    class Number(Contract):
        x: float

    class Side(Contract):
        above: bool

    class Threshold(Service):
        """Is it above?"""

        input, output = Number, Side

        def predict(matrix: Any) -> Any:
            return matrix[:, 0] > np.float64(0.1)

        model = staticmethod(predict)

        def postprocess(self, scores: Any) -> dict[str, Any]:
            return {"above": scores}

    bodies = [b'{"x": 0.1}', b'{"x": 0.3}']
    tried = _tried(tmp_path, Threshold, bodies, "application/json")
    assert list(tried) == ["dtype"]
    assert (tried["dtype"].instead, tried["dtype"].labels) == ("float32 for float64", 1)


def test_a_service_that_cannot_do_it_is_no_error(tmp_path: Path) -> None:
    """A model that raises for float32 depends on float64 more than any other."""

    class Number(Contract):
        x: float

    class Same(Contract):
        y: float

    def strict(matrix: Any) -> Any:
        if matrix.dtype != np.float64:
            raise TypeError(matrix.dtype)
        return matrix[:, 0]

    class Strict(Service):
        """The number."""

        input, output, model = Number, Same, staticmethod(strict)

        def preprocess(self, rows: Rows) -> Any:
            return rows.matrix("x", dtype=np.float64)

    tried = _tried(tmp_path, Strict, [b'{"x": 1.5}'], "application/json")
    assert tried["dtype"].failed == "TypeError"
    assert tried["dtype"].matters
