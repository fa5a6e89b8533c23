"""A picture becomes one array, by the rules of the contract, whatever way it was saved."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as Pillow

from tenfold import Contract, Image, InvalidInput, Rows
from tenfold.contract.form import ImageForm
from tenfold.transforms.pictures import PictureError, decode, decode_rows, decoded
from tests.transforms.pictures import ALL, encoded, png_header, saved, scene

INVERSE = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Exif orientation -> Pillow's number of the turn back
FILES = {
    "JPEG": encoded(scene(), "JPEG"),
    "PNG": encoded(scene(), "PNG"),
    "WEBP": encoded(scene(), "WEBP"),
    "lossless WEBP": encoded(scene(), "WEBP", lossless=True),
    "GIF": encoded(scene(), "GIF"),
    "BMP": encoded(scene(), "BMP"),
}


def test_defaults_give_the_pixels() -> None:
    """Without any choice, a picture is (height, width, 3), RGB, uint8."""
    array = decode(encoded(scene()), ImageForm())
    assert array.dtype == np.uint8
    assert np.array_equal(array, scene())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_lossless_formats_give_one_answer(kind: str) -> None:
    """The format does not matter, only the picture."""
    assert np.array_equal(decode(encoded(scene(), kind, lossless=True), ImageForm(formats=ALL)), scene())


@pytest.mark.parametrize("orientation", INVERSE)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_all_exif_orientations_give_one_answer(orientation: int, kind: str) -> None:
    """A telephone held any way up takes the same picture."""
    turned = Pillow.fromarray(scene())
    back = INVERSE[orientation]
    turned = turned if back is None else turned.transpose(Pillow.Transpose(back))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = saved(turned, kind, exif=exif, lossless=True)
    assert np.array_equal(decode(data, ImageForm(size=(24, 36))), scene())
    stored = decode(data, ImageForm(exif="ignore"))
    assert np.array_equal(stored, np.asarray(turned))
    if orientation > 1:
        with pytest.raises(PictureError) as refused:
            decode(data, ImageForm(exif="reject"))
        assert refused.value.code == "image_mode"


def test_a_turned_jpeg_stands_upright() -> None:
    """What most telephones send is a JPEG that says it lies on its side."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = saved(
        Pillow.fromarray(scene()).transpose(Pillow.Transpose.ROTATE_90), "JPEG", exif=exif, quality=98, subsampling=0
    )
    assert decode(data, ImageForm()).shape == scene().shape
    assert np.abs(decode(data, ImageForm()).astype(int) - scene()).mean() < 4


def test_bgr_is_rgb_reversed_and_gray_is_luma() -> None:
    """The order of colours is a choice, not an accident of a library."""
    data = encoded(scene())
    assert np.array_equal(decode(data, ImageForm(order="BGR")), scene()[..., ::-1])
    red, green, blue = (scene()[..., channel].astype(np.int64) for channel in range(3))
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    assert np.array_equal(decode(data, ImageForm(order="gray", layout="HW")), luma)


def test_gray_pictures_are_gray_in_every_order() -> None:
    """A gray file for a contract of colours has three equal channels."""
    data = encoded(scene()[..., 0])
    assert np.array_equal(decode(data, ImageForm()), np.repeat(scene()[..., :1], 3, axis=-1))
    assert np.array_equal(decode(data, ImageForm(order="gray", layout="HW")), scene()[..., 0])


def test_sixteen_bits_become_their_upper_byte() -> None:
    """A deep picture is scaled to 8 bits, or refused where the contract says so."""
    deep = scene()[..., 0].astype(np.uint16) * 256 + 77
    image = ImageForm(order="gray", layout="HW")
    assert np.array_equal(decode(encoded(deep), image), scene()[..., 0])
    with pytest.raises(PictureError, match="16 bits a channel"):
        decode(encoded(deep), ImageForm(deep="reject"))


def test_cmyk_is_converted_or_refused() -> None:
    """A picture made for print becomes RGB, or is refused where the contract says so."""
    data = encoded(np.full((8, 8, 3), (200, 30, 30), dtype=np.uint8), "JPEG", mode="CMYK", quality=98)
    assert np.abs(decode(data, ImageForm()).astype(int) - (200, 30, 30)).max() <= 4
    with pytest.raises(PictureError, match="CMYK"):
        decode(data, ImageForm(cmyk="reject"))


