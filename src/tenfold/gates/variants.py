"""What do a service's answers depend on? Golden requests are answered once more with one thing done otherwise.

Pictures with the colours in another order, resized by another filter, with the camera's turn ignored, or saved as JPEG once
more; float32 for the model where it takes float64. None of these raises anything in production, which is why
they are tried here.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from msgspec.structs import replace

from tenfold.contract.form import ImageForm, leaves
from tenfold.gates.seen import Variant
from tenfold.parity.compare import compare
from tenfold.parity.golden import Kept
from tenfold.parity.observe import typed
from tenfold.parity.values import canonical
from tenfold.pipeline import Pipeline
from tenfold.rows import Array, Rows
from tenfold.service import Service
from tenfold.transforms.pictures import decode_rows

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "box")
JPEG_QUALITY = 75  # Pillow's own default, and what many a pipeline saves with

MEANT = {
    "colours": "the order of the colours",
    "resize": "the filter of resizing",
    "turn": "the camera's turn",
    "jpeg": "compression",
}

Alter = Callable[[bytes], bytes]


class Otherwise(NamedTuple):
    """One thing done otherwise to pictures: the rules that they are decoded by, and what is done to a file before."""

    name: str
    instead: str
    is_setting: bool
    image: ImageForm
    alter: Alter | None = None


class Same(Exception):
    """What was done otherwise made no difference, and so nothing is learnt from it."""


def variants(pipeline: Pipeline, kept: Kept) -> Iterator[Variant]:
    """Everything that is tried with the golden records of a started service. Of several filters, the one that moves most."""
    rows = typed(pipeline.form, kept.bodies, [record.media_type for record in kept.golden.records])[0].rows
    images = {name: field.image for name, _, _, field in leaves(pipeline.form.fields) if field.image}
    decoded = rows.replacing({name: _decoded(rows[name], image) for name, image in images.items()})
    usual = _answers(pipeline, decoded)
    for name, image in images.items():
        wire = pipeline.layout.by_name[name].wire
        tried = [(how, _held(usual, pipeline, partial(_redone, decoded, rows, name, how))) for how in _otherwise(image)]
        for word in dict.fromkeys(how.name for how, _ in tried):
            how, found = max(
                ((how, found) for how, found in tried if how.name == word), key=lambda one: _weight(one[1])
            )
            instead = MEANT[word] if found.blind else how.instead
            yield replace(found, field=wire, name=word, instead=instead, is_setting=how.is_setting)
    narrow = copy.copy(pipeline)
    narrow.service = cast(Service, Narrow(pipeline.service))
    if _is_wide(pipeline.service.preprocess(decoded)):
        yield replace(_held(usual, narrow, lambda: decoded), name="dtype", instead="float32 for float64")


def _weight(variant: Variant) -> tuple[bool, bool, int, float]:
    return bool(variant.failed), not variant.blind, variant.labels, variant.largest


def _held(usual: Rows, pipeline: Pipeline, make: Callable[[], Rows]) -> Variant:
    """The answers to other rows, held against the usual ones. Whatever the service's code raises, says so."""
    about: dict[str, Any] = {"field": "", "name": "", "instead": "", "is_setting": False, "rows": len(usual)}
    try:
        found = _answers(pipeline, make())
    except Same:
        return Variant(**about, blind=True)
    except Exception as error:
        return Variant(**about, failed=type(error).__name__)
    difference = compare(canonical(usual), canonical(found), len(usual))
    columns = [np.asarray(column) for column in usual.columns().values()]
    numbers = [column for column in columns if column.dtype.kind == "f" and column.size]
    return Variant(
        **about,
        has_labels=any(column.dtype.kind != "f" for column in columns),
        labels=int(difference.labels.sum()),
        largest=difference.largest,
        spread=max((float(np.nanmax(column) - np.nanmin(column)) for column in numbers), default=0.0),
    )


def _answers(pipeline: Pipeline, rows: Rows) -> Rows:
    """What comes out for rows whose pictures are decoded."""
    *_, (_, (outputs, _)) = pipeline.stages(rows, len(rows))
    return cast(Rows, outputs)


def _decoded(encoded: Any, image: ImageForm) -> Array:
    pictures, refused = decode_rows(list(encoded), image)
    if refused:
        raise next(iter(refused.values()))
    return pictures


def _redone(decoded: Rows, rows: Rows, name: str, how: Otherwise) -> Rows:
    """The rows with their pictures otherwise. Raises ``Same`` where not a pixel of any differs."""
    alter = how.alter
    files = [data if data is None or alter is None else alter(data) for data in rows[name].tolist()]
    pictures = _decoded(files, how.image)
    if np.array_equal(pictures, decoded[name]):
        raise Same
    return decoded.replacing({name: pictures})


def _otherwise(image: ImageForm) -> Iterator[Otherwise]:
    """What may be done otherwise to a picture of these rules."""
    lossless = replace(image, formats=("PNG",), max_bytes=2**31, exif="ignore", palette="convert", deep="scale")
    if image.order != "gray":
        other = "RGB" if image.order == "BGR" else "BGR"
        yield Otherwise("colours", f"{other} for {image.order}", True, replace(image, order=other))
    if image.size is not None:
        for name in FILTERS:
            if name != image.resample:
                yield Otherwise("resize", f"{name} for {image.resample}", True, replace(image, resample=name))
        smooth = "without antialiasing" if image.antialias else "with antialiasing"
        yield Otherwise("resize", smooth, True, replace(image, antialias=not image.antialias))
    if image.exif != "reject":
        yield Otherwise("turn", "the camera's turn ignored", True, lossless, _turned)
    yield Otherwise(
        "jpeg", f"saved as JPEG of quality {JPEG_QUALITY}", False, replace(lossless, formats=("JPEG",)), _as_jpeg
    )


def _turned(data: bytes) -> bytes:
    """The picture as a camera on its side keeps it, for whoever does not read how it was held."""
    from PIL import Image

    return _saved(Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_90), "PNG")


def _as_jpeg(data: bytes) -> bytes:
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return _saved(upright if upright.mode in ("L", "RGB") else upright.convert("RGB"), "JPEG", quality=JPEG_QUALITY)


def _saved(picture: Any, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


class Narrow:
    """A service whose model is fed float32 where it takes float64."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def preprocess(self, rows: Rows) -> Any:
        """What the service makes of rows, with half the digits."""
        made = self._service.preprocess(rows)
        return made.astype(np.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


def _is_wide(made: Any) -> bool:
    """Whether this is a matrix of float64, dense or sparse."""
    return getattr(made, "dtype", None) == np.float64 and hasattr(made, "astype")
