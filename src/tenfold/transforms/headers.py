"""What the first bytes of a picture say: its format and size, before any memory is given to it.

Names and media types can lie, and a header of 50 bytes can ask for ten gigabytes. So the format is told by its
signature, and the size read here, before a decoder sees the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tenfold.contract.form import ImageForm


class PictureError(Exception):
    """A picture that the contract refuses: a code of the ``image_`` family, and a sentence without the field's name."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Header(NamedTuple):
    """What a picture says of itself; ``deep`` is true for 16 bits a channel."""

    format: str
    width: int
    height: int
    deep: bool = False


def header(data: bytes) -> Header:
    """The header of a JPEG, PNG, WebP, GIF or BMP file. Raises ``PictureError`` for anything else, and for a broken
    one."""
    for signature, read in _READERS.items():
        if data.startswith(signature):
            try:
                found = read(data)
            except IndexError:
                raise PictureError("image_broken", "ends within its header") from None
            if found.width < 1 or found.height < 1:
                raise PictureError("image_broken", "has a header without a size")
            return found
    raise PictureError("image_format", "must be a picture, found something else")


def admitted(data: bytes, image: ImageForm) -> Header:
    """The header of a picture that the contract lets through to the decoder; ``PictureError`` for the others."""
    if len(data) > image.max_bytes:
        raise PictureError("image_too_large", f"must have at most {image.max_bytes} bytes, found more")
    found = header(data)
    if found.format not in image.formats:
        raise PictureError("image_format", f"must be {' or '.join(image.formats)}, found {found.format}")
    if max(found.width, found.height) > image.max_side:
        raise PictureError("image_too_large", f"must have sides of at most {image.max_side} pixels, found more")
    if found.width * found.height > image.max_pixels:
        raise PictureError("image_too_large", f"must have at most {image.max_pixels} pixels, found more")
    return found


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_slice(data, at, size), "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(_slice(data, at, size), "little")


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise IndexError(at)
    return data[at : at + size]


def _png(data: bytes) -> Header:
    """PNG specification, 11.2.1: IHDR comes first."""
    if _slice(data, 12, 4) != b"IHDR":
        raise PictureError("image_broken", "is a PNG file without a header")
    return Header("PNG", _big(data, 16, 4), _big(data, 20, 4), deep=data[24] == 16)


def _jpeg(data: bytes) -> Header:
    """ITU-T T.81, B.2.2: the frame header (SOF0 to SOF15, without DHT, JPG and DAC) among the segments."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise PictureError("image_broken", "is a JPEG file whose segments are damaged")
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Header("JPEG", _big(data, at + 7, 2), _big(data, at + 5, 2))
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no length
            at += 2
        else:
            at += 2 + max(_big(data, at + 2, 2), 2)


def _webp(data: bytes) -> Header:
    """RFC 9649, section 2: a lossy, lossless or extended first chunk."""
    if _slice(data, 8, 4) != b"WEBP":
        raise PictureError("image_format", "must be a picture, found something else")
    match _slice(data, 12, 4):
        case b"VP8 ":
            return Header("WEBP", _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF)
        case b"VP8L":
            bits = _little(data, 21, 4)
            return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            return Header("WEBP", _little(data, 24, 3) + 1, _little(data, 27, 3) + 1)
    raise PictureError("image_broken", "is a WebP file that starts with no picture")


def _gif(data: bytes) -> Header:
    return Header("GIF", _little(data, 6, 2), _little(data, 8, 2))


def _bmp(data: bytes) -> Header:
    """A BITMAPCOREHEADER has sizes of 16 bits; later ones have 32, and a negative height where rows go downwards."""
    if _little(data, 14, 4) == 12:
        return Header("BMP", _little(data, 18, 2), _little(data, 20, 2))
    height = int.from_bytes(_slice(data, 22, 4), "little", signed=True)
    return Header("BMP", _little(data, 18, 4), abs(height))


_READERS: dict[bytes, Callable[[bytes], Header]] = {
    b"\xff\xd8\xff": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"RIFF": _webp,
    b"GIF8": _gif,
    b"BM": _bmp,
}
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
