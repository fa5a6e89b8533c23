"""The traps that pictures set between training and serving, each caught by a golden record, and named."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from PIL import Image as Pictures
from PIL import ImageFilter

from tenfold import Contract, Image, Rows, Service, replay
from tenfold import record as record_requests
from tenfold.parity import Report
from tenfold.transforms.pictures import decode_rows

SIZE = (16, 16)
RANDOM = np.random.default_rng(7)


class Redness(Contract):
    red: float


class Photo(Contract):
    photo: Annotated[bytes, Image(order="RGB", size=SIZE, resample="bilinear")]


class Red(Service):
    input, output = Photo, Redness
    model = staticmethod(lambda pictures: pictures[..., 0].mean(axis=(1, 2)))


def _bodies(turn: int = 1) -> list[bytes]:
    """Photographs that are 24 x 20 and lean to red, some of them turned by the camera."""
    bodies = []
    for k in range(6):
        noise = RANDOM.integers(0, 256, (24, 20, 3)) * np.array([1.0, 0.5, 0.25])
        picture = Pictures.fromarray(noise.astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
        exif = Pictures.Exif()
        if k % 2:
            exif[0x0112] = turn
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", exif=exif)
        bodies.append(buffer.getvalue())
    return bodies


def _as_served(bodies: Sequence[bytes], contract: type[Contract] = Photo) -> Any:
    """What serving feeds the model: the training script asks the service itself."""
    image = contract.form.fields[0].image
    assert image is not None
    rows = Rows.of([{"photo": body} for body in bodies], contract)
    return _service(contract)().preprocess(rows.replacing({"photo": decode_rows(bodies, image)[0]}))


def _service(contract: type[Contract]) -> type[Service]:
    return type("Red", (Red,), {"input": contract})


def _with_opencv(bodies: Sequence[bytes], order: int | None = None) -> Any:
    """What a training script with OpenCV feeds the model; imread and imdecode give BGR."""
    pictures: list[Any] = [cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) for body in bodies]
    if order is not None:
        pictures = [cv2.cvtColor(picture, order) for picture in pictures]
    return np.stack([cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA) for picture in pictures])


def _recorded(folder: Path, bodies: Sequence[bytes], model_input: Any, contract: type[Contract] = Photo) -> Report:
    service = _service(contract)
    report = record_requests(service, bodies, model_input=model_input, media_type="image/png", folder=folder)
    assert replay(service().start(folder)) == report
    return report


def test_training_through_the_service_is_green(tmp_path: Path) -> None:
    """A training script that lets the service decode its pictures has no skew to find."""
    bodies = _bodies()
    report = _recorded(tmp_path, bodies, _as_served(bodies))
    assert report.green
    assert [stage.name for stage in report.stages] == ["decode", "pictures", "preprocess", "model", "postprocess"]
    assert sorted(path.name for path in (tmp_path / "golden").glob("*.png")) == [f"{k:04d}.png" for k in range(6)]
    assert (tmp_path / "golden" / "0003.png").read_bytes() == bodies[3]


def test_trained_as_bgr_and_served_as_rgb(tmp_path: Path) -> None:
    """OpenCV's order of colours, in training only: preprocess differs, and red and blue are named."""
    bodies = _bodies()
    report = _recorded(tmp_path, bodies, _as_served(bodies)[..., ::-1])
    assert (report.state, report.green) == ("broken", False)
    assert report.diverged is not None
    assert report.diverged.name == "preprocess"
    assert "red and blue are swapped" in report.describe()


def test_opencv_throughout_training_is_still_seen_for_what_it_is(tmp_path: Path) -> None:
    """BGR and another resize at once leave no single pattern, and the stage is named all the same."""
    bodies = _bodies()
    report = _recorded(tmp_path, bodies, _with_opencv(bodies))
    assert report.diverged is not None
    assert (report.diverged.name, report.state) == ("preprocess", "broken")


def test_bgr_declared_is_bgr_served(tmp_path: Path) -> None:
    """The mend of the first trap: order="BGR" in the contract."""

    class Bgr(Contract):
        photo: Annotated[bytes, Image(order="BGR", size=SIZE, resample="bilinear")]

    bodies = _bodies()
    assert _recorded(tmp_path, bodies, _as_served(bodies)[..., ::-1], Bgr).green


def test_another_resize_filter_is_named(tmp_path: Path) -> None:
    """The right colours at the wrong sharpness: the same pictures with other pixels."""
    bodies = _bodies()
    report = _recorded(tmp_path, bodies, _with_opencv(bodies, cv2.COLOR_BGR2RGB))
    assert report.diverged is not None
    assert report.diverged.name == "preprocess"
    assert "the same pictures with other pixels" in report.describe()


def test_an_ignored_exif_turn_is_named(tmp_path: Path) -> None:
    """Training that does not turn pictures upright differs where a camera turned them."""

    class Unturned(Contract):
        photo: Annotated[bytes, Image(order="RGB", size=SIZE, resample="bilinear", exif="ignore")]

    bodies = _bodies(turn=3)
    report = _recorded(tmp_path, bodies, _as_served(bodies, Unturned))
    assert report.diverged is not None
    assert (report.diverged.name, report.diverged.equal) == ("preprocess", 3)
    assert "pictures are turned by 180 degrees: one side ignores the Exif orientation" in report.describe()


def test_scaled_pixels_are_named(tmp_path: Path) -> None:
    """Training on 0 to 1 and serving 0 to 255 is a scale, and the scale is told."""
    bodies = _bodies()
    report = _recorded(tmp_path, bodies, (_as_served(bodies) / 255).astype(np.float32))
    assert "another scale: the record is 0.00392157 times these values" in report.describe()


def test_pictures_that_decode_otherwise_are_found_before_preprocess(tmp_path: Path) -> None:
    """An edit of Image(...) after training, or an upgraded decoder, differs at the pictures themselves."""

    class Bicubic(Contract):
        photo: Annotated[bytes, Image(order="RGB", size=SIZE, resample="bicubic")]

    bodies = _bodies()
    _recorded(tmp_path, bodies, _as_served(bodies))
    report = replay(_service(Bicubic)().start(tmp_path))
    assert report.diverged is not None
    assert (report.diverged.name, report.diverged.equal, report.state) == ("pictures", 0, "broken")
