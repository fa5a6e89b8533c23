"""Questions 1 and 3 for pictures: from a file's bytes to the array that a model takes, by the rules of
``Image(...)``.

Training and serving have to decode alike: a picture trained as BGR and served as RGB, another resize filter or an
ignored turn costs accuracy and raises nothing. So every choice is in the contract, and this is the one place that
carries it out.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.contract.form import Form, ImageForm, leaves
from tenfold.errors import InvalidInput, ModelError, Violation
from tenfold.rows import Array, Rows
from tenfold.transforms.headers import Header, PictureError, admitted, header
from tenfold.transforms.sampling import sample

__all__ = ["PictureError", "decode", "decode_rows", "decoded", "header"]

# Pillow's own classes, not Image.open: that one loads a plug-in for every format there is, warns of what is
# refused here anyway, and takes a JPEG with a preview or depth map behind it for an animation.
OPENERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16")
ORIENTATION = 0x0112  # the Exif tag: 1 is upright, 2 to 8 the other ways to turn and mirror
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def decode(data: bytes, image: ImageForm) -> Array:
    """The picture as an array, step by step.

    1. Bytes, format (by signature), sides and pixels are held against their limits, before anything is decoded.
    2. Decoded by Pillow; of several frames the first. ICC profiles are ignored.
    3. 16 bits a channel: the upper byte. Palettes, 1 bit and CMYK become RGB as Pillow converts them.
    4. Transparent pixels are composited on the colour ``alpha``; or the alpha channel is dropped.
    5. Turned upright as Exif says.
    6. ``gray`` is ITU-R 601 luma, (19595 R + 38470 G + 7471 B + 32768) >> 16; ``BGR`` has the channels reversed.
    7. Resized to ``size``: ``stretch`` ignores proportions; ``cover`` fills the size and cuts off what is beyond,
       evenly; ``contain`` fits into it, on black. With antialiasing it is Pillow's ``resize``, without it
       ``sampling.sample``.
    8. ``value / 255 * (high - low) + low`` if there is a range, then ``- mean``, then ``/ std``, each step in float32
       (float64 for a float64 array) and per channel in the order of the array.

    Raises ``PictureError`` for whatever the bytes may be, and nothing else.
    """
    head = admitted(data, image)
    pillow = _pillow()
    try:
        opened = _opened(data, head, image)
        turn = _turn(opened, image)
        picture = _coloured(opened, head, image)
        picture = picture.transpose(turn) if turn is not None else picture
        return _as_array(_resized(picture.convert("L" if image.order == "gray" else "RGB"), image), image)
    except PictureError:
        raise
    except pillow.DecompressionBombError:
        raise PictureError("image_too_large", "has more pixels than Pillow decodes") from None
    except Exception as error:  # decoders raise whatever they like on damaged files, down to struct.error
        raise PictureError("image_broken", "cannot be decoded; the file is damaged or truncated") from error


def decode_rows(encoded: Sequence[bytes | None] | Array, image: ImageForm) -> tuple[Array, dict[int, PictureError]]:
    """Every picture of a column, and the row of each that is refused.

    The array is (n, ...) where all have one size, else n arrays as objects. Missing and refused pictures are zeros
    (None among objects).
    """
    pictures: list[Array | None] = [None] * len(encoded)
    refused: dict[int, PictureError] = {}
    for row, data in enumerate(encoded):
        if data is not None:
            try:
                pictures[row] = decode(data, image)
            except PictureError as error:
                refused[row] = error
    return _stacked(pictures, image), refused


def decoded(rows: Rows, form: Form) -> Rows:
    """The rows with their pictures as arrays, which is how ``preprocess`` sees them; for training scripts.

    Raises ``InvalidInput`` with a violation for each picture that the contract refuses.
    """
    violations: list[Violation] = []
    for name, wire, pointer, field in leaves(form.fields):
        if field.image is not None:
            arrays, refused = decode_rows(rows[name], field.image)
            rows = rows.replacing({name: arrays})
            violations += [Violation(row, pointer, e.code, f"{wire} {e.detail}") for row, e in refused.items()]
    if violations:
        raise InvalidInput(violations)
    return rows


def shape_of(image: ImageForm, size: tuple[int, int]) -> tuple[int, ...]:
    """The shape of one picture's array, for a size (height, width)."""
    channels = 1 if image.order == "gray" else 3
    return {"HW": size, "HWC": (*size, channels), "CHW": (channels, *size)}[image.layout]


def _stacked(pictures: list[Array | None], image: ImageForm) -> Array:
    if image.size is not None:
        result = np.zeros((len(pictures), *shape_of(image, image.size)), dtype=image.dtype)
    elif pictures and all(p is not None and pictures[0] is not None and p.shape == pictures[0].shape for p in pictures):
        return np.array(pictures)
    else:
        result = np.empty(len(pictures), dtype=object)
    for row, picture in enumerate(pictures):
        if picture is not None:
            result[row] = picture
    return result


