"""Every kind of image becomes 3-channel 8-bit at the wanted size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from alrctl import images, limits
from alrctl.images import decode
from schemas.errors import DataError
from stages.ingest import Fit

RED, BLACK = (250, 10, 20), (0, 0, 0)


def noise(number: int, height: int = 16, width: int = 16) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def plain(colour: tuple[int, ...] | int, mode: str) -> Image.Image:
    return Image.new(mode, (16, 16), colour)


@pytest.fixture(params=["in one go", "bit by bit"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files as small ones are, and as large ones are, which may not be held whole."""
    if request.param == "bit by bit":
        monkeypatch.setattr(images, "_SMALL", 0)
        monkeypatch.delattr(images, "_Held")


@pytest.mark.usefixtures("read")
@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff"])
def test_a_lossless_file_is_decoded_to_its_pixels(tmp_path: Path, name: str) -> None:
    found = decode(saved(Image.fromarray(noise(1)), tmp_path / name), 16, "stretch")
    assert (found.pixels == noise(1)).all()
    assert (found.width, found.height, found.rule) == (16, 16, "")


def test_a_jpeg_is_decoded_near_to_its_pixels(tmp_path: Path) -> None:
    found = decode(saved(plain(RED, "RGB"), tmp_path / "a.jpg", quality=95), 16, "stretch")
    assert np.abs(found.pixels.astype(int) - RED).max() <= 3


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = noise(2)[..., 0]
    found = decode(saved(Image.fromarray(grey), tmp_path / "a.png"), 16, "stretch")
    assert (found.pixels == grey[..., None]).all()
    assert found.rule == "L"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_from_the_least_to_the_greatest(tmp_path: Path, name: str) -> None:
    ramp = np.linspace(1000, 5000, 256).round().astype(np.uint16).reshape(16, 16)
    found = decode(saved(Image.fromarray(ramp), tmp_path / name), 16, "stretch")
    wanted = ((ramp - 1000.0) * 255 / 4000).round().astype(np.uint8)
    assert (found.pixels == wanted[..., None]).all()
    assert found.rule == "I;16"


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wide_and_float_images_are_scaled_alike(tmp_path: Path, dtype: type) -> None:
    ramp = (np.arange(256).reshape(16, 16) * 4 - 100).astype(dtype)
    found = decode(saved(Image.fromarray(ramp), tmp_path / "a.tif"), 16, "stretch")
    assert (found.pixels == np.arange(256).reshape(16, 16, 1)).all()
    assert found.rule in {"I", "F"}


def test_a_flat_sixteen_bit_image_is_black_and_no_division_by_nought(tmp_path: Path) -> None:
    flat = np.full((16, 16), 4000, np.uint16)
    assert not decode(saved(Image.fromarray(flat), tmp_path / "a.png"), 16, "stretch").pixels.any()


def test_transparency_is_laid_on_black(tmp_path: Path) -> None:
    image = plain((*RED, 255), "RGBA")
    image.paste((*RED, 0), (0, 0, 8, 16))
    image.paste((200, 100, 50, 128), (8, 0, 16, 8))
    pixels = decode(saved(image, tmp_path / "a.png"), 16, "stretch").pixels
    assert (pixels[:, :8] == BLACK).all()
    assert (pixels[8:, 8:] == RED).all()
    assert np.abs(pixels[:8, 8:].astype(int) - (100, 50, 25)).max() <= 1


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_becomes_its_colours(tmp_path: Path, transparent: bool) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 200, 0, *RED])
    image.paste(0, (0, 0, 8, 16))
    path = saved(image, tmp_path / "a.png", **({"transparency": 0} if transparent else {}))
    found = decode(path, 16, "stretch")
    assert (found.pixels[:, 8:] == RED).all()
    assert (found.pixels[:, :8] == (BLACK if transparent else (0, 200, 0))).all()
    assert found.rule == "P"


def test_grey_with_alpha_and_black_and_white_are_understood(tmp_path: Path) -> None:
    two = Image.new("LA", (16, 16), (90, 255))
    two.paste((90, 0), (0, 0, 8, 16))
    pixels = decode(saved(two, tmp_path / "la.png"), 16, "stretch").pixels
    assert (pixels[:, 8:] == 90).all()
    assert (pixels[:, :8] == 0).all()
    one = decode(saved(plain(1, "1"), tmp_path / "one.png"), 16, "stretch")
    assert (one.pixels == 255).all()


