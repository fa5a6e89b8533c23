"""The format and size of a picture are known before anything is decoded."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest

from tenfold.contract.form import ImageForm
from tenfold.transforms.headers import Header, PictureError, admitted, header
from tests.transforms.pictures import ALL, encoded, png_header, scene

EVERY = ImageForm(formats=ALL)


@pytest.mark.parametrize("kind", ALL)
def test_size_and_format_are_read_from_the_content(kind: str) -> None:
    """Each format says its size in a place of its own."""
    assert header(encoded(scene(24, 36), kind)) == Header(kind, 36, 24)


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
def test_each_kind_of_webp_is_read(options: dict[str, Any]) -> None:
    """Lossless and extended WebP files have headers of their own."""
    assert header(encoded(scene(24, 36), "WEBP", **options)) == Header("WEBP", 36, 24)


def test_a_progressive_jpeg_with_metadata_is_read() -> None:
    """The size stands behind however many other segments there are."""
    data = encoded(scene(24, 36), "JPEG", progressive=True, comment=b"\xff\xc0 not a frame", icc_profile=b"p" * 70_000)
    assert header(data) == Header("JPEG", 36, 24)


def test_sixteen_bits_a_channel_are_told() -> None:
    """A PNG says how deep it is."""
    assert header(encoded(scene()[..., 0].astype("uint16") * 257)).deep
    assert not header(encoded(scene())).deep


@pytest.mark.parametrize(
    "data",
    [
        png_header(50_000, 50_000),
        b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (16_383).to_bytes(3, "little") * 2,
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(10),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 60_000, -60_000) + bytes(30),
        b"\xff\xd8\xff\xc0\0\x11\x08" + struct.pack(">HH", 65_500, 65_500) + bytes(10),
    ],
    ids=["PNG", "WEBP", "GIF", "BMP", "JPEG"],
)
def test_a_bomb_is_refused_without_memory(data: bytes) -> None:
    """A header of a few bytes that promises gigabytes costs nothing."""
    tracemalloc.start()
    with pytest.raises(PictureError) as refused:
        admitted(data, EVERY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "image_too_large"
    assert peak < 100_000


@pytest.mark.parametrize(
    ("image", "code", "detail"),
    [
        (ImageForm(formats=("JPEG", "WEBP")), "image_format", "must be JPEG or WEBP, found PNG"),
        (ImageForm(max_bytes=50), "image_too_large", "must have at most 50 bytes, found more"),
        (ImageForm(max_side=35), "image_too_large", "must have sides of at most 35 pixels, found more"),
        (ImageForm(max_pixels=863), "image_too_large", "must have at most 863 pixels, found more"),
    ],
)
def test_limits_of_the_contract_hold(image: ImageForm, code: str, detail: str) -> None:
    """Format, bytes, side and pixels are limits, and the sentence says which one it was."""
    with pytest.raises(PictureError) as refused:
        admitted(encoded(scene(24, 36)), image)
    assert (refused.value.code, refused.value.detail) == (code, detail)


def test_limits_are_inclusive() -> None:
    """A picture of exactly the allowed size passes."""
    assert admitted(encoded(scene(24, 36)), ImageForm(max_side=36, max_pixels=24 * 36)).width == 36


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"RIFF\0\0\0\0WAVEfmt ", b"%PDF-1.7", b"\0" * 64])
def test_what_is_no_picture_is_not_taken_for_one(data: bytes) -> None:
    """Names and media types do not matter, the content does."""
    with pytest.raises(PictureError) as refused:
        header(data)
    assert refused.value.code in ("image_format", "image_broken")


@pytest.mark.parametrize("kind", ALL)
def test_a_file_that_ends_within_its_header_is_broken(kind: str) -> None:
    """However short a file is, the answer is a code."""
    data = encoded(scene(), kind)
    for size in range(30):
        with pytest.raises(PictureError):
            admitted(data[:size], ImageForm(formats=ALL, max_side=4))


def test_a_picture_without_a_size_is_broken() -> None:
    """A width of 0 is no width."""
    with pytest.raises(PictureError, match="without a size"):
        header(png_header(0, 10))
