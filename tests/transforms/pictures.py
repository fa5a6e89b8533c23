"""Pictures as clients send them, made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
ALL = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def scene(height: int = 24, width: int = 36) -> Pixels:
    """Something with edges, slopes and all three channels, different on each side."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 255 * y / height
    blue = np.where((x + 2 * y) % 16 < 8, 230, 20)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def encoded(pixels: NDArray[Any], kind: str = "PNG", *, mode: str = "", **options: Any) -> bytes:
    """The file of these pixels."""
    picture = Image.fromarray(pixels)
    return saved(picture.convert(mode) if mode else picture, kind, **options)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of this picture."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """The first 33 bytes of a PNG file, which promise a picture of any size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