def _pillow() -> Any:
    try:
        return import_module("PIL.Image")
    except ModuleNotFoundError:
        raise ModelError(
            "pictures are decoded by Pillow, which is not installed here",
            "pip install 'tenfold[image]', and name pillow in the service's pyproject.toml",
        ) from None


def _opened(data: bytes, head: Header, image: ImageForm) -> Any:
    """The decoded picture, as Pillow sees it. It has to have the size that its header told us."""
    module, name = OPENERS[head.format]
    picture = getattr(import_module(module), name)(io.BytesIO(data))
    if picture.size != (head.width, head.height):
        raise PictureError("image_broken", "has two headers that contradict each other")
    if image.frames == "reject" and getattr(picture, "is_animated", False):
        raise PictureError("image_mode", "must be a single picture, found several frames")
    picture.load()
    return picture


def _coloured(picture: Any, head: Header, image: ImageForm) -> Any:
    """The picture in mode L or RGB, 8 bits a channel, without transparency."""
    for mode, refused, found in (
        (head.deep, image.deep, "16 bits a channel"),
        (picture.mode in ("P", "PA"), image.palette, "a palette"),
        (picture.mode == "CMYK", image.cmyk, "CMYK"),
        (picture.has_transparency_data, image.alpha, "transparency"),
        (picture.mode not in MODES, "reject", f"mode {picture.mode}"),
    ):
        if mode and refused == "reject":
            raise PictureError("image_mode", f"must be a picture without {found}")
    if picture.mode == "I;16":
        return _pillow().fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        return _opaque(picture.convert("RGBA"), image.alpha)
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _opaque(picture: Any, alpha: str) -> Any:
    if alpha == "drop":
        return picture.convert("RGB")
    pillow = _pillow()
    behind = pillow.new("RGBA", picture.size, alpha)
    return pillow.alpha_composite(behind, picture).convert("RGB")


def _turn(picture: Any, image: ImageForm) -> Any:
    """How Pillow has to turn or mirror the picture so that it stands upright; None where it does."""
    name = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    if name is None or image.exif == "ignore":
        return None
    if image.exif == "reject":
        raise PictureError("image_mode", "must be upright, found an Exif orientation")
    return _pillow().Transpose[name]


def _resized(picture: Any, image: ImageForm) -> Array:
    """Pixels (h, w) or (h, w, 3), at the declared size."""
    if image.size is None:
        return np.asarray(picture)
    (old_width, old_height), (height, width) = picture.size, image.size
    ratios = width / old_width, height / old_height
    if image.fit == "contain":
        inner = (max(1, round(old_width * min(ratios))), max(1, round(old_height * min(ratios))))
        return _on_black(_resampled(picture, inner, (0, 0, old_width, old_height), image), width, height)
    part = (
        (1.0, 1.0) if image.fit == "stretch" else (width / max(ratios) / old_width, height / max(ratios) / old_height)
    )
    beside, above = ((1 - min(share, 1.0)) / 2 for share in part)
    box = (beside * old_width, above * old_height, (1 - beside) * old_width, (1 - above) * old_height)
    return _resampled(picture, (width, height), box, image)


def _resampled(picture: Any, size: tuple[int, int], box: tuple[float, float, float, float], image: ImageForm) -> Array:
    if image.antialias or image.resample == "nearest":
        filter_ = _pillow().Resampling[image.resample.upper()]
        return np.asarray(picture.resize(size, filter_, box=box, reducing_gap=None))
    return sample(np.asarray(picture), size, image.resample, box)


def _on_black(pixels: Array, width: int, height: int) -> Array:
    result = np.zeros((height, width, *pixels.shape[2:]), dtype=np.uint8)
    above, beside = (height - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    result[above : above + pixels.shape[0], beside : beside + pixels.shape[1]] = pixels
    return result


def _as_array(pixels: Array, image: ImageForm) -> Array:
    """Pixels (h, w) or (h, w, 3) in the declared order of channels, scale, layout and dtype."""
    if image.order == "BGR":
        pixels = pixels[..., ::-1]
    if image.layout != "HW" and pixels.ndim == 2:
        pixels = pixels[..., None]
    values = _scaled(pixels, image)
    if image.layout == "CHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values, dtype=image.dtype)


def _scaled(pixels: Array, image: ImageForm) -> Array:
    if image.range is None and not image.mean and not image.std:
        return pixels
    values: NDArray[np.floating] = pixels.astype(np.float64 if image.dtype == "float64" else np.float32)
    if image.range is not None:
        low, high = image.range
        values /= 255
        if image.range != (0, 1):
            values *= high - low
            values += low
    if image.mean:
        values -= np.asarray(image.mean, dtype=values.dtype)
    if image.std:
        values /= np.asarray(image.std, dtype=values.dtype)
    return values