def test_a_palette_is_converted_or_refused() -> None:
    """A palette is a way of saving, not another picture."""
    flat = np.zeros((6, 6, 3), dtype=np.uint8)
    flat[:3] = (250, 10, 20)
    data = encoded(flat, mode="P", colors=4)
    assert np.abs(decode(data, ImageForm()).astype(int) - flat).max() <= 60  # the web palette that Pillow picks
    assert np.array_equal(decode(encoded(flat, "GIF"), ImageForm(formats=ALL)), flat)
    with pytest.raises(PictureError, match="a palette"):
        decode(data, ImageForm(palette="reject"))


def _half_transparent(mode: str) -> bytes:
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[..., 0], pixels[:2, :, 3] = 200, 255  # red, and opaque in the upper half
    picture = Pillow.fromarray(pixels)
    if mode == "P":
        picture = picture.convert("RGB").quantize(4)
        return saved(picture, transparency=bytes([0] * 4))
    return saved(picture.convert(mode))


def test_transparency_shows_the_colour_behind_it() -> None:
    """Transparent pixels are white unless the contract says otherwise, not whatever colour hides below them."""
    data = _half_transparent("RGBA")
    assert decode(data, ImageForm())[3, 0].tolist() == [255, 255, 255]
    assert decode(data, ImageForm(alpha="black"))[3, 0].tolist() == [0, 0, 0]
    assert decode(data, ImageForm(alpha="drop"))[3, 0].tolist() == [200, 0, 0]
    assert decode(data, ImageForm())[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_can_be_refused_in_every_mode(mode: str) -> None:
    """Also a palette can be transparent."""
    with pytest.raises(PictureError) as refused:
        decode(_half_transparent(mode), ImageForm(alpha="reject"))
    assert refused.value.code == "image_mode"
    assert decode(_half_transparent(mode), ImageForm()).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_several_frames_are_refused_or_the_first_is_taken(kind: str) -> None:
    """An animation is not a picture, unless the contract takes its first frame."""
    frames = [Pillow.fromarray(np.full((4, 4, 3), value, dtype=np.uint8)) for value in (10, 200)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True, duration=40)
    with pytest.raises(PictureError, match="several frames"):
        decode(data, ImageForm(formats=ALL))
    assert decode(data, ImageForm(formats=ALL, frames="first"))[0, 0].tolist() == [10, 10, 10]


def test_a_jpeg_with_a_second_picture_behind_it_is_one_picture() -> None:
    """Telephones append depth maps and previews (MPO); these are no frames."""
    first, second = Pillow.fromarray(scene()), Pillow.fromarray(scene()[::-1])
    data = saved(first, "MPO", save_all=True, append_images=[second])
    assert decode(data, ImageForm()).shape == scene().shape


def test_scale_mean_and_standard_deviation_are_torchvisions() -> None:
    """The same bits as ToTensor and Normalize: (v / 255 - mean) / std in float32, channels first."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = ImageForm(range=(0, 1), mean=mean, std=std, layout="CHW", dtype="float32")
    expected = (scene().astype("f4") / np.float32(255) - np.array(mean, "f4")) / np.array(std, "f4")
    array = decode(encoded(scene()), image)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert np.array_equal(array, expected.transpose(2, 0, 1))


def test_a_range_may_be_any() -> None:
    """TensorFlow's models take -1 to 1, Caffe's 0 to 255 less a mean."""
    values = decode(encoded(scene()), ImageForm(range=(-1, 1), dtype="float64"))
    assert np.allclose(values, scene() / 127.5 - 1, rtol=0, atol=1e-15)
    caffe = ImageForm(order="BGR", mean=(103.939, 116.779, 123.68), dtype="float32")
    assert np.array_equal(decode(encoded(scene()), caffe), scene()[..., ::-1].astype("f4") - np.array(caffe.mean, "f4"))


@pytest.mark.parametrize(
    ("order", "layout", "shape"),
    [
        ("RGB", "HWC", (24, 36, 3)),
        ("RGB", "CHW", (3, 24, 36)),
        ("gray", "HW", (24, 36)),
        ("gray", "HWC", (24, 36, 1)),
        ("gray", "CHW", (1, 24, 36)),
    ],
)
def test_layouts(order: Any, layout: Any, shape: tuple[int, ...]) -> None:
    """The array has the axes that the model takes, in its order."""
    assert decode(encoded(scene(24, 36)), ImageForm(order=order, layout=layout)).shape == shape


@pytest.mark.parametrize("antialias", [True, False])
def test_fits(antialias: bool) -> None:
    """Contain keeps all of the picture on black, cover fills the size, stretch ignores proportions."""
    white = encoded(np.full((20, 40, 3), 255, dtype=np.uint8))
    arrays = {
        fit: decode(white, ImageForm(size=(10, 10), fit=fit, antialias=antialias))
        for fit in ("contain", "cover", "stretch")
    }
    assert all(array.shape == (10, 10, 3) for array in arrays.values())
    assert arrays["contain"][:, 0, 0].tolist() == [0, 0, 255, 255, 255, 255, 255, 0, 0, 0]
    assert arrays["cover"].min() == arrays["stretch"].min() == 255


def test_cover_cuts_off_both_sides_evenly() -> None:
    """The middle of the picture stays in the middle."""
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 255
    assert decode(encoded(pixels), ImageForm(size=(10, 10), fit="cover")).min() == 255


def test_a_truncated_picture_is_broken() -> None:
    """Half a picture is not answered."""
    for name, data in FILES.items():
        with pytest.raises(PictureError) as refused:
            decode(data[: len(data) // 2], ImageForm(formats=ALL))
        assert refused.value.code == "image_broken", name


def test_a_header_that_lies_is_broken() -> None:
    """A promised size without data behind it is no picture."""
    with pytest.raises(PictureError) as refused:
        decode(png_header(100, 100), ImageForm())
    assert refused.value.code == "image_broken"


damage = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=20)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_damaged_files_are_refused_and_nothing_else_happens(name: str, data: st.DataObject) -> None:
    """Whatever the bytes are, there is an array or a code, never another exception."""
    file = bytearray(FILES[name])
    for at, value in data.draw(damage):
        file[at % len(file)] = value
    end = data.draw(st.integers(0, len(file)) | st.just(len(file)))
    arrays, refused = decode_rows([bytes(file[:end])], ImageForm(formats=ALL, max_side=512, size=(8, 8)))
    assert arrays.shape == (1, 8, 8, 3)
    assert all(error.code.startswith("image_") for error in refused.values())


@given(data=st.binary(max_size=400))
@example(data=b"BM")
def test_any_bytes_are_refused(data: bytes) -> None:
    """Noise is no picture."""
    with pytest.raises(PictureError):
        decode(data, ImageForm(formats=ALL))


def test_a_column_keeps_the_good_pictures() -> None:
    """One broken picture does not spoil the others, and its row is named."""
    good = encoded(scene())
    arrays, refused = decode_rows([good, b"no", None, good], ImageForm(size=(24, 36)))
    assert arrays.shape == (4, 24, 36, 3)
    assert np.array_equal(arrays[3], scene())
    assert not arrays[1].any()
    assert not arrays[2].any()
    assert {row: error.code for row, error in refused.items()} == {1: "image_format"}


def test_pictures_of_several_sizes_are_arrays_of_their_own() -> None:
    """Without a size in the contract, pictures come as they are."""
    small, large = encoded(scene(4, 6)), encoded(scene(8, 6))
    arrays, _ = decode_rows([small, large], ImageForm())
    assert [array.shape for array in arrays] == [(4, 6, 3), (8, 6, 3)]
    same, _ = decode_rows([small, small], ImageForm())
    assert same.shape == (2, 4, 6, 3)
    assert decode_rows([], ImageForm(size=(4, 6)))[0].shape == (0, 4, 6, 3)


class Scan(Contract):
    """A contract with one picture."""

    photo: Annotated[np.ndarray, Image(size=(4, 6))]


def test_training_decodes_by_the_same_rules() -> None:
    """A training script has the arrays that serving will have, or hears of every picture that serving would refuse."""
    rows = decoded(Rows.of({"photo": [encoded(scene(4, 6))]}, Scan), Scan.form)
    assert np.array_equal(rows.photo[0], scene(4, 6))
    with pytest.raises(InvalidInput) as refused:
        decoded(Rows.of({"photo": [b"no", b"no"]}, Scan), Scan.form)
    assert [(v.row, v.pointer, v.code) for v in refused.value.violations] == [
        (0, "/photo", "image_format"),
        (1, "/photo", "image_format"),
    ]