def test_a_cmyk_jpeg_keeps_its_colour(tmp_path: Path) -> None:
    path = saved(plain((0, 255, 255, 0), "CMYK"), tmp_path / "a.jpg", quality=95)
    found = decode(path, 16, "stretch")
    assert np.abs(found.pixels.astype(int) - (255, 0, 0)).max() <= 10
    assert found.rule == "CMYK"


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (3, 2), (8, 1)])
def test_the_rotation_that_a_camera_noted_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(upright), tmp_path / "a.jpg", exif=exif, quality=100)
    found = decode(path, 32, "stretch")
    wanted = np.asarray(Image.fromarray(np.rot90(upright, turns)).resize((32, 32)))
    assert (found.width, found.height) == ((32, 16) if turns % 2 == 0 else (16, 32))
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 12


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (16, 16, 3)])
def test_an_array_is_taken_as_it_is(shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    found = decode(given, 16, "stretch")
    assert (found.pixels == given.reshape(16, 16, -1)).all()
    assert found.rule == ""


def stripes(height: int, width: int) -> NDArray[np.uint8]:
    """Return red with a green first and last row, and a blue first and last column."""
    made = np.full((height, width, 3), RED, np.uint8)
    made[[0, -1]] = (0, 255, 0)
    made[:, [0, -1]] = (0, 0, 255)
    return made


def test_stretch_keeps_the_whole_image() -> None:
    pixels = decode(stripes(16, 64), 16, "stretch").pixels
    assert pixels.shape == (16, 16, 3)
    assert pixels[8, 0, 2] > RED[2]
    assert pixels[0, 8, 1] > RED[1]


def test_crop_keeps_the_middle_undistorted() -> None:
    pixels = decode(stripes(16, 64), 16, "crop").pixels
    assert (pixels == stripes(16, 64)[:, 24:40]).all()


def test_pad_keeps_everything_undistorted_between_black_bars() -> None:
    pixels = decode(stripes(16, 64), 64, "pad").pixels
    assert (pixels[24:40] == stripes(16, 64)).all()
    assert not pixels[:24].any()
    assert not pixels[40:].any()


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_an_image_of_the_wanted_size_is_not_touched(fit: Fit) -> None:
    assert (decode(noise(4), 16, fit).pixels == noise(4)).all()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty (0 bytes)"),
        (b"no image", "is no readable image file (cannot identify image file '{path}')"),
    ],
)
@pytest.mark.usefixtures("read")
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        decode(path, 16, "stretch")
    assert str(refused.value) == f"{path}: {told.format(path=path)}"


@pytest.mark.usefixtures("read")
def test_an_image_that_is_cut_short_or_gone_is_named(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(1, 64, 64)), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DataError, match=r"a\.jpg: is no readable image file \(image file is truncated"):
        decode(path, 16, "stretch")
    with pytest.raises(DataError, match=r"b\.jpg: no such file"):
        decode(tmp_path / "b.jpg", 16, "stretch")


def test_an_image_past_all_measure_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_PIXELS", 200)
    with pytest.raises(DataError, match=r"a\.png: 16 x 16 pixels is past what is decoded here"):
        decode(saved(plain(RED, "RGB"), tmp_path / "a.png"), 16, "stretch")


# --- for people to look at -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "longest", "wanted"),
    [
        (90, 60, 30, (30, 20)),
        (60, 90, 30, (20, 30)),
        (40, 40, 10, (10, 10)),
        (30, 200, 20, (3, 20)),
        (4, 900, 90, (1, 90)),
    ],
)
def test_a_reduced_image_keeps_its_shape_and_is_no_longer_than_asked(
    tmp_path: Path, height: int, width: int, longest: int, wanted: tuple[int, int]
) -> None:
    path = saved(Image.fromarray(noise(1, height, width)), tmp_path / "a.png")
    found = images.reduced(path, longest)
    assert found.dtype == np.uint8
    assert found.shape == (*wanted, 3)


@pytest.mark.parametrize("longest", [16, 17, 5000])
def test_an_image_that_is_small_enough_is_left_as_it_is(tmp_path: Path, longest: int) -> None:
    assert (images.reduced(saved(Image.fromarray(noise(1)), tmp_path / "a.png"), longest) == noise(1)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "I;16"])
def test_a_reduced_image_of_any_mode_is_what_would_be_ingested(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 200)
    else:
        image = Image.fromarray(noise(2)).convert(mode)
    path = saved(image, tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png"))
    assert (images.reduced(path, 16) == decode(path, 16, "stretch").pixels).all()


def test_a_reduced_photograph_stands_upright(tmp_path: Path) -> None:
    turned = Image.fromarray(noise(3, 20, 10))
    exif = turned.getexif()
    exif[0x0112] = 6
    path = saved(turned, tmp_path / "a.png", exif=exif)
    assert images.reduced(path, 100).shape == (10, 20, 3)
    assert (images.reduced(path, 100) == np.rot90(noise(3, 20, 10), -1)).all()


def test_a_file_that_cannot_be_shown_is_told(tmp_path: Path) -> None:
    path = saved(Image.fromarray(noise(1, 64, 64)), tmp_path / "a.png")
    cut = path.read_bytes()[:200]
    for content, told in (
        (cut, "is no readable image file ("),
        (b"", "is empty"),
        (b"no image", "is no readable image"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.png: {re.escape(told)}"):
            images.reduced(path, 16)
    with pytest.raises(DataError, match=r"gone\.png: no such file$"):
        images.reduced(tmp_path / "gone.png", 16)
    with pytest.raises(DataError, match=r": is a directory, and no image file$"):
        images.reduced(tmp_path, 16)
